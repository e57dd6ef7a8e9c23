"""Every error of the flags floor.

    FlagsError
    ├── FlagNotFound          no such flag in this environment
    ├── FlagExists            the key of a new flag is taken
    ├── SegmentNotFound       no such segment in this environment
    ├── SegmentExists         the key of a new segment is taken
    ├── EnvironmentExists     the name of a new environment is taken
    ├── FlagArchived          the flag is archived; revert it first
    ├── RevisionConflict      somebody wrote the flag in between: the write changed nothing
    ├── IdempotencyMismatch   the same operation id came with another body
    ├── FlagHeld              a person put the flag on hold: only a release may enable it again
    ├── FlagSplit             the flag splits traffic between variants: it has no default percentage to set
    ├── WriteUnconfirmed      applied here, and not acknowledged by enough replicas
    ├── EvaluationFailed      what error hooks are told; evaluation itself never raises
    ├── SourceUnavailable     the control plane does not answer a client in time, or asks it to wait
    └── SourceRefused         the control plane refuses a client: its token, its environment or its address is wrong

A document that breaks a rule raises `foundation.errors.DocumentError`; a store that does not answer or will not write
raises `StoreUnreachable` or `StoreRefused`.
"""

from __future__ import annotations

from foundation.errors import SignalboxError


class FlagsError(SignalboxError):
    """An error of the flags floor."""

    code = "FLAGS_ERROR"


class FlagNotFound(FlagsError):
    """No flag of this key exists in the environment."""

    code = "FLAG_NOT_FOUND"

    def __init__(self, key: str, environment: str) -> None:
        self.key = key
        super().__init__(f"no flag {key!r} in environment {environment!r}")


class FlagExists(FlagsError):
    """A new flag's key is taken, be it by an archived flag; nothing was changed."""

    code = "FLAG_EXISTS"

    def __init__(self, key: str, environment: str) -> None:
        self.key = key
        super().__init__(f"flag {key!r} already exists in environment {environment!r}")


class SegmentNotFound(FlagsError):
    """No segment of this key exists in the environment."""

    code = "SEGMENT_NOT_FOUND"

    def __init__(self, key: str, environment: str) -> None:
        self.key = key
        super().__init__(f"no segment {key!r} in environment {environment!r}")


class SegmentExists(FlagsError):
    """A new segment's key is taken, be it by an archived segment; nothing was changed."""

    code = "SEGMENT_EXISTS"

    def __init__(self, key: str, environment: str) -> None:
        self.key = key
        super().__init__(f"segment {key!r} already exists in environment {environment!r}")


class EnvironmentExists(FlagsError):
    """A new environment's name is taken; nothing was changed."""

    code = "ENVIRONMENT_EXISTS"

    def __init__(self, name: str) -> None:
        super().__init__(f"environment {name!r} already exists")


class FlagArchived(FlagsError):
    """The flag is archived and takes no change but its restoration."""

    code = "FLAG_ARCHIVED"


class RevisionConflict(FlagsError):
    """The item was written after the revision the caller had seen; nothing was changed.

    Args:
        key: the item's key; that of a segment begins with `segment:`.
        expected: the revision the caller named, as text.
        current: the revision of the flag's last write, as text; "" where the item does not exist.
    """

    code = "REVISION_CONFLICT"

    def __init__(self, key: str, expected: str, current: str) -> None:
        self.key, self.expected, self.current = key, expected, current
        super().__init__(f"{key!r} is at revision {current or 'none'}, not {expected or 'none'}: read it again")


class IdempotencyMismatch(FlagsError):
    """An operation id was used before with another body; nothing was changed."""

    code = "IDEMPOTENCY_MISMATCH"


class FlagHeld(FlagsError):
    """The flag is on hold after a kill; nothing but a person's release may enable it."""

    code = "FLAG_HELD"


class FlagSplit(FlagsError):
    """The flag splits its traffic between variants by weight, and so has no default percentage that could be set."""

    code = "FLAG_SPLIT"

    def __init__(self, key: str) -> None:
        super().__init__(
            f"flag {key!r} splits its traffic between variants, so there is no default percentage to set: "
            "set that of a domain, or put another rollout in the place of the split"
        )


class WriteUnconfirmed(FlagsError):
    """The write was applied, and fewer replicas than asked for have acknowledged it in time."""

    code = "WRITE_UNCONFIRMED"


class EvaluationFailed(FlagsError):
    """A flag could not be evaluated and the caller got its default: told to error hooks, raised by nobody.

    Args:
        key: the flag.
        error_code: OpenFeature's code of what went wrong.
        message: what went wrong, in words.
    """

    code = "EVALUATION_FAILED"

    def __init__(self, key: str, error_code: str, message: str) -> None:
        self.key, self.error_code = key, error_code
        super().__init__(f"flag {key!r}: {error_code}: {message}")


class SourceUnavailable(FlagsError):
    """The control plane gave a client no answer in time, or asked it to come back after `retry_after` seconds."""

    code = "SOURCE_UNAVAILABLE"

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class SourceRefused(FlagsError):
    """The control plane refuses a client, and will until a person has put its token, environment or address right."""

    code = "SOURCE_REFUSED"
