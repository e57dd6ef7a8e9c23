"""Dead letters and the quarantine of one queue: listing, replaying and dropping them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import redis

from foundation.redis import translated
from messenger.errors import PoisonFrame, QueueFull
from messenger.frame import Frame
from messenger.queue import DeadLetter, QueueLimits
from messenger.queues import scripts
from messenger.queues.entries import letter_of, words_of

_AT_A_TIME = 100
"""Letters read into memory, or moved by one script, at a time."""

Kind = Literal["dead", "quarantine"]


class Letters:
    """The letters of one kind in one queue.

    Args:
        client: the queue server.
        stem: what the queue's keys begin with.
        kind: dead, or quarantine.
        limits: the queue's.
    """

    def __init__(self, client: redis.Redis, stem: str, kind: Kind, limits: QueueLimits) -> None:
        self._client, self._stem, self._kind, self._limits = client, stem, kind, limits

    def list(self, limit: int) -> list[DeadLetter]:
        """List letters, oldest first."""
        with translated("list letters"):
            found: Any = self._client.xrange(f"{self._stem}:{self._kind}", count=max(1, limit))
        return [letter_of(entry) for entry in found][:limit]

    def replay(self, names: Sequence[str], rewrite: Callable[[Frame], Frame] | None) -> int:
        """Put letters back at the end of the queue; answers how many were. Raises QueueFull."""
        unique = list(dict.fromkeys(names))
        groups = [unique[start : start + _AT_A_TIME] for start in range(0, len(unique), _AT_A_TIME)]
        return sum(self._replay(group, rewrite) for group in groups)

    def discard(self, names: Sequence[str]) -> int:
        """Drop letters for good; answers how many were."""
        with translated("drop letters"):
            return int(scripts.DISCARD(self._client, [self._stem], [self._kind, *dict.fromkeys(names)]))

    def _replay(self, names: Sequence[str], rewrite: Callable[[Frame], Frame] | None) -> int:
        with scripts.adding("replay letters"):
            changed = self._rewritten(names, rewrite) if rewrite else {}
            arguments: list[Any] = [self._kind, self._limits.frames, int(self._limits.handled_window * 1000)]
            for name in names:
                frame = changed.get(name)
                arguments += (name, "")
                if frame:
                    arguments[-1] = 1
                    arguments += (frame.content_type, frame.content_encoding, frame.count, frame.body)
            reply = scripts.REPLAY(self._client, [self._stem], arguments)
        if isinstance(reply, list):
            raise QueueFull(
                f"the queue holds {reply[1]} frames, its bound: there is no room for {names[0]!r} and what follows"
            )
        return int(reply)

    def _rewritten(self, names: Sequence[str], rewrite: Callable[[Frame], Frame]) -> dict[str, Frame]:
        members: Any = self._client.smembers(f"{self._stem}:admits")
        admits = words_of(members)
        changed = {}
        for name, frame in self._frames(names).items():
            if not frame.words <= admits:
                try:
                    changed[name] = rewrite(frame)
                except PoisonFrame:
                    continue  # it stays as it is, and so will not be admitted
        return changed

    def _frames(self, names: Sequence[str]) -> dict[str, Frame]:
        places: Any = self._client.hmget(f"{self._stem}:{self._kind}:ids", list(names))
        reading = self._client.pipeline(transaction=False)
        present = [(name, place) for name, place in zip(names, places, strict=True) if place]
        for _, place in present:
            reading.xrange(f"{self._stem}:{self._kind}", place, place)
        found = zip(present, reading.execute(), strict=True)
        return {name: letter_of(entries[0]).frame for (name, _), entries in found if entries}
