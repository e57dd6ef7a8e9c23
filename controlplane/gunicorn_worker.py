"""The kind of worker that serves the API and the pages: gunicorn's threads, with a time limit on each request.

gunicorn's own `timeout` finds workers that hang, not requests: without a limit, a client that sends a byte now and then
keeps a thread for as long as it likes, and a few of them keep every thread.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

LOOK = 0.5
"""Seconds between two looks for connections whose time is up."""


class TimedThreadWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Cuts a connection off when a request, from its first byte to the last one answered, takes over `timeout`."""

    def init_process(self) -> None:
        """Start the watch, then serve until the worker is told to end."""
        self._deadlines: dict[Any, float] = {}
        self._guard = threading.Lock()
        threading.Thread(target=self._watch, name="time-limit", daemon=True).start()
        super().init_process()

    def handle(self, conn: Any) -> Any:
        """Serve one request in a thread of the pool."""
        with self._guard:
            self._deadlines[conn] = time.monotonic() + self.cfg.timeout
        try:
            return super().handle(conn)
        finally:
            with self._guard:  # from here on the connection may be closed, and its number be another's
                self._deadlines.pop(conn, None)

    def _watch(self) -> None:
        while True:
            time.sleep(LOOK)
            self._cut_off(time.monotonic())

    def _cut_off(self, now: float) -> None:
        with self._guard:
            for conn in [conn for conn, deadline in self._deadlines.items() if now > deadline]:
                del self._deadlines[conn]
                with contextlib.suppress(OSError):  # the client was quicker
                    conn.sock.shutdown(socket.SHUT_RDWR)
