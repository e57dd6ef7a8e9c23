"""What a client has evaluated, put together into reports: each evaluation is in exactly one of them.

Outcomes count for themselves, without a lock, and each notes how much of its count was collected. One thread, the
reporter's, collects; the thread that swaps views retires outcomes, and any thread may miss a flag. Pure: knows neither
clock nor server.
"""

from __future__ import annotations

import sys
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from flags.documents import KEY
from flags.evaluation import Reason
from flags.outcome import Outcome

Counted = tuple[str, str]
"""A flag's key, and the variant it served; NO_VARIANT where the caller got the default."""

NO_VARIANT = ""

MAX_MISSED = 1_000
"""Keys whose callers got their default that one client counts at a time."""

MAX_ENTRIES = 250
"""Flags and variants in one report at most: a report is one script, and others wait for it."""

Outcomes = Iterable[tuple[str, Outcome[Any]]]


@dataclass(frozen=True, slots=True)
class Report:
    """Counts to be added once, however often they are sent: the number, of one collector, grows with each report."""

    number: int
    counts: Mapping[Counted, int]


class Collector:
    """Collects the counts of one client."""

    def __init__(self) -> None:
        self._retired: deque[Outcomes] = deque()
        self._fading: dict[int, tuple[str, Outcome[Any]]] = {}
        self._missed: dict[str, Outcome[None]] = {}
        self._waiting: Counter[Counted] = Counter()
        self._sent: Report | None = None
        self._number = 0

    def retire(self, outcomes: Outcomes) -> None:
        """Take outcomes that are about to be in no view any more; they are listed when they are collected."""
        self._retired.append(outcomes)

    def miss(self, key: Any) -> None:
        """Count a call that got its default: the flag is not there, not of that type, or can't be evaluated."""
        if not isinstance(key, str):
            return
        missed = self._missed.get(key)
        if missed is None:
            if len(self._missed) >= MAX_MISSED or not KEY.fullmatch(key):
                return
            missed = self._missed.setdefault(key, Outcome(None, NO_VARIANT, Reason.ERROR))
        missed.count += 1.0

    def collect(self, live: Outcomes) -> None:
        """Take over what was counted since the last time, by the outcomes of the view in use and by all others."""
        while self._retired:
            self._fade(self._retired.popleft())
        for key, missed in self._missed.copy().items():
            if missed.count == missed.reported:  # nobody has asked for a while: make room
                self._fade([(key, self._missed.pop(key))])
            else:
                self._take(key, missed)
        self._fading = {id(each[1]): each for each in self._fading.values() if self._still_used(*each)}
        for key, outcome in live:
            self._take(key, outcome)

    def next(self) -> Report | None:
        """Give what to send: the same report until it has `arrived`, then the rest; None once there is none."""
        if self._sent is None and self._waiting:
            counts = dict(islice(self._waiting.items(), MAX_ENTRIES))
            for counted in counts:
                del self._waiting[counted]
            self._number += 1
            self._sent = Report(self._number, counts)
        return self._sent

    def arrived(self) -> None:
        """Note that what `next` gave has been added."""
        self._sent = None

    def _fade(self, outcomes: Outcomes) -> None:
        self._fading.update((id(each[1]), each) for each in outcomes)

    def _still_used(self, key: str, outcome: Outcome[Any]) -> bool:
        """Take from an outcome that is in no view any more, and tell whether somebody may yet count on it.

        A thread may have been about to, and then it, or the function that answered it, refers to the outcome.
        """
        used = sys.getrefcount(outcome) > _ALONE
        self._take(key, outcome)
        return used

    def _take(self, key: str, outcome: Outcome[Any]) -> None:
        count = outcome.count
        if count != outcome.reported:
            self._waiting[key, outcome.variant] += int(count - outcome.reported)
            outcome.reported = count


def disown(outcomes: Outcomes) -> None:
    """Leave what was counted so far to somebody else: after a fork it is the parent's."""
    for _, outcome in outcomes:
        if outcome.reported != outcome.count:
            outcome.reported = outcome.count


class _Calibration(Collector):
    """Finds out what the interpreter says of an outcome to which nothing but a collector refers."""

    references = 0

    def _still_used(self, key: str, outcome: Outcome[Any]) -> bool:  # noqa: ARG002 - as the one above
        self.references = sys.getrefcount(outcome)
        return False


def _alone() -> int:
    calibration = _Calibration()
    calibration.retire([("", Outcome(None, "", Reason.ERROR))])
    calibration.collect(())
    return calibration.references


_ALONE = _alone()
