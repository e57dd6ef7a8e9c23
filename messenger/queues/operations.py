"""What an operation on a queue has done so far: its own scripts count, so that a run that was killed loses no count."""

from __future__ import annotations

from collections import Counter
from typing import Any

from foundation.redis import translated
from messenger.queues.streamqueue import RedisQueue

KEPT = 7 * 24 * 3600
"""Seconds for which an operation's counts are kept after its last step."""


def counted(queue: RedisQueue, operation: str) -> Counter[str]:
    """Read what an operation has done, over all of its runs."""
    with translated(f"read what {operation} did to queue {queue.domain}"):
        found: Any = queue.client.hgetall(f"{queue.stem}:op:{operation}")
    return Counter({name.decode(): int(times) for name, times in found.items()})
