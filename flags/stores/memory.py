"""The flag store's twin in memory, for tests and for trying things out: the same promises, kept in one process.

Its server never restarts, so an epoch lasts as long as the object.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from dataclasses import dataclass

from flags.errors import RevisionConflict
from flags.items import parted
from flags.model import ZERO, Revision, Snapshot
from flags.store import ENVIRONMENT, Change, HistoryEntry, Write, Written
from flags.stores.memory_registry import MemoryInstanceRegistry
from flags.stores.writing import OPERATION_SECONDS, body_digest, contents, mismatch, requirements
from foundation.clock import SYSTEM, Clock

__all__ = ["MemoryFlagStore", "MemoryInstanceRegistry"]


@dataclass(frozen=True, slots=True)
class _Done:
    digest: str
    revision: Revision
    forgotten_at: float


class MemoryFlagStore:
    """The flags and segments of one environment, in this process's memory."""

    def __init__(self, environment: str, clock: Clock = SYSTEM) -> None:
        self.environment = environment
        self._clock = clock
        self._lock = threading.Lock()
        self._snapshot = Snapshot()
        self._done: dict[str, _Done] = {}
        self._history: defaultdict[str, deque[HistoryEntry]] = defaultdict(deque)

    def snapshot(self) -> Snapshot:
        """Read every flag and segment at one revision."""
        return self._snapshot

    def revision(self) -> Revision:
        """Tell at which revision a snapshot would be."""
        return self._snapshot.revision

    def write(self, write: Write) -> Written:
        """Apply a write, all of it or none; raises RevisionConflict or IdempotencyMismatch."""
        digest = body_digest(write, contents(write))
        with self._lock:
            if repeated := self._recall(write.operation, digest):
                return repeated
            for item_key, expected in requirements(write).items():
                self._check(item_key, expected)
            revision = self._apply(write)
            self._done[write.operation] = _Done(digest, revision, self._clock.now() + OPERATION_SECONDS)
            return Written(revision)

    def recall(self, operation: str, request: str) -> Written | None:
        """Tell what a write of this operation and request has done before; raises IdempotencyMismatch."""
        with self._lock:
            return self._recall(operation, request)

    def history(self, item_key: str, *, limit: int = 50) -> list[HistoryEntry]:
        """Read what was done to one item, newest first."""
        with self._lock:
            return list(self._history.get(item_key, ()))[:limit]

    def _recall(self, operation: str, digest: str) -> Written | None:
        done = self._done.get(operation)
        if done is None or self._clock.now() >= done.forgotten_at:
            return None
        if done.digest != digest:
            raise mismatch(operation)
        return Written(done.revision, repeated=True)

    def _check(self, item_key: str, expected: Revision | None) -> None:
        snapshot = self._snapshot
        current = snapshot.revision if item_key == ENVIRONMENT else snapshot.versions.get(item_key)
        if current != expected:
            raise RevisionConflict(item_key, str(expected or ""), str(current or ""))

    def _apply(self, write: Write) -> Revision:
        before = self._snapshot
        epoch = before.revision.epoch if before.revision != ZERO else int(self._clock.now() * 1_000_000)
        revision = Revision(epoch, before.revision.rev + 1)
        for item in (edit.item for edit in write.edits):
            was = before.item(item.item_key)
            entry = HistoryEntry(revision, self._clock.now(), write.actor, write.reason, was, item)
            self._history[item.item_key].appendleft(entry)
        self._snapshot = Change(revision, *parted(edit.item for edit in write.edits)).onto(before)
        return revision
