"""What is on its way to one target: the batches that are open or closed, and the parcels of the next append.

Knows what may go when; the outbox ships it.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections import deque
from dataclasses import dataclass, field

from messenger.backoff import Backoff
from messenger.batching import Batch, Batcher
from messenger.parcels import Outgoing, Parcel
from messenger.queue import Queue

FRAMES_PER_APPEND, BYTES_PER_APPEND = 64, 131_072
"""The most that is appended at once, but for one larger frame: the queue's consumers begin with it the sooner."""
GAP = 0.001
"""Seconds after a batch in which messages gather for the next one, unless that is full before."""


@dataclass(slots=True, eq=False)
class Target:
    """One target's queue and what is on its way there: what handlers sent, which is not `bounded`, or everything else.

    `loaded` belongs to whoever holds `wire`, everything else to whoever holds the outbox's lock.
    """

    queue: Queue
    backoff: Backoff
    bounded: bool
    wire: threading.Lock = field(default_factory=threading.Lock)
    batcher: Batcher[Outgoing] = field(default_factory=Batcher)
    closed: deque[Batch[Outgoing]] = field(default_factory=deque)
    loaded: deque[Parcel] = field(default_factory=deque)
    accepted: int = 0
    settled: int = 0
    shipped_at: float = 0.0
    retry_at: float = 0.0
    error: Exception | None = None
    window: int = FRAMES_PER_APPEND
    """Frames in the next append: fewer after each time the queue was full, since it takes all of them or none."""

    @property
    def waiting(self) -> int:
        """How many messages were accepted and are neither in the queue nor given up."""
        return self.accepted - self.settled

    @property
    def has_work(self) -> bool:
        """Whether something can be appended now."""
        return bool(self.closed or self.loaded)

    def next_look(self) -> float:
        """When something may go, if nothing more comes; infinity where nothing is left, or somebody is shipping.

        Whoever ships asks again when the wire is free, and by then may find more.
        """
        if self.wire.locked():
            return math.inf
        if self.has_work:
            return self.retry_at
        due = self.batcher.next_due()
        return math.inf if due is None else max(due, self.shipped_at + GAP, self.retry_at)

    def is_due(self, now: float) -> bool:
        """Whether an open batch may go before it is full: nobody is at it or just was, and the queue takes some."""
        due = self.batcher.next_due()
        free = self.error is None and not self.wire.locked() and now >= self.shipped_at + GAP
        return free and due is not None and due <= now

    def close_due(self, now: float) -> None:
        """Close what may go before it is full; for who holds `wire`, so that batches gather during a round trip."""
        if now >= self.shipped_at + GAP:
            self.closed.extend(self.batcher.due(now))

    def next_parcels(self) -> list[Parcel]:
        """What the next append takes."""
        taken: list[Parcel] = []
        size = 0
        for parcel in itertools.islice(self.loaded, self.window):
            size += len(parcel.frame.body)
            if taken and size > BYTES_PER_APPEND:
                break
            taken.append(parcel)
        return taken
