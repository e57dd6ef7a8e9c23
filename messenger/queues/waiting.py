"""Waiting on a queue's streams, in connections that another thread can wake.

Owns the connections that block. Knows nothing of what is in the entries.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import redis

from foundation.errors import SignalboxError
from foundation.redis import connect, translated
from messenger.queues.entries import GROUP

SLICE = 1.0
"""Seconds that one command blocks at most: within them, and the time-out, a dead server or a close is noticed."""

_WAKE_ATTEMPTS, _WAKE_PAUSE = 20, 0.005


class Waiter:
    """Blocks on streams for one handle of a queue.

    Args:
        url: the queue server.
        timeout: seconds to wait for an answer beyond the time that a command blocks.
    """

    def __init__(self, url: str, timeout: float) -> None:
        self._client = connect(url, timeout=timeout, block=SLICE)
        self._lock = threading.RLock()  # a signal's handler may close in the thread that is just reading
        self._idle: list[tuple[redis.Redis, int]] = []
        self._blocked: set[int] = set()
        self._closed = False

    def read(self, streams: Sequence[str], consumer: str, count: int, wait: float) -> list[Any]:
        """Wait up to `wait` seconds, and no longer than a slice, for entries that are new to the group.

        Answers with (stream, entries) pairs, at most `count` entries of each; nothing where time was up or `close` was
        called.
        """
        milliseconds = max(1, int(min(wait, SLICE) * 1000))
        command = ("XREADGROUP", "GROUP", GROUP, consumer, "COUNT", count, "BLOCK", milliseconds, "STREAMS")
        with self._connection() as connection:
            if self._closed:  # asked after the connection was put down as blocked, so that `close` can't miss it
                return []
            reply: list[Any] | None = connection.execute_command(  # type: ignore[no-untyped-call]
                *command, *streams, *(">" for _ in streams)
            )
            return reply or []

    def close(self) -> None:
        """Wake whoever waits, at once where the server still answers, else within a slice; safe to call twice."""
        self._closed = True
        # A reader that has put itself down and not reached the server yet can't be woken there; it is asked again.
        for _ in range(_WAKE_ATTEMPTS):
            with self._lock:
                blocked = list(self._blocked)
            if not blocked or self._wake(blocked):
                break
            time.sleep(_WAKE_PAUSE)
        with self._lock:
            idle, self._idle = self._idle, []
        for connection, _ in idle:
            _end(connection)
        # Not those in use: their readers are woken, and end them when they give them back.
        self._client.connection_pool.disconnect(inuse_connections=False)

    def _wake(self, blocked: list[int]) -> bool:
        """Wake readers; False where some of them were not asleep yet."""
        with contextlib.suppress(SignalboxError), translated("wake a receiver"):
            woken = [self._client.client_unblock(name) for name in blocked]
            return all(woken)
        return True  # the server is gone, and the readers notice that as soon as we do

    @contextlib.contextmanager
    def _connection(self) -> Iterator[redis.Redis]:
        """Lend a connection; one that failed is not lent again, since its successor has another name at the server."""
        with self._lock:
            connection, name = self._idle.pop() if self._idle else (None, 0)
        if connection is None:
            connection, name = self._connect()
        with self._lock:
            self._blocked.add(name)
        try:
            yield connection
        except BaseException:
            self._give_back(connection, name, usable=False)
            raise
        self._give_back(connection, name, usable=True)

    def _connect(self) -> tuple[redis.Redis, int]:
        connection: redis.Redis = self._client.client()  # type: ignore[no-untyped-call]
        try:
            return connection, int(connection.client_id())
        except BaseException:
            _end(connection)
            raise

    def _give_back(self, connection: redis.Redis, name: int, *, usable: bool) -> None:
        with self._lock:
            self._blocked.discard(name)
            if usable and not self._closed:
                self._idle.append((connection, name))
                return
        _end(connection)


def _end(connection: redis.Redis) -> None:
    if connection.connection:
        connection.connection.disconnect()  # type: ignore[no-untyped-call]
    connection.close()
