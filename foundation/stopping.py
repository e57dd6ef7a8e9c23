"""Being told to stop by a signal. What the handler does takes no lock: it may run in the middle of anything."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable
from types import FrameType

STEP = 0.05
"""Seconds between two looks while waiting."""


class StopSignal:
    """Is set by signals, so that a loop ends between two steps and never in the middle of one.

    Made by the main thread, which alone may install handlers.
    """

    def __init__(self, numbers: Iterable[int] = (signal.SIGTERM, signal.SIGINT)) -> None:
        # No threading.Event: its `set` takes a lock, and the handler may have come while the same thread holds it.
        self._stopped = False
        for number in numbers:
            signal.signal(number, self._stop)

    def is_set(self) -> bool:
        """Tell whether it is time to end."""
        return self._stopped

    def wait(self, seconds: float) -> bool:
        """Wait so many seconds, or until set; tells whether it is."""
        deadline = time.monotonic() + seconds
        while not self._stopped and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(STEP, left))
        return self._stopped

    def _stop(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signal's signature
        self._stopped = True
