"""A client's feed straight from Redis: connects, follows, reconnects with full jitter, and leaves at the end.

What is said over a connection is in `flags.sources.redis_session`.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import redis

from flags.counts import Report
from flags.instances import Instance
from flags.source import Feed
from flags.sources.redis_session import Session
from flags.stores.keys import Keys
from flags.stores.redis_counts import RedisEvaluationCounts
from foundation.errors import SignalboxError
from foundation.redis import connect, translated

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
"""Seconds: bounds of the random pause before a connection is tried again."""


class RedisSource:
    """Feeds a client from an environment's change log and keeps the client's instance in the registry.

    Args:
        url: of the flags server, in any form that `foundation.redis.connect` takes.
        environment: its name.
        lease: seconds that a renewal lasts.
        heartbeat: seconds between renewals when nothing changes.
        timeout: seconds within which the server has to answer.

    Raises:
        DocumentError: the URL or the environment's name is malformed.
    """

    def __init__(
        self, url: str, environment: str, *, lease: float = 3.0, heartbeat: float = 1.0, timeout: float = 1.0
    ) -> None:
        connect(url).close()  # connects to nothing, and refuses a URL that no retry will mend
        self.environment = environment
        self.lease = lease
        self.heartbeat = heartbeat
        self._url = url
        self._keys = Keys(environment)
        self._timeout = timeout
        self._waiting: int | None = None

    def run(self, feed: Feed, instance: Instance | None, stop: threading.Event) -> None:
        """Feed the client until `stop` is set; returns only then."""
        self._waiting = None  # what a fork inherits is the parent's
        failures = 0
        while not stop.is_set():
            try:
                with self._connected() as held:
                    session = Session(held, self._keys, feed, instance, self.lease, self.heartbeat)
                    session.open()
                    failures = 0
                    while not stop.is_set():
                        session.step()
                    session.leave()
            except (SignalboxError, redis.RedisError) as error:
                feed.failed(error)
                failures += 1
                # Full jitter: a fleet that lost its server together does not come back in step.
                stop.wait(random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2**failures)))  # noqa: S311 - no secret

    def close(self) -> None:
        """Wake `run` from any wait; safe from another thread, and twice."""
        give_up = time.monotonic() + self.heartbeat
        with suppress(SignalboxError), connect(self._url, timeout=self._timeout) as client:
            # Between two waits there is nothing to wake; `run` is then about to wait once more, or about to end.
            while (waiting := self._waiting) is not None and time.monotonic() < give_up:
                with translated("wake a waiting client"):
                    if client.client_unblock(waiting):
                        return
                time.sleep(0.002)

    def report(self, instance_id: str, report: Report) -> None:
        """Have a report added; raises StoreUnreachable or StoreRefused."""
        # A connection for each report: one that stood idle in between would be one more for each instance to hold.
        with connect(self._url, timeout=self._timeout) as client:
            RedisEvaluationCounts(client, self.environment).report(instance_id, report)

    @contextmanager
    def _connected(self) -> Iterator[redis.Redis]:
        with (
            translated("follow the flags"),
            connect(self._url, timeout=self._timeout, block=self.heartbeat) as client,
            client.client() as held,
        ):
            self._waiting = held.client_id()
            try:
                yield held
            finally:
                self._waiting = None
                # An answer may still be on its way: nobody else may read from this connection.
                held.connection.disconnect()
