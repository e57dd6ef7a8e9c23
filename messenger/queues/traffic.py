"""What telemetry says of domains, instances and flows: sums of what stands in buckets, read as figures. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from messenger.formats import IDENTITY
from messenger.queues.buckets import SENT, Sum
from messenger.telemetry import Histogram, Traffic


@dataclass(frozen=True, slots=True)
class InstanceTraffic:
    """What one instance did in a window.

    Args:
        instance_id, slot, domain: which one.
        sent: messages sent, by content type.
        received: messages taken out of its queue.
        errors: handler failures, frames that could not be decoded, and messages that broke their schema.
        rate: messages sent and received, a second.
        latency_p50, latency_p95: milliseconds from the append to the end of the handler.
    """

    instance_id: str
    slot: str
    domain: str
    sent: dict[str, int]
    received: int
    errors: int
    rate: float
    latency_p50: float
    latency_p95: float


@dataclass(frozen=True, slots=True)
class DomainTraffic:
    """What one domain did in a window: it sent, and what came to it was received.

    Args:
        domain: which one.
        sent: messages that it sent, by content type.
        sent_by_variant: the same by all that the flags choose, such as `application/yaml+gzip+batch`.
        received: messages taken out of its queue.
        errors: handler failures.
        decode_failures: frames that could not be read.
        dead: letters.
        rate: messages sent and received, a second.
        latency_p50, latency_p95, latency_p99: milliseconds from the append to the end of the handler.
        bytes: written to queues, after compression.
    """

    domain: str
    sent: dict[str, int]
    sent_by_variant: dict[str, int]
    received: int
    errors: int
    decode_failures: int
    dead: int
    rate: float
    latency_p50: float
    latency_p95: float
    latency_p99: float
    bytes: int


@dataclass(frozen=True, slots=True)
class FlowTime:
    """How long a named flow took from end to end in a window; latencies in milliseconds."""

    name: str
    count: int
    rate: float
    latency_p50: float
    latency_p95: float
    latency_p99: float


@dataclass(frozen=True, slots=True)
class Point:
    """One step of a series; `at` is where it begins, in seconds since 1970 by the server's clock."""

    at: float
    traffic: DomainTraffic


def _variant(traffic: Traffic) -> str:
    words = (traffic.content_type, "" if traffic.encoding == IDENTITY else traffic.encoding, traffic.batching)
    return "+".join(word for word in words if word)


def domain_traffic(name: str, traffic: Mapping[Traffic, Sum], span: float) -> DomainTraffic:
    """Say what one domain did in `span` seconds."""
    sent: Counter[str] = Counter()
    variants: Counter[str] = Counter()
    out, into, latency = Counter[str](), Counter[str](), Histogram()
    for key, told in traffic.items():
        if key.source == name:
            out.update(told.counts)
            sent[key.content_type] += told.counts["sent"]
            variants[_variant(key)] += told.counts["sent"]
        if key.target == name:
            into.update(told.counts)
            latency.merge(told.latency)
    return DomainTraffic(
        domain=name,
        sent=_some(sent),
        sent_by_variant=_some(variants),
        received=into["received"],
        errors=into["errors"],
        decode_failures=into["decode_failures"],
        dead=into["dead"],
        rate=(out["sent"] + into["received"]) / span,
        latency_p50=latency.quantile(0.5),
        latency_p95=latency.quantile(0.95),
        latency_p99=latency.quantile(0.99),
        bytes=out["bytes"],
    )


def instance_traffic(name: str, told: Sum, span: float) -> InstanceTraffic:
    """Say what one instance did in `span` seconds; its name is that of its field."""
    instance_id, slot, domain = json.loads(name)
    sent = Counter({kind.removeprefix(SENT): n for kind, n in told.counts.items() if kind.startswith(SENT)})
    return InstanceTraffic(
        instance_id,
        slot,
        domain,
        sent=_some(sent),
        received=told.counts["received"],
        errors=told.counts["errors"],
        rate=(sent.total() + told.counts["received"]) / span,
        latency_p50=told.latency.quantile(0.5),
        latency_p95=told.latency.quantile(0.95),
    )


def flow_time(name: str, times: Histogram, span: float) -> FlowTime:
    """Say how long a flow took in `span` seconds."""
    return FlowTime(
        name,
        times.count,
        times.count / span,
        latency_p50=times.quantile(0.5),
        latency_p95=times.quantile(0.95),
        latency_p99=times.quantile(0.99),
    )


def _some(counts: Counter[str]) -> dict[str, int]:
    return {name: times for name, times in sorted(counts.items()) if times}
