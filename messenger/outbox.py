"""The outbox: what a messenger has accepted and its target's queue does not have yet.

It owns the order of what goes to one target, the wait while a queue is full or gone, and the re-encoding of what a
queue does not admit. A message leaves it into its queue or into an error that somebody sees; never silently. Knows
nothing of handlers, flags or how a message came about.

One thread at a time ships to a target (`wire`), and where it can it is the caller of a send: one whose message goes
alone, makes a batch full, or is the first for a moment. A caller that computes keeps the interpreter from a thread that
would ship for it, so the outbox's own thread only sees to what callers have left behind, and to what is tried again.
A batch that is not full is closed by nobody but whoever holds the wire, so it gathers while a round trip lasts; whoever
lets go of the wire has the outbox's thread look at what has gathered.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Sequence

from foundation.clock import SYSTEM, Clock
from messenger.backoff import Backoff
from messenger.batching import Batcher, Lane
from messenger.errors import FormatRefused, MessengerClosed, QueueFull
from messenger.formats import SINGLE
from messenger.parcels import Outgoing, Parcel, is_fallback, parcels, rewritten
from messenger.queue import FrameRefusal, QueueServer
from messenger.settings import MessengerSettings
from messenger.target import FRAMES_PER_APPEND, Target
from messenger.telemetry import Telemetry

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
COURTESY = 0.05
"""Seconds that a send with a batch to ship waits for who is shipping the one before."""

_log = logging.getLogger(__name__)


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
        self._targets: dict[tuple[str, bool], Target] = {}
        self._thread: threading.Thread | None = None
        self._look_at = 0.0
        self._closed = self._stopped = False

    def send(self, item: Outgoing) -> None:
        """Take a message on; what is then ready is shipped in this thread, unless another is at it.

        Raises:
            QueueFull: there was no room for it within the settings' `send_timeout`; it was not taken on.
            MessengerClosed: after `close`.
        """
        target, ready = self._accept(item)
        if item.format.batching == SINGLE:
            self._ship(target)
        elif ready:
            # Somebody else who is at it for long is left alone with it: such a send must not hang on a server.
            self._ship(target, COURTESY)

    def deliver(self, items: Sequence[Outgoing], give_up: Callable[[], bool]) -> bool:
        """Take messages on and get all of them into their queues, waiting as long as that takes.

        They wait for no room: what handlers send for the messages in hand is bounded by these, and two domains that
        filled each other's queues would wait for ever. Nor do they wait for what others send and is held back.

        False where `give_up` became true first; some of them may then be in their queues, and others wait still.
        """
        for target in self._take_on(items):
            self._ship(target)
        while not self._all_settled(items, 0.1):
            if give_up():
                return False
        return True

    def _take_on(self, items: Sequence[Outgoing]) -> list[Target]:
        batcher: Batcher[Outgoing] = Batcher()
        with self._lock:
            if self._closed:
                raise MessengerClosed("the messenger is closed and sends nothing more")
            batches = []
            for item in items:
                item.receipt.accepted(self._changed)
                batches += batcher.add(item, _lane(item), self._clock.monotonic(), len(item.draft))
            batches += batcher.drain()
            for batch in batches:
                target = self._target(batch.lane.target, bounded=False)
                target.accepted += len(batch.items)
                target.closed.append(batch)
            return [self._target(name, bounded=False) for name in dict.fromkeys(batch.lane.target for batch in batches)]

    def _all_settled(self, items: Sequence[Outgoing], timeout: float) -> bool:
        with self._lock:
            return self._changed.wait_for(lambda: all(item.receipt.settled for item in items), timeout)

    def flush(self, timeout: float) -> None:
        """Get everything that was accepted so far into its queue, timed batches too.

        Raises QueueFull, naming the target and the cause, where that takes longer than `timeout` seconds.
        """
        deadline = self._clock.monotonic() + timeout
        with self._lock:
            for target in self._targets.values():
                target.closed.extend(target.batcher.drain())
            goals = [(target, target.accepted) for target in self._targets.values()]
        for target, _ in goals:
            self._ship(target, max(0.0, deadline - self._clock.monotonic()))
        for target, goal in goals:
            if not self._reached(target, goal, deadline - self._clock.monotonic()):
                raise self._stuck(target)

    def _reached(self, target: Target, goal: int, timeout: float) -> bool:
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

    def _accept(self, item: Outgoing) -> tuple[Target, bool]:
        """Put a message into its lane; answers with its target, and whether a batch may go now."""
        buffer = self._settings.buffer
        with self._lock:
            target = self._target(item.envelope.metadata.target_domain)
            if target.waiting >= buffer:
                self._wake()
                self._changed.wait_for(
                    lambda: self._closed or target.waiting < buffer, timeout=self._settings.send_timeout
                )
            if self._closed:
                raise MessengerClosed("the messenger is closed and sends nothing more")
            if target.waiting >= buffer:
                raise self._stuck(target)
            target.accepted += 1
            item.receipt.accepted(self._changed)
            now = self._clock.monotonic()
            full = target.batcher.add(item, _lane(item), now, len(item.draft))
            target.closed.extend(full)
            ready = bool(full) or target.is_due(now)
            if not ready:
                self._wake(at=target.next_look())
            return target, ready

    def _target(self, domain: str, *, bounded: bool = True) -> Target:
        target = self._targets.get((domain, bounded))
        if target is None:
            backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
            target = self._targets[domain, bounded] = Target(self._server.queue(domain), backoff, bounded)
        return target

    def _ship(self, target: Target, patience: float = -1) -> None:
        """Append everything that is ready for a target, until nothing is or its queue fails.

        Waits for whoever is at it, for `patience` seconds or as long as that takes (-1); what is then not shipped here
        is not forgotten, since every one who lets go of the wire comes by here.
        """
        if target.wire.acquire(timeout=patience):
            try:
                self._append(target)
            finally:
                target.wire.release()
        with self._lock:
            self._wake(at=target.next_look())

    def _append(self, target: Target) -> None:
        while self._load(target):
            batch = target.next_parcels()
            try:
                frames = [(parcel.priority, parcel.frame) for parcel in batch]
                refusals = target.queue.append(frames, bounded=target.bounded)
                self._landed(target, batch, refusals)
            except Exception as error:  # noqa: BLE001 - whatever it is, the frames stay and whoever waits is told
                self._failed(target, error)

    def _load(self, target: Target) -> bool:
        """Write what is ready as frames; False where there is nothing or the target is not to be tried yet."""
        now = self._clock.monotonic()
        with self._lock:
            if self._stopped or target.retry_at > now:
                return False
            target.close_due(now)
            ready = [target.closed.popleft() for _ in range(len(target.closed))]
        for batch in ready:
            target.loaded.extend(parcels(batch.items, batch.lane.format, self._sender))
        return bool(target.loaded)

    def _landed(self, target: Target, batch: Sequence[Parcel], refusals: Sequence[FrameRefusal | None]) -> None:
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
            target.shipped_at = self._clock.monotonic()
            target.window = min(FRAMES_PER_APPEND, target.window * 2)
            target.backoff.reset()

    def _settle(self, target: Target, items: Sequence[Outgoing], error: Exception | None = None) -> None:
        with self._lock:
            for item in items:
                item.receipt.settle(error)
            target.settled += len(items)
            self._changed.notify_all()

    def _failed(self, target: Target, error: Exception) -> None:
        with self._lock:
            if target.error is None:
                _log.warning("queue %s takes nothing for now: %s", target.queue.domain, error)
            target.error, target.retry_at = error, self._clock.monotonic() + target.backoff.next()
            target.window = max(1, target.window // 2)

    def _abandon(self, error: QueueFull) -> None:
        """Fail every receipt that is still open, so that nobody waits for what will not happen."""
        with self._lock:
            self._stopped = True
        for target in self._targets.values():
            with target.wire:
                left = [item for parcel in target.loaded for item in parcel.items]
                left += [item for batch in target.closed for item in batch.items]
                self._settle(target, left, error)

    def _wake(self, at: float = 0.0) -> None:
        """Have the outbox's own thread look at what there is, at this time or before; the caller holds the lock."""
        if self._stopped or at == math.inf:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
            self._thread.start()
        if at < self._look_at:
            self._look_at = at
            self._work.notify_all()

    def _run(self) -> None:
        while True:
            with self._lock:
                while not (ready := self._ready()):
                    if self._stopped:
                        return
                    self._look_at = self._next_look()
                    pause = self._look_at - self._clock.monotonic()
                    self._work.wait(None if pause == math.inf else max(0.0, pause))
                    self._look_at = 0.0
            for target in ready:
                self._ship(target)

    def _ready(self) -> list[Target]:
        now = self._clock.monotonic()
        if self._stopped:
            return []
        return [target for target in self._targets.values() if target.next_look() <= now]

    def _next_look(self) -> float:
        return min((target.next_look() for target in self._targets.values()), default=math.inf)

    @staticmethod
    def _stuck(target: Target) -> QueueFull:
        why = f": {target.error}" if target.error else ""
        error = QueueFull(f"{target.waiting} messages to {target.queue.domain!r} wait to be sent{why}")
        error.__cause__ = target.error
        return error


def _lane(item: Outgoing) -> Lane:
    metadata = item.envelope.metadata
    return Lane(metadata.target_domain, metadata.priority, item.format)
