"""The clock port: the one way in which time reaches a decision, so that a test can hold it in its hand.

`now` is for people and records and may jump; `monotonic` is for waiting and leases and never goes back.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> float:
        """Seconds since 1970."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment, never going back."""


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since some fixed moment, never going back."""
        return time.monotonic()


SYSTEM: Clock = SystemClock()
"""The clock that entry points hand down."""


class ManualClock:
    """A clock that stands still until it is told to advance; for tests and simulations.

    Args:
        start: seconds since 1970 at which it stands first.
    """

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._start = start
        self._elapsed = 0.0

    def now(self) -> float:
        """Seconds since 1970."""
        return self._start + self._elapsed

    def monotonic(self) -> float:
        """Seconds since this clock was made."""
        return self._elapsed

    def advance(self, seconds: float) -> None:
        """Let time pass; it can't go back."""
        if seconds < 0:
            raise ValueError(f"a clock can't go back, and was told to advance by {seconds}")
        self._elapsed += seconds
