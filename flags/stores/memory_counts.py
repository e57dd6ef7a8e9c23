"""Evaluation counts in this process's memory, for tests and for trying things out: the same promises as over Redis."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from typing import TypeVar

from flags.counts import Report
from flags.model import Flag
from flags.usage import KEPT_DAYS, MAX_COUNTED, MAX_UNDEFINED, Days, Served, day_date, day_number
from foundation.clock import SYSTEM, Clock

Key = TypeVar("Key")


class MemoryEvaluationCounts:
    """The evaluation counts of one environment, in the memory of one process.

    Args:
        environment: its name.
        defined: tells the keys of the flags that there are.
        clock: tells the time and the day.
    """

    def __init__(self, environment: str, defined: Callable[[], Collection[str]], clock: Clock = SYSTEM) -> None:
        self.environment = environment
        self._defined = defined
        self._clock = clock
        self._lock = threading.Lock()
        self._numbers: dict[str, int] = {}
        self._since: float | None = None
        self._last: defaultdict[str, dict[str, float]] = defaultdict(dict)
        self._days: dict[int, Counter[tuple[str, str]]] = {}
        self._undefined: dict[int, Counter[str]] = {}

    def report(self, instance_id: str, report: Report) -> None:
        """Add what an instance counted; a report that was added before is not added again."""
        with self._lock:
            if report.number <= self._numbers.get(instance_id, 0):
                return
            self._numbers[instance_id] = report.number
            self._add(report, self._clock.now(), self._defined())

    def served(self, flag: Flag | None = None) -> Served:
        """Tell when every flag, or this one alone, last served each variant."""
        with self._lock:
            keys = self._last if flag is None else [flag.key]
            last = {key: dict(self._last[key]) for key in keys if key in self._last}
            return Served(self._clock.now(), self._since, last)

    def usage(self, key: str, days: int) -> Days:
        """Count the evaluations of a flag on each of the last days, today included, oldest first."""
        with self._lock:
            return {
                day_date(day): {variant: count for (named, variant), count in counts.items() if named == key}
                for day, counts in self._last_days(self._days, days)
            }

    def undefined(self, days: int) -> Counter[str]:
        """Count how often keys were asked for in the last days while there was no flag of that key."""
        with self._lock:
            return sum((counts for _, counts in self._last_days(self._undefined, days)), Counter())

    def _add(self, report: Report, now: float, defined: Collection[str]) -> None:
        self._since = now if self._since is None else self._since
        counts, undefined = _today(self._days, now), _today(self._undefined, now)
        for (key, variant), count in report.counts.items():
            if key not in defined:
                _count(undefined, key, count, MAX_UNDEFINED)
            elif _count(counts, (key, variant), count, MAX_COUNTED):
                self._last[key][variant] = now

    def _last_days(self, table: dict[int, Counter[Key]], days: int) -> list[tuple[int, Counter[Key]]]:
        today = day_number(self._clock.now())
        return [(day, table.get(day, Counter())) for day in range(today - days + 1, today + 1)]


def _today(table: dict[int, Counter[Key]], now: float) -> Counter[Key]:
    """Find the counts of the day, and forget those of days long gone."""
    today = day_number(now)
    for day in [day for day in table if day <= today - KEPT_DAYS]:
        del table[day]
    return table.setdefault(today, Counter())


def _count(counter: Counter[Key], key: Key, count: int, room: int) -> bool:
    if key not in counter and len(counter) >= room:
        return False
    counter[key] += count
    return True
