"""How often something may be done: so many times at once, and so many a second in the long run."""

from __future__ import annotations

import threading

from foundation.clock import Clock


class Allowance:
    """Counts what is taken from it, and fills up again with time.

    Args:
        clock: its monotonic time.
        most: what may be taken at once.
        rate: what comes back, per second.
    """

    def __init__(self, clock: Clock, most: int, rate: float) -> None:
        self._clock, self._most, self._rate = clock, most, rate
        self._left, self._at = float(most), clock.monotonic()
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Take one, or answer False where none is left."""
        with self._lock:
            now = self._clock.monotonic()
            self._left = min(self._most, self._left + (now - self._at) * self._rate)
            self._at = now
            if self._left < 1:
                return False
            self._left -= 1
            return True
