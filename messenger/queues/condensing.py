"""Making longer buckets of shorter ones as soon as their time is over; whoever reports at the right moment does it.

A bucket whose time is over never changes, so it does not matter who condenses, or when, as long as the shorter ones
are still there; and marks move in the same transaction that writes the longer ones, so nobody does it a second time.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import redis

from messenger.queues.buckets import LEVELS, Level, Sums, add_bucket


def read_marks(client: redis.Redis, stem: str) -> dict[int, int]:
    """Read for each step the second up to which its buckets are there."""
    found: Any = client.mget([_mark(stem, level) for level in LEVELS[1:]])
    return {level.step: int(mark or 0) for level, mark in zip(LEVELS[1:], found, strict=True)}


def read_sums(client: redis.Redis, stem: str, places: Iterable[tuple[Level, int]], kind: str = "") -> Sums:
    """Add up what stands in some buckets; `kind` names buckets that are not named after their step."""
    sums: Sums = {}
    places = list(places)
    reading = client.pipeline(transaction=False)
    for level, start in places:
        reading.hgetall(f"{stem}:{kind or level.step}:{start}")
    for (level, _), bucket in zip(places, reading.execute(), strict=True):
        add_bucket(sums, level, bucket)
    return sums


def condense(client: redis.Redis, stem: str, now: int) -> None:
    """Make every longer bucket whose time is over and that is not there yet."""
    for shorter, longer in itertools.pairwise(LEVELS):
        with client.pipeline() as writing:
            writing.watch(_mark(stem, longer))  # type: ignore[no-untyped-call]
            marks = read_marks(client, stem) | {LEVELS[0].step: now}
            # No longer bucket is made before all of the shorter ones that it is made of.
            end = marks[shorter.step] // longer.step * longer.step
            begin = max(marks[longer.step] or end - longer.step, end - shorter.kept // longer.step * longer.step)
            if begin >= end:
                return
            writing.multi()
            for start in range(begin, end, longer.step):
                places = [(shorter, at) for at in range(start, start + longer.step, shorter.step)]
                _write(writing, f"{stem}:{longer.step}:{start}", longer, read_sums(client, stem, places))
            writing.set(_mark(stem, longer), end)
            try:
                writing.execute()
            except redis.WatchError:
                return  # somebody else did it meanwhile


def _write(writing: Any, key: str, level: Level, sums: Sums) -> None:
    if sums:
        writing.hset(key, mapping={name: told.to_document() for name, told in sums.items()})
        writing.expire(key, level.kept + level.step)


def _mark(stem: str, level: Level) -> str:
    return f"{stem}:mark:{level.step}"
