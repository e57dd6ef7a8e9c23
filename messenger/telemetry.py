"""What a messenger counts: messages, bytes, errors and latencies by source, target and format, as deltas that add up.

Pure: whoever observes a latency measures it, and whoever drains the deltas sends them. Nothing is sampled: the deltas
of any number of instances and seconds merge into the truth.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from messenger.formats import ALL_WORDS, BATCH
from messenger.frame import Frame

QUANTILES: Mapping[str, float] = {"p50": 0.5, "p95": 0.95, "p99": 0.99}

_ERROR = 0.05
_LOG_BASE = math.log((1 + _ERROR) / (1 - _ERROR))
_MIDDLE = 1 - _ERROR
"""A bucket reaches from b/base to b; b times this is at most 5% from either end."""
_SMALLEST = 1e-6
_ALPHA = 0.1


@dataclass(slots=True)
class Histogram:
    """Counts of values in buckets that grow by a tenth, so that a quantile is within 5% of the value that stood there.

    Only buckets that hold something are kept. Values are milliseconds here, and could be of any one unit; what is not
    positive counts as the smallest value, a millionth.
    """

    buckets: Counter[int] = field(default_factory=Counter)
    total: float = 0.0

    @property
    def count(self) -> int:
        """How many values were added."""
        return self.buckets.total()

    @property
    def mean(self) -> float:
        """The exact mean; 0 where there is nothing."""
        return self.total / self.count if self.buckets else 0.0

    def add(self, value: float, times: int = 1) -> None:
        """Count a value."""
        value = max(value, _SMALLEST)
        self.buckets[math.ceil(math.log(value) / _LOG_BASE)] += times
        self.total += value * times

    def merge(self, other: Histogram) -> None:
        """Take over everything that another one counted."""
        self.buckets.update(other.buckets)
        self.total += other.total

    def quantile(self, fraction: float) -> float:
        """The value that this fraction of the values does not pass, within 5%; 0 where there is nothing."""
        rank = max(1, math.ceil(fraction * self.count))
        for bucket in sorted(self.buckets):
            rank -= self.buckets[bucket]
            if rank <= 0:
                return _MIDDLE * math.exp(bucket * _LOG_BASE)
        return 0.0

    def quantiles(self) -> dict[str, float]:
        """p50, p95 and p99."""
        return {name: self.quantile(fraction) for name, fraction in QUANTILES.items()}

    def to_json(self) -> list[Any]:
        """Write the sum, then bucket and count in turn."""
        return [self.total, *(number for pair in sorted(self.buckets.items()) for number in pair)]

    @classmethod
    def from_json(cls, numbers: list[Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(Counter(dict(zip(numbers[1::2], numbers[2::2], strict=True))), numbers[0])


class Traffic(NamedTuple):
    """What is counted apart: from where, to where, and how it was written.

    `source` is "" for a frame that could not be read. `content_type` and `encoding` are "other" where they are words
    that this build does not know, because a stranger could make up any number of them.
    """

    source: str
    target: str
    content_type: str
    encoding: str
    batching: str
    """BATCH for frames of more than one message, else ""."""

    @classmethod
    def of(cls, source: str, target: str, frame: Frame) -> Self:
        """Say it for a frame."""
        content_type, encoding = (
            word if word in ALL_WORDS else "other" for word in (frame.content_type, frame.content_encoding)
        )
        return cls(source, target, content_type, encoding, BATCH if frame.count > 1 else "")


@dataclass(slots=True)
class Delta:
    """What was counted between two drains.

    `counts` holds, for each traffic, any of: sent, frames, bytes (as written to the queue), refused (frames that the
    queue did not admit), received, handled, duplicates, errors (handler failures), decode_failures (frames), invalid
    (messages that break their schema), expired, dead (letters). `latencies` are milliseconds from the append to the end
    of the handler. `flows` are milliseconds, end to end, of named flows.
    """

    counts: dict[Traffic, Counter[str]] = field(default_factory=dict)
    latencies: dict[Traffic, Histogram] = field(default_factory=dict)
    flows: dict[str, Histogram] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.counts or self.latencies or self.flows)

    def count(self, traffic: Traffic, name: str, times: int = 1) -> None:
        """Add to one counter."""
        counter = self.counts.get(traffic)
        if counter is None:
            counter = self.counts[traffic] = Counter()
        counter[name] += times

    def latency(self, traffic: Traffic) -> Histogram:
        """The latencies of one traffic, to add to."""
        histogram = self.latencies.get(traffic)
        if histogram is None:
            histogram = self.latencies[traffic] = Histogram()
        return histogram

    def merge(self, other: Delta) -> None:
        """Take over everything that another one counted."""
        for traffic, counter in other.counts.items():
            self.counts.setdefault(traffic, Counter()).update(counter)
        for traffic, histogram in other.latencies.items():
            self.latency(traffic).merge(histogram)
        for name, histogram in other.flows.items():
            self.flows.setdefault(name, Histogram()).merge(histogram)

    def total(self, name: str) -> int:
        """Sum one counter over all traffic."""
        return sum(counter[name] for counter in self.counts.values())

    def to_json(self) -> dict[str, Any]:
        """Write plain JSON values."""
        return {
            "counts": [[*traffic, dict(counter)] for traffic, counter in self.counts.items()],
            "latencies": [[*traffic, histogram.to_json()] for traffic, histogram in self.latencies.items()],
            "flows": {name: histogram.to_json() for name, histogram in self.flows.items()},
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(
            {Traffic(*row[:-1]): Counter(row[-1]) for row in document["counts"]},
            {Traffic(*row[:-1]): Histogram.from_json(row[-1]) for row in document["latencies"]},
            {name: Histogram.from_json(numbers) for name, numbers in document["flows"].items()},
        )


class Telemetry:
    """Counts for one messenger: what is new since the last drain, and the totals that `metrics` shows."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._delta = Delta()
        self._totals: Counter[str] = Counter()
        self._latency = Histogram()
        self._average = 0.0

    def sent(self, traffic: Traffic, frame: Frame) -> None:
        """Count a frame that a queue took."""
        with self._lock:
            self._count(traffic, "sent", frame.count)
            self._count(traffic, "frames", 1)
            self._count(traffic, "bytes", len(frame.body))

    def received(self, traffic: Traffic, messages: int) -> None:
        """Count messages taken out of a queue."""
        self.counted(traffic, "received", messages)

    def handled(self, traffic: Traffic, *latencies: float) -> None:
        """Count messages that were handled, each so many seconds after it was appended."""
        new = Histogram()
        with self._lock:
            # The seed's moving average, but it starts at the first value instead of climbing from 0 to it.
            average = self._average if self._latency.buckets else latencies[0] * 1000
            for latency in latencies:
                milliseconds = latency * 1000
                new.add(milliseconds)
                average = _ALPHA * milliseconds + (1 - _ALPHA) * average
            self._average = average
            self._count(traffic, "handled", len(latencies))
            self._delta.latency(traffic).merge(new)
            self._latency.merge(new)

    def failed(self, traffic: Traffic, kind: str = "errors", times: int = 1) -> None:
        """Count failures: errors, decode_failures, invalid, expired, refused, duplicates or dead."""
        self.counted(traffic, kind, times)

    def flow(self, name: str, seconds: float) -> None:
        """Record how long a named flow took from end to end."""
        with self._lock:
            self._delta.flows.setdefault(name, Histogram()).add(seconds * 1000)

    def counted(self, traffic: Traffic, name: str, times: int) -> None:
        """Add to one counter of a `Delta`."""
        with self._lock:
            self._count(traffic, name, times)

    def drain(self) -> Delta:
        """Take what was counted since the last drain."""
        with self._lock:
            delta, self._delta = self._delta, Delta()
        return delta

    def restore(self, delta: Delta) -> None:
        """Give a drained delta back, because it could not be sent."""
        with self._lock:
            self._delta.merge(delta)

    def metrics(self) -> dict[str, Any]:
        """The seed's performance metrics since the start; latencies in milliseconds."""
        with self._lock:
            errors = sum(self._totals[kind] for kind in ("errors", "decode_failures", "invalid"))
            return {
                "sent": self._totals["sent"],
                "received": self._totals["received"],
                "errors": errors,
                "averageLatency": self._average,
                "percentiles": self._latency.quantiles(),
            }

    def _count(self, traffic: Traffic, name: str, times: int) -> None:
        self._delta.count(traffic, name, times)
        self._totals[name] += times
