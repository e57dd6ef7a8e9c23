"""The whole flag client over a real Redis: in step, evaluating through every outage, and gone when it is closed."""

import os
import signal
import subprocess
import time
import warnings
from contextlib import closing
from pathlib import Path

import pytest

from flags import edits, service
from flags.client import ClientSettings, FlagClient, Status
from flags.documents import parse_flag
from flags.instances import Instance
from flags.sources.redis import RedisSource
from flags.stores.redis import RedisFlagStore, RedisInstanceRegistry
from tests.proxies import Proxy
from tests.support import eventually

FLAG = {
    "enabled": True,
    "variants": {"on": "yaml", "off": "json"},
    "offVariant": "off",
    "rollout": {"percentage": 0, "domains": {"collections": 100}},
}
COLLECTIONS = {"targetingKey": "corr_1", "domain": "collections"}


@pytest.fixture
def open_client():
    """Start clients that are closed at the end."""
    clients = []

    def start(url, *, slot="one", start_timeout=5.0, **parts):
        source = RedisSource(url, "test", heartbeat=parts.pop("heartbeat", 0.2), lease=parts.pop("lease", 1.0))
        instance = Instance(f"{slot}.x1", slot)
        clients.append(FlagClient(source, instance=instance, settings=ClientSettings(start_timeout), **parts))
        clients[-1].start()
        return clients[-1]

    yield start
    for client in clients:
        client.close()


@pytest.fixture
def store(redis_url):
    with_store = RedisFlagStore(redis_url, "test")
    service.create(with_store, parse_flag("k", FLAG), actor="test")
    yield with_store
    with_store.close()


@pytest.fixture
def registry(redis_url):
    opened = RedisInstanceRegistry(redis_url, "test")
    yield opened
    opened.close()


def value(client):
    return client.get_string_value("k", "default", COLLECTIONS)


def test_a_write_is_evaluated_and_acknowledged(redis_url, store, registry, open_client):
    client = open_client(redis_url)
    assert value(client) == "yaml"
    eventually(lambda: not client.lapsed)
    written = service.change(store, ["k"], edits.disable, actor="test")
    (live,) = registry.wait_acknowledged(written.revision, 5.0)
    assert (live.instance, live.acknowledged) == (client.instance, written.revision)
    assert (value(client), client.revision) == ("json", written.revision)


def test_a_closed_client_is_out_of_the_registry_at_once(redis_url, store, registry, open_client):
    client = open_client(redis_url, heartbeat=5.0, lease=15.0)
    eventually(registry.live)
    started = time.monotonic()
    client.close()
    assert time.monotonic() - started < 2
    assert registry.live() == []


def test_overridden_flags_are_named_in_the_registry(redis_url, store, registry, open_client, tmp_path):
    path = tmp_path / "overrides.yaml"
    path.write_text("k: json\n")
    client = open_client(redis_url, overrides=path)
    assert value(client) == "json"
    eventually(lambda: [live.instance.overrides for live in registry.live()] == [("k",)])
    path.unlink()
    eventually(lambda: [live.instance.overrides for live in registry.live()] == [()])
    assert value(client) == "yaml"


def test_while_redis_is_gone_the_last_flags_go_on_and_the_lease_lapses(make_redis, open_client):
    server = make_redis(config={"appendonly": "yes", "appendfsync": "always"})
    with closing(RedisFlagStore(server.url, "test")) as store:
        service.create(store, parse_flag("k", FLAG), actor="test")
    client = open_client(server.url)
    eventually(lambda: not client.lapsed)
    server.kill()
    eventually(lambda: client.status is Status.STALE)
    eventually(lambda: client.lapsed)
    assert value(client) == "yaml"
    assert client.error is not None
    server.start()
    eventually(lambda: client.status is Status.READY and not client.lapsed)
    assert client.error is None


def test_without_redis_a_client_starts_with_defaults_and_is_closed_soon(runtime_dir, open_client):
    client = open_client(f"unix://{runtime_dir / 'nobody'}", start_timeout=0.2)
    eventually(lambda: client.status is Status.ERROR)
    assert value(client) == "default"
    started = time.monotonic()
    client.close()
    assert time.monotonic() - started < 2


def test_a_server_that_swallows_everything_holds_up_neither_start_nor_close(redis_url, store, runtime_dir, open_client):
    proxy = Proxy(runtime_dir / "black", Path(redis_url.removeprefix("unix://")))
    proxy.blackhole(True)
    started = time.monotonic()
    client = open_client(proxy.url, start_timeout=0.3)
    assert client.status in {Status.INITIALIZING, Status.ERROR}
    client.close()
    assert time.monotonic() - started < 5
    proxy.close()


def test_a_forked_child_is_an_instance_of_its_own(redis_url, store, registry, open_client):
    client = open_client(redis_url, slot="web")
    eventually(lambda: len(registry.live()) == 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of what is being tested
        child = os.fork()
    if child == 0:
        signal.alarm(20)
        try:
            eventually(lambda: not client.lapsed)
            eventually(lambda: value(client) == "json")
            client.close()
            os._exit(0)
        finally:
            os._exit(1)
    (first, second) = eventually(lambda: live if len(live := registry.live()) == 2 else None)
    assert {first.instance.slot, second.instance.slot} == {"web"}
    assert {first.instance.pid, second.instance.pid} == {client.instance.pid, child}
    written = service.change(store, ["k"], edits.disable, actor="test")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [live.acknowledged for live in registry.wait_acknowledged(written.revision, 5.0)] == [written.revision]


def test_a_program_that_is_started_from_the_process_does_not_become_an_instance(
    redis_url, store, registry, open_client
):
    client = open_client(redis_url)
    eventually(registry.live)
    for _ in range(10):
        # With a `preexec_fn` the hooks of a fork run in the child, which is about to be another program.
        done = subprocess.run(["true"], preexec_fn=lambda: time.sleep(0.03), check=False)  # noqa: S607
        assert done.returncode == 0
    assert [live.instance.id for live in registry.live()] == [client.instance.id]
