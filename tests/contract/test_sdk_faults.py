"""What an SDK promises under faults, over Redis and HTTP alike: evaluation goes on, and it ends with what is there.

Between the client and its server, Redis or the control plane, stands a proxy that does what networks do.
"""

import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from flags import edits, service
from flags.client import ClientSettings, FlagClient, Status
from flags.convergence import converged
from flags.documents import parse_flag
from flags.instances import Instance
from flags.sources.http import HttpSource
from flags.sources.redis import RedisSource
from flags.stores.redis import RedisFlagStore, RedisInstanceRegistry
from foundation.errors import SignalboxError, StoreUnreachable
from foundation.ids import new_id
from foundation.redis import connect
from tests.control_planes import HOST, ControlPlane
from tests.proxies import Proxy
from tests.support import eventually

DURABLE = {"appendonly": "yes", "appendfsync": "always"}
HEARTBEAT, LEASE, TIMEOUT = 0.2, 1.0, 0.3
FLAG = {
    "enabled": True,
    "variants": {"on": "yaml", "off": "json"},
    "offVariant": "off",
    "rollout": {"percentage": 0, "domains": {"collections": 100}},
}
COLLECTIONS = {"targetingKey": "corr_1", "domain": "collections"}


class World:
    """A flags server, whatever serves SDKs from it, a proxy before that, and clients behind the proxy."""

    def __init__(self, redis_url):
        self.redis_url = redis_url
        self.store, self.registry = RedisFlagStore(redis_url, "demo"), RedisInstanceRegistry(redis_url, "demo")
        self.clients = []

    def start(self, *, start_timeout=5.0, **parts):
        instance = Instance(f"one.{new_id()[-6:]}", "one")
        client = FlagClient(self.source(), instance=instance, settings=ClientSettings(start_timeout), **parts)
        self.clients.append(client)
        client.start()
        return client

    def create(self, key="k"):
        return service.create(self.store, parse_flag(key, FLAG), actor="test").revision

    def turn(self, key="k"):
        """Enable or disable a flag, whichever is a change; nothing is lost where an answer is."""
        enabled = self.store.snapshot().flags[key].enabled
        return service.change(self.store, [key], edits.disable if enabled else edits.enable, actor="test").revision

    def in_step(self, client, timeout=10):
        """Wait until a client holds what the server holds, is READY with a lease, and has proven it."""

        def there():
            try:
                held, live = self.store.snapshot(), self.registry.live()
            except StoreUnreachable:  # our own connections are as old as the server that was replaced
                return False
            proven = bool(live) and converged(held.revision, live, []).reached
            same = client.snapshot == replace(held, versions={})
            return proven and same and client.status is Status.READY and not client.lapsed

        return eventually(
            there,
            timeout,
            message=lambda: f"{client.revision}, {client.status}, lapsed {client.lapsed}: {client.error}",
        )

    def close(self):
        for client in self.clients:
            client.close()
        self.proxy.close()
        self.store.close()
        self.registry.close()


class RedisWorld(World):
    """Clients that are fed by Redis."""

    def __init__(self, redis_url, folder):
        super().__init__(redis_url)
        self.proxy = Proxy(folder / f"{new_id()[-8:]}.sock", Path(redis_url.removeprefix("unix://")))

    def source(self):
        return RedisSource(self.proxy.url, "demo", heartbeat=HEARTBEAT, lease=LEASE, timeout=TIMEOUT)


class HttpWorld(World):
    """Clients that are fed by the control plane."""

    def __init__(self, redis_url, folder):
        super().__init__(redis_url)
        self.plane = ControlPlane(redis_url)
        self.proxy = Proxy((HOST, 0), self.plane.address)

    def source(self):
        return HttpSource(self.proxy.url, "demo", self.plane.token, heartbeat=HEARTBEAT, lease=LEASE, timeout=TIMEOUT)

    def close(self):
        super().close()
        self.plane.close()


@pytest.fixture(params=[RedisWorld, HttpWorld], ids=["redis", "http"])
def make_world(request, runtime_dir, monkeypatch):
    monkeypatch.setattr("controlplane.broadcast.SILENCE", HEARTBEAT / 2)
    worlds = []

    def make(redis_url):
        worlds.append(request.param(redis_url, runtime_dir))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()


@pytest.fixture
def world(make_world, redis_url):
    made = make_world(redis_url)
    made.create()
    return made


def value(client):
    return client.get_string_value("k", "default", COLLECTIONS)


def test_a_write_is_evaluated_and_proven(world):
    client = world.start()
    world.in_step(client)
    assert value(client) == "yaml"
    revision = world.turn()
    (live,) = world.registry.wait_acknowledged(revision, 5)
    assert (live.instance, live.acknowledged, value(client)) == (client.instance, revision, "json")


def test_closing_takes_the_instance_out_at_once(world):
    client = world.start()
    world.in_step(client)
    client.close()
    assert world.registry.live() == []


# The server is down.


def test_while_the_server_is_down_the_last_flags_go_on_and_the_lease_lapses(world):
    client = world.start()
    world.in_step(client)
    world.proxy.refuse(on=True)
    eventually(lambda: client.status is Status.STALE and client.lapsed, 5)
    assert value(client) == "yaml"
    assert isinstance(client.error, SignalboxError)
    world.turn()
    world.proxy.refuse(on=False)
    world.in_step(client)
    assert value(client) == "json"
    assert client.error is None


def test_while_redis_itself_is_down_a_client_is_stale_though_something_may_still_answer(make_world, make_redis):
    redis = make_redis(config=DURABLE)
    world = make_world(redis.url)
    world.create()
    client = world.start()
    world.in_step(client)
    redis.kill()
    eventually(lambda: client.status is Status.STALE and client.lapsed, 8)
    assert value(client) == "yaml"
    redis.start()
    world.in_step(client)
    world.turn()
    world.in_step(client)
    assert value(client) == "json"


@pytest.mark.parametrize("fault", ["refuse", "blackhole"])
def test_a_cold_start_without_a_server_goes_by_default_values_within_its_time(world, fault):
    getattr(world.proxy, fault)(on=True)
    began = time.monotonic()
    client = world.start(start_timeout=0.3)
    assert time.monotonic() - began < 2
    assert value(client) == "default"
    eventually(lambda: client.status is Status.ERROR, 5)
    getattr(world.proxy, fault)(on=False)
    world.in_step(client)
    assert value(client) == "yaml"


@pytest.mark.parametrize("fault", ["refuse", "blackhole"])
def test_a_cold_start_without_a_server_goes_by_the_backup_and_says_that_it_is_stale(world, fault, tmp_path):
    before = world.start(backup=tmp_path / "flags")
    world.in_step(before)
    before.close()
    world.turn()
    getattr(world.proxy, fault)(on=True)
    began = time.monotonic()
    client = world.start(start_timeout=0.3, backup=tmp_path / "flags")
    assert time.monotonic() - began < 2
    assert (value(client), client.status, client.lapsed) == ("yaml", Status.STALE, True)
    getattr(world.proxy, fault)(on=False)
    world.in_step(client)
    assert value(client) == "json"


# Connections.


def test_connections_that_are_killed_again_and_again_lose_no_change(world):
    client = world.start()
    world.in_step(client)
    for number in range(30):
        world.turn()
        if number % 3 == 0:
            world.proxy.kill()
    world.in_step(client)
    assert value(client) == "yaml"


def test_a_blackholed_connection_is_noticed_within_three_heartbeats_and_no_change_is_lost(world):
    client = world.start()
    world.in_step(client)
    world.proxy.blackhole(on=True)
    began = time.monotonic()
    eventually(lambda: client.status is Status.STALE, 5)
    assert time.monotonic() - began < 3 * HEARTBEAT + 0.5
    eventually(lambda: client.lapsed, 5)
    world.turn()
    assert value(client) == "yaml"
    world.proxy.blackhole(on=False)
    world.in_step(client)
    assert value(client) == "json"


def test_a_half_open_connection_is_replaced_though_the_old_one_never_ends(world):
    client = world.start()
    world.in_step(client)
    world.proxy.freeze()
    world.turn()
    world.in_step(client)
    assert value(client) == "json"


@pytest.mark.parametrize("fault", ["lose_answer", "cut_answer"])
def test_answers_that_are_lost_or_cut_leave_nobody_behind(world, fault):
    client = world.start()
    world.in_step(client)
    for number in range(1, 11):
        getattr(world.proxy, fault)()
        world.turn()
        eventually(lambda number=number: world.proxy.lost >= number)
        world.in_step(client)
    assert [live.instance.id for live in world.registry.live()] == [client.instance.id]


@pytest.mark.parametrize("fault", ["lose_answer", "cut_answer"])
def test_a_start_at_which_answers_are_lost_or_cut_succeeds(world, fault):
    for _ in range(5):
        getattr(world.proxy, fault)()
        client = world.start()
        world.in_step(client)
        client.close()


def test_a_slow_line_only_makes_it_slow(world):
    world.proxy.delay = 0.05
    client = world.start()
    world.in_step(client)
    world.turn()
    world.in_step(client)
    assert value(client) == "json"


def test_a_line_that_brings_one_byte_at_a_time_brings_everything(world):
    world.proxy.trickle = True
    client = world.start()
    world.in_step(client)
    for _ in range(5):
        world.turn()
        world.in_step(client)
    assert value(client) == "json"


@pytest.mark.parametrize("fault", ["refuse", "blackhole", "freeze"])
def test_no_fault_holds_up_the_end(world, fault):
    client = world.start()
    world.in_step(client)
    world.proxy.freeze() if fault == "freeze" else getattr(world.proxy, fault)(on=True)
    began = time.monotonic()
    client.close()
    assert time.monotonic() - began < 3


# The server is another one than before.


def test_a_restarted_server_is_followed_into_its_new_epoch(make_world, make_redis):
    redis = make_redis(config=DURABLE)
    world = make_world(redis.url)
    before = world.create()
    client = world.start()
    world.in_step(client)
    redis.kill()
    redis.start()
    eventually(lambda: client.revision.epoch > before.epoch)
    world.in_step(client)


def test_a_restore_from_an_old_copy_is_followed_back(make_world, make_redis, tmp_path):
    redis = make_redis("original", config=DURABLE, data_dir=tmp_path / "first")
    world = make_world(redis.url)
    world.create()
    redis.stop()
    shutil.copytree(tmp_path / "first" / "original", tmp_path / "second" / "original")
    redis.start()
    client = world.start()
    world.turn()
    world.create("later")
    world.in_step(client)
    assert value(client) == "json"
    redis.stop()
    make_redis("original", config=DURABLE, data_dir=tmp_path / "second")
    world.in_step(client)
    assert (value(client), set(client.snapshot.flags)) == ("yaml", {"k"})
    # The same counts as before the restore, for other changes: only the epoch tells them apart.
    world.create("another")
    world.turn("another")
    world.in_step(client)


def test_a_server_that_lost_everything_is_followed_too(make_world, make_redis):
    redis = make_redis()
    world = make_world(redis.url)
    world.create()
    client = world.start()
    world.in_step(client)
    redis.kill()
    redis.start()
    eventually(lambda: client.snapshot.flags == {} and client.status is Status.READY)
    assert value(client) == "default"


def test_a_client_that_comes_back_to_a_trimmed_log_reads_everything(world):
    client = world.start()
    world.in_step(client)
    world.proxy.refuse(on=True)
    for _ in range(5):
        world.turn()
    with connect(world.redis_url) as redis:
        redis.xtrim("sb:{demo}:log", maxlen=1, approximate=False)
    world.proxy.refuse(on=False)
    world.in_step(client)
    assert value(client) == "json"
