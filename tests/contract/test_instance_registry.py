"""What every instance registry promises, run over memory and over Redis; and what only a server can break."""

import threading

import pytest

from flags.documents import parse_flag
from flags.instances import LEASE_MARGIN, Instance
from flags.model import ZERO, Revision
from flags.store import Edit, Write
from flags.stores import redis_registry
from flags.stores.memory import MemoryInstanceRegistry
from flags.stores.redis import RedisFlagStore, RedisInstanceRegistry
from foundation.errors import StoreRefused, StoreUnreachable
from foundation.ids import new_id
from foundation.redis import connect
from tests.support import eventually

LEASE = 30.0
EXPIRED = -LEASE_MARGIN


def instance(name, **more):
    return Instance(f"{name}.x1", name, **more)


def write_something(store):
    flag = parse_flag("a", {"enabled": True, "variants": {"on": 1, "off": 0}, "offVariant": "off"})
    version = store.snapshot().versions.get("a")
    return store.write(Write(new_id("op"), (Edit(flag, version),), "kim")).revision


@pytest.fixture(params=["memory", "redis"])
def kind(request):
    return request.param


@pytest.fixture
def store(redis_url):
    store = RedisFlagStore(redis_url, "test")
    yield store
    store.close()


@pytest.fixture
def revision(kind, request):
    """The environment's revision: an acknowledgement counts within its epoch."""
    return Revision(7, 1) if kind == "memory" else write_something(request.getfixturevalue("store"))


@pytest.fixture
def registry(kind, request):
    if kind == "memory":
        yield MemoryInstanceRegistry("test")
        return
    registry = RedisInstanceRegistry(request.getfixturevalue("redis_url"), "test")
    yield registry
    registry.close()


def after(revision, steps):
    return Revision(revision.epoch, revision.rev + steps)


def ids(live):
    return [one.instance.id for one in live]


def test_nobody_is_live_at_first(registry):
    assert registry.live() == []
    assert registry.restart_generations() == {}


def test_an_instance_is_listed_as_it_describes_itself_with_what_it_has_applied(registry, revision):
    described = Instance(
        *("collections-1.k3v9", "collections-1", "worker", "collections", "host-ä", 42, 1700000000.5, "sup-1"),
        capabilities=("application/json", "gzip"),
        overrides=("useYamlMessaging",),
    )
    registry.renew(described, revision, LEASE)
    (live,) = registry.live()
    assert (live.instance, live.acknowledged) == (described, revision)
    assert LEASE < live.lease_left <= LEASE + LEASE_MARGIN


def test_instances_are_listed_by_slot_and_id(registry, revision):
    for name in ("b", "c", "a"):
        registry.renew(instance(name), revision, LEASE)
    registry.renew(Instance("a.0", "a"), revision, LEASE)
    assert ids(registry.live()) == ["a.0", "a.x1", "b.x1", "c.x1"]


def test_a_renewal_replaces_description_acknowledgement_and_lease(registry, revision):
    registry.renew(instance("a"), revision, LEASE)
    registry.renew(instance("a", overrides=("f",)), after(revision, 4), LEASE * 2)
    (live,) = registry.live()
    assert (live.instance.overrides, live.acknowledged) == (("f",), after(revision, 4))
    assert live.lease_left > LEASE + LEASE_MARGIN


def test_an_instance_whose_lease_ran_out_is_gone_until_it_renews(registry, revision):
    registry.renew(instance("a"), revision, LEASE)
    registry.renew(instance("a"), revision, EXPIRED)
    registry.renew(instance("b"), revision, LEASE)
    assert ids(registry.live()) == ["b.x1"]
    registry.renew(instance("a"), revision, LEASE)
    assert ids(registry.live()) == ["a.x1", "b.x1"]


def test_who_leaves_is_gone_at_once_and_leaving_twice_is_no_error(registry, revision):
    registry.renew(instance("a"), revision, LEASE)
    registry.leave("a.x1")
    registry.leave("a.x1")
    assert registry.live() == []


def test_a_wait_is_over_at_once_where_all_have_it_or_nobody_is_live(registry, revision):
    assert registry.wait_acknowledged(revision, 0) == []
    registry.renew(instance("a"), after(revision, 1), LEASE)
    registry.renew(instance("b"), revision, LEASE)
    assert ids(registry.wait_acknowledged(revision, LEASE)) == ["a.x1", "b.x1"]


def test_a_wait_that_is_in_vain_ends_with_its_time_and_shows_who_is_behind(registry, revision):
    registry.renew(instance("a"), revision, LEASE)
    registry.renew(instance("b"), after(revision, 1), LEASE)
    live = registry.wait_acknowledged(after(revision, 1), 0.05)
    assert [one.acknowledged for one in live] == [revision, after(revision, 1)]


def test_another_epoch_is_not_the_revision_waited_for(registry, revision):
    registry.renew(instance("a"), Revision(revision.epoch - 1, 99), LEASE)
    (live,) = registry.wait_acknowledged(revision, 0.05)
    assert live.acknowledged.epoch != revision.epoch


class Waiting:
    """A wait that runs beside the test."""

    def __init__(self, registry, revision, timeout=LEASE):
        self.live = None
        self._thread = threading.Thread(target=self._run, args=(registry, revision, timeout))
        self._thread.start()

    def _run(self, registry, revision, timeout):
        self.live = registry.wait_acknowledged(revision, timeout)

    def over(self):
        return not self._thread.is_alive()

    def result(self):
        self._thread.join(10)
        assert self.over()
        return self.live


def test_a_wait_ends_with_the_last_acknowledgement(registry, revision):
    for name in ("a", "b"):
        registry.renew(instance(name), revision, LEASE)
    waiting = Waiting(registry, after(revision, 1))
    registry.renew(instance("a"), after(revision, 1), LEASE)
    assert not waiting.over()
    registry.renew(instance("b"), after(revision, 2), LEASE)
    assert [one.acknowledged.rev - revision.rev for one in waiting.result()] == [1, 2]


def test_a_wait_ends_when_the_only_one_missing_leaves(registry, revision):
    registry.renew(instance("a"), after(revision, 1), LEASE)
    registry.renew(instance("b"), revision, LEASE)
    waiting = Waiting(registry, after(revision, 1))
    registry.leave("b.x1")
    assert ids(waiting.result()) == ["a.x1"]


def test_a_wait_ends_when_the_lease_of_the_only_one_missing_runs_out(registry, revision):
    registry.renew(instance("a"), after(revision, 1), LEASE)
    registry.renew(instance("b"), revision, 0.1 - LEASE_MARGIN)
    assert ids(registry.wait_acknowledged(after(revision, 1), LEASE)) == ["a.x1"]


def test_a_wait_counts_who_joins_while_it_lasts(registry, revision):
    registry.renew(instance("a"), revision, LEASE)
    waiting = Waiting(registry, after(revision, 1))
    registry.renew(instance("late"), revision, LEASE)
    registry.renew(instance("a"), after(revision, 1), LEASE)
    assert not waiting.over()
    registry.renew(instance("late"), after(revision, 1), LEASE)
    assert ids(waiting.result()) == ["a.x1", "late.x1"]


def test_several_may_wait_at_once_each_for_its_own_revision(registry, revision):
    registry.renew(instance("a"), revision, LEASE)
    waits = [Waiting(registry, after(revision, steps)) for steps in (1, 1, 2)]
    registry.renew(instance("a"), after(revision, 1), LEASE)
    assert [len(waits[0].result()), len(waits[1].result())] == [1, 1]
    assert not waits[2].over()
    registry.renew(instance("a"), after(revision, 2), LEASE)
    assert len(waits[2].result()) == 1


def test_a_request_to_restart_raises_the_generation_of_each_slot(registry):
    assert registry.request_restart(["a", "b"]) == {"a": 1, "b": 1}
    assert registry.request_restart(["b", "c"]) == {"b": 2, "c": 1}
    assert registry.restart_generations() == {"a": 1, "b": 2, "c": 1}
    assert registry.request_restart([]) == {}


# ---- over Redis only


def test_an_acknowledgement_does_not_outlive_the_epoch_it_was_made_in(make_redis):
    server = make_redis(config={"appendonly": "yes"})
    store, registry = RedisFlagStore(server.url, "test"), RedisInstanceRegistry(server.url, "test")
    revision = write_something(store)
    registry.renew(instance("a"), revision, LEASE)
    server.stop()
    server.start()
    newer = store.snapshot().revision
    assert [one.acknowledged for one in registry.live()] == [ZERO]
    registry.renew(instance("a"), revision, LEASE)
    assert [one.acknowledged for one in registry.live()] == [ZERO]
    registry.renew(instance("a"), newer, LEASE)
    assert [one.acknowledged for one in registry.live()] == [newer]
    with connect(server.url) as client:
        assert client.keys("sb:{test}:acked:*") == [f"sb:{{test}}:acked:{newer.epoch}".encode()]
    store.close()
    registry.close()


def test_waiting_writes_nothing(store, redis_url):
    registry = RedisInstanceRegistry(redis_url, "test")
    revision = write_something(store)
    registry.renew(instance("a"), revision, LEASE)
    with connect(redis_url) as client:
        before = {key: client.dump(key) for key in client.keys("*")}
        waiting = Waiting(registry, after(revision, 1))
        eventually(lambda: client.info("clients")["blocked_clients"])
        registry.wait_acknowledged(after(revision, 1), 0.01)
        assert {key: client.dump(key) for key in client.keys("*")} == before
        registry.renew(instance("a"), after(revision, 1), LEASE)
        waiting.result()
        assert client.xlen("sb:{test}:reached") == 1
    registry.close()


def test_a_wait_goes_on_though_the_server_forgets_its_scripts(store, redis_url, monkeypatch):
    monkeypatch.setattr(redis_registry, "_LONGEST_SLEEP", 0.05)
    registry = RedisInstanceRegistry(redis_url, "test")
    revision = write_something(store)
    registry.renew(instance("a"), revision, LEASE)
    waiting = Waiting(registry, after(revision, 1))
    with connect(redis_url) as client:
        eventually(lambda: client.info("clients")["blocked_clients"])
        client.script_flush()
    registry.renew(instance("a"), after(revision, 1), LEASE)
    assert [one.acknowledged for one in waiting.result()] == [after(revision, 1)]
    registry.close()


def test_every_waiter_is_woken_whatever_each_waits_for(store, redis_url, monkeypatch):
    monkeypatch.setattr(redis_registry, "_LONGEST_SLEEP", LEASE)
    registry = RedisInstanceRegistry(redis_url, "test", timeout=2 * LEASE)
    revision = write_something(store)
    for name in ("a", "b"):
        registry.renew(instance(name), revision, LEASE)
    waiting = [Waiting(registry, after(revision, steps)) for steps in (1, 2, 2)]
    with connect(redis_url) as client:
        eventually(lambda: client.info("clients")["blocked_clients"] == len(waiting))
    registry.renew(instance("a"), after(revision, 1), LEASE)
    registry.renew(instance("b"), after(revision, 2), LEASE)  # what all have is 1 now, and not what this one has
    waiting[0].result()
    assert not any(one.over() for one in waiting[1:])
    registry.renew(instance("a"), after(revision, 2), LEASE)
    assert [ids(one.result()) for one in waiting[1:]] == [["a.x1", "b.x1"]] * 2
    registry.close()


@pytest.mark.parametrize(
    "record", ["", "{", "[]", '{"slot": 1}', '{"id": "x"}', '{"slot": "s", "news": [1], "host": "h"}']
)
def test_a_record_that_makes_no_sense_to_this_release_still_counts(redis_url, record):
    registry = RedisInstanceRegistry(redis_url, "test")
    registry.renew(instance("a"), ZERO, LEASE)
    with connect(redis_url) as client:
        client.hset("sb:{test}:inst", "a.x1", record)
    (live,) = registry.live()
    assert (live.instance.id, live.acknowledged) == ("a.x1", ZERO)
    registry.close()


def test_a_server_that_can_t_be_written_still_lists_who_is_live(make_redis):
    server = make_redis()
    registry = RedisInstanceRegistry(server.url, "test")
    registry.renew(instance("a"), ZERO, LEASE)
    registry.renew(instance("b"), ZERO, EXPIRED)
    with connect(server.url) as client:
        client.config_set("min-replicas-to-write", 3)
    assert ids(registry.live()) == ["a.x1"]
    with pytest.raises(StoreRefused):
        registry.renew(instance("a"), ZERO, LEASE)
    server.kill()
    with pytest.raises(StoreUnreachable):
        registry.live()
    registry.close()


@pytest.mark.parametrize("last", ["acknowledges", "leaves"])
def test_a_waiter_is_woken_by_the_last_one_and_need_not_look_by_itself(store, redis_url, monkeypatch, last):
    monkeypatch.setattr(redis_registry, "_LONGEST_SLEEP", LEASE)
    registry = RedisInstanceRegistry(redis_url, "test", timeout=2 * LEASE)
    revision = write_something(store)
    registry.renew(instance("a"), after(revision, 1), LEASE)
    registry.renew(instance("b"), revision, LEASE)
    waiting = Waiting(registry, after(revision, 1))
    with connect(redis_url) as client:
        eventually(lambda: client.info("clients")["blocked_clients"])
    if last == "leaves":
        registry.leave("b.x1")
    else:
        registry.renew(instance("b"), after(revision, 1), LEASE)
    assert "a.x1" in ids(waiting.result())
    registry.close()
