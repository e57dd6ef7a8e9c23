"""What happens in one environment, as pages are told: traffic, new revisions, how far each has got, rollback steps.

One reader for each environment and process; it rests while nobody looks.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

from controlplane import reading
from controlplane.broadcast import Channel, Subscriber, encode
from controlplane.shapes import convergence_shape, event_shape
from controlplane.wiring import Connection
from flags.convergence import converged
from flags.model import ZERO, Revision
from foundation.clock import Clock
from foundation.errors import SignalboxError

TICK = 1.0
QUICK = 0.1
"""Seconds between two looks: at the traffic, and at what is under way (a revision on its way, a rollback)."""

PURSUIT = 30.0
"""Seconds for which a revision that not everybody has is looked at quickly."""

log = logging.getLogger(__name__)


class Happenings:
    """Reads one environment for as long as somebody looks at it."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self.channel = Channel()
        self._connection, self._clock = connection, clock
        self._wake = threading.Event()
        self._revision = ZERO
        self._pursued_until = 0.0
        self._told: dict[str, Any] = {}
        self._rollback, self._cursor = "", "0-0"
        self._silent = False

    def changed(self, revision: Revision) -> None:
        """Tell everybody of a new revision, and follow how far it gets."""
        self._revision = revision
        self._pursued_until = self._clock.monotonic() + PURSUIT
        self.channel.publish(encode("flags", {"revision": str(revision)}))
        self._wake.set()

    def join(self) -> Subscriber:
        """Add somebody who looks."""
        subscriber = self.channel.join()
        self._wake.set()
        return subscriber

    def run(self, stop: threading.Event) -> None:
        """Read and tell until `stop` is set."""
        due = 0.0
        while not stop.is_set():
            now = self._clock.monotonic()
            if len(self.channel):
                self._tell(traffic=now >= due)
                due = now + TICK if now >= due else due
            self._wake.wait(self._pause(due))
            self._wake.clear()

    def _tell(self, *, traffic: bool) -> None:
        try:
            self._tell_rollback()
            self._tell_convergence()
            if traffic:
                self.channel.publish(encode("traffic", reading.instances(self._connection)))
            self._silent = False
        except SignalboxError as error:
            # The pages notice the silence and say so themselves; the log says it once.
            if not self._silent:
                log.warning("nothing to tell about %s: %s", self._connection.environment, error)
            self._silent = True
        except Exception:  # a fault in one look must not end the looking
            log.exception("fault while looking at %s", self._connection.environment)

    def _tell_convergence(self) -> None:
        if not self._pursuing():
            return
        live = self._connection.registry.live()
        shape = {"revision": str(self._revision), **convergence_shape(converged(self._revision, live, ()))}
        if shape != self._told:
            self._told = shape
            self.channel.publish(encode("convergence", shape))
        if shape["reached"]:
            self._pursued_until = 0.0

    def _tell_rollback(self) -> None:
        running = self._connection.journal.running()
        if running and running.lead.receipt != self._rollback:
            self._rollback, self._cursor = running.lead.receipt, "0-0"
        if not self._rollback:
            return
        for cursor, event in self._connection.journal.events(self._rollback, self._cursor):
            self._cursor = cursor
            self.channel.publish(encode("rollback", {"id": self._rollback, **event_shape(cursor, event)}))
        if running is None:
            self._rollback = ""

    def _pursuing(self) -> bool:
        return self._clock.monotonic() < self._pursued_until

    def _pause(self, due: float) -> float:
        if not len(self.channel):
            return TICK
        under_way = self._pursuing() or bool(self._rollback)
        return QUICK if under_way else max(0.0, due - self._clock.monotonic())
