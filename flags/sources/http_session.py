"""A client's part in the update protocol over HTTP: along a stream of changes where there is one, else by reading.

A stream is joined at the client's revision and says what came after it. What does not follow on the client's revision
is read from the API, which answers from the store itself; a stream may lag behind that, and is never followed back.
Where streaming fails, the API is read every heartbeat, and streaming is tried again with growing pauses.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPResponse
from typing import Any

import orjson

from flags.errors import SourceRefused, SourceUnavailable
from flags.feed import MISSED
from flags.model import ZERO, Revision
from flags.snapshots import read_change, read_snapshot, revision_of
from flags.source import Feed
from flags.sources.http_line import MAX_BODY, ControlPlane
from flags.sources.pauses import after_refusal, jitter
from flags.sources.sse import Event, EventReader
from foundation.errors import DocumentError

logger = logging.getLogger(__name__)

FIRST_EVENT = 3.0
"""Seconds that a stream may take to begin: it says at once where it stands, if nothing in between keeps it back."""

LONGEST_PAUSE = 60.0
"""Seconds between two tries to stream at most."""

SETTLED = 1.0
"""Seconds after which a stream has shown that it works; one that ends sooner is not sought again at once."""


class Session:
    """Keeps one client in step.

    Args:
        there: the control plane.
        feed: where news goes.
        heartbeat: seconds between the server's signs of life.
        news: called after each contact, when there may be something to acknowledge.
        stop: set when it is over.
    """

    def __init__(
        self,
        there: ControlPlane,
        feed: Feed,
        heartbeat: float,
        news: Callable[[], None],
        stop: threading.Event,
    ) -> None:
        self._api, self._stream = there.line(), there.line()
        self._snapshot_url, self._changes_url = there.url("snapshot"), there.url("changes")
        self._feed, self._heartbeat, self._news, self._stop = feed, heartbeat, news, stop
        self._failures = 0
        self._streams_failed = 0
        self._streams_at = 0.0
        self._told = False
        self._reading, self._streaming = _Trouble(), _Trouble()

    def turn(self) -> float:
        """Follow a stream for as long as it lasts, or read once; answers how many seconds to pause."""
        try:
            if self._feed.cursor != ZERO and time.monotonic() >= self._streams_at and self._follow():
                return self._until_next()
            self._read()
        except SourceRefused as error:
            return self._failed(error, after_refusal())
        except SourceUnavailable as error:
            self._failures += 1
            return self._failed(error, max(error.retry_after, jitter(self._failures, self._heartbeat)))
        self._failures = 0
        return self._until_next()

    def shut(self) -> None:
        """Cut every wait short, from another thread."""
        self._api.shut()
        self._stream.shut()

    def close(self) -> None:
        """Hang up."""
        self._api.close()
        self._stream.close()

    def abandon(self) -> None:
        """Let go of the parent's connections, in a forked child."""
        self._api.abandon()
        self._stream.abandon()

    def _read(self) -> None:
        """Take the snapshot where it is another one than the client's."""
        seen = self._feed.cursor
        headers = {} if seen == ZERO else {"If-None-Match": f'"{seen}"'}
        answer = self._api.call("GET", self._snapshot_url, headers)
        self._reading.over()
        if answer.status == 304:
            self._contact()
        else:
            self._understood(answer.body, self._replace)

    def _follow(self) -> bool:
        """Go along a stream until it ends; False where it told nothing, so that the API has to be read instead."""
        began, self._told = time.monotonic(), False
        try:
            response = self._stream.open(self._changes_url, {"Last-Event-ID": str(self._feed.cursor)}, FIRST_EVENT)
            self._go_along(response)
            why: SourceRefused | SourceUnavailable = SourceUnavailable("the stream ended as soon as it began")
        except (SourceRefused, SourceUnavailable) as error:
            why = error
        else:
            if time.monotonic() - began >= SETTLED:
                self._streams_failed = 0
                return True
        finally:
            self._stream.close()
        self._put_off(why, settled=self._told and time.monotonic() - began >= SETTLED)
        return self._told

    def _until_next(self) -> float:
        """Seconds until streaming is tried again, or the API is read in its place."""
        return min(self._heartbeat, max(0.0, self._streams_at - time.monotonic()))

    def _put_off(self, why: SourceRefused | SourceUnavailable, *, settled: bool) -> None:
        """Decide when streaming is tried again: soon where it had gone well, else with growing pauses."""
        if self._stop.is_set():
            return
        self._streams_failed = 1 if settled else self._streams_failed + 1
        pause = max(getattr(why, "retry_after", 0.0), jitter(self._streams_failed, LONGEST_PAUSE))
        self._streams_at = time.monotonic() + pause
        self._streaming.met(logging.INFO, why, "streaming failed, the API is read instead where need be")

    def _go_along(self, response: HTTPResponse) -> None:
        """Take event after event until the goodbye, or until it is over."""
        reader = EventReader(MAX_BODY)
        patience, heard = FIRST_EVENT, time.monotonic()
        while not self._stop.is_set():
            # Whole events count, not bytes: what drips in for ever is no sign of life.
            piece = self._stream.read(response, heard + patience - time.monotonic())
            for event in _events(reader, piece):
                patience, heard = MISSED * self._heartbeat, time.monotonic()
                if event.kind == "goodbye":
                    return
                self._take(event)
                self._told = True
            if self._told:
                self._streaming.over()

    def _take(self, event: Event) -> None:
        """Do what an event says."""
        if event.kind == "heartbeat":
            self._understood(event.data, self._heartbeat_came)
        elif event.kind == "change":
            self._understood(event.data, self._change_came)
        elif event.kind == "snapshot":
            self._understood(event.data, self._snapshot_came)

    def _heartbeat_came(self, content: Any) -> None:
        revision, cursor = revision_of(content), self._feed.cursor
        if not content.get("in_step", True):
            self._feed.failed(SourceUnavailable("the control plane has lost its store, and knows of no changes"))
        elif revision == cursor or _behind(revision, cursor):
            self._contact()
        else:
            self._read()

    def _change_came(self, content: Any) -> None:
        if _behind(revision_of(content), self._feed.cursor):
            return
        try:
            change = read_change(content)
        except DocumentError as error:
            logger.warning("a change can't be read, a snapshot is read in its place: %s", error)
        else:
            if self._feed.apply(change):
                self._news()
                return
        self._read()

    def _snapshot_came(self, content: Any) -> None:
        revision, cursor = revision_of(content), self._feed.cursor
        if _behind(revision, cursor):
            return
        if revision.epoch != cursor.epoch and not self._told:
            # The stream does not know our epoch: it lags behind the store that we have read, or it is ahead of us.
            self._read()
        else:
            self._replace(content)

    def _replace(self, content: Any) -> None:
        self._feed.replace(read_snapshot(content))
        self._news()

    def _contact(self) -> None:
        self._feed.contact()
        self._news()

    def _understood(self, data: bytes, take: Callable[[Any], None]) -> None:
        """Hand over what was sent as JSON.

        Raises:
            SourceUnavailable: it is not JSON, or not what it should be.
        """
        try:
            take(orjson.loads(data))
        except (orjson.JSONDecodeError, DocumentError) as error:
            raise SourceUnavailable(f"the control plane sent what makes no sense here: {error}") from error

    def _failed(self, error: SourceRefused | SourceUnavailable, pause: float) -> float:
        self._feed.failed(error)
        if not self._stop.is_set():
            level = logging.ERROR if isinstance(error, SourceRefused) else logging.WARNING
            self._reading.met(level, error, "the flags can't be read")
        return pause


class _Trouble:
    """Something that fails again and again: one line in the log tells of it, and another when it fails otherwise."""

    def __init__(self) -> None:
        self._kind: type[Exception] | None = None

    def met(self, level: int, error: Exception, what: str) -> None:
        """Log a failure, unless it goes on as before."""
        if type(error) is not self._kind:
            logger.log(level, "%s: %s", what, error)
        self._kind = type(error)

    def over(self) -> None:
        """Note that it works."""
        self._kind = None


def _events(reader: EventReader, piece: bytes) -> Iterator[Event]:
    try:
        yield from reader.feed(piece)
    except DocumentError as error:
        raise SourceUnavailable(f"the stream of changes: {error}") from error


def _behind(revision: Revision, cursor: Revision) -> bool:
    """Whether it is what the client has, or came before it: within an epoch revisions are counted."""
    return revision.epoch == cursor.epoch and revision.rev <= cursor.rev
