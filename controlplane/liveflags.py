"""The flags of each environment, compiled and kept current in the memory of one process, for evaluating them here.

One thread for each environment follows its change stream from the first question on, and one reports what was
evaluated. What is held goes on for ever while the store does not answer. Knows no HTTP.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Iterable
from functools import partial

from controlplane.wiring import Connection
from flags.feed import ClientFeed
from flags.identity import plain_client
from flags.model import ZERO, Revision, Snapshot
from flags.reporting import Reporter, pause
from flags.view import View
from foundation.clock import Clock
from foundation.errors import StoreUnreachable

FIRST_SNAPSHOT = 2.0
"""Seconds that the first question waits for the store's first answer."""

CATCH_UP = 1.0
"""Seconds that a question waits for a revision that the asker knows of."""

LAST_REPORT = 1.0
"""Seconds that closing waits for what was evaluated to be reported."""

log = logging.getLogger(__name__)


class LiveFlags:
    """The flags of one environment."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._view = View()
        self._news = threading.Condition()
        self._written = ZERO
        self._stop = threading.Event()
        self._source = connection.source()
        self._feed = ClientFeed(clock, self._source.heartbeat, math.inf, self._publish, lambda: None)
        self._counts = Reporter(partial(connection.counts.report, plain_client(clock.now()).id))
        self._reporting = threading.Thread(target=self._report, name="live-flags-report", daemon=True)
        self._reporting.start()
        threading.Thread(target=self._follow, name="live-flags", daemon=True).start()

    def view(self, seen: Revision = ZERO) -> View:
        """Give what to evaluate with: no older than `seen`, and than what this process has written.

        Raises:
            StoreUnreachable: the flags were never read, or can't be brought up to that revision.
        """
        with self._news:
            if not self._news.wait_for(lambda: self._view.snapshot is not None, FIRST_SNAPSHOT):
                raise StoreUnreachable("the flags could not be read yet")
            self._catch_up(seen)
            written = self._written
            self._catch_up(written)
            if self._written == written:  # it is here, or its epoch is gone: nobody need wait for it again
                self._written = ZERO
            return self._view

    def note(self, written: Revision) -> None:
        """Remember what this process has written: what is read here from now on is no older."""
        with self._news:
            self._written = written if written.epoch != self._written.epoch else max(written, self._written)

    def missed(self, key: str) -> None:
        """Count an evaluation that failed; those that go well count themselves."""
        self._counts.collector.miss(key)

    def close(self) -> None:
        """Report what is left, and stop following."""
        self._stop.set()
        self._source.close()
        self._reporting.join(LAST_REPORT)

    def _report(self) -> None:
        over = False
        while not over:
            over = self._stop.wait(pause())
            self._counts.report(self._view.outcomes())

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                self._source.run(self._feed, None, self._stop)
            except Exception as error:
                log.exception("following the flags failed; it is begun again")
                self._feed.failed(error)
                self._stop.wait(self._source.heartbeat)

    def _publish(self, snapshot: Snapshot, changed: Iterable[str] | None) -> None:
        self._counts.collector.retire(list(self._view.outcomes(changed)))
        view = self._view.replaced(snapshot) if changed is None else self._view.changed(snapshot, changed)
        with self._news:
            self._view = view
            self._news.notify_all()

    def _catch_up(self, wanted: Revision) -> None:
        if wanted == ZERO:
            return
        self._news.wait_for(lambda: self._revision().epoch == wanted.epoch and not self._is_behind(wanted), CATCH_UP)
        if self._is_behind(wanted):
            raise StoreUnreachable(f"the flags could not be brought up to revision {wanted}")

    def _is_behind(self, wanted: Revision) -> bool:
        # Of two epochs neither is known to be the later one: one that does not come may be gone, and is not waited for.
        held = self._revision()
        return held.epoch == wanted.epoch and held.rev < wanted.rev

    def _revision(self) -> Revision:
        return self._view.snapshot.revision if self._view.snapshot else ZERO


class LiveEnvironments:
    """The flags of every environment that was asked about in this process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._followed: dict[str, LiveFlags] = {}

    def of(self, connection: Connection) -> LiveFlags:
        """Find the flags of an environment; the first question starts to follow them."""
        with self._lock:
            flags = self._followed.get(connection.environment)
            if flags is None:
                flags = self._followed[connection.environment] = LiveFlags(connection, self._clock)
            return flags

    def note(self, environment: str, written: Revision) -> None:
        """Tell that this process has written a revision of an environment's flags."""
        with self._lock:
            flags = self._followed.get(environment)
        if flags:  # who follows from later on reads this revision anyway
            flags.note(written)

    def close(self) -> None:
        """Stop following."""
        with self._lock:
            followed = list(self._followed.values())
        for flags in followed:
            flags.close()
