"""What a client has evaluated, put together into reports: each evaluation is in exactly one of them.

Outcomes count for themselves, without a lock, and each notes how much of its count was collected. One thread, the
reporter's, collects; the thread that swaps views retires outcomes, and any thread may miss a flag. Pure: knows neither
clock nor server.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, islice
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
        self._fading: list[tuple[str, Outcome[Any]]] = []
        self._missed: dict[str, Outcome[None]] = {}
        self._waiting: Counter[Counted] = Counter()
        self._sent: Report | None = None
        self._number = 0

    def retire(self, outcomes: Outcomes) -> None:
        """Take outcomes that are about to be in no view any more; they are listed when they are collected."""
        self._retired.append(outcomes)

    def miss(self, key: Any) -> None:
        """Count a call that got its default: the flag is not there, not of that type, or can't be evaluated."""
        missed = self._missed.get(key) if isinstance(key, str) else None
        if missed is None:
            if len(self._missed) >= MAX_MISSED or not KEY.fullmatch(key):
                return
            missed = self._missed.setdefault(key, Outcome(None, NO_VARIANT, Reason.ERROR))
        missed.count += 1.0

    def collect(self, live: Outcomes) -> None:
        """Take over what was counted since the last time, by the outcomes of the view in use and by all others."""
        # A thread may have been about to count on an outcome while it was retired, so each is read twice.
        faded, self._fading = self._fading, []
        while self._retired:
            self._fading += self._retired.popleft()
        for key, outcome in chain(faded, self._fading, live):
            self._take(key, outcome)
        for key, outcome in self._missed.copy().items():
            if not self._take(key, outcome):  # nobody has asked for a while: make room
                self._fading.append((key, self._missed.pop(key)))

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

    def _take(self, key: str, outcome: Outcome[Any]) -> bool:
        count = outcome.count
        added = count - outcome.reported
        if added:
            outcome.reported = count
            self._waiting[key, outcome.variant] += int(added)
        return bool(added)


def disown(outcomes: Outcomes) -> None:
    """Leave what was counted so far to somebody else: after a fork it is the parent's."""
    for _, outcome in outcomes:
        if outcome.reported != outcome.count:
            outcome.reported = outcome.count
