"""Imports that wait for their first use, and forks that wait for such imports.

A fork copies an import that another thread is in the middle of as it stands. Nobody finishes it in the child, where
whoever needs the module waits for ever: so what threads import late they import under this guard.
"""

from __future__ import annotations

import os
import threading

PATIENCE = 5.0
"""Seconds that a fork waits at most: an import that takes longer may be waiting for the thread that forks."""


class _Guard:
    """A context manager for a late import."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._forking = False

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *exc_info: object) -> None:
        self._lock.release()

    def before_fork(self) -> None:
        self._forking = self._lock.acquire(timeout=PATIENCE)

    def after_in_parent(self) -> None:
        if self._forking:
            self._lock.release()

    def after_in_child(self) -> None:
        self._lock = threading.RLock()


LATE = _Guard()
"""`with LATE: import …` in a function that any thread may call."""

os.register_at_fork(before=LATE.before_fork, after_in_parent=LATE.after_in_parent, after_in_child=LATE.after_in_child)
