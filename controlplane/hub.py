"""Everything that one process streams: the readers of each environment, and how many streams it admits.

Threads and queues only; under gevent they are greenlets. Knows no HTTP.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from controlplane import tickets
from controlplane.broadcast import Channel, Stream, Subscriber, encode
from controlplane.changefeed import ChangeFeed
from controlplane.errors import StreamsFull
from controlplane.happenings import Happenings
from controlplane.wiring import Connection
from flags.model import Revision
from foundation.clock import Clock
from foundation.errors import StoreUnreachable

log = logging.getLogger(__name__)

FIRST_SNAPSHOT = 2.0
"""Seconds that a new stream of changes waits for the store's first answer."""


class Hub:
    """Opens streams.

    Args:
        clock: tells how old a stream is.
        limit: streams that are admitted at a time.
    """

    def __init__(self, clock: Clock, limit: int) -> None:
        self._clock, self._limit = clock, limit
        self._open = 0
        self._lock = threading.Lock()
        self._views: dict[str, _View] = {}
        self._closed = False

    def changes(self, connection: Connection, last_event_id: str) -> Stream:
        """Open a stream of an environment's flags.

        Raises:
            StreamsFull: there are as many as this process admits.
            StoreUnreachable: the flags were never read.
        """
        view = self._view(connection)
        if not view.feed.ready.wait(FIRST_SNAPSHOT):
            raise StoreUnreachable("the flags could not be read yet")
        self._admit()
        subscriber, first = view.feed.join(last_event_id)
        return Stream(
            subscriber, first, view.feed.beat, self._clock, lambda: self._leave(view.feed.channel, subscriber)
        )

    def events(self, connection: Connection) -> Stream:
        """Open a stream of what happens in an environment; raises StreamsFull."""
        view = self._view(connection)
        self._admit()
        subscriber = view.happenings.join()
        beat = view.feed.beat
        return Stream(subscriber, (), beat, self._clock, lambda: self._leave(view.happenings.channel, subscriber))

    def refetches(self, connection: Connection, last_event_id: str) -> Stream:
        """Open a stream that says when to evaluate again; raises as `changes` does.

        It lasts for as long as the ticket that opens it might, since browsers take the end of one for a failure.
        """
        view = self._view(connection)
        if not view.feed.ready.wait(FIRST_SNAPSHOT):
            raise StoreUnreachable("the flags could not be read yet")
        self._admit()
        subscriber = view.refetches.join()
        revision = str(view.feed.cursor)
        missed = [] if last_event_id == revision else [refetch(revision)]
        return Stream(
            subscriber,
            missed,
            view.feed.beat,
            self._clock,
            lambda: self._leave(view.refetches, subscriber),
            life=tickets.WINDOW,
        )

    def close(self) -> None:
        """Say goodbye on every stream, and on those that come after."""
        with self._lock:
            self._closed = True
            views = list(self._views.values())
        for view in views:
            view.close()

    def _view(self, connection: Connection) -> _View:
        with self._lock:
            view = self._views.get(connection.environment)
            if view is None:
                view = self._views[connection.environment] = _View(connection, self._clock)
                if self._closed:
                    view.close()
            return view

    def _admit(self) -> None:
        with self._lock:
            if self._open >= self._limit:
                raise StreamsFull(self._limit)
            self._open += 1

    def _leave(self, channel: Channel, subscriber: Subscriber) -> None:
        channel.leave(subscriber)
        with self._lock:
            self._open -= 1


class _View:
    """One environment's readers: threads that start with the first stream and last until the process ends."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self.happenings = Happenings(connection, clock)
        self.refetches = Channel()
        self.feed = ChangeFeed(self._changed)
        self._source = connection.source()
        self._stop = threading.Event()
        self._start("changes", self._follow)
        self._start("happenings", lambda: self.happenings.run(self._stop))

    def close(self) -> None:
        """Let every reader go and end the threads."""
        self._stop.set()
        self._source.close()
        self.feed.channel.close()
        self.happenings.channel.close()
        self.refetches.close()

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                self._source.run(self.feed, None, self._stop)
            except Exception as error:  # a fault in one piece of news must not end the following
                log.exception("following the flags failed; it is begun again")
                self.feed.failed(error)
                self._stop.wait(self._source.heartbeat)

    def _changed(self, revision: Revision) -> None:
        self.happenings.changed(revision)
        self.refetches.publish(refetch(str(revision)))

    def _start(self, name: str, target: Callable[[], None]) -> None:
        threading.Thread(target=target, name=name, daemon=True).start()


def refetch(revision: str) -> bytes:
    """Write OFREP's event: evaluate again, for the flags are at this revision now.

    Clients hand the revision back when they do, and so are not answered with what was before it.
    """
    return encode("message", {"type": "refetchEvaluation", "etag": revision}, revision)
