"""Every error of the rollout floor.

    RolloutError
    ├── NothingToRollBack    the request names no flag of this environment
    ├── KillUndone           somebody writes the flag anew as often as it is killed
    ├── ReceiptUnknown       no receipt of this id, neither in the store nor on disk
    ├── ReceiptMalformed     what should be a receipt is not one, or is not spelled as it was signed
    ├── SigningKeyUnknown    nobody vouches for the key that signed a receipt
    ├── AttemptSuperseded    another process leads this rollback now
    └── RestartFailed        the command that restarts a worker could not do it

A store or queue server that does not answer or will not write raises `StoreUnreachable` or `StoreRefused`; content that
was changed after it was signed raises `SignatureInvalid`.
"""

from __future__ import annotations

from foundation.errors import SignalboxError


class RolloutError(SignalboxError):
    """An error of the rollout floor."""

    code = "ROLLOUT_ERROR"


class NothingToRollBack(RolloutError):
    """The request names no flag that exists in this environment; nothing was changed."""

    code = "NOTHING_TO_ROLL_BACK"


class KillUndone(RolloutError):
    """The flag was killed several times, and each time somebody wrote it anew at once."""

    code = "KILL_UNDONE"


class ReceiptUnknown(RolloutError):
    """No receipt of this id is known."""

    code = "RECEIPT_UNKNOWN"


class ReceiptMalformed(RolloutError):
    """The bytes are not a receipt, or not in the one spelling in which receipts are signed."""

    code = "RECEIPT_MALFORMED"


class SigningKeyUnknown(RolloutError):
    """The receipt is unchanged since it was signed, and nobody here vouches for the key that signed it."""

    code = "SIGNING_KEY_UNKNOWN"


class AttemptSuperseded(RolloutError):
    """Another process has taken this rollback over; this one must write nothing more and follow it."""

    code = "ATTEMPT_SUPERSEDED"


class RestartFailed(RolloutError):
    """The configured restart command could not be run, failed, or took too long."""

    code = "RESTART_FAILED"
