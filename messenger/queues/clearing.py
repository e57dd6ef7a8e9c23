"""Clearing a queue of frames that need some words: waiting for its consumers, setting them aside, or dropping them.

What is moved or dropped is moved or dropped wherever it stands, waiting or pending. A consumer that has such a frame in
hand can still settle it: a frame set aside is then taken off the quarantine again, so nothing is handled twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from foundation.clock import SYSTEM, Clock
from foundation.ids import new_id
from messenger.queue import PRIORITIES
from messenger.queues import scripts
from messenger.queues.operations import KEPT, counted
from messenger.queues.streamqueue import RedisQueue

_LOOK = 200
"""Frames that one call of the script looks at."""

_PAUSE = 0.1


def drain(
    queue: RedisQueue,
    words: frozenset[str],
    timeout: float,
    *,
    clock: Clock = SYSTEM,
    pause: Callable[[float], None] = time.sleep,
) -> int:
    """Wait until consumers have settled every frame that needs any of these words; answers with the frames left."""
    deadline = clock.monotonic() + timeout
    while (left := queue.count(words)) and clock.monotonic() < deadline:
        pause(_PAUSE)
    return left


def quarantine(queue: RedisQueue, words: frozenset[str], *, operation: str = "", detail: str = "") -> int:
    """Set aside every frame that needs any of these words; answers with how many the operation has set aside.

    Args:
        queue: whose frames.
        words: of formats.
        operation: names the work, so that a run after one that was killed counts on; a new one unless given.
        detail: what the letters say.
    """
    return _clear(queue, words, "quarantine", operation, detail or f"needs {', '.join(sorted(words))}")


def purge(queue: RedisQueue, words: frozenset[str], *, operation: str = "") -> int:
    """Drop every frame that needs any of these words, for good; answers with how many the operation has dropped."""
    return _clear(queue, words, "purge", operation, "")


def _clear(queue: RedisQueue, words: frozenset[str], verb: str, operation: str, detail: str) -> int:
    operation = operation or new_id("op")
    for priority in PRIORITIES:
        reached = b""
        while True:
            arguments = [priority, verb, operation, KEPT, reached, _LOOK, detail, *words]
            reached = queue.run(f"{verb} frames of", scripts.CLEAR, arguments)
            if not reached:
                break
    return counted(queue, operation)[f"{verb}d"]
