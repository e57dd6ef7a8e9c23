"""How long a source waits before it tries again, so that a fleet that lost its server does not come back in step."""

from __future__ import annotations

import random

FIRST_PAUSE = 0.05
REFUSED_PAUSE = 30.0
"""Seconds after which a client that was refused asks again at the latest: a person has to act, and may just have."""


def jitter(failures: int, longest: float) -> float:
    """Draw a pause after so many failures in a row: full jitter, doubling up to `longest` seconds."""
    return random.uniform(0, min(longest, FIRST_PAUSE * 2 ** min(failures, 16)))  # noqa: S311 - no secret


def after_refusal() -> float:
    """Draw a pause after a refusal."""
    return random.uniform(REFUSED_PAUSE / 2, REFUSED_PAUSE)  # noqa: S311 - no secret
