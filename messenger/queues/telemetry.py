"""The telemetry store: what messengers report, kept on the queue server in buckets of time that get longer with age.

Counts and histograms add up, so any number of instances, buckets and formats merge into the truth. What a bucket is
stands in `buckets`, what the sums say of domains and instances in `traffic`.
"""

from __future__ import annotations

import contextlib
from typing import Any

from flags.instances import Instance
from foundation.errors import StoreRefused, StoreUnreachable
from foundation.redis import Script, connect, translated
from messenger.queues.buckets import (
    LEVELS,
    Sums,
    beginning,
    by_flow,
    by_traffic,
    name_of,
    numbers_of,
    numbers_of_instance,
    tiles,
)
from messenger.queues.condensing import condense, read_marks, read_sums
from messenger.queues.traffic import (
    DomainTraffic,
    FlowTime,
    InstanceTraffic,
    Point,
    domain_traffic,
    flow_time,
    instance_traffic,
)
from messenger.telemetry import Delta

__all__ = ["DomainTraffic", "FlowTime", "InstanceTraffic", "Point", "TelemetryStore"]

_REPORT = Script(__package__, "telemetry.lua")
_FINEST, _NEXT = LEVELS[:2]


class TelemetryStore:
    """The telemetry of one environment; safe to share between threads, not across a fork.

    Every method raises StoreUnreachable or StoreRefused. Windows are seconds up to now by the server's clock; they are
    exact to the second for five minutes, to 10 seconds for an hour, to a minute for two days, then to the hour.
    """

    def __init__(self, url: str, environment: str, *, timeout: float = 1.0) -> None:
        self._client = connect(url, timeout=timeout)
        self._stem = f"sb:{{{environment}}}:tm"

    def report(self, instance: Instance, delta: Delta) -> None:
        """Add what an instance counted since its last report; do it every few seconds, even where that is nothing.

        Whoever reports sees to the longer buckets: what was counted has to be in them before the short ones are gone,
        five minutes later. A report whose answer was lost may have been added all the same.
        """
        own = numbers_of_instance(name_of(instance.id, instance.slot, instance.domain), delta)
        arguments: list[Any] = [_FINEST.kept, _NEXT.step, 2 * len(own)]
        for numbers in (own, numbers_of(delta)):
            arguments += (part for pair in numbers.items() for part in pair)
        with translated("report telemetry"):
            due = _REPORT(self._client, [self._stem], arguments)
        if due:
            # The report stands, and whoever comes next can condense as well: a failure of this is nobody's failure.
            with contextlib.suppress(StoreUnreachable, StoreRefused), translated("condense telemetry"):
                condense(self._client, self._stem, int(self._now()))

    def domains(self, window: float) -> list[DomainTraffic]:
        """Sum up what each domain did, by name."""
        sums, span = self._window(window)
        traffic = by_traffic(sums)
        names = sorted({name for key in traffic for name in (key.source, key.target) if name})
        return [domain_traffic(name, traffic, span) for name in names]

    def instances(self, window: float) -> list[InstanceTraffic]:
        """Sum up what each instance did, by slot and id; windows of up to five minutes."""
        with translated("read telemetry"):
            now = self._now()
            first = int(now - min(window, _FINEST.kept))
            seconds = ((_FINEST, second) for second in range(first, int(now) + 1))
            sums = read_sums(self._client, self._stem, seconds, kind="instances")
        found = [instance_traffic(name, told, max(now - first, 1.0)) for name, told in sums.items()]
        return sorted(found, key=lambda one: (one.slot, one.instance_id))

    def flows(self, window: float) -> list[FlowTime]:
        """Sum up how long each flow took, by name."""
        sums, span = self._window(window)
        return [flow_time(name, told.latency, span) for name, told in sorted(by_flow(sums).items())]

    def series(self, domain: str, step: int, count: int) -> list[Point]:
        """Show what a domain did in each of the last `count` steps, oldest first; the last one is not over yet.

        `step` is in seconds: of what is older than five minutes a multiple of 10, and so on as for windows.
        """
        with translated("read telemetry"):
            now, marks = self._now(), read_marks(self._client, self._stem)
            last = int(now // step) * step
            points = []
            for at in range(last - (count - 1) * step, last + 1, step):
                end = min(at + step, int(now) + 1)
                sums = read_sums(self._client, self._stem, tiles(at, end, marks, step))
                points.append(Point(at, domain_traffic(domain, by_traffic(sums), max(min(now, at + step) - at, 1.0))))
        return points

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def _window(self, window: float) -> tuple[Sums, float]:
        """Read what was counted in a window, and how many seconds it spans."""
        with translated("read telemetry"):
            now = self._now()
            first = beginning(now - window, now)
            places = tiles(first, int(now) + 1, read_marks(self._client, self._stem))
            return read_sums(self._client, self._stem, places), max(now - first, 1.0)

    def _now(self) -> float:
        seconds, micros = self._client.time()
        return int(seconds) + int(micros) / 1_000_000
