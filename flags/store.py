"""The port through which flags are written, read back and remembered; adapters stand in `flags/stores/`.

One write changes one flag or many, all or none, and takes the environment from one revision to the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from flags.model import Flag, Revision, Snapshot


@dataclass(frozen=True, slots=True)
class Edit:
    """One flag's part in a write: what it becomes, and what the writer believes it was.

    `expected` is the revision of the flag's last write as the writer saw it, or None if the flag must not exist yet.
    """

    flag: Flag
    expected: Revision | None


@dataclass(frozen=True, slots=True)
class Write:
    """A change of one or more flags, with who made it and why.

    The same `operation` sent again returns the first result and changes nothing. What the operation stands for is
    `request`, a digest of what was asked for; where that is empty, it is the flags as they are to become.
    """

    operation: str
    edits: tuple[Edit, ...]
    actor: str
    reason: str = ""
    request: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """What a write did: the new revision, whether this very operation had been applied before, and whether at all."""

    revision: Revision
    repeated: bool = False
    changed: bool = True


@dataclass(frozen=True, slots=True)
class Change:
    """What one revision changed: the flags as they are after it."""

    revision: Revision
    flags: Mapping[str, Flag]


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One write as a flag's history shows it; `at` is the store's clock in seconds since 1970."""

    revision: Revision
    at: float
    actor: str
    reason: str
    before: Flag | None
    after: Flag


class FlagStore(Protocol):
    """The flags of one environment.

    Every method raises StoreUnreachable when the store does not answer in time.
    """

    environment: str

    def snapshot(self) -> Snapshot:
        """Read every flag at one revision."""

    def write(self, write: Write) -> Written:
        """Apply a write, all of it or none.

        Raises:
            RevisionConflict: a flag was written since the revision its edit names.
            IdempotencyMismatch: the operation id was used for another write.
            StoreRefused: the store will not take writes.
            WriteUnconfirmed: applied, and too few replicas have it.
        """

    def recall(self, operation: str, request: str) -> Written | None:
        """Tell what a write of this operation and request has done before; None where there was none.

        Raises:
            IdempotencyMismatch: the operation id was used for another request.
        """

    def history(self, key: str, *, limit: int = 50) -> list[HistoryEntry]:
        """Read what was done to one flag, newest first."""
