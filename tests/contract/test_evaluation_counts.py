"""What every store of evaluation counts promises, run over memory and over Redis; and what only a server can break."""

from datetime import date, timedelta

import pytest

from flags import service
from flags.counts import MAX_ENTRIES, NO_VARIANT, Report
from flags.documents import parse_flag
from flags.stores.memory import MemoryFlagStore
from flags.stores.memory_counts import MemoryEvaluationCounts
from flags.stores.redis import RedisFlagStore
from flags.stores.redis_counts import RedisEvaluationCounts
from flags.usage import KEPT_DAYS, MAX_UNDEFINED, day_date, day_number
from foundation.clock import ManualClock
from foundation.errors import StoreRefused, StoreUnreachable
from foundation.redis import connect

FLAG = parse_flag("a/b", {"enabled": True, "variants": {"on": True, "off": False}, "offVariant": "off"})
OTHER = parse_flag("a", {"enabled": True, "variants": {"on": True, "off": False}, "offVariant": "off"})


@pytest.fixture(params=["memory", "redis"])
def counts(request):
    if request.param == "memory":
        clock = ManualClock(start=1_800_000_000.0)
        store = MemoryFlagStore("test", clock)
        counts = MemoryEvaluationCounts("test", lambda: store.snapshot().flags, clock)
    else:
        url = request.getfixturevalue("redis_url")
        store, counts = RedisFlagStore(url, "test"), RedisEvaluationCounts(url, "test")
    for flag in (FLAG, OTHER):
        service.create(store, flag, actor="test")
    yield counts
    if request.param == "redis":
        counts.close()
        store.close()


def send(counts, number, instance="one.x1", **entries):
    counted = {tuple(name.split(" ")): count for name, count in entries.items()}
    counts.report(instance, Report(number, counted))


def today(counts):
    return day_date(day_number(counts.served().now))


def test_nothing_is_known_before_the_first_report(counts):
    served = counts.served()
    assert (served.since, dict(served.last), served.evaluated("a")) == (None, {}, None)
    assert counts.usage("a", 3) == {today(counts) - timedelta(days=age): {} for age in (2, 1, 0)}
    assert counts.undefined(30) == {}


def test_reports_of_all_instances_add_up_by_flag_and_variant(counts):
    send(counts, 1, **{"a on": 3, "a off": 1, "a/b on": 7})
    send(counts, 2, **{"a on": 2})
    send(counts, 1, "two.x1", **{"a on": 10, "a ": 4})
    assert counts.usage("a", 1) == {today(counts): {"on": 15, "off": 1, NO_VARIANT: 4}}
    assert counts.usage("a/b", 2) == {today(counts) - timedelta(days=1): {}, today(counts): {"on": 7}}


def test_a_report_that_is_sent_again_is_added_once(counts):
    for _ in range(3):
        send(counts, 1, **{"a on": 3})
    send(counts, 2, **{"a on": 3})
    send(counts, 1, **{"a on": 3})
    assert counts.usage("a", 1) == {today(counts): {"on": 6}}


def test_it_is_told_when_each_flag_last_served_each_variant(counts):
    before = counts.served().now
    send(counts, 1, **{"a on": 3, "a/b ": 1})
    served = counts.served()
    assert set(served.last) == {"a", "a/b"}
    assert set(served.last["a"]) == {"on"}
    assert int(before) <= served.evaluated("a") <= served.now
    assert int(before) <= served.since <= served.now
    assert counts.served(OTHER).last == {"a": served.last["a"]}
    assert counts.served(FLAG).last == {"a/b": {NO_VARIANT: served.evaluated("a/b")}}


def test_keys_of_flags_that_do_not_exist_are_counted_apart_and_bounded(counts):
    send(counts, 1, **{"nobody ": 2, "nobody override": 1, "a on": 1})
    assert counts.undefined(1) == {"nobody": 3}
    assert set(counts.served().last) == {"a"}
    for number in range(2, 2 + MAX_UNDEFINED // MAX_ENTRIES + 1):
        send(counts, number, **{f"k{number}-{index} ": 1 for index in range(MAX_ENTRIES)})
    send(counts, 99, **{"nobody ": 1, "late ": 1})
    undefined = counts.undefined(1)
    assert len(undefined) == MAX_UNDEFINED
    assert (undefined["nobody"], undefined.get("late")) == (4, None)


def test_days_pass_and_are_forgotten_in_memory_by_the_clock():
    clock = ManualClock(start=1_800_000_000.0)
    counts = MemoryEvaluationCounts("test", lambda: {"a"}, clock)
    send(counts, 1, **{"a on": 1, "b ": 1})
    clock.advance(86_400)
    send(counts, 2, **{"a on": 2, "b ": 1})
    assert [sum(day.values()) for day in counts.usage("a", 3).values()] == [0, 1, 2]
    assert counts.undefined(2) == {"b": 2}
    clock.advance(KEPT_DAYS * 86_400)
    send(counts, 3, **{"a on": 4})
    assert sum(sum(day.values()) for day in counts.usage("a", KEPT_DAYS + 5).values()) == 4
    assert counts.served().since == 1_800_000_000.0


def test_days_of_redis_expire_and_the_last_times_do_not(redis_url):
    counts = RedisEvaluationCounts(redis_url, "test")
    with connect(redis_url) as client:
        client.hset("sb:{test}:flags", "a", "{}")
        send(counts, 1, **{"a on": 1, "nobody ": 1})
        left = {key.decode(): client.ttl(key) for key in client.scan_iter("sb:*")}
    day = day_number(counts.served().now)
    assert left.pop(f"sb:{{test}}:counts:{day}") == pytest.approx(KEPT_DAYS * 86_400, abs=10)
    assert left.pop(f"sb:{{test}}:undefined:{day}") == pytest.approx(KEPT_DAYS * 86_400, abs=10)
    assert left.pop("sb:{test}:reported:one.x1") == pytest.approx(3_600, abs=10)
    assert left == {"sb:{test}:flags": -1, "sb:{test}:evaluated": -1, "sb:{test}:counting": -1}
    counts.close()


def test_a_server_that_takes_no_writes_or_is_gone_has_added_nothing(make_redis):
    server = make_redis()
    counts = RedisEvaluationCounts(server.url, "test")
    with connect(server.url) as client:
        client.hset("sb:{test}:flags", "a", "{}")
        client.config_set("min-replicas-to-write", 1)
        with pytest.raises(StoreRefused):
            send(counts, 1, **{"a on": 1})
        client.config_set("min-replicas-to-write", 0)
    send(counts, 1, **{"a on": 1})
    assert list(counts.usage("a", 1).values()) == [{"on": 1}]
    server.kill()
    with pytest.raises(StoreUnreachable):
        send(counts, 2, **{"a on": 1})
    with pytest.raises(StoreUnreachable):
        counts.served()
    counts.close()


def test_a_day_has_its_date():
    assert day_date(day_number(1_800_000_000.0)) == date(2027, 1, 15)
