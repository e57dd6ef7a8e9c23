import json
import math
import random
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messenger.formats import BATCH, GZIP, IDENTITY, JSON, YAML, ZSTD
from messenger.frame import Frame
from messenger.telemetry import Delta, Histogram, Telemetry, Traffic
from tests.json_values import LAW

LATENCIES = st.floats(1e-5, 1e9, allow_nan=False)
JSON_TRAFFIC = Traffic("collections", "balance", JSON, IDENTITY, "")
YAML_TRAFFIC = Traffic("collections", "balance", YAML, GZIP, BATCH)


def histogram(values):
    made = Histogram()
    for value in values:
        made.add(value)
    return made


def frame(count=1, content_type=JSON, encoding=IDENTITY, size=100):
    return Frame("frm_1", content_type, encoding, count, "1-1", b"x" * size)


@LAW
@given(st.lists(LATENCIES, min_size=1, max_size=50), st.floats(0, 1))
def test_a_quantile_is_within_five_percent_of_the_value_that_stands_there(values, fraction):
    exact = sorted(values)[max(0, math.ceil(fraction * len(values)) - 1)]
    assert histogram(values).quantile(fraction) == pytest.approx(exact, rel=0.0501)


@LAW
@given(st.lists(LATENCIES), st.lists(LATENCIES))
def test_merged_histograms_are_the_histogram_of_all_values(some, others):
    merged, together = histogram(some), histogram(some + others)
    merged.merge(histogram(others))
    assert merged.buckets == together.buckets
    assert merged.total == pytest.approx(together.total)


@LAW
@given(st.lists(LATENCIES))
def test_a_histogram_comes_back_from_json(values):
    made = histogram(values)
    assert Histogram.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_a_histogram_stays_small_over_any_range():
    rng = random.Random(1)
    made = histogram(math.exp(rng.uniform(math.log(0.01), math.log(100_000))) for _ in range(100_000))
    assert len(made.buckets) < 170
    assert made.count == 100_000


def test_an_empty_histogram_answers_with_nothing():
    assert Histogram().quantiles() == {"p50": 0.0, "p95": 0.0, "p99": 0.0}
    assert (Histogram().mean, Histogram().count) == (0.0, 0)


def test_percentiles_of_a_hundred_latencies():
    quantiles = histogram(range(1, 101)).quantiles()
    assert quantiles == pytest.approx({"p50": 50, "p95": 95, "p99": 99}, rel=0.05)
    assert histogram(range(1, 101)).mean == 50.5


@pytest.mark.parametrize("nothing", [0, -1.0, -0.0])
def test_what_took_no_time_counts_as_next_to_none(nothing):
    assert 0 < histogram([nothing]).quantile(0.5) < 2e-6


def test_traffic_is_told_apart_by_route_and_by_how_it_is_written():
    assert Traffic.of("collections", "balance", frame()) == JSON_TRAFFIC
    assert Traffic.of("collections", "balance", frame(2, YAML, GZIP)) == YAML_TRAFFIC
    assert Traffic.of("collections", "balance", frame(2, YAML, ZSTD)) == YAML_TRAFFIC._replace(encoding=ZSTD)


def test_strangers_can_not_make_up_formats_to_be_counted():
    assert Traffic.of("", "balance", frame(1, "application/x-1", "rot13"))[2:4] == ("other", "other")


def test_a_delta_holds_what_was_counted_since_the_last_one():
    telemetry = Telemetry()
    telemetry.sent(JSON_TRAFFIC, frame(size=70))
    telemetry.sent(YAML_TRAFFIC, frame(10, YAML, GZIP, size=300))
    telemetry.received(JSON_TRAFFIC, 3)
    telemetry.handled(JSON_TRAFFIC, 0.004)
    telemetry.failed(JSON_TRAFFIC)
    telemetry.failed(YAML_TRAFFIC, "decode_failures")
    telemetry.flow("settlement", 1.5)
    delta = telemetry.drain()
    assert delta.counts == {
        JSON_TRAFFIC: {"sent": 1, "frames": 1, "bytes": 70, "received": 3, "handled": 1, "errors": 1},
        YAML_TRAFFIC: {"sent": 10, "frames": 1, "bytes": 300, "decode_failures": 1},
    }
    assert delta.latencies[JSON_TRAFFIC].quantile(0.5) == pytest.approx(4, rel=0.05)
    assert delta.flows["settlement"].mean == 1500
    assert not telemetry.drain()


COUNTS = st.dictionaries(st.sampled_from(["sent", "handled", "errors"]), st.integers(1, 9), max_size=3)
DELTAS = st.lists(
    st.tuples(st.sampled_from([JSON_TRAFFIC, YAML_TRAFFIC]), COUNTS, st.lists(st.integers(1, 1000), max_size=3)),
    max_size=4,
)


def delta_of(parts):
    telemetry = Telemetry()
    for traffic, counts, latencies in parts:
        for name, times in counts.items():
            telemetry.failed(traffic, name, times)
        for latency in latencies:
            telemetry.handled(traffic, latency / 1000)
            telemetry.flow("settlement", latency / 1000)
    return telemetry.drain()


@LAW
@given(DELTAS, DELTAS)
def test_merged_deltas_are_the_delta_of_everything(some, others):
    merged = delta_of(some)
    merged.merge(delta_of(others))
    together = delta_of(some + others)
    assert merged.counts == together.counts
    for kind in ("latencies", "flows"):
        one, other = getattr(merged, kind), getattr(together, kind)
        assert {key: value.buckets for key, value in one.items()} == {
            key: value.buckets for key, value in other.items()
        }


@LAW
@given(DELTAS, DELTAS)
def test_merging_leaves_what_was_merged_alone(some, others):
    added = delta_of(others)
    before = json.dumps(added.to_json())
    merged = delta_of(some)
    merged.merge(added)
    merged.merge(added)
    assert json.dumps(added.to_json()) == before


@LAW
@given(DELTAS)
def test_a_delta_comes_back_from_json(parts):
    delta = delta_of(parts)
    assert Delta.from_json(json.loads(json.dumps(delta.to_json()))) == delta


def test_a_delta_that_could_not_be_sent_is_sent_with_the_next():
    telemetry = Telemetry()
    telemetry.received(JSON_TRAFFIC, 2)
    delta = telemetry.drain()
    telemetry.received(JSON_TRAFFIC, 3)
    telemetry.restore(delta)
    assert telemetry.drain().counts == {JSON_TRAFFIC: {"received": 5}}
    assert telemetry.metrics()["received"] == 5


def test_metrics_have_the_shape_of_the_seed():
    telemetry = Telemetry()
    assert telemetry.metrics() == {
        "sent": 0,
        "received": 0,
        "errors": 0,
        "averageLatency": 0.0,
        "percentiles": {"p50": 0.0, "p95": 0.0, "p99": 0.0},
    }
    telemetry.sent(YAML_TRAFFIC, frame(10))
    telemetry.received(JSON_TRAFFIC, 4)
    telemetry.handled(JSON_TRAFFIC, 0.010)
    telemetry.handled(JSON_TRAFFIC, 0.020)
    for kind in ("errors", "decode_failures", "invalid", "duplicates", "dead", "refused"):
        telemetry.failed(JSON_TRAFFIC, kind)
    telemetry.drain()
    metrics = telemetry.metrics()
    assert (metrics["sent"], metrics["received"], metrics["errors"]) == (10, 4, 3)
    assert metrics["averageLatency"] == pytest.approx(0.1 * 20 + 0.9 * 10)
    assert metrics["percentiles"] == pytest.approx({"p50": 10, "p95": 20, "p99": 20}, rel=0.05)


def test_threads_that_count_at_once_lose_nothing():
    telemetry = Telemetry()
    drained = Delta()

    def count():
        for _ in range(2_000):
            telemetry.handled(JSON_TRAFFIC, 0.001)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        drained.merge(telemetry.drain())
    drained.merge(telemetry.drain())
    assert drained.counts[JSON_TRAFFIC]["handled"] == 8_000
    assert drained.latencies[JSON_TRAFFIC].count == 8_000
