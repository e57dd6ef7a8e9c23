"""A limit on how often each of many callers may come, kept in the memory of one process. Knows no HTTP."""

from __future__ import annotations

import threading
from collections.abc import Hashable

from foundation.clock import Clock

BURST = 2.0
"""Seconds' worth of calls that a caller who was quiet may make at once."""

REMEMBERED = 10_000
"""Callers that are remembered; beyond that, first those who used up nothing are forgotten, then everybody."""


class RateLimit:
    """Admits each caller so many times a second, and for a moment more (BURST).

    Args:
        clock: its monotonic time is what refills.
        rate: calls a second that each caller may make for ever.
    """

    def __init__(self, clock: Clock, rate: float) -> None:
        self._clock, self._cost = clock, 1.0 / rate
        self._paid_until: dict[Hashable, float] = {}
        """When each caller's calls so far will have been paid for, at one each `1 / rate` seconds."""
        self._lock = threading.Lock()

    def take(self, caller: Hashable) -> float:
        """Count a call, and answer 0; or, where there were too many, the seconds after which one is admitted again."""
        now = self._clock.monotonic()
        with self._lock:
            paid_until = max(now, self._paid_until.get(caller, now)) + self._cost
            wait = paid_until - now - max(BURST, self._cost)
            if wait > 1e-9:
                return wait
            if caller not in self._paid_until and len(self._paid_until) >= REMEMBERED:
                self._forget(now)
            self._paid_until[caller] = paid_until
            return 0.0

    def _forget(self, now: float) -> None:
        kept = {caller: until for caller, until in self._paid_until.items() if until > now}
        self._paid_until = kept if len(kept) < REMEMBERED else {}
