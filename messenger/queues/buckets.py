"""Buckets of time: which there are, how a span of time is put together from them, and what stands in one. Pure.

The finest buckets are written by reports, the others are made of them later, so near the present only the finest are
complete: a span is read from the longest buckets that fit and are there.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from messenger.telemetry import Delta, Histogram, Traffic

Numbers = dict[str, int]


class Level(NamedTuple):
    """Buckets of `step` seconds, each kept for `kept` seconds."""

    step: int
    kept: int


LEVELS = (Level(1, 300), Level(10, 3600), Level(60, 48 * 3600), Level(3600, 90 * 24 * 3600))

_SUM, _BUCKET = "+", "#"
"""What names the parts of a histogram among counters: its sum in thousandths, and the count of a bucket."""

SENT = "sent "
"""What the content type follows in the counters of an instance."""

_FAILURES = ("errors", "decode_failures", "invalid")


@dataclass(slots=True)
class Sum:
    """What stands in some buckets under one name."""

    counts: Counter[str] = field(default_factory=Counter)
    latency: Histogram = field(default_factory=Histogram)

    def add_number(self, part: str, number: int) -> None:
        """Add what a report wrote."""
        if part == _SUM:
            self.latency.total += number / 1000
        elif part.startswith(_BUCKET):
            self.latency.buckets[int(part[1:])] += number
        else:
            self.counts[part] += number

    def add_document(self, document: bytes) -> None:
        """Add what `to_document` wrote."""
        counts, latency = json.loads(document)
        self.counts.update(counts)
        self.latency.merge(Histogram.from_json(latency))

    def to_document(self) -> str:
        """Write it for a longer bucket."""
        return json.dumps([self.counts, self.latency.to_json()], separators=(",", ":"))


Sums = dict[str, Sum]


def add_bucket(sums: Sums, level: Level, bucket: Mapping[bytes, bytes]) -> None:
    """Add what stands in a bucket of some level."""
    for name, value in bucket.items():
        if level == LEVELS[0]:
            about, _, part = name.decode().rpartition("\n")
            sums.setdefault(about, Sum()).add_number(part, int(value))
        else:
            sums.setdefault(name.decode(), Sum()).add_document(value)


def tiles(first: int, end: int, marks: Mapping[int, int], longest: int = 3600) -> Iterator[tuple[Level, int]]:
    """Cover the seconds from `first` up to `end` with (level, start) of buckets, each as long as may be.

    Args:
        first: seconds since 1970, where a bucket begins that is there.
        end: the second before which it ends.
        marks: for each step, the second up to which its buckets are there.
        longest: buckets are no longer than this; it must be one of their steps, or a multiple.
    """
    at = first
    while at < end:
        fitting = (level for level in reversed(LEVELS) if longest % level.step == 0 and at % level.step == 0)
        level = next((level for level in fitting if at + level.step <= marks.get(level.step, 0)), LEVELS[0])
        yield level, at
        at += level.step


def beginning(at: float, now: float) -> int:
    """Round a time down to the beginning of a bucket that is still there."""
    level = next((level for level in LEVELS if level.kept >= now - at), LEVELS[-1])
    return int(at // level.step) * level.step


def name_of(*parts: str) -> str:
    """Write what stands under one name: a traffic, a flow, or an instance."""
    return json.dumps(parts, separators=(",", ":"))


def numbers_of(delta: Delta) -> Numbers:
    """Write what an instance counted, as numbers that can be added where they are kept."""
    numbers: Numbers = {}
    for traffic, counter in delta.counts.items():
        numbers |= _numbers(name_of(*traffic), counter, ())
    for traffic, histogram in delta.latencies.items():
        numbers |= _numbers(name_of(*traffic), {}, (histogram,))
    for flow, histogram in delta.flows.items():
        numbers |= _numbers(name_of(flow), {}, (histogram,))
    return numbers


def numbers_of_instance(name: str, delta: Delta) -> Numbers:
    """Write the same for the instance alone: what it sent by content type, received, and failed to handle."""
    counts = Counter(received=delta.total("received"), errors=sum(delta.total(kind) for kind in _FAILURES))
    for traffic, counter in delta.counts.items():
        counts[SENT + traffic.content_type] += counter["sent"]
    return _numbers(name, counts, delta.latencies.values())


def by_traffic(sums: Sums) -> dict[Traffic, Sum]:
    """Pick what was counted by traffic."""
    names = {name: json.loads(name) for name in sums}
    return {Traffic(*parts): sums[name] for name, parts in names.items() if len(parts) == len(Traffic._fields)}


def by_flow(sums: Sums) -> dict[str, Sum]:
    """Pick what was measured by flow."""
    names = {name: json.loads(name) for name in sums}
    return {parts[0]: sums[name] for name, parts in names.items() if len(parts) == 1}


def _numbers(name: str, counts: Mapping[str, int], histograms: Iterable[Histogram]) -> Numbers:
    numbers = Counter({f"{name}\n{part}": number for part, number in counts.items() if number})
    for histogram in histograms:
        numbers[f"{name}\n{_SUM}"] += round(histogram.total * 1000)
        for bucket, times in histogram.buckets.items():
            numbers[f"{name}\n{_BUCKET}{bucket}"] += times
    return dict(numbers)
