"""The receive loop: takes frames, runs handlers, and commits what became of each message, in that order.

A round of frames is handled, what the handlers sent is made durable, and only then is the round settled in one step: a
process that dies in between leaves its frames to others, who do the same again under the same ids. The loop never ends
because of its server, a message or a handler. Knows nothing of flags, threads or processes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from foundation.clock import SYSTEM, Clock
from foundation.errors import StoreRefused, StoreUnreachable
from messenger import codecs
from messenger.backoff import Backoff
from messenger.envelope import Envelope
from messenger.formats import JSON
from messenger.handlers import Compose, Handler, Handlers, HandlerSend
from messenger.outbox import Outbox
from messenger.parcels import Outgoing
from messenger.queue import Delivery, Handled, Queue, Settlement
from messenger.settings import MessengerSettings
from messenger.telemetry import Telemetry
from messenger.work import Work, failure, take_apart

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
COMMIT_EVERY = 500
"""Messages after which what was handled so far is committed, however many frames of the round are left."""

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Receiver:
    """Handles what arrives in one domain's queue, for one consumer.

    Args:
        queue: the domain's queue, for everything but waiting.
        inlet: a handle of its own on the same queue, where the loop waits; closing it wakes the loop.
        consumer: the instance's id.
        handlers: who takes which type.
        outbox: where what handlers send goes.
        compose: makes a message of what a handler sends.
        check: raises EnvelopeInvalid for a message that breaks its template.
        telemetry: told of everything that was received.
        settings: its figures.
    """

    queue: Queue
    inlet: Queue
    consumer: str
    handlers: Handlers
    outbox: Outbox
    compose: Compose
    check: Callable[[Envelope], None]
    telemetry: Telemetry
    settings: MessengerSettings
    clock: Clock = SYSTEM
    _skew: float | None = field(default=None, init=False)
    _started: float | None = field(default=None, init=False)
    _claim_at: float = field(default=0.0, init=False)
    _leave_at: float | None = field(default=None, init=False)
    _held: dict[tuple[str, str], Delivery] = field(default_factory=dict, init=False)
    _retries: list[tuple[float, Delivery]] = field(default_factory=list, init=False)
    _outgoing: list[Outgoing] = field(default_factory=list, init=False)
    _done: set[str] = field(default_factory=set, init=False)

    def run(self, stop: threading.Event) -> None:
        """Receive until `stop` is set; then finish what is at hand, for at most the settings' `drain` seconds."""
        pauses = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        while not stop.is_set():
            try:
                self.round(stop)
                pauses.reset()
            except (StoreUnreachable, StoreRefused) as error:
                if not stop.is_set():  # closing the inlet may look like a lost server
                    _log.warning("queue %s: %s; trying again", self.queue.domain, error)
                stop.wait(pauses.next())
            except Exception:  # noqa: BLE001 - the loop outlives whatever a round ran into
                _log.exception("queue %s: a round failed; its frames will be claimed again", self.queue.domain)
                stop.wait(pauses.next())

    def round(self, stop: threading.Event) -> None:
        """Take some frames, whichever is due first, and see them through."""
        deliveries = self._due() or self._claim() or self._receive()
        if not deliveries:
            return
        try:
            self._see_through(deliveries, stop)
        except (StoreUnreachable, StoreRefused):
            self._retries = [(self.clock.monotonic(), delivery) for delivery in self._held.values()]
            raise
        finally:
            self._outgoing.clear()
            self._done.clear()
            self._held = {(one.priority, one.entry): one for _, one in self._retries}

    @property
    def overdue(self) -> bool:
        """Whether a handler has been running for longer than it may."""
        started = self._started
        return started is not None and self.clock.monotonic() - started > self.settings.handler_timeout

    def renew(self) -> None:
        """Keep the frames at hand from being claimed, and read the queue's clock; called from another thread."""
        held = list(self._held.values())
        if held and not self.overdue:
            self.queue.hold(self.consumer, held)
        before = self.clock.monotonic()
        now = self.queue.now()
        self._skew = now - (before + self.clock.monotonic()) / 2

    def _now(self) -> float:
        if self._skew is None:
            self.renew()
        return self.clock.monotonic() + (self._skew or 0.0)

    def _due(self) -> list[Delivery]:
        now = self.clock.monotonic()
        due = [delivery for at, delivery in self._retries if at <= now]
        self._retries = [(at, delivery) for at, delivery in self._retries if at > now]
        return due

    def _claim(self) -> list[Delivery]:
        now = self.clock.monotonic()
        if now < self._claim_at:
            return []
        claimed = self.queue.claim(self.consumer, self.settings.claim_idle, self.settings.receive)
        if not claimed:
            self._claim_at = now + self.settings.claim_idle / 3
        places = {(one.priority, one.entry) for one in claimed}
        self._retries = [(at, one) for at, one in self._retries if (one.priority, one.entry) not in places]
        return claimed

    def _receive(self) -> list[Delivery]:
        now = self.clock.monotonic()
        wake = min([self._claim_at, now + self.settings.block, *(at for at, _ in self._retries)])
        return self.inlet.receive(self.consumer, self.settings.receive, max(0.0, wake - now))

    def _see_through(self, deliveries: Sequence[Delivery], stop: threading.Event) -> None:
        for delivery in deliveries:
            self._held[delivery.priority, delivery.entry] = delivery
        now = self._now()
        works = [take_apart(delivery, self.queue.domain, now, self.check) for delivery in deliveries]
        self._drop_seen(works)
        for work in works:
            self._count(work)
        for chunk in _chunks(works):
            for work in chunk:
                if not self._handle_all(work, stop):
                    return
            if not self._commit(chunk, stop):
                return

    def _count(self, work: Work) -> None:
        delivery = work.delivery
        if delivery.deliveries == 1:
            self.telemetry.received(work.traffic, delivery.frame.count)
        for letter in work.letters:
            self._count_letter(work, "decode_failures" if letter.reason == "poison" else "invalid")

    def _count_letter(self, work: Work, kind: str) -> None:
        self.telemetry.failed(work.traffic, kind)
        self.telemetry.failed(work.traffic, "dead")

    def _drop_seen(self, works: Sequence[Work]) -> None:
        """Take out what was handled or buried before: duplicates, or the progress of a frame that came back."""
        names = [name for work in works for name in work.names()]
        seen = {name for name, known in zip(names, self.queue.seen(names), strict=True) if known}
        for work in works if seen else ():
            for name in work.drop(seen):
                if work.delivery.deliveries == 1:
                    self._duplicate(work, name)

    def _duplicate(self, work: Work, name: str) -> None:
        work.handled.append(Handled(name))
        self.telemetry.failed(work.traffic, "duplicates")

    def _handle_all(self, work: Work, stop: threading.Event) -> bool:
        """Handle the messages of a frame; False where the loop is to end before they are all committed."""
        gone_before = work.delivery.deliveries > self.settings.attempts
        for index, message in work.messages:
            if self._leaving(stop):
                return False
            if gone_before:
                tried = work.delivery.deliveries - 1
                self._give_up(work, index, message, "handler", f"{tried} deliveries ended without an answer")
                gone_before = False
            else:
                self._handle(work, index, message)
            if work.step_by_step and not self._commit([work], stop, finished=False):
                return False
        return True

    def _handle(self, work: Work, index: int, message: Envelope) -> None:
        if message.message_id in self._done:
            self._duplicate(work, message.message_id)
            return
        ttl = message.metadata.ttl
        if ttl is not None and (waited := (self._now() - work.delivery.appended) * 1000) > ttl:
            self._give_up(work, index, message, "expired", f"waited {waited:.0f} ms; its ttl is {ttl} ms")
            return
        handler = self.handlers.find(message.type)
        if handler is None:
            self._give_up(work, index, message, "handler", f"nothing here handles {message.type}")
            return
        try:
            self._run(handler, work, message)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a handler may fail in any way; the letter names it
            self._failed(work, index, message, error)

    def _run(self, handler: Handler, work: Work, message: Envelope) -> None:
        send = HandlerSend(message, self.compose)
        self._started = self.clock.monotonic()
        try:
            answer = handler(message, send)
        finally:
            self._started = None
        result = None if answer is None else codecs.encode(JSON, answer)
        self._outgoing.extend(send.kept)
        self._done.add(message.message_id)
        work.handled.append(Handled(message.message_id, result))
        work.latencies.append(max(0.0, self._now() - work.delivery.appended))

    def _failed(self, work: Work, index: int, message: Envelope, error: BaseException) -> None:
        self.telemetry.failed(work.traffic)
        if work.delivery.deliveries >= self.settings.attempts:
            work.bury(index, message, "handler", failure(error))
            self.telemetry.failed(work.traffic, "dead")
        else:
            _log.info("handler of %s failed and will be tried again: %s", message.type, failure(error))
            work.retry = True

    def _give_up(self, work: Work, index: int, message: Envelope, reason: str, detail: str) -> None:
        work.bury(index, message, reason, detail)
        self._count_letter(work, "expired" if reason == "expired" else "errors")

    def _commit(self, works: Sequence[Work], stop: threading.Event, *, finished: bool = True) -> bool:
        """Make durable what was sent, then settle; False where the loop is to end before that could be done."""
        if self._outgoing and not self.outbox.deliver(self._outgoing, lambda: self._leaving(stop)):
            return False
        self._outgoing.clear()
        settlements = [work.settlement(finished=finished and not work.retry) for work in works]
        pauses = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        while not self._settle(settlements):
            if self._leaving(stop):
                return False
            time.sleep(pauses.next())
        for work in works:
            if work.latencies:
                self.telemetry.handled(work.traffic, *work.latencies)
                work.latencies.clear()
        for work in works if finished else ():
            del self._held[work.place]
            if work.retry:
                self._retry(work)
        return True

    def _settle(self, settlements: Sequence[Settlement]) -> bool:
        try:
            self.queue.settle(self.consumer, settlements)
        except (StoreUnreachable, StoreRefused) as error:
            _log.warning("queue %s: can't settle: %s; trying again", self.queue.domain, error)
            return False
        return True

    def _retry(self, work: Work) -> None:
        """Keep a frame for later; it counts as one more delivery, though it never left this consumer."""
        delivery = replace(work.delivery, deliveries=work.delivery.deliveries + 1)
        pause = self.settings.retry * 2.0 ** (work.delivery.deliveries - 1)
        self._held[work.place] = delivery
        self._retries.append((self.clock.monotonic() + pause, delivery))

    def _leaving(self, stop: threading.Event) -> bool:
        """Whether to let everything lie: the loop was asked to stop, and the time to finish is over."""
        if not stop.is_set():
            return False
        now = self.clock.monotonic()
        if self._leave_at is None:
            self._leave_at = now + self.settings.drain
        return now >= self._leave_at


def _chunks(works: Sequence[Work]) -> Iterator[list[Work]]:
    chunk: list[Work] = []
    for work in works:
        chunk.append(work)
        if sum(len(one.messages) for one in chunk) >= COMMIT_EVERY:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
