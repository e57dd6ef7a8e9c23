"""What messengers report comes back as what domains, instances and flows did, added up over all of them."""

import itertools
import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.instances import Instance
from foundation.errors import StoreRefused, StoreUnreachable
from foundation.redis import connect
from messenger.formats import BATCH, GZIP, IDENTITY, JSON, YAML
from messenger.queues import condensing
from messenger.queues.buckets import LEVELS, beginning, name_of, tiles
from messenger.queues.condensing import condense, read_marks, read_sums
from messenger.queues.telemetry import TelemetryStore
from messenger.telemetry import Delta, Histogram, Traffic

ANN = Instance("collections-1.a", "collections-1", domain="collections")
BOB = Instance("balance-1.b", "balance-1", domain="balance")
TO_BALANCE = Traffic("collections", "balance", JSON, IDENTITY, "")


@pytest.fixture
def store(redis_url):
    store = TelemetryStore(redis_url, "test")
    yield store
    store.close()


@pytest.fixture
def client(redis_url):
    with connect(redis_url, decode=True) as client:
        yield client


def sent(*traffic_and_times):
    delta = Delta()
    for traffic, times in traffic_and_times:
        delta.count(traffic, "sent", times)
        delta.count(traffic, "bytes", times * 400)
    return delta


def received(traffic, latencies, **failures):
    delta = Delta()
    delta.count(traffic, "received", len(latencies))
    for name, times in failures.items():
        delta.count(traffic, name, times)
    delta.latencies[traffic] = histogram(latencies)
    return delta


def histogram(values):
    found = Histogram()
    for value in values:
        found.add(value)
    return found


def age(client, seconds):
    """Let everything that was reported and condensed so far look as if it had been so much earlier."""
    client.delete("sb:{test}:tm:claim")
    for name in client.keys("sb:{test}:tm:*"):
        stem, _, last = name.rpartition(":")
        if ":mark:" in name:
            client.set(name, int((int(client.get(name)) - seconds) // int(last) * int(last)))
        else:
            client.rename(name, f"{stem}:{int(last) - seconds}")


def domain(store, name, window=10):
    return {one.domain: one for one in store.domains(window)}[name]


def test_what_a_domain_sent_is_told_by_content_type_and_by_variant(store):
    batched = Traffic("collections", "distributions", YAML, GZIP, BATCH)
    store.report(ANN, sent((TO_BALANCE, 3), (batched, 20)))
    store.report(ANN, sent((TO_BALANCE, 4)))
    told = domain(store, "collections")
    assert told.sent == {JSON: 7, YAML: 20}
    assert told.sent_by_variant == {JSON: 7, "application/yaml+gzip+batch": 20}
    assert told.bytes == 27 * 400
    assert told.received == 0
    assert [one.domain for one in store.domains(10)] == ["balance", "collections", "distributions"]


def test_what_came_to_a_domain_is_told_with_its_failures(store):
    store.report(BOB, received(TO_BALANCE, [1.0] * 8, errors=2, invalid=1, dead=3))
    store.report(BOB, received(Traffic("", "balance", "text/odd", IDENTITY, ""), [], decode_failures=1, dead=1))
    told = domain(store, "balance")
    assert (told.received, told.errors, told.decode_failures, told.dead) == (8, 2, 1, 4)
    assert told.sent == {}


def test_latencies_of_many_reports_merge_into_the_truth(store):
    for start in range(0, 1000, 50):
        store.report(BOB, received(TO_BALANCE, [float(value) for value in range(start + 1, start + 51)]))
    told = domain(store, "balance")
    assert told.latency_p50 == pytest.approx(500, rel=0.05)
    assert told.latency_p95 == pytest.approx(950, rel=0.05)
    assert told.latency_p99 == pytest.approx(990, rel=0.05)


def test_what_every_instance_did_is_told_apart(store):
    other = Instance("balance-2.c", "balance-2", domain="balance")
    store.report(ANN, sent((TO_BALANCE, 6), (TO_BALANCE._replace(content_type=YAML), 2)))
    store.report(BOB, received(TO_BALANCE, [10.0, 20.0], errors=1, decode_failures=1, invalid=1))
    store.report(other, received(TO_BALANCE, [30.0]))
    first, second, third = store.instances(10)
    assert [one.instance_id for one in (first, second, third)] == ["balance-1.b", "balance-2.c", "collections-1.a"]
    assert (first.slot, first.domain, first.received, first.errors) == ("balance-1", "balance", 2, 3)
    assert first.latency_p50 == pytest.approx(10, rel=0.05)
    assert second.latency_p95 == pytest.approx(30, rel=0.05)
    assert (third.sent, third.received, third.latency_p50) == ({JSON: 6, YAML: 2}, 0, 0)


def test_rates_are_messages_a_second_over_the_window(store):
    store.report(ANN, sent((TO_BALANCE, 100)))
    assert domain(store, "collections", 10).rate == pytest.approx(10, rel=0.1)
    assert store.instances(10)[0].rate == pytest.approx(10, rel=0.1)
    assert domain(store, "collections", 200).rate == pytest.approx(0.5, rel=0.1)


def test_flows_are_told_by_name(store):
    delta = Delta()
    delta.flows["settlement"] = histogram([100.0] * 99 + [900.0])
    delta.flows["bonus"] = histogram([5.0])
    store.report(ANN, delta)
    store.report(ANN, delta)
    bonus, settlement = store.flows(10)
    assert (bonus.name, bonus.count) == ("bonus", 2)
    assert (settlement.name, settlement.count) == ("settlement", 200)
    assert settlement.latency_p50 == pytest.approx(100, rel=0.05)
    assert store.domains(10) == []


def test_a_window_leaves_out_what_is_older(store, client):
    store.report(ANN, sent((TO_BALANCE, 1)))
    age(client, 30)
    store.report(ANN, sent((TO_BALANCE, 2)))
    assert domain(store, "collections", 10).sent == {JSON: 2}
    assert domain(store, "collections", 60).sent == {JSON: 3}
    assert len(store.instances(10)) == 1
    age(client, 30)
    assert store.domains(10) == store.instances(10) == []


class TestAgeing:
    """Longer buckets, made on a server that was told what time it is."""

    NOW = 1_800_000_000 + 1234

    def write(self, client, second, times):
        client.hset(f"sb:{{test}}:tm:1:{second}", f"{name_of(*TO_BALANCE)}\nsent", times)

    def condense_until(self, client, end):
        with connect_like(client) as plain:
            condense(plain, "sb:{test}:tm", end)

    def total(self, client, first, end):
        with connect_like(client) as plain:
            marks = read_marks(plain, "sb:{test}:tm")
            sums = read_sums(plain, "sb:{test}:tm", tiles(first, end, marks))
        return sum(told.counts["sent"] for told in sums.values())

    def test_longer_buckets_hold_all_that_the_short_ones_held(self, client):
        start = self.NOW // 3600 * 3600
        for second in range(start, start + 8000, 7):
            self.write(client, second, 1)
            if second % 5 == 0:
                self.condense_until(client, second)
        self.condense_until(client, start + 8000)
        written = len(range(start, start + 8000, 7))
        assert self.total(client, start, start + 8000) == written
        for name in client.keys("sb:{test}:tm:1:*"):
            if int(name.rpartition(":")[2]) < start + 8000 - 300:
                client.delete(name)
        for name in client.keys("sb:{test}:tm:10:*"):
            if int(name.rpartition(":")[2]) < start + 8000 - 3600:
                client.delete(name)
        assert self.total(client, start, start + 8000) == written

    def test_condensing_again_changes_nothing(self, client):
        self.write(client, self.NOW - 5, 3)
        for later in (0, 4, 9, 9, 60, 3600):
            self.condense_until(client, self.NOW + later)
        assert self.total(client, self.NOW // 3600 * 3600, self.NOW + 3600) == 3

    def test_condensing_by_many_at_once_counts_everything_once(self, client):
        for second in range(self.NOW - 200, self.NOW):
            self.write(client, second, 1)
        self.condense_until(client, self.NOW - 200)
        threads = [threading.Thread(target=self.condense_until, args=(client, self.NOW)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert self.total(client, self.NOW - 200, self.NOW) == 200

    def test_who_is_overtaken_while_condensing_moves_no_mark_back(self, client, monkeypatch):
        self.condense_until(client, self.NOW - 10)
        self.write(client, self.NOW - 5, 3)
        overtaking = iter([30])

        def read_and_be_overtaken(*places):
            for seconds in overtaking:
                self.condense_until(client, self.NOW + seconds)
            return read_sums(*places)

        monkeypatch.setattr(condensing, "read_sums", read_and_be_overtaken)
        self.condense_until(client, self.NOW)
        assert int(client.get("sb:{test}:tm:mark:10")) == (self.NOW + 30) // 10 * 10
        assert self.total(client, self.NOW // 3600 * 3600, self.NOW + 30) == 3

    def test_what_was_reported_before_a_silence_is_kept(self, store, client):
        store.report(ANN, sent((TO_BALANCE, 5)))
        age(client, 20)
        store.report(ANN, Delta())
        assert any(json.loads(client.hvals(name)[0]) for name in client.keys("sb:{test}:tm:10:*"))
        for name in client.keys("sb:{test}:tm:1:*"):
            client.delete(name)
        assert domain(store, "collections", 600).sent == {JSON: 5}


def connect_like(client):
    return connect("unix://" + client.connection_pool.connection_kwargs["path"])


@given(
    span=st.sampled_from([(50_000, 10), (50_000, 300), (500_000, 3600), (8_640_000, 3600)]).flatmap(
        lambda most: st.tuples(st.integers(0, most[0]), st.just(most[1]))
    ),
    lag=st.integers(0, 40),
)
def test_tiles_cover_a_span_without_gap_or_overlap(span, lag):
    age, longest = span
    now = 1_800_000_000 + lag * 97
    marks = {level.step: (now - lag) // level.step * level.step for level in LEVELS}
    first = beginning(now - age, now)
    at = first
    for level, start in tiles(first, now + 1, marks, longest):
        assert start == at
        assert level.step == 1 or start + level.step <= marks[level.step]
        at += level.step
    assert at == now + 1
    assert first <= now - age


def test_a_series_shows_steps_oldest_first(store, client):
    store.report(ANN, sent((TO_BALANCE, 1)))
    age(client, 120)
    store.report(ANN, sent((TO_BALANCE, 2)))
    points = store.series("collections", 60, 4)
    assert [point.traffic.sent.get(JSON, 0) for point in points] == [0, 1, 0, 2]
    assert [later.at - one.at for one, later in itertools.pairwise(points)] == [60, 60, 60]
    assert sum(point.traffic.sent.get(JSON, 0) for point in store.series("collections", 30, 8)) == 3
    assert store.series("unknown", 10, 3)[-1].traffic.sent == {}


def test_every_bucket_is_forgotten_in_time(store, client):
    store.report(ANN, sent((TO_BALANCE, 1)))
    for name in client.keys("sb:{test}:tm:*"):
        if ":mark:" not in name:
            assert 0 < client.ttl(name) <= LEVELS[0].kept
    age(client, 90)
    store.report(ANN, Delta())
    assert 0 < client.ttl(client.keys("sb:{test}:tm:10:*")[0]) <= LEVELS[1].kept + 10


def test_nothing_counted_is_nothing_told(store):
    store.report(ANN, Delta())
    assert store.domains(10) == store.instances(10) == store.flows(10) == []


def test_environments_are_told_apart(store, redis_url):
    store.report(ANN, sent((TO_BALANCE, 1)))
    other = TelemetryStore(redis_url, "other")
    assert other.domains(10) == []
    other.close()


def test_reports_at_once_lose_nothing(store):
    def report():
        for _ in range(50):
            store.report(ANN, received(TO_BALANCE, [3.0]))

    threads = [threading.Thread(target=report) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert domain(store, "balance").received == 200
    assert store.instances(10)[0].received == 200


def test_names_of_any_kind_are_carried(store):
    odd = Traffic("", 'na"me\\ü', "text/ö:|", "br", "")
    store.report(ANN, received(odd, [1.0], decode_failures=1))
    assert domain(store, 'na"me\\ü').decode_failures == 1


def test_a_server_that_is_gone_is_unreachable(make_redis):
    server = make_redis("telemetry")
    store = TelemetryStore(server.url, "test")
    server.kill()
    for call in (
        lambda: store.report(ANN, sent((TO_BALANCE, 1))),
        lambda: store.domains(10),
        lambda: store.series("balance", 10, 2),
    ):
        with pytest.raises(StoreUnreachable):
            call()
    store.close()


def test_a_full_server_refuses_reports(make_redis):
    server = make_redis("telemetry")
    store = TelemetryStore(server.url, "test")
    with connect(server.url) as client:
        client.config_set("maxmemory", "1")
        with pytest.raises(StoreRefused):
            store.report(ANN, sent((TO_BALANCE, 1)))
    store.close()
