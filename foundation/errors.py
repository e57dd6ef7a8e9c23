"""The root of every error that Signalbox raises on purpose, and the errors of the foundation itself.

    SignalboxError
    ├── FoundationError
    │   ├── DocumentError       a document breaks a rule: which field, what stood there, what would be right
    │   ├── StoreUnreachable    no answer from Redis in time
    │   ├── StoreRefused        Redis answers, and will not take the write (full, read-only, too few replicas)
    │   ├── SignatureInvalid    what was signed is not what is here
    │   └── ServerUnavailable   no Redis server program here that will do, or it would not start
    ├── FlagsError              flags/errors.py
    ├── MessengerError          messenger/errors.py
    ├── RolloutError            rollout/errors.py
    └── ControlPlaneError       controlplane/errors.py

Every leaf has a `code` that never changes: machines match on it, people read the message.
"""

from __future__ import annotations

from typing import Any, ClassVar


class SignalboxError(Exception):
    """What went wrong, in words for a person, with a stable `code` for a machine."""

    code: ClassVar[str] = "SIGNALBOX_ERROR"


class FoundationError(SignalboxError):
    """An error of the ground floor."""

    code = "FOUNDATION_ERROR"


class DocumentError(FoundationError):
    """A document that was refused: names the field, the value that stood there, and what would be right.

    Args:
        field: path from the document's root, such as `flags.useYamlMessaging.rollout.percentage`; "" is the root.
        problem: what is wrong, as the end of a sentence whose subject is the field.
        value: what stood there, where there is one; shown shortened.
        expected: what would be right.
    """

    code = "DOCUMENT_INVALID"

    def __init__(self, field: str, problem: str, *, value: Any = ..., expected: str = "") -> None:
        self.field = field if field.isprintable() else ascii(field)[1:-1]  # keys of the document may stand in it
        self.problem, self.value, self.expected = problem, value, expected
        shown = "" if value is ... else f" (found {shorten(value)})"
        super().__init__(f"{self.field or 'document'}: {problem}{shown}{f'; expected {expected}' if expected else ''}")


class StoreUnreachable(FoundationError):
    """No answer from Redis within the time-out; nothing is known about whether a write was applied."""

    code = "STORE_UNREACHABLE"


class StoreRefused(FoundationError):
    """Redis answered and refused the write; `reason` is its word, such as OOM, READONLY or MISCONF."""

    code = "STORE_REFUSED"

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


class SignatureInvalid(FoundationError):
    """The signature does not belong to this content and key."""

    code = "SIGNATURE_INVALID"


class ServerUnavailable(FoundationError):
    """No Redis server program is here that will do, or it would not start; the message says what to do."""

    code = "SERVER_UNAVAILABLE"


def shorten(value: Any, limit: int = 60) -> str:
    """One line of at most `limit` characters that shows a value in an error message."""
    try:
        text = ascii(value) if not isinstance(value, str) else ascii(value[: limit + 1])
    except (RecursionError, ValueError):  # nested too deep, or a number of more digits than Python prints
        text = f"<{type(value).__name__}>"
    return text if len(text) <= limit else text[: limit - 1] + "…"
