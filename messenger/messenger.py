"""The worker messenger: `send`, `on` and `metrics` over one domain's queue, with a policy that chooses the formats.

It puts outbox and receiver together and keeps their threads; what they do is theirs. It knows of flags only that
somebody injected a policy.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, Self

from foundation.clock import SYSTEM, Clock
from foundation.ids import new_id
from messenger.envelope import VERSION, Envelope, timestamp
from messenger.formats import FormatPolicy
from messenger.handlers import PROBE, Handler, Handlers
from messenger.outbox import Outbox
from messenger.packing import draft
from messenger.parcels import Outgoing, Receipt
from messenger.queue import QueueServer
from messenger.receiver import Receiver
from messenger.settings import MessengerSettings
from messenger.telemetry import Delta, Telemetry
from messenger.templates import validate

Reporter = Callable[[Delta], None]
"""Takes what was counted since the last time, often nothing; raises StoreUnreachable or StoreRefused where it can't."""

_log = logging.getLogger(__name__)


class WorkerMessenger:
    """Sends messages to other domains and handles those that come to its own.

    Use it as a context manager, or close it: until then what was sent in batches may still be on its way.

    Args:
        server: where the queues are.
        domain: whose queue it handles, and what it sends as.
        instance_id: who it is among the instances; names the consumer and signs the frames.
        policy: chooses the format of each message.
        reporter: given the telemetry about every second; None keeps it here.
        settings: its figures.
    """

    def __init__(
        self,
        server: QueueServer,
        domain: str,
        *,
        instance_id: str,
        policy: FormatPolicy,
        reporter: Reporter | None = None,
        settings: MessengerSettings | None = None,
    ) -> None:
        self.domain, self.instance_id, self.policy = domain, instance_id, policy
        self.settings = settings or MessengerSettings()
        self.telemetry = Telemetry()
        self._clock: Clock = SYSTEM
        # What a message is called by itself: a unique stem and a number cost a tenth of a new id for each.
        self._stem, self._numbers = new_id(), itertools.count()
        self._report_to = reporter
        self._handlers = Handlers()
        self._handlers.register(PROBE, lambda message, send: {"instance": instance_id})  # noqa: ARG005 - a handler's
        self._outbox = Outbox(server, instance_id, self.telemetry, self.settings)
        self._receiver = Receiver(
            queue=server.queue(domain),
            inlet=server.queue(domain),
            consumer=instance_id,
            handlers=self._handlers,
            outbox=self._outbox,
            compose=self._compose,
            check=self._check,
            telemetry=self.telemetry,
            settings=self.settings,
        )
        self._stop, self._starting = threading.Event(), threading.Lock()
        self._loop: threading.Thread | None = None
        self._keeper: threading.Thread | None = None
        self._receiving = False

    def send(  # noqa: PLR0913 - one argument for each thing that a message has
        self,
        type: str,  # noqa: A002 - the envelope's own word
        payload: Mapping[str, Any],
        *,
        target: str,
        priority: str = "normal",
        ttl: int | None = None,
        correlation_id: str | None = None,
        message_id: str | None = None,
    ) -> Receipt:
        """Send a message to `target`'s queue; it returns as soon as the message is in its batch.

        A message that goes by itself is in its queue when this returns, unless the queue is full or gone. The payload
        must not be changed afterwards.

        Args:
            type: what the message is; its template, where there is one, is what the payload is checked against.
            payload: a JSON object.
            target: the domain to send to.
            priority: high, normal or low.
            ttl: milliseconds in the queue after which it is given up.
            correlation_id: the flow it belongs to; a new one where None.
            message_id: names the message; a queue's consumers handle an id once.

        Raises:
            EnvelopeInvalid: it breaks the envelope's or its template's schema.
            EncodeFailed, BodyTooLarge: no codec can carry it.
            QueueFull: the buffer has been full for the settings' `send_timeout`, because the queue is full or gone.
            MessengerClosed: after `close`.
        """
        item = self._compose(
            type,
            payload,
            target=target,
            priority=priority,
            ttl=ttl,
            correlation_id=correlation_id,
            message_id=message_id,
        )
        if self._keeper is None:
            self._keep()
        self._outbox.send(item)
        return item.receipt

    def on(self, message_type: str, handler: Handler) -> None:
        """Name the handler for a type of message, or for `*`: every type that has none of its own."""
        self._handlers.register(message_type, handler)

    def record_flow(self, name: str, seconds: float) -> None:
        """Record how long a named flow took from end to end."""
        self.telemetry.flow(name, seconds)

    def metrics(self) -> dict[str, Any]:
        """Tell what it did so far: sent, received, errors, averageLatency (the seed's moving average) and percentiles.

        Latencies are milliseconds from a message's entering the queue to the end of its handler.
        """
        return self.telemetry.metrics()

    @property
    def overdue(self) -> bool:
        """Whether a handler has been running for longer than it may: nothing but the end of the process stops it."""
        return self._receiver.overdue

    def run(self, stop: threading.Event | None = None) -> None:
        """Handle messages in this thread until `stop` is set, or `stop()` is called."""
        self._receiving = True
        self._keep()
        self._receiver.run(stop or self._stop)

    def start(self) -> None:
        """Handle messages in a thread of its own, until `close`."""
        self._loop = threading.Thread(target=self.run, name=f"messenger-{self.domain}", daemon=True)
        self._loop.start()

    def stop(self) -> None:
        """Ask the loop to end, and wake it; returns at once."""
        self._stop.set()
        self._receiver.inlet.close()

    def flush(self, timeout: float = 5.0) -> None:
        """Get everything sent so far into its queue, or raise QueueFull after `timeout` seconds."""
        self._outbox.flush(timeout)

    def close(self, timeout: float = 5.0) -> None:
        """Finish what is at hand, send what waits, report, and leave the queue.

        Raises QueueFull, saying how much was left, where what waits can't be sent within `timeout` seconds.
        """
        self.stop()
        if self._loop is not None:
            self._loop.join(self.settings.drain + timeout)
        try:
            self._outbox.close(timeout)
        finally:
            if self._keeper is not None:
                self._keeper.join(timeout)
            self._attempt("report", self._report)
            if self._receiving:
                self._attempt("leave", lambda: self._receiver.queue.leave(self.instance_id))
            self._receiver.queue.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _compose(  # noqa: PLR0913 - as `send`
        self,
        type: str,  # noqa: A002 - as `send`
        payload: Mapping[str, Any],
        *,
        target: str,
        priority: str,
        ttl: int | None,
        correlation_id: str | None,
        message_id: str | None,
    ) -> Outgoing:
        metadata = {"sourceDomain": self.domain, "targetDomain": target, "priority": priority}
        own = f"{self._stem}-{next(self._numbers):x}"
        envelope = Envelope.from_document(
            {
                "type": type,
                "version": VERSION,
                "messageId": message_id or f"msg_{own}",
                "correlationId": correlation_id or f"corr_{own}",
                "timestamp": timestamp(self._clock.now()),
                "payload": payload,
                "metadata": metadata if ttl is None else {**metadata, "ttl": ttl},
            }
        )
        self._check(envelope)
        context = {
            "targetingKey": envelope.correlation_id,
            "domain": self.domain,
            "targetDomain": target,
            "messageType": type,
            "priority": priority,
            "instanceId": self.instance_id,
        }
        return Outgoing(envelope, self.policy.choose(context), draft(envelope), Receipt(envelope))

    def _check(self, envelope: Envelope) -> None:
        if self.settings.validate:
            validate(envelope)

    def _keep(self) -> None:
        with self._starting:
            if self._keeper is None and not self._stop.is_set():
                self._keeper = threading.Thread(target=self._tend, name=f"keeper-{self.domain}", daemon=True)
                self._keeper.start()

    def _tend(self) -> None:
        while True:
            if self._receiving:
                self._attempt("join", self._join)
            self._attempt("report", self._report)
            if self._stop.wait(self.settings.tick):
                return

    def _join(self) -> None:
        self._receiver.queue.join(self.instance_id, self.settings.words, self.settings.lease)
        self._receiver.renew()

    def _report(self) -> None:
        if self._report_to is None:
            return
        delta = self.telemetry.drain()
        try:
            self._report_to(delta)  # nothing, too: the store ages what it has when it is told something
        except BaseException:
            self.telemetry.restore(delta)
            raise

    def _attempt(self, what: str, action: Callable[[], None]) -> None:
        """Do what can wait for the next time, and will not end the keeper."""
        try:
            action()
        except Exception as error:  # noqa: BLE001 - a lease must be renewed whatever a reporter runs into
            _log.warning("messenger %s can't %s: %s", self.instance_id, what, error)
