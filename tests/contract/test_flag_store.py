"""What every flag store promises, run over memory and over Redis; and what only a server can break, over Redis."""

import os
import shutil
import signal
import socket
import threading
import time

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from flags.documents import parse_flag
from flags.errors import IdempotencyMismatch, RevisionConflict, WriteUnconfirmed
from flags.model import ZERO, Revision
from flags.store import Edit, Write
from flags.stores.memory import MemoryFlagStore
from flags.stores.redis import LOG_ITEMS, RedisFlagStore
from foundation.clock import ManualClock
from foundation.errors import DocumentError, StoreRefused, StoreUnreachable
from foundation.ids import new_id
from foundation.redis import connect
from tests.proxies import Proxy
from tests.support import eventually

DURABLE = {"appendonly": "yes", "appendfsync": "always"}


def flag(key="a", *, enabled=True, **more):
    return parse_flag(key, {"enabled": enabled, "variants": {"on": 1, "off": 0}, "offVariant": "off", **more})


def write(*edits, operation="", actor="kim", reason=""):
    return Write(operation or new_id("op"), tuple(Edit(*edit) for edit in edits), actor, reason)


@pytest.fixture(params=["memory", "redis"])
def store(request):
    if request.param == "memory":
        yield MemoryFlagStore("test", ManualClock())
        return
    store = RedisFlagStore(request.getfixturevalue("redis_url"), "test")
    yield store
    store.close()


def test_an_environment_that_was_never_written_is_empty_at_revision_zero(store):
    snapshot = store.snapshot()
    assert (snapshot.revision, dict(snapshot.flags), dict(snapshot.versions)) == (ZERO, {}, {})
    assert store.revision() == ZERO
    assert store.history("a") == []


def test_a_write_makes_the_next_revision_of_the_same_epoch(store):
    first = store.write(write((flag(), None)))
    second = store.write(write((flag(enabled=False), first.revision)))
    assert store.revision() == second.revision == store.snapshot().revision
    assert not first.repeated
    assert first.revision.rev == 1
    assert second.revision == Revision(first.revision.epoch, 2)
    assert store.snapshot().revision == second.revision


def test_what_was_written_is_read_back_with_the_revision_of_its_last_write(store):
    one, two = flag("a", description="ä\n"), flag("ns/b", rollout={"percentage": 12.345, "domains": {"x": 1}})
    first = store.write(write((one, None)))
    second = store.write(write((two, None)))
    snapshot = store.snapshot()
    assert dict(snapshot.flags) == {"a": one, "ns/b": two}
    assert dict(snapshot.versions) == {"a": first.revision, "ns/b": second.revision}


def test_a_writer_who_saw_an_older_revision_changes_nothing(store):
    first = store.write(write((flag(), None)))
    second = store.write(write((flag(enabled=False), first.revision)))
    for expected in (first.revision, None, Revision(1, 1)):
        with pytest.raises(RevisionConflict) as caught:
            store.write(write((flag(description="late"), expected)))
        assert (caught.value.key, caught.value.current) == ("a", str(second.revision))
    assert store.snapshot().revision == second.revision
    assert len(store.history("a")) == 2


def test_a_writer_who_expects_a_flag_that_does_not_exist_is_told_so(store):
    with pytest.raises(RevisionConflict) as caught:
        store.write(write((flag(), Revision(1, 1))))
    assert (caught.value.expected, caught.value.current) == ("1-1", "")


def test_the_same_operation_again_gets_the_first_result_and_changes_nothing(store):
    first = write((flag(), None), operation="op-1", reason="why")
    done = store.write(first)
    later = store.write(write((flag(enabled=False), done.revision)))
    again = store.write(first)
    assert (again.revision, again.repeated) == (done.revision, True)
    assert store.snapshot().revision == later.revision
    assert not store.snapshot().flags["a"].enabled
    assert len(store.history("a")) == 2


def test_the_same_operation_is_known_by_what_it_brings_about_and_not_by_what_it_had_read(store):
    done = store.write(write((flag(), None), operation="op-1"))
    again = store.write(write((flag(), done.revision), operation="op-1"))
    assert (again.revision, again.repeated) == (done.revision, True)


@pytest.mark.parametrize(
    "other",
    [
        write((flag(enabled=False), None), operation="op-1"),
        write((flag("b"), None), operation="op-1"),
        write((flag(), None), (flag("b"), None), operation="op-1"),
        write((flag(), None), operation="op-1", actor="robin"),
        write((flag(), None), operation="op-1", reason="another"),
    ],
)
def test_the_same_operation_with_another_body_is_refused(store, other):
    done = store.write(write((flag(), None), operation="op-1"))
    with pytest.raises(IdempotencyMismatch):
        store.write(other)
    assert store.snapshot().revision == done.revision


def test_an_operation_that_was_refused_may_be_sent_again_with_what_is_right(store):
    done = store.write(write((flag(), None)))
    with pytest.raises(RevisionConflict):
        store.write(write((flag(enabled=False), None), operation="op-2"))
    again = store.write(write((flag(enabled=False), done.revision), operation="op-2"))
    assert (again.revision.rev, again.repeated) == (2, False)


def test_many_flags_are_one_revision_and_a_conflict_in_one_stops_them_all(store):
    many = [(flag(f"f{index}"), None) for index in range(50)]
    done = store.write(write(*many))
    assert set(store.snapshot().versions.values()) == {done.revision}
    with pytest.raises(RevisionConflict) as caught:
        store.write(write((flag("new"), None), (flag("f0", enabled=False), done.revision), (flag("f1"), None)))
    assert caught.value.key == "f1"
    snapshot = store.snapshot()
    assert snapshot.revision == done.revision
    assert "new" not in snapshot.flags
    assert snapshot.flags["f0"].enabled
    assert len(store.history("f0")) == 1


def test_a_write_of_more_flags_than_one_log_entry_takes_is_still_one_write(store):
    done = store.write(write(*[(flag(f"f{index}"), None) for index in range(LOG_ITEMS + 1)]))
    assert len(store.snapshot().flags) == LOG_ITEMS + 1
    assert set(store.snapshot().versions.values()) == {done.revision}


def test_history_tells_who_when_why_before_and_after_newest_first(store):
    first = store.write(write((flag(), None), actor="kim", reason="new"))
    second = store.write(write((flag(enabled=False), first.revision), (flag("b"), None), actor="robin", reason="off"))
    newest, oldest = store.history("a")
    assert (newest.revision, newest.actor, newest.reason) == (second.revision, "robin", "off")
    assert (newest.before, newest.after) == (flag(), flag(enabled=False))
    assert (oldest.revision, oldest.actor, oldest.reason) == (first.revision, "kim", "new")
    assert (oldest.before, oldest.after) == (None, flag())
    assert oldest.at <= newest.at
    assert [entry.revision for entry in store.history("b")] == [second.revision]
    assert store.history("a", limit=1) == [newest]


@pytest.mark.parametrize(
    "broken",
    [Write("op", (), "kim"), write((flag(), None), (flag(), None)), Write("", (Edit(flag(), None),), "kim")],
)
def test_a_write_that_makes_no_sense_is_refused(store, broken):
    with pytest.raises(DocumentError):
        store.write(broken)
    assert store.snapshot().revision == ZERO


def test_of_many_writers_at_once_exactly_one_wins_each_revision(store):
    start = store.write(write((flag(), None)))
    won, lost = [], []
    barrier = threading.Barrier(8)

    def contend(index):
        barrier.wait()
        try:
            won.append(store.write(write((flag(description=str(index)), start.revision))))
        except RevisionConflict as error:
            lost.append(error)

    threads = [threading.Thread(target=contend, args=[index]) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 7)
    assert {error.current for error in lost} == {str(won[0].revision)}


def test_memory_forgets_an_operation_after_a_day():
    clock = ManualClock()
    store = MemoryFlagStore("test", clock)
    done = store.write(write((flag(), None), operation="op-1"))
    clock.advance(86_401)
    assert not store.write(write((flag(enabled=False), done.revision), operation="op-1")).repeated


# ---- the two stores side by side

KEYS = st.sampled_from("abc")


class Twins(RuleBasedStateMachine):
    """Whatever is done, both stores answer alike; only the epoch, a time, is their own."""

    url = ""

    @initialize()
    def begin(self):
        with connect(self.url) as client:
            client.flushall()
        self.twins = [MemoryFlagStore("test"), RedisFlagStore(self.url, "test")]

    def both(self, act):
        answers = []
        for store in self.twins:
            try:
                answers.append(act(store))
            except (RevisionConflict, IdempotencyMismatch) as error:
                answers.append((type(error), getattr(error, "key", "")))
        assert answers[0] == answers[1]

    @rule(
        keys=st.lists(KEYS, min_size=1, unique=True), enabled=st.booleans(), fresh=st.booleans(), op=st.integers(0, 5)
    )
    def write(self, keys, enabled, fresh, op):
        def act(store):
            seen = {} if fresh else store.snapshot().versions
            edits = [(flag(key, enabled=enabled), seen.get(key)) for key in keys]
            done = store.write(write(*edits, operation=f"op-{op}"))
            return done.revision.rev, done.repeated

        self.both(act)

    @rule(key=KEYS)
    def history(self, key):
        self.both(lambda store: [(e.revision.rev, e.before, e.after) for e in store.history(key)])

    @invariant()
    def same_flags(self):
        if hasattr(self, "twins"):
            self.both(
                lambda store: (store.snapshot().flags, [v.rev for _, v in sorted(store.snapshot().versions.items())])
            )

    def teardown(self):
        if hasattr(self, "twins"):
            self.twins[1].close()


def test_memory_and_redis_answer_alike_whatever_is_done(redis_url):
    Twins.url = redis_url
    Twins.TestCase.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
    Twins.TestCase().runTest()


# ---- what only a server can do


@pytest.fixture
def proxy(redis_server, redis_url, runtime_dir):
    proxy = Proxy(runtime_dir / f"{new_id()[-8:]}.sock", redis_server.socket)
    yield proxy
    proxy.close()


def test_a_write_whose_answer_was_lost_is_applied_exactly_once(proxy):
    store = RedisFlagStore(proxy.url, "test")
    first = store.write(write((flag(), None)))
    proxy.lose_answer()
    second = store.write(write((flag(enabled=False), first.revision)))
    assert proxy.lost == 1
    assert second.repeated
    assert second.revision == Revision(first.revision.epoch, 2) == store.snapshot().revision
    assert len(store.history("a")) == 2
    store.close()


def test_a_server_that_takes_and_never_answers_fails_a_write_within_about_a_second(proxy):
    store = RedisFlagStore(proxy.url, "test")
    store.snapshot()
    proxy.blackhole(on=True)
    began = time.monotonic()
    with pytest.raises(StoreUnreachable):
        store.write(write((flag(), None)))
    assert time.monotonic() - began < 2.5
    proxy.blackhole(on=False)
    store.close()


def test_a_server_that_is_gone_fails_reads_and_writes_at_once(make_redis):
    server = make_redis()
    store = RedisFlagStore(server.url, "test")
    store.snapshot()
    server.kill()
    began = time.monotonic()
    for act in (store.snapshot, lambda: store.write(write((flag(), None))), lambda: store.history("a")):
        with pytest.raises(StoreUnreachable):
            act()
    assert time.monotonic() - began < 2.5
    store.close()


def test_connections_that_a_restart_cut_are_replaced_without_an_error(make_redis):
    server = make_redis(config=DURABLE)
    store = RedisFlagStore(server.url, "test")
    first = store.write(write((flag(), None)))
    server.kill()
    server.start()
    second = store.write(write((flag(enabled=False), first.revision)))
    assert second.revision.epoch > first.revision.epoch
    store.close()


@pytest.mark.parametrize("settings", [("maxmemory", 1), ("min-replicas-to-write", 3)])
def test_a_server_that_will_not_write_refuses_and_still_lets_itself_be_read(make_redis, settings):
    server = make_redis(config={"maxmemory-policy": "noeviction"})
    store = RedisFlagStore(server.url, "test")
    first = store.write(write((flag(), None)))
    with connect(server.url) as client:
        client.config_set(*settings)
        with pytest.raises(StoreRefused) as caught:
            store.write(write((flag(enabled=False), first.revision)))
        assert caught.value.reason in {"OOM", "NOREPLICAS"}
        assert store.snapshot().flags == {"a": flag()}
        assert store.snapshot().revision == first.revision
        client.config_set(settings[0], 0)
    assert store.write(write((flag(enabled=False), first.revision))).revision.rev == 2
    store.close()


def test_a_replica_is_read_and_refuses_to_be_written(make_redis):
    server = make_redis()
    store = RedisFlagStore(server.url, "test")
    first = store.write(write((flag(), None)))
    with connect(server.url) as client:
        client.replicaof("127.0.0.1", 1)
    with pytest.raises(StoreRefused) as caught:
        store.write(write((flag(enabled=False), first.revision)))
    assert caught.value.reason == "READONLY"
    assert store.snapshot().flags == {"a": flag()}
    store.close()


def test_a_restart_begins_a_new_epoch_that_is_a_time(make_redis):
    server = make_redis(config=DURABLE)
    store = RedisFlagStore(server.url, "test")
    first = store.write(write((flag(), None)))
    assert abs(first.revision.epoch / 1e6 - time.time()) < 60
    server.kill()
    server.start()
    restarted = store.snapshot()
    assert restarted.revision.epoch > first.revision.epoch
    assert restarted.revision.rev == first.revision.rev
    assert restarted.versions == {"a": first.revision}
    assert store.snapshot().revision == restarted.revision
    second = store.write(write((flag(enabled=False), first.revision)))
    assert second.revision == Revision(restarted.revision.epoch, 2)
    store.close()


def test_a_server_restored_from_an_older_copy_never_gives_out_a_revision_twice(make_redis, tmp_path):
    server = make_redis("original", config=DURABLE, data_dir=tmp_path / "first")
    store = RedisFlagStore(server.url, "test")
    given = [store.write(write((flag(), None))).revision]
    server.stop()
    shutil.copytree(tmp_path / "first" / "original", tmp_path / "second" / "original")
    server.start()
    for index in range(3):
        given.append(store.write(write((flag(description=str(index)), given[-1]))).revision)
    store.close()
    server.stop()
    restored = make_redis("original", config=DURABLE, data_dir=tmp_path / "second")
    store = RedisFlagStore(restored.url, "test")
    assert store.snapshot().flags == {"a": flag()}
    for index in range(3):
        version = store.snapshot().versions["a"]
        given.append(store.write(write((flag(description=f"after {index}"), version))).revision)
    assert len(set(given)) == len(given)
    assert [revision.rev for revision in given] == [1, 2, 3, 4, 2, 3, 4]
    store.close()


def test_an_acknowledged_write_survives_a_kill_of_the_server(make_redis):
    server = make_redis(config=DURABLE)
    store = RedisFlagStore(server.url, "test")
    versions = {}
    for index in range(20):
        versions[f"f{index}"] = store.write(write((flag(f"f{index}"), None))).revision
    server.kill()
    server.start()
    assert store.snapshot().versions == versions
    store.close()


def test_where_a_replica_exists_a_write_is_confirmed_by_it_or_said_to_be_unconfirmed(make_redis):
    port = str(free_port())
    primary = make_redis("primary", config={"port": port, "bind": "127.0.0.1", "repl-diskless-sync-delay": "0"})
    replica = make_redis("replica", config={"replicaof": f"127.0.0.1 {port}"})
    store = RedisFlagStore(primary.url, "test")
    with connect(primary.url) as client, connect(replica.url) as copy:
        eventually(lambda: client.info("replication").get("slave0", {}).get("state") == "online")
        first = store.write(write((flag(), None)))
        assert copy.hlen("sb:{test}:flags") == 1
        late = write((flag(enabled=False), first.revision), operation="op-late")
        os.kill(replica.pid, signal.SIGSTOP)
        try:
            with pytest.raises(WriteUnconfirmed, match="applied as revision"):
                store.write(late)
            with pytest.raises(WriteUnconfirmed):
                store.write(late)
        finally:
            os.kill(replica.pid, signal.SIGCONT)
        assert store.write(late).repeated
    store.close()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
