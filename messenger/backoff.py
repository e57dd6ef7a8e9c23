"""How long to wait before trying again: twice as long each time, with jitter so that many do not come back at once."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """The pauses between tries.

    Args:
        first: seconds before the second try.
        longest: seconds that no pause passes.
        jitter: answers with a number from 0 to 1; a pause is between half and all of its length.
    """

    def __init__(self, first: float, longest: float, jitter: Callable[[], float] = random.random) -> None:
        self._first, self._longest, self._jitter = first, longest, jitter
        self._failures = 0

    def next(self) -> float:
        """Count a failure and tell how many seconds to wait."""
        pause = min(self._longest, self._first * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return pause * (0.5 + self._jitter() / 2)

    def reset(self) -> None:
        """Forget the failures."""
        self._failures = 0
