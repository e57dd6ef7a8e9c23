"""What one domain's queue in memory holds: streams, pending frames, marks, letters and members, under one lock.

The rules of a queue as plain data structures; `messenger.queues.memory` is the port over them. A method that is named
here without a lock of its own is called with `changed` held.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from foundation.clock import Clock
from messenger.formats import ALL_WORDS, FALLBACK_WORDS
from messenger.frame import Frame
from messenger.queue import (
    PRIORITIES,
    DeadLetter,
    Delivery,
    FrameRefusal,
    QueueLimits,
    Settlement,
    reading_order,
)


def numbers(entry: str) -> tuple[int, int]:
    """Read an entry's id as what it sorts by."""
    milliseconds, _, sequence = entry.partition("-")
    return int(milliseconds), int(sequence)


@dataclass(slots=True)
class _Pending:
    consumer: str
    since: float
    deliveries: int


@dataclass(slots=True)
class _Stream:
    """The frames of one priority in order, and which of them are handed out."""

    frames: dict[str, tuple[float, Frame]] = field(default_factory=dict)
    waiting: dict[str, None] = field(default_factory=dict)
    pending: dict[str, _Pending] = field(default_factory=dict)


class _Marks:
    """Ids that are remembered for a window of seconds."""

    def __init__(self, clock: Clock, window: float) -> None:
        self._clock, self._window = clock, window
        self._since: dict[str, float] = {}

    def __contains__(self, name: str) -> bool:
        self._forget()
        return name in self._since

    def add(self, name: str) -> bool:
        """Remember a name; False where it was remembered before."""
        if name in self:
            return False
        self._since[name] = self._clock.monotonic()
        return True

    def discard(self, name: str) -> None:
        self._since.pop(name, None)

    def _forget(self) -> None:
        horizon = self._clock.monotonic() - self._window
        for name in list(itertools.takewhile(lambda name: self._since[name] <= horizon, self._since)):
            del self._since[name]


class Contents:
    """What stands in one domain's queue, with the lock that guards all of it."""

    def __init__(self, clock: Clock, limits: QueueLimits, barred_everywhere: frozenset[str]) -> None:
        self.clock, self.limits = clock, limits
        self.changed = threading.Condition()
        self.exists = False
        self.streams = {priority: _Stream() for priority in PRIORITIES}
        self.members: dict[str, tuple[frozenset[str], float]] = {}
        self.appended = _Marks(clock, limits.append_window)
        self.marks = _Marks(clock, limits.handled_window)
        self.dead: dict[str, DeadLetter] = {}
        self.quarantine: dict[str, DeadLetter] = {}
        self.results: dict[str, tuple[str, bytes]] = {}
        self.handled = self.duplicates = self.refused = 0
        self._known = ALL_WORDS
        self._barred: set[str] = set()
        self._barred_everywhere = barred_everywhere
        self._last_id = (0, 0)

    @property
    def barred(self) -> frozenset[str]:
        """Words that are not admitted whatever the members can decode."""
        return frozenset(self._barred | self._barred_everywhere)

    @property
    def admits(self) -> frozenset[str]:
        """Words that a frame may be written with."""
        return self._known - self.barred | FALLBACK_WORDS

    def bar(self, words: frozenset[str]) -> None:
        """Bar words in this queue."""
        with self.changed:
            self._barred |= words

    def bar_everywhere(self, words: frozenset[str]) -> None:
        """Say which words are barred in the whole environment."""
        with self.changed:
            self._barred_everywhere = words

    def release(self, words: frozenset[str]) -> None:
        """Release words that were barred in this queue."""
        with self.changed:
            self._barred -= words

    def review_members(self) -> None:
        """Evict expired leases; what the live members can all decode is what is known to be readable."""
        now = self.clock.monotonic()
        self.members = {name: member for name, member in self.members.items() if member[1] > now}
        if self.members:
            self._known = frozenset.intersection(*(words for words, _ in self.members.values()))

    def refusal(self, frame: Frame) -> FrameRefusal | None:
        """Tell why a frame is not admitted; None where it is."""
        refused = frame.words - self.admits
        return FrameRefusal(refused, self.admits) if refused else None

    def put(self, priority: str, frame: Frame) -> None:
        """Append a frame."""
        entry, stream = self.next_id(), self.streams[priority]
        stream.frames[entry] = (self.clock.now(), frame)
        stream.waiting[entry] = None

    def next_id(self) -> str:
        """Name the next entry: its time in milliseconds and a number, always greater than the last."""
        self._last_id = max((int(self.clock.now() * 1000), 0), (self._last_id[0], self._last_id[1] + 1))
        return f"{self._last_id[0]}-{self._last_id[1]}"

    def count(self) -> int:
        """Count the frames, waiting and pending."""
        return sum(len(stream.frames) for stream in self.streams.values())

    def deliver(self, consumer: str, priority: str, entry: str, deliveries: int) -> Delivery:
        """Hand an entry to a consumer."""
        self.streams[priority].pending[entry] = _Pending(consumer, self.clock.monotonic(), deliveries)
        return self.delivery(priority, entry)

    def delivery(self, priority: str, entry: str) -> Delivery:
        """Show an entry; `deliveries` is 0 where it was never handed out."""
        stream = self.streams[priority]
        appended, frame = stream.frames[entry]
        pending = stream.pending.get(entry)
        return Delivery(entry, priority, frame, appended, pending.deliveries if pending else 0)

    def take(self, consumer: str, limit: int, turn: int) -> list[Delivery]:
        """Hand out up to `limit` waiting frames."""
        places = ((priority, entry) for priority in reading_order(turn) for entry in self.streams[priority].waiting)
        taken = list(itertools.islice(places, max(limit, 0)))
        for priority, entry in taken:
            del self.streams[priority].waiting[entry]
        return [self.deliver(consumer, priority, entry, 1) for priority, entry in taken]

    def held(self) -> Iterator[tuple[str, str, _Pending]]:
        """Go through the pending entries, oldest first within each priority."""
        for priority in PRIORITIES:
            for entry, pending in sorted(self.streams[priority].pending.items(), key=lambda item: numbers(item[0])):
                yield priority, entry, pending

    def settle(self, settlement: Settlement) -> None:
        """Mark, keep results, bury letters, and take a finished frame off."""
        stream, entry = self.streams[settlement.delivery.priority], settlement.delivery.entry
        still_open = entry in stream.frames
        for message in settlement.handled:
            if not self._mark(message.message_id):
                continue
            self.handled += 1
            if message.result is not None:
                self.results[self.next_id()] = (message.message_id, message.result)
        for letter in settlement.letters if still_open else ():
            if letter.reason == "quarantine" or self._mark(letter.id):
                self._bury(letter)
        if settlement.finished:
            stream.waiting.pop(entry, None)
            stream.pending.pop(entry, None)
            stream.frames.pop(entry, None)

    def forget_old_results(self) -> None:
        """Keep only as many results as the limits say."""
        for cursor in list(itertools.islice(self.results, max(0, len(self.results) - self.limits.results))):
            del self.results[cursor]

    def _mark(self, message_id: str) -> bool:
        new = self.marks.add(message_id)
        self.duplicates += not new
        return new

    def _bury(self, letter: DeadLetter) -> None:
        letters = self.quarantine if letter.reason == "quarantine" else self.dead
        letters.setdefault(letter.id, replace(letter, at=self.clock.now()))
