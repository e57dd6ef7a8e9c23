"""The update protocol over Redis: whatever happens to connections, log and server, a client ends with what is there."""

import shutil
import threading
import time

import pytest

from flags.documents import parse_flag
from flags.instances import Instance
from flags.model import ZERO, Snapshot
from flags.sources import redis_session
from flags.sources.redis import RedisSource
from flags.store import Edit, Write
from flags.stored import updated
from flags.stores.redis import LOG_ITEMS, RedisFlagStore, RedisInstanceRegistry
from foundation.errors import DocumentError, StoreRefused, StoreUnreachable
from foundation.ids import new_id
from foundation.redis import connect
from tests.proxies import Proxy
from tests.support import eventually

DURABLE = {"appendonly": "yes", "appendfsync": "always"}


class Recorder:
    """A feed that keeps to the rules of the port and remembers what it was told."""

    def __init__(self):
        self.overrides = ()
        self.snapshot = None
        self.snapshots, self.changes, self.errors = 0, [], []
        self.renewed = float("-inf")
        self.contacts = 0

    @property
    def cursor(self):
        return self.snapshot.revision if self.snapshot else ZERO

    def replace(self, snapshot):
        self.snapshot = snapshot
        self.snapshots += 1

    def apply(self, change):
        if change.revision.epoch != self.cursor.epoch or change.revision.rev != self.cursor.rev + 1:
            return False
        versions = dict.fromkeys(change.flags, change.revision)
        self.snapshot = Snapshot(
            change.revision, updated(self.snapshot.flags, change.flags), {**self.snapshot.versions, **versions}
        )
        self.changes.append(change.revision)
        return True

    def contact(self, sent=None):
        self.contacts += 1
        self.renewed = sent if sent is not None else self.renewed

    def failed(self, error):
        self.errors.append(error)


class Client:
    """A source running in a thread of its own, as in a flag client."""

    def __init__(self, url, name="one", instance=..., **settings):
        self.feed, self.stop = Recorder(), threading.Event()
        self.source = RedisSource(url, "test", **{"heartbeat": 0.2, "lease": 3.0, **settings})
        self.instance = Instance(f"{name}.x1", name) if instance is ... else instance
        self.thread = threading.Thread(target=self.source.run, args=(self.feed, self.instance, self.stop))
        self.thread.start()

    def end(self):
        self.stop.set()
        self.source.close()
        self.thread.join(10)
        assert not self.thread.is_alive()

    def has(self, snapshot):
        return eventually(
            lambda: self.feed.snapshot == snapshot,
            message=lambda: f"has {self.feed.cursor}, not {snapshot.revision}: {self.feed.errors[-1:]}",
        )


@pytest.fixture
def start():
    clients = []

    def begin(url, name="one", **settings):
        clients.append(Client(url, name, **settings))
        return clients[-1]

    yield begin
    for client in clients:
        client.end()


class Server:
    """A store and a registry of one server, and writing made short."""

    def __init__(self, url):
        self.url = url
        self.store, self.registry = RedisFlagStore(url, "test"), RedisInstanceRegistry(url, "test")
        self.client = connect(url)

    def write(self, *keys, description=""):
        seen = self.store.snapshot().versions
        document = {"enabled": True, "variants": {"on": 1, "off": 0}, "offVariant": "off", "description": description}
        edits = tuple(Edit(parse_flag(key, document), seen.get(key)) for key in keys or ["a"])
        return self.store.write(Write(new_id("op"), edits, "kim")).revision

    def write_many(self, count):
        return [self.write(description=str(index)) for index in range(count)][-1]

    def close(self):
        for part in (self.store, self.registry, self.client):
            part.close()


@pytest.fixture
def open_server():
    servers = []

    def open_one(url):
        servers.append(Server(url))
        return servers[-1]

    yield open_one
    for server in servers:
        server.close()


@pytest.fixture
def server(open_server, redis_url):
    return open_server(redis_url)


@pytest.fixture
def proxy(redis_server, runtime_dir, start):
    proxy = Proxy(runtime_dir / f"{new_id()[-8:]}.sock", redis_server.socket)
    yield proxy
    proxy.close()


def test_an_environment_that_was_never_written_is_handed_over_empty(server, start):
    client = start(server.url)
    client.has(Snapshot())
    server.write()
    client.has(server.store.snapshot())


def test_a_client_gets_a_snapshot_and_from_then_on_each_change(server, start):
    server.write_many(3)
    client = start(server.url)
    client.has(server.store.snapshot())
    later = [server.write("a"), server.write("a", "b"), server.write("c")]
    client.has(server.store.snapshot())
    assert client.feed.changes == later
    assert client.feed.snapshots == 1
    assert client.feed.errors == []


def test_a_client_is_registered_acknowledges_what_it_applied_and_leaves_at_the_end(server, start):
    revision = server.write()
    client = start(server.url)
    (live,) = eventually(server.registry.live)
    assert (live.instance, live.acknowledged) == (client.instance, revision)
    revision = server.write()
    (live,) = server.registry.wait_acknowledged(revision, 10)
    assert live.acknowledged == revision
    client.end()
    assert server.registry.live() == []


def test_an_idle_client_renews_its_lease_and_counts_it_from_before_it_asked(server, start):
    client = start(server.url, lease=0.5, heartbeat=0.05)
    eventually(server.registry.live)
    first = client.feed.renewed
    eventually(lambda: client.feed.renewed > first + 2)
    assert client.feed.renewed < time.monotonic()
    assert [one.instance.id for one in server.registry.live()] == ["one.x1"]
    assert client.feed.errors == []
    assert client.feed.snapshots == 1


def test_who_only_follows_is_no_instance_and_is_in_contact_by_the_server_s_answers(server, start, proxy):
    client = start(proxy.url, heartbeat=0.05, timeout=0.2, instance=None)
    server.write()
    client.has(server.store.snapshot())
    eventually(lambda: client.feed.contacts > 3)
    assert server.registry.live() == []
    proxy.blackhole(on=True)
    eventually(lambda: client.feed.errors)
    assert isinstance(client.feed.errors[0], StoreUnreachable)
    contacts = client.feed.contacts
    eventually(lambda: len(client.feed.errors) > 2)
    assert client.feed.contacts == contacts


def test_a_malformed_url_or_environment_is_refused_before_anything_runs():
    for url, environment in (("nonsense", "test"), ("redis://localhost", "a}b")):
        with pytest.raises(DocumentError):
            RedisSource(url, environment)


def test_an_override_is_named_in_the_record_from_the_next_renewal_on(server, start):
    client = start(server.url, heartbeat=0.05)
    eventually(server.registry.live)
    client.feed.overrides = ("a",)
    eventually(lambda: [one.instance.overrides for one in server.registry.live()] == [("a",)])


def test_a_client_ends_at_once_though_its_heartbeat_is_long(server, start):
    client = start(server.url, heartbeat=60.0, lease=180.0)
    client.has(Snapshot())
    eventually(lambda: server.client.info("clients")["blocked_clients"])
    began = time.monotonic()
    client.end()
    client.source.close()
    assert time.monotonic() - began < 5


def test_a_client_whose_connection_is_killed_again_and_again_misses_nothing(server, start):
    server.write()
    client = start(server.url)
    client.has(server.store.snapshot())
    written = []
    for index in range(60):
        written.append(server.write(description=str(index)))
        if index % 6 == 0:
            server.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    client.has(server.store.snapshot())
    assert client.feed.errors, "it was cut off"
    assert client.feed.changes == written, "every change came, in order, without a snapshot in between"
    assert client.feed.snapshots == 1


def test_a_client_behind_a_log_that_was_trimmed_reads_everything(server, start, proxy):
    server.write()
    client = start(proxy.url)
    client.has(server.store.snapshot())
    proxy.blackhole(on=True)
    server.write_many(5)
    server.client.xtrim("sb:{test}:log", maxlen=2, approximate=False)
    proxy.blackhole(on=False)
    client.has(server.store.snapshot())
    assert client.feed.snapshots == 2


def test_a_log_that_is_lost_does_not_leave_a_client_behind(server, start):
    server.write()
    client = start(server.url, heartbeat=0.05)
    client.has(server.store.snapshot())
    with server.client.pipeline() as pipeline:
        pipeline.hset("sb:{test}:meta", "rev", 7)
        pipeline.delete("sb:{test}:log")
        pipeline.execute()
    client.has(server.store.snapshot())
    assert client.feed.cursor.rev == 7


def test_a_write_too_large_for_the_log_is_read_as_a_snapshot(server, start):
    server.write()
    client = start(server.url)
    client.has(server.store.snapshot())
    server.write(*[f"f{index}" for index in range(LOG_ITEMS + 1)])
    client.has(server.store.snapshot())
    assert client.feed.changes == []
    server.write("f1")
    client.has(server.store.snapshot())
    assert len(client.feed.changes) == 1


def test_more_changes_than_one_step_takes_all_come(server, start, proxy, monkeypatch):
    monkeypatch.setattr(redis_session, "ENTRIES", 3)
    server.write()
    client = start(proxy.url)
    client.has(server.store.snapshot())
    proxy.blackhole(on=True)
    server.write_many(20)
    proxy.blackhole(on=False)
    client.has(server.store.snapshot())
    assert len(client.feed.changes) == 20
    assert client.feed.snapshots == 1


def test_a_client_follows_a_server_through_a_restart(make_redis, open_server, start):
    redis = make_redis(config=DURABLE)
    server = open_server(redis.url)
    before = server.write()
    client = start(server.url)
    client.has(server.store.snapshot())
    redis.kill()
    eventually(lambda: any(isinstance(error, StoreUnreachable) for error in client.feed.errors))
    redis.start()
    eventually(lambda: client.feed.cursor.epoch > before.epoch, message="the fence was not passed on")
    client.has(server.store.snapshot())
    revision = server.write()
    client.has(server.store.snapshot())
    assert [one.acknowledged for one in server.registry.wait_acknowledged(revision, 10)] == [revision]


def test_a_client_ends_with_what_a_restored_older_copy_holds(make_redis, open_server, start, tmp_path):
    redis = make_redis("original", config=DURABLE, data_dir=tmp_path / "first")
    server = open_server(redis.url)
    server.write("a", description="old")
    redis.stop()
    shutil.copytree(tmp_path / "first" / "original", tmp_path / "second" / "original")
    redis.start()
    server.write("a", description="new")
    server.write("b")
    client = start(server.url, heartbeat=60.0, lease=180.0)
    client.has(server.store.snapshot())
    redis.stop()
    make_redis("original", config=DURABLE, data_dir=tmp_path / "second")
    client.has(server.store.snapshot())
    assert {key: flag.description for key, flag in client.feed.snapshot.flags.items()} == {"a": "old"}
    # The same counts as before the restore, for other changes: only the epoch tells them apart.
    server.write("a", description="newer")
    server.write("c")
    client.has(server.store.snapshot())


def test_a_server_that_lost_everything_is_followed_too(make_redis, open_server, start):
    redis = make_redis()
    server = open_server(redis.url)
    server.write()
    client = start(server.url)
    client.has(server.store.snapshot())
    redis.kill()
    redis.start()
    client.has(Snapshot())


def test_a_blackholed_connection_is_noticed_and_replaced(server, start, proxy):
    client = start(proxy.url, timeout=0.3)
    client.has(Snapshot())
    proxy.blackhole(on=True)
    eventually(lambda: any(isinstance(error, StoreUnreachable) for error in client.feed.errors), timeout=5)
    server.write()
    proxy.blackhole(on=False)
    client.has(server.store.snapshot())


def test_a_full_server_is_followed_though_it_takes_no_acknowledgement(make_redis, open_server, start):
    redis = make_redis(config={"maxmemory-policy": "noeviction"})
    server = open_server(redis.url)
    server.write()
    client = start(server.url, heartbeat=0.05)
    client.has(server.store.snapshot())
    server.client.config_set("maxmemory", 1)
    eventually(lambda: any(isinstance(error, StoreRefused) for error in client.feed.errors))
    late = start(server.url, "two", heartbeat=0.05)
    late.has(server.store.snapshot())
    server.client.config_set("maxmemory", 0)
    revision = server.write()
    live = eventually(lambda: len(found := server.registry.wait_acknowledged(revision, 5)) == 2 and found)
    assert {one.acknowledged for one in live} == {revision}


def test_scripts_that_the_server_forgot_are_sent_again(server, start):
    client = start(server.url, heartbeat=0.05)
    client.has(Snapshot())
    server.client.script_flush()
    revision = server.write()
    client.has(server.store.snapshot())
    eventually(lambda: [one.acknowledged for one in server.registry.live()] == [revision])


def test_a_flag_that_can_t_be_read_is_left_out_and_the_others_still_change(server, start, caplog):
    server.write("a")
    server.client.hset("sb:{test}:flags", "broken", '{"enabled": "perhaps"}')
    client = start(server.url)
    server.write("a", description="later")
    client.has(server.store.snapshot())
    assert [key for key, _ in client.feed.snapshot.flags.items()] == ["a"]
    revision = server.write("a")
    server.client.xadd("sb:{test}:log", {"broken": "{"}, id=f"{revision.epoch}-{revision.rev + 1}")
    server.client.hincrby("sb:{test}:meta", "rev", 1)
    client.has(server.store.snapshot())
    assert client.feed.cursor.rev == revision.rev + 1
    assert "flag 'broken' can't be read" in caplog.text


def test_a_source_can_be_run_again_after_its_end(server, start):
    client = start(server.url)
    client.has(Snapshot())
    client.end()
    client.stop.clear()
    client.thread = threading.Thread(target=client.source.run, args=(client.feed, client.instance, client.stop))
    client.thread.start()
    server.write()
    client.has(server.store.snapshot())
