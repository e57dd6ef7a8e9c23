"""Who is told of a client's statuses and changes, the log included. One thread announces; any may ask, or note news.

It takes no lock, since a fork could find it held: what is shared are lists and a queue that Python changes in one step.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from flags.feed import Status

logger = logging.getLogger(__name__)

News = TypeVar("News")
Keys = frozenset[str]
Concerned = Callable[[Iterable[str]], Iterable[str]]
Off = Callable[[], None]
"""Ends what a callback is told; calling it twice is fine."""


_SAID = {
    Status.ERROR: (logging.WARNING, "no flags have come, and callers get their own defaults"),
    Status.STALE: (logging.WARNING, "the flags are stale, and the last ones go on"),
    Status.READY: (logging.INFO, "the flags are in step"),
}
"""How loud and in which words a status is logged; what is in the way follows."""


@dataclass(eq=False, slots=True)
class _Listener:
    callback: Callable[[Status], None]
    told: Status = Status.INITIALIZING


class Announcer:
    """Calls back whoever asked to be told; a callback that raises is logged, and keeps nobody else from being told."""

    def __init__(self) -> None:
        self.announced = Status.INITIALIZING
        self._of_status: list[_Listener] = []
        self._of_changes: list[Callable[[Keys], None]] = []
        self._changes: deque[Keys] = deque()

    @property
    def heeds_changes(self) -> bool:
        """Whether anybody is to be told of changes: if not, nobody need find out what changed."""
        return bool(self._of_changes)

    def on_status(self, callback: Callable[[Status], None]) -> Off:
        """Tell of the status now, unless it is INITIALIZING, and of each new one."""
        return _added(self._of_status, _Listener(callback))

    def on_change(self, callback: Callable[[Keys], None]) -> Off:
        """Tell of the keys of flags that have changed."""
        listener: Callable[[Keys], None] = partial(callback)  # which, unlike a method, equals nothing but itself
        return _added(self._of_changes, listener)

    def note(self, keys: Iterable[str]) -> None:
        """Keep the keys of items that have changed until the next announcement."""
        self._changes.append(frozenset(keys))

    def announce(self, status: Status, error: Exception | None, concerned: Concerned) -> None:
        """Tell everybody what they don't know yet.

        Args:
            status: how the client stands to its source.
            error: what is in the way of a better status.
            concerned: names the flags that changed items concern. It takes its time, which no change should wait for.
        """
        if status is not self.announced and status in _SAID:
            level, words = _SAID[status]
            logger.log(level, "%s%s", words, "" if status is Status.READY else f": {error or 'no contact'}")
        self.announced = status
        for listener in list(self._of_status):
            if listener.told is not status:
                listener.told = status
                _call(listener.callback, status)
        keys: set[str] = set()
        while self._changes:
            keys |= self._changes.popleft()
        flags = frozenset(concerned(keys) if keys else ())
        for callback in list(self._of_changes) if flags else ():
            _call(callback, flags)


def _added(listeners: list[News], listener: News) -> Off:
    listeners.append(listener)
    return partial(_taken_off, listeners, listener)


def _taken_off(listeners: list[News], listener: News) -> None:
    if listener in listeners:
        listeners.remove(listener)


def _call(callback: Callable[[News], None], news: News) -> None:
    try:
        callback(news)
    except Exception:
        logger.exception("a callback of the flag client failed")
