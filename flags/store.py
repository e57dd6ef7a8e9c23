"""The port through which flags and segments are written, read back and remembered; adapters stand in `flags/stores/`.

One write changes one item or many, all or none, and takes the environment from one revision to the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from flags.model import Flag, Item, Revision, Segment, Snapshot
from flags.stored import revised, updated

ENVIRONMENT = "the environment"
"""What a write that rests on all of the environment names in place of an item; no item has a key with spaces."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One item's part in a write: what it becomes, and what the writer believes it was.

    `expected` is the revision of the item's last write as the writer saw it, or None if the item must not exist yet.
    """

    item: Item
    expected: Revision | None


@dataclass(frozen=True, slots=True)
class Write:
    """A change of one or more items, with who made it and why.

    The same `operation` sent again returns the first result and changes nothing. What the operation stands for is
    `request`, a digest of what was asked for; where that is empty, it is the items as they are to become. `requires`
    names items that the write rests on without changing them, each with the revision of its last write; ENVIRONMENT
    stands for every item, those included that are not there yet, and has the environment's revision.
    """

    operation: str
    edits: tuple[Edit, ...]
    actor: str
    reason: str = ""
    request: str = ""
    requires: Mapping[str, Revision] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Written:
    """What a write did: the new revision, whether this very operation had been applied before, and whether at all."""

    revision: Revision
    repeated: bool = False
    changed: bool = True


@dataclass(frozen=True, slots=True)
class Change:
    """What one revision changed: the flags and segments as they are after it."""

    revision: Revision
    flags: Mapping[str, Flag]
    segments: Mapping[str, Segment] = field(default_factory=dict)

    @property
    def item_keys(self) -> tuple[str, ...]:
        """The item keys of all that changed."""
        return (*self.flags, *(segment.item_key for segment in self.segments.values()))

    def onto(self, before: Snapshot) -> Snapshot:
        """Make the snapshot that comes of this change."""
        return Snapshot(
            self.revision,
            updated(before.flags, self.flags),
            revised(before.versions, self.item_keys, self.revision),
            {**before.segments, **self.segments} if self.segments else before.segments,
        )


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One write as an item's history shows it; `at` is the store's clock in seconds since 1970."""

    revision: Revision
    at: float
    actor: str
    reason: str
    before: Item | None
    after: Item


class FlagStore(Protocol):
    """The flags and segments of one environment.

    Every method raises StoreUnreachable when the store does not answer in time.
    """

    environment: str

    def snapshot(self) -> Snapshot:
        """Read every flag and segment at one revision."""

    def revision(self) -> Revision:
        """Tell at which revision a snapshot would be, without reading it."""

    def write(self, write: Write) -> Written:
        """Apply a write, all of it or none.

        Raises:
            RevisionConflict: an item was written since the revision that its edit, or `requires`, names.
            IdempotencyMismatch: the operation id was used for another write.
            StoreRefused: the store will not take writes.
            WriteUnconfirmed: applied, and too few replicas have it.
        """

    def recall(self, operation: str, request: str) -> Written | None:
        """Tell what a write of this operation and request has done before; None where there was none.

        Raises:
            IdempotencyMismatch: the operation id was used for another request.
        """

    def history(self, item_key: str, *, limit: int = 50) -> list[HistoryEntry]:
        """Read what was done to one item, newest first."""
