"""Evaluation counts in Redis: a hash for each day, and one of when each variant of each flag was last served.

The script beside this module owns the layout. It is one round trip, and short: other writes wait for it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

import redis

from flags.counts import Report
from flags.model import Flag
from flags.stores.keys import Keys
from flags.usage import (
    DAY,
    KEPT_DAYS,
    MAX_COUNTED,
    MAX_UNDEFINED,
    Days,
    Served,
    day_date,
    day_number,
    possible,
)
from foundation.redis import Script, connect, translated

_REPORT = Script("flags.stores", "counts.lua")


class RedisEvaluationCounts:
    """The evaluation counts of one environment, in Redis.

    Args:
        server: a URL, or a client made by `foundation.redis.connect`.
        environment: its name.
        timeout: seconds within which the server has to answer; used with a URL.
    """

    def __init__(self, server: redis.Redis | str, environment: str, *, timeout: float = 1.0) -> None:
        self.environment = environment
        self._keys = Keys(environment)
        self._client = connect(server, timeout=timeout) if isinstance(server, str) else server

    def report(self, instance_id: str, report: Report) -> None:
        """Add what an instance counted; a report that was added in the last hour is not added again."""
        kept = round(KEPT_DAYS * DAY)
        arguments: list[str | int] = [self._keys.prefix, instance_id, report.number, MAX_COUNTED, MAX_UNDEFINED, kept]
        for (key, variant), count in report.counts.items():
            arguments += (key, variant, count)
        with translated("report evaluations"):
            _REPORT(self._client, [self._keys.named("flags")], arguments)

    def served(self, flag: Flag | None = None) -> Served:
        """Tell when every flag, or this one alone, last served each variant."""
        evaluated = self._keys.named("evaluated")
        with translated("read when flags were evaluated"), self._client.pipeline(transaction=False) as pipeline:
            pipeline.time()
            pipeline.get(self._keys.named("counting"))
            names = [] if flag is None else [f"{flag.key} {variant}" for variant in possible(flag)]
            if flag is None:
                pipeline.hgetall(evaluated)
            else:
                pipeline.hmget(evaluated, names)
            (seconds, micros), since, found = pipeline.execute()
        times = found if flag is None else dict(zip((name.encode() for name in names), found, strict=True))
        return Served(seconds + micros / 1_000_000, float(since) if since else None, _by_flag(times))

    def usage(self, key: str, days: int) -> Days:
        """Count the evaluations of a flag on each of the last days, today included, oldest first."""
        with translated("count evaluations"):
            last = self._last_days(days)
            variants = self._variants(key)
            if not variants:
                return {day_date(day): {} for day in last}
            with self._client.pipeline(transaction=False) as pipeline:
                for day in last:
                    pipeline.hmget(self._keys.named(f"counts:{day}"), [f"{key} {variant}" for variant in variants])
                found = pipeline.execute()
        return {
            day_date(day): {name: int(count) for name, count in zip(variants, counts, strict=True) if count}
            for day, counts in zip(last, found, strict=True)
        }

    def undefined(self, days: int) -> Counter[str]:
        """Count how often keys were asked for in the last days while there was no flag of that key."""
        with translated("count evaluations"), self._client.pipeline(transaction=False) as pipeline:
            for day in self._last_days(days):
                pipeline.hgetall(self._keys.named(f"undefined:{day}"))
            asked: Counter[str] = Counter()
            for counts in pipeline.execute():
                asked.update({key.decode(): int(count) for key, count in counts.items()})
            return asked

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def _variants(self, key: str) -> list[str]:
        """List what the flag was ever counted under, variants that it no longer has included."""
        start = f"{key} "
        found = self._client.hscan_iter(self._keys.named("evaluated"), match=f"{start}*", count=1_000)
        names = (field.decode() for field, _ in found)
        return sorted({name.removeprefix(start) for name in names if name.startswith(start)})

    def _last_days(self, days: int) -> range:
        now: Any = self._client.time()
        today = day_number(now[0])
        return range(today - days + 1, today + 1)


def _by_flag(times: Mapping[bytes, bytes | None]) -> dict[str, dict[str, float]]:
    last: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for name, at in times.items():
        if at is not None:
            key, _, variant = name.decode().partition(" ")
            last[key][variant] = float(at)
    return dict(last)
