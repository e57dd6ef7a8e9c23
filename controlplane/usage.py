"""What evaluation counts say of an environment's flags, as documents: when each was last asked for, which are stale.

Read here by the API, the pages and the commands alike. Days are UTC, by the store's clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from controlplane.shapes import Json
from controlplane.wiring import Connection
from flags.counts import NO_VARIANT
from flags.errors import FlagNotFound
from flags.model import Flag, Snapshot
from flags.staleness import StaleReason, needed_by_others, stale
from flags.usage import Days

DAYS = 30


class Marks:
    """What is said of each flag of a snapshot, read from the store in one go.

    Args:
        connection: the environment.
        snapshot: its flags.
        only: the one flag that will be asked about; without it, any of them.
    """

    def __init__(self, connection: Connection, snapshot: Snapshot, only: Flag | None = None) -> None:
        self._days = connection.settings.stale_days
        self._snapshot = snapshot
        self._served = connection.counts.served(only)

    def of(self, flag: Flag, changed: float | None) -> Json:
        """Show `last_evaluated` and `stale` of a flag, which was last written then."""
        found = stale(flag, self._served, changed, days=self._days)
        if found is not None and found.reason is StaleReason.NOT_EVALUATED and flag.key in self._needed:
            found = stale(flag, self._served, changed, days=self._days, needed=True)
        shape = {"reason": found.reason, "since": found.since, "variant": found.variant} if found else None
        return {"last_evaluated": self._served.evaluated(flag.key), "stale": shape}

    @cached_property
    def _needed(self) -> frozenset[str]:
        return needed_by_others(self._snapshot.flags.values())


def usage(connection: Connection, key: str, days: int = DAYS) -> Json:
    """Count the evaluations of one flag by day, oldest first, and in all; raises FlagNotFound."""
    flag = connection.store.snapshot().flags.get(key)
    if flag is None:
        raise FlagNotFound(key, connection.environment)
    counted = connection.counts.usage(key, days)
    return {
        "key": key,
        "last_evaluated": connection.counts.served(flag).evaluated(key),
        "days": [{"day": day.isoformat(), **_counts(counts)} for day, counts in counted.items()],
        "total": _counts(_total(counted)),
    }


def undefined(connection: Connection, days: int = DAYS) -> Json:
    """List what was asked for as a flag and is none, most often asked for first."""
    flags = connection.store.snapshot().flags
    asked = connection.counts.undefined(days)
    missing = sorted((key for key in asked if key not in flags), key=lambda key: (-asked[key], key))
    return {"keys": [{"key": key, "asked": asked[key]} for key in missing]}


def _counts(counts: Mapping[str, int]) -> Json:
    """Show counts by variant; `defaults` are the callers who got their own default value."""
    variants = {variant: count for variant, count in sorted(counts.items()) if variant != NO_VARIANT}
    return {"variants": variants, "defaults": counts.get(NO_VARIANT, 0)}


def _total(counted: Days) -> dict[str, int]:
    total: dict[str, int] = {}
    for counts in counted.values():
        for variant, count in counts.items():
            total[variant] = total.get(variant, 0) + count
    return total
