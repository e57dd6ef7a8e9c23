"""The outbox: what a messenger has accepted and its target's queue does not have yet.

It owns the order of what goes to one target, the wait while a queue is full or gone, and the re-encoding of what a
queue does not admit. A message leaves it into its queue or into an error that somebody sees; never silently. Knows
nothing of handlers, flags or how a message came about.

One thread at a time ships to a target (`wire`), whoever it is: the caller of a send that may not wait for others, or
the outbox's own thread. What gathers while it is at it goes together the next time.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from foundation.clock import SYSTEM, Clock
from messenger.backoff import Backoff
from messenger.batching import Batch, Batcher, Lane
from messenger.errors import FormatRefused, MessengerClosed, QueueFull
from messenger.formats import SINGLE
from messenger.parcels import Outgoing, Parcel, is_fallback, parcels, rewritten
from messenger.queue import FrameRefusal, Queue, QueueServer
from messenger.settings import MessengerSettings
from messenger.telemetry import Telemetry

FRAMES_PER_APPEND = 64
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Target:
    """One target's queue and what is on its way there.

    `loaded` belongs to whoever holds `wire`, everything else to whoever holds the outbox's lock.
    """

    queue: Queue
    backoff: Backoff
    wire: threading.Lock = field(default_factory=threading.Lock)
    closed: deque[Batch[Outgoing]] = field(default_factory=deque)
    loaded: deque[Parcel] = field(default_factory=deque)
    accepted: int = 0
    settled: int = 0
    retry_at: float = 0.0
    error: Exception | None = None
    window: int = FRAMES_PER_APPEND
    """Frames in the next append: fewer after each time the queue was full, since it takes all of them or none."""

    @property
    def waiting(self) -> int:
        return self.accepted - self.settled


class Outbox:
    """Takes messages in and gets them into their queues.

    Args:
        server: where the targets' queues are.
        sender: id of the instance that frames are signed with.
        telemetry: told of every frame that was taken or refused.
        settings: bound of the buffer and patience.
        clock: what the timed batches and pauses go by.
    """

    def __init__(
        self,
        server: QueueServer,
        sender: str,
        telemetry: Telemetry,
        settings: MessengerSettings,
        clock: Clock = SYSTEM,
    ) -> None:
        self._server, self._sender, self._telemetry = server, sender, telemetry
        self._settings, self._clock = settings, clock
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._changed = threading.Condition(self._lock)
        self._batcher: Batcher[Outgoing] = Batcher()
        self._targets: dict[str, _Target] = {}
        self._thread: threading.Thread | None = None
        self._closed = self._stopped = False

    def send(self, item: Outgoing) -> None:
        """Take a message on; one that goes alone is tried at once, in this thread.

        Raises:
            QueueFull: there was no room for it within the settings' `send_timeout`; it was not taken on.
            MessengerClosed: after `close`.
        """
        alone = item.format.batching == SINGLE
        target = self._accept(item, self._settings.send_timeout, wake=not alone)
        if target is None:
            raise self._no_room(item)
        if alone:
            self._ship(target)

    def deliver(self, items: Sequence[Outgoing], give_up: Callable[[], bool]) -> bool:
        """Take messages on and get all of them into their queues, waiting as long as that takes.

        False where `give_up` became true first; some of them may then be in their queues, and others wait still.
        """
        targets = {}
        for item in items:
            while (target := self._accept(item, 0.1)) is None:
                if give_up():
                    return False
            targets[item.envelope.metadata.target_domain] = target
        self._close_lanes()
        for target in targets.values():
            self._ship(target)
        while not self._all_settled(items, 0.1):
            if give_up():
                return False
        return True

    def _all_settled(self, items: Sequence[Outgoing], timeout: float) -> bool:
        with self._lock:
            return self._changed.wait_for(lambda: all(item.receipt.settled for item in items), timeout)

    def flush(self, timeout: float) -> None:
        """Get everything that was accepted so far into its queue, timed batches too.

        Raises QueueFull, naming the target and the cause, where that takes longer than `timeout` seconds.
        """
        deadline = self._clock.monotonic() + timeout
        self._close_lanes()
        with self._lock:
            goals = [(name, target, target.accepted) for name, target in self._targets.items()]
        for name, target, goal in goals:
            self._ship(target)
            if not self._reached(target, goal, deadline - self._clock.monotonic()):
                raise self._stuck(name, target)

    def _reached(self, target: _Target, goal: int, timeout: float) -> bool:
        with self._lock:
            return self._changed.wait_for(lambda: target.settled >= goal, max(0.0, timeout))

    def close(self, timeout: float) -> None:
        """Flush, and take nothing more; what can't be sent in time fails its receipts and raises QueueFull."""
        with self._lock:
            self._closed = True
        try:
            self.flush(timeout)
        except QueueFull as error:
            self._abandon(error)
            raise
        finally:
            with self._lock:
                self._stopped = True
                self._work.notify_all()
            if self._thread is not None:
                self._thread.join(timeout)
            for target in self._targets.values():
                target.queue.close()

    def _accept(self, item: Outgoing, patience: float, *, wake: bool = False) -> _Target | None:
        """Put a message into its lane; None where there was no room within `patience` seconds."""
        metadata = item.envelope.metadata
        with self._lock:
            target = self._target(metadata.target_domain)
            if target.waiting >= self._settings.buffer:
                self._wake()
                self._changed.wait_for(lambda: self._closed or target.waiting < self._settings.buffer, patience)
            if self._closed:
                raise MessengerClosed("the messenger is closed and sends nothing more")
            if target.waiting >= self._settings.buffer:
                return None
            target.accepted += 1
            item.receipt.accepted(self._changed)
            lane = Lane(metadata.target_domain, metadata.priority, item.format)
            self._route(self._batcher.add(item, lane, self._clock.monotonic(), len(item.draft)))
            if wake:
                self._wake()
            return target

    def _target(self, domain: str) -> _Target:
        target = self._targets.get(domain)
        if target is None:
            backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
            target = self._targets[domain] = _Target(self._server.queue(domain), backoff)
        return target

    def _route(self, batches: Iterable[Batch[Outgoing]]) -> None:
        for batch in batches:
            self._targets[batch.lane.target].closed.append(batch)

    def _close_lanes(self) -> None:
        with self._lock:
            self._route(self._batcher.drain())

    def _ship(self, target: _Target) -> None:
        """Append everything that is ready for a target, until nothing is or its queue fails."""
        with target.wire:
            while self._load(target):
                batch = [*itertools.islice(target.loaded, target.window)]
                try:
                    refusals = target.queue.append([(parcel.priority, parcel.frame) for parcel in batch])
                    self._landed(target, batch, refusals)
                except Exception as error:  # noqa: BLE001 - whatever it is, the frames stay and whoever waits is told
                    self._failed(target, error)

    def _load(self, target: _Target) -> bool:
        """Write what is ready as frames; False where there is nothing or the target is not to be tried yet."""
        now = self._clock.monotonic()
        with self._lock:
            if self._stopped or target.retry_at > now:
                return False
            self._route(self._batcher.due(now))
            ready = [target.closed.popleft() for _ in range(len(target.closed))]
        for batch in ready:
            target.loaded.extend(parcels(batch.items, batch.lane.format, self._sender))
        return bool(target.loaded)

    def _landed(self, target: _Target, batch: Sequence[Parcel], refusals: Sequence[FrameRefusal | None]) -> None:
        again: list[Parcel] = []
        broken: FormatRefused | None = None
        for parcel, refusal in zip(batch, refusals, strict=True):
            target.loaded.popleft()
            if refusal is None:
                self._telemetry.sent(parcel.traffic, parcel.frame)
                self._settle(target, parcel.items)
                continue
            self._telemetry.failed(parcel.traffic, "refused")
            if is_fallback(parcel.frame):
                broken = FormatRefused(target.queue.domain, refusal.refused, refusal.admits)
                again.append(parcel)
            else:
                again.extend(rewritten(parcel, refusal.admits, self._sender))
        target.loaded.extendleft(reversed(again))
        if broken is not None:
            raise broken
        with self._lock:
            target.error, target.retry_at = None, 0.0
            target.window = min(FRAMES_PER_APPEND, target.window * 2)
            target.backoff.reset()

    def _settle(self, target: _Target, items: Sequence[Outgoing], error: Exception | None = None) -> None:
        with self._lock:
            for item in items:
                item.receipt.settle(error)
            target.settled += len(items)
            self._changed.notify_all()

    def _failed(self, target: _Target, error: Exception) -> None:
        with self._lock:
            if target.error is None:
                _log.warning("queue %s takes nothing for now: %s", target.queue.domain, error)
            target.error, target.retry_at = error, self._clock.monotonic() + target.backoff.next()
            target.window = max(1, target.window // 2)
            self._wake()

    def _abandon(self, error: QueueFull) -> None:
        """Fail every receipt that is still open, so that nobody waits for what will not happen."""
        with self._lock:
            self._stopped = True
        for target in self._targets.values():
            with target.wire:
                left = [item for parcel in target.loaded for item in parcel.items]
                left += [item for batch in target.closed for item in batch.items]
                self._settle(target, left, error)

    def _wake(self) -> None:
        """Have the outbox's own thread look at what there is; the caller holds the lock."""
        if self._thread is None and not self._stopped:
            self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
            self._thread.start()
        self._work.notify_all()

    def _run(self) -> None:
        while True:
            with self._lock:
                while not (ready := self._ready()):
                    if self._stopped:
                        return
                    self._work.wait(self._pause())
            for target in ready:
                self._ship(target)

    def _ready(self) -> list[_Target]:
        now = self._clock.monotonic()
        self._route(self._batcher.due(now))
        if self._stopped:
            return []
        return [target for target in self._targets.values() if _has_work(target) and target.retry_at <= now]

    def _pause(self) -> float | None:
        times = [target.retry_at for target in self._targets.values() if _has_work(target)]
        if (due := self._batcher.next_due()) is not None:
            times.append(due)
        return max(0.0, min(times) - self._clock.monotonic()) if times else None

    def _no_room(self, item: Outgoing) -> QueueFull:
        domain = item.envelope.metadata.target_domain
        return self._stuck(domain, self._targets[domain])

    @staticmethod
    def _stuck(domain: str, target: _Target) -> QueueFull:
        why = f": {target.error}" if target.error else ""
        error = QueueFull(f"{target.waiting} messages to {domain!r} wait to be sent{why}")
        error.__cause__ = target.error
        return error


def _has_work(target: _Target) -> bool:
    return bool(target.closed or target.loaded)
