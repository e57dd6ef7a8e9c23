"""One channel to many subscribers: each event is written once as bytes, and a slow reader never slows the others.

Plain threads and queues: under gevent they are greenlets. Knows nothing of what the events say.
"""

from __future__ import annotations

import contextlib
import json
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Any

from foundation.clock import Clock

BACKLOG = 256
"""Events that wait for a slow reader before it is let go; it comes back and starts from a fresh picture."""

SILENCE = 5.0
LIFE = 900.0
RETRY = b"retry: 1000\n\n"
"""Tells browsers to come back after a second."""


class End(Enum):
    """Why a stream ends, as its last event says."""

    CLOSING = "closing"
    SLOW = "slow"
    AGED = "aged"


def encode(event: str, data: Any, event_id: str | None = None) -> bytes:
    """Write one server-sent event."""
    lines = [f"id: {event_id}"] if event_id else []
    lines += [f"event: {event}", f"data: {json.dumps(data, separators=(',', ':'))}"]
    return ("\n".join(lines) + "\n\n").encode()


class Subscriber:
    """One reader's place: what waits for it, in order."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[bytes | End] = queue.Queue(BACKLOG)
        self._end: End | None = None

    def put(self, event: bytes) -> None:
        """Hand over an event; a reader that is too far behind is told to end instead."""
        try:
            self._waiting.put_nowait(event)
        except queue.Full:
            self.end(End.SLOW)

    def end(self, why: End) -> None:
        """Let the reader go after at most one more event."""
        self._end = self._end or why
        with contextlib.suppress(queue.Full):  # then it is not waiting, and need not be woken
            self._waiting.put_nowait(why)

    def get(self, timeout: float) -> bytes | End | None:
        """Take the next event; None where none came within `timeout` seconds."""
        if self._end:
            return self._end
        try:
            return self._waiting.get(timeout=timeout)
        except queue.Empty:
            return None


class Channel:
    """The readers of one kind of event."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscribers: set[Subscriber] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._subscribers)

    def join(self) -> Subscriber:
        """Add a reader; it gets what is published from now on."""
        subscriber = Subscriber()
        with self._lock:
            self._subscribers.add(subscriber)
        if self._closed:
            subscriber.end(End.CLOSING)
        return subscriber

    def leave(self, subscriber: Subscriber) -> None:
        """Take a reader out."""
        with self._lock:
            self._subscribers.discard(subscriber)

    def publish(self, event: bytes) -> None:
        """Hand an event to every reader."""
        for subscriber in self._all():
            subscriber.put(event)

    def close(self) -> None:
        """Let every reader go, and those that come after."""
        self._closed = True
        for subscriber in self._all():
            subscriber.end(End.CLOSING)

    def _all(self) -> list[Subscriber]:
        with self._lock:
            return list(self._subscribers)


class Stream(Iterator[bytes]):
    """What one reader is sent: first what it missed, then what comes, a heartbeat in silence, and a goodbye.

    Args:
        subscriber: its place.
        first: events to begin with.
        beat: makes the event that is sent after each SILENCE seconds without another.
        clock: tells when `life` seconds are over; the reader then has to come back, and show again that it may.
        released: called once when the stream is over, however that came about.
    """

    def __init__(
        self,
        subscriber: Subscriber,
        first: Iterable[bytes],
        beat: Callable[[], bytes],
        clock: Clock,
        released: Callable[[], None],
        *,
        life: float = LIFE,
    ) -> None:
        self._subscriber, self._beat, self._clock = subscriber, beat, clock
        self._first = iter([RETRY, *first])
        self._over_at = clock.monotonic() + life
        self._released: Callable[[], None] | None = released
        self._ended = False

    def __next__(self) -> bytes:
        """Wait for the next event."""
        first = next(self._first, None)
        if first is not None:
            return first
        if self._ended:
            raise StopIteration
        event = End.AGED if self._clock.monotonic() > self._over_at else self._subscriber.get(SILENCE)
        if isinstance(event, End):
            self._ended = True
            return encode("goodbye", {"why": event.value})
        return self._beat() if event is None else event

    def close(self) -> None:
        """Give the place back; safe to call twice."""
        released, self._released = self._released, None
        if released:
            released()
