"""Clearing a queue while it is in use: rewriting in place, setting aside, dropping, and waiting."""

import contextlib
import itertools
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from foundation.clock import ManualClock
from foundation.errors import StoreUnreachable
from foundation.redis import connect
from messenger.errors import DecodeFailed
from messenger.formats import ALL_WORDS, GZIP, IDENTITY, JSON, YAML
from messenger.frame import Frame
from messenger.queue import DeadLetter, Handled, QueueLimits, Settlement
from messenger.queues import transcode as transcoding
from messenger.queues.clearing import drain, purge, quarantine
from messenger.queues.entries import GROUP
from messenger.queues.streams import RedisQueueServer
from messenger.queues.transcode import transcode
from tests.support import eventually

CHILD = Path(__file__).with_name("transcoding_child.py")
YAML_WORD = frozenset({YAML})
NORMAL = "sb:{test/busy}:q:normal"
numbers = itertools.count()


@pytest.fixture
def server(redis_url):
    server = RedisQueueServer(redis_url, "test", timeout=10)
    yield server
    server.close()


@pytest.fixture
def queue(server):
    return server.queue("busy")


@pytest.fixture
def client(redis_url):
    with connect(redis_url, decode=True) as client:
        yield client


@pytest.fixture
def small_steps(monkeypatch):
    monkeypatch.setattr(transcoding, "_STEP", 3)


def yaml(body, *, count=1):
    return Frame(f"frm_{next(numbers)}", YAML, GZIP, count, "7-3", str(body).encode(), "me")


def plain(body):
    return Frame(f"frm_{next(numbers)}", JSON, IDENTITY, 1, "7-3", str(body).encode(), "me")


def append(queue, *frames, priority="normal"):
    assert queue.append([(priority, frame) for frame in frames]) == [None] * len(frames)


def as_json(frame):
    if frame.content_type == JSON:
        return frame
    if frame.body == b"poison":
        raise DecodeFailed("no YAML at all")
    return Frame(frame.id, JSON, IDENTITY, frame.count, frame.revision, frame.body + b"!", frame.sender)


def bodies(places):
    return [place.frame.body.decode() for place in places]


def settle(queue, *deliveries, consumer="ann"):
    queue.settle(consumer, [Settlement(one, (Handled(one.frame.id, one.frame.body),)) for one in deliveries])


def agreed_state(queue):
    """What stands there by a look at every frame, which the running counters must agree with."""
    proof, running = queue.state(), queue.state(scan=False)
    assert proof.frames_by_type == {name: frames for name, frames in running.frames_by_type.items() if frames}
    assert proof.messages == running.messages
    return proof


class TestTranscoding:
    def test_yaml_becomes_json_and_everything_else_stays(self, queue, small_steps):
        for priority in ("high", "low"):
            append(queue, *(maker(step) for step in range(10) for maker in (yaml, plain)), priority=priority)
        before = {(one.priority, one.entry): one for one in queue.peek(100)}
        report = transcode(queue, as_json)
        after = {(one.priority, one.entry): one for one in queue.peek(100)}
        assert list(before) == list(after)
        for place, one in before.items():
            assert after[place].frame == as_json(one.frame)
        assert (report.rewritten, report.quarantined, report.swapped) == (20, 0, 2)
        assert agreed_state(queue).frames_by_type == {JSON: 40}

    def test_a_queue_that_is_as_it_should_be_is_left_alone(self, queue, client, small_steps):
        append(queue, *(plain(step) for step in range(20)))
        report = transcode(queue, as_json)
        assert (report.rewritten, report.swapped) == (0, 0)
        assert transcode(queue, lambda frame: None).swapped == 0
        assert not [name for name in client.keys("*") if ":next:" in name or ":building:" in name]

    def test_a_queue_that_never_was_needs_no_work(self, server):
        assert transcode(server.queue("unborn"), as_json).swapped == 0

    def test_nothing_of_the_work_is_left_behind(self, queue, client):
        append(queue, yaml(1))
        report = transcode(queue, as_json)
        left = [name for name in client.keys("*") if ":next:" in name or ":building:" in name]
        assert left == []
        assert client.ttl(f"sb:{{test/busy}}:op:{report.operation}") > 0

    def test_pending_frames_keep_owner_idle_time_and_deliveries(self, queue, client, small_steps):
        append(queue, *(yaml(step) for step in range(12)))
        queue.receive("ann", 3, 0)
        queue.receive("bob", 3, 0)
        settle(queue, *queue.receive("free", 1, 0))
        eventually(lambda: len(queue.claim("cat", 0.05, 2)) == 2)
        before, consumers = pendings(client), names(client)
        transcode(queue, as_json)
        after = pendings(client)
        assert {deliveries for *_, deliveries in before} == {1, 2}
        assert [(entry, owner, deliveries) for entry, owner, _, deliveries in after] == [
            (entry, owner, deliveries) for entry, owner, _, deliveries in before
        ]
        assert all(now[2] >= then[2] for then, now in zip(before, after, strict=True))
        assert names(client) == consumers
        assert bodies(queue.receive("dan", 20, 0)) == [f"{step}!" for step in range(7, 12)]

    def test_what_was_handed_out_before_is_settled_after(self, queue, small_steps):
        append(queue, *(yaml(step) for step in range(6)))
        held = queue.receive("ann", 4, 0)
        transcode(queue, as_json)
        settle(queue, *held)
        settle(queue, *queue.receive("ann", 10, 0))
        assert [result for _, _, result in queue.results()] == [b"0", b"1", b"2", b"3", b"4!", b"5!"]
        state = agreed_state(queue)
        assert (state.messages, sum(state.pending.values())) == (0, 0)

    def test_what_is_settled_while_it_runs_stays_settled(self, queue, small_steps):
        append(queue, *(yaml(step) for step in range(12)))
        held = iter(queue.receive("ann", 12, 0))

        def rewrite(frame):
            settle(queue, *itertools.islice(held, 2))  # some that are copied already, some that are not yet
            return as_json(frame)

        transcode(queue, rewrite)
        assert queue.peek() == []
        assert agreed_state(queue).handled == 12

    def test_half_settled_while_it_runs(self, queue, small_steps):
        append(queue, *(yaml(step) for step in range(12)))
        held = queue.receive("ann", 12, 0)
        odd = iter(held[1::2])

        def rewrite(frame):
            settle(queue, *itertools.islice(odd, 1))
            return as_json(frame)

        transcode(queue, rewrite)
        assert bodies(queue.peek(20)) == [f"{step}!" for step in range(0, 12, 2)]
        assert agreed_state(queue).frames_by_type == {JSON: 6}
        settle(queue, *held)
        assert agreed_state(queue).handled == 12

    def test_what_is_appended_while_it_runs_comes_after(self, queue, small_steps):
        append(queue, *(yaml(step) for step in range(10)))
        queue.bar(YAML_WORD)
        more = iter(range(10, 30))

        def rewrite(frame):
            for step in itertools.islice(more, 1):
                append(queue, plain(f"{step}!"))
            return as_json(frame)

        transcode(queue, rewrite)
        assert bodies(queue.receive("ann", 100, 0)) == [f"{step}!" for step in range(30)]

    def test_the_tail_is_copied_by_the_last_script(self, queue, server, monkeypatch):
        append(queue, yaml(0))
        queue.bar(YAML_WORD)
        late = iter(range(1, 8))
        run = queue.run

        def run_after_an_append(purpose, script, arguments):
            if script is transcoding.scripts.SWAP:
                for step in late:
                    append(sender, plain(f"{step}!"))
            return run(purpose, script, arguments)

        sender = server.queue("busy")
        monkeypatch.setattr(queue, "run", run_after_an_append)
        transcode(queue, as_json)
        assert bodies(queue.receive("ann", 100, 0)) == [f"{step}!" for step in range(8)]
        assert agreed_state(queue).frames_by_type == {JSON: 8}

    def test_yaml_written_past_the_library_while_it_runs_is_rewritten_too(self, queue, client, monkeypatch):
        append(queue, yaml(0))
        queue.bar(YAML_WORD)
        run, disobedient = queue.run, iter([1])

        def run_after_an_intrusion(purpose, script, arguments):
            if script is transcoding.scripts.SWAP:
                for _ in disobedient:
                    client.xadd(NORMAL, {"t": YAML, "e": IDENTITY, "n": 1, "b": "sneaked"})
            return run(purpose, script, arguments)

        monkeypatch.setattr(queue, "run", run_after_an_intrusion)
        transcode(queue, as_json)
        assert queue.state().frames_by_type == {JSON: 2}
        assert bodies(queue.peek()) == ["0!", "sneaked!"]

    def test_new_frames_come_after_all_that_ever_were(self, queue, client, small_steps):
        append(queue, yaml("stays"), *(yaml(step) for step in range(5)))
        first, *others = queue.receive("ann", 10, 0)
        settle(queue, *others)
        # As after a burst within one millisecond: the newest entries are gone, and the clock has not moved on.
        future = "9999999999999-7"
        client.xadd(NORMAL, {"t": JSON, "e": IDENTITY, "n": 1, "b": "{}"}, id=future)
        settle(queue, *queue.receive("ann", 10, 0))
        transcode(queue, as_json)
        append(queue, plain("new"))
        assert bodies(queue.receive("ann", 10, 0)) == ["new"]
        assert first.entry in {one.entry for one in queue.peek()}

    def test_what_can_not_be_read_is_set_aside_and_can_be_replayed(self, queue, small_steps):
        append(queue, yaml("a"), yaml("poison", count=3), yaml("b"))
        report = transcode(queue, as_json)
        assert (report.rewritten, report.quarantined) == (2, 1)
        assert bodies(queue.peek()) == ["a!", "b!"]
        (letter,) = queue.dead_letters(quarantine=True)
        assert (letter.reason, letter.detail, letter.frame.body) == (
            "quarantine",
            "DECODE_FAILED: no YAML at all",
            b"poison",
        )
        assert agreed_state(queue).quarantined == 1
        assert queue.replay([letter.id], quarantine=True) == 1
        assert bodies(queue.receive("ann", 10, 0)) == ["a!", "b!", "poison"]

    def test_a_blocked_consumer_goes_on_by_itself(self, queue, server, client):
        append(queue, yaml("kept pending"))
        queue.receive("ann", 1, 0)
        got = []
        waiting = server.queue("busy")
        thread = threading.Thread(target=lambda: got.extend(waiting.receive("bob", 10, 60)))
        thread.start()
        eventually(lambda: int(client.info("clients")["blocked_clients"]) == 1)
        assert transcode(queue, as_json).swapped == 1
        append(queue, plain("next"))
        thread.join(10)
        assert bodies(got) == ["next"]

    def test_a_run_that_failed_is_gone_on_with_and_its_counts_too(self, queue, small_steps):
        append(queue, *(yaml(step) for step in range(10)), yaml("poison"), *(yaml(step) for step in range(10, 20)))
        calls = itertools.count()

        def rewrite(frame):
            if next(calls) == 14:
                raise StoreUnreachable("the lights went out")
            return as_json(frame)

        with pytest.raises(StoreUnreachable):
            transcode(queue, rewrite, operation="once")
        settle(queue, *queue.receive("ann", 5, 0))
        assert agreed_state(queue).frames_by_type == {YAML: 15}
        report = transcode(queue, rewrite, operation="once")
        assert next(calls) == 21 + 3  # no more than the step that failed was done again
        assert (report.rewritten, report.quarantined, report.swapped) == (20, 1, 1)
        assert bodies(queue.peek(20)) == [f"{step}!" for step in range(5, 20)]
        assert agreed_state(queue).frames_by_type == {JSON: 15}
        assert transcode(queue, as_json, operation="once") == report

    def test_two_runs_at_once_help_each_other(self, server, small_steps):
        queues = [server.queue("busy") for _ in range(3)]
        append(queues[0], *(yaml(step) for step in range(300)))
        threads = [threading.Thread(target=transcode, args=(queue, as_json)) for queue in queues]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert bodies(queues[0].receive("ann", 1000, 0)) == [f"{step}!" for step in range(300)]
        assert agreed_state(queues[0]).frames_by_type == {JSON: 300}

    def test_entries_deleted_past_the_library_do_not_come_back(self, queue, client, small_steps):
        append(queue, *(yaml(step) for step in range(10)))
        victims = iter([client.xrange(NORMAL)[1][0]])
        calls = itertools.count()

        def rewrite(frame):
            if next(calls) == 7:
                client.xdel(NORMAL, next(victims))
            return as_json(frame)

        transcode(queue, rewrite)
        assert bodies(queue.receive("ann", 100, 0)) == [f"{step}!" for step in range(10) if step != 1]

    @pytest.mark.parametrize(
        "clear", [lambda queue: transcode(queue, as_json), lambda queue: quarantine(queue, YAML_WORD)]
    )
    def test_a_stream_that_nobody_opened_can_be_cleared(self, queue, server, client, small_steps, clear):
        for body in ("a", "b", "poison", "c", "d"):
            client.xadd(NORMAL, {"t": YAML, "f": body, "b": body})
        clear(queue)
        assert server.domains() == ["busy"]
        assert queue.count(YAML_WORD) == 0
        assert len(queue.receive("ann", 10, 0)) + queue.state().quarantined == 5

    def test_a_full_server_can_be_cleared(self, queue, client, small_steps):
        append(queue, *(yaml(step) for step in range(10)))
        client.config_set("maxmemory", "1")
        try:
            transcode(queue, as_json)
        finally:
            client.config_set("maxmemory", "0")
        assert queue.state().frames_by_type == {JSON: 10}


def pendings(client):
    rows = client.xpending_range(NORMAL, GROUP, "-", "+", 100)
    return [(row["message_id"], row["consumer"], row["time_since_delivered"], row["times_delivered"]) for row in rows]


def names(client):
    return sorted(consumer["name"] for consumer in client.xinfo_consumers(NORMAL, GROUP))


class TestClearing:
    @pytest.fixture
    def mixed(self, queue):
        for priority in ("high", "normal", "low"):
            append(queue, yaml(f"{priority} a"), plain(f"{priority} b"), yaml(f"{priority} c"), priority=priority)
        return queue

    def test_quarantine_sets_yaml_aside_wherever_it_stands(self, mixed):
        mixed.receive("ann", 1, 0)
        assert quarantine(mixed, YAML_WORD, operation="op") == 6
        state = agreed_state(mixed)
        assert (state.frames_by_type, state.quarantined, sum(state.pending.values())) == ({JSON: 3}, 6, 0)
        letters = mixed.dead_letters(quarantine=True)
        assert [letter.frame.body.decode() for letter in letters[:2]] == ["high a", "high c"]
        assert {letter.detail for letter in letters} == {"needs application/yaml"}
        assert [letter.deliveries for letter in letters[:2]] == [1, 0]
        assert quarantine(mixed, YAML_WORD, operation="op") == 6

    def test_what_was_set_aside_can_be_put_back(self, mixed):
        quarantine(mixed, YAML_WORD)
        letters = [letter.id for letter in mixed.dead_letters(quarantine=True)]
        assert mixed.replay(letters, quarantine=True) == 6
        assert agreed_state(mixed).frames_by_type == {JSON: 3, YAML: 6}

    def test_other_words_can_be_cleared_too(self, queue):
        append(
            queue,
            plain("a"),
            Frame("frm_b", JSON, GZIP, 1, "0-0", b"b"),
            Frame("frm_c", JSON, IDENTITY, 2, "0-0", b"c"),
        )
        assert queue.count(frozenset({GZIP, "batch"})) == 2
        assert purge(queue, frozenset({"batch"})) == 1
        assert quarantine(queue, frozenset({GZIP})) == 1
        assert bodies(queue.peek()) == ["a"]

    def test_a_consumer_settles_what_was_set_aside_under_its_hands(self, mixed, client):
        (held,) = mixed.receive("ann", 1, 0)
        quarantine(mixed, YAML_WORD)
        settle(mixed, held)
        assert "high a" not in [letter.frame.body.decode() for letter in mixed.dead_letters(quarantine=True)]
        state = agreed_state(mixed)
        assert (state.handled, state.quarantined) == (1, 5)
        assert client.hlen("sb:{test/busy}:quarantine:ids") == 5
        settle(mixed, held)
        assert agreed_state(mixed).duplicates == 1

    def test_a_consumer_can_give_up_what_was_set_aside_under_its_hands(self, mixed):
        (held,) = mixed.receive("ann", 1, 0)
        quarantine(mixed, YAML_WORD)
        letter = DeadLetter("m1", held.frame, "high", "handler", "broke", 1, 0.0)
        mixed.settle("ann", [Settlement(held, letters=(letter,))])
        assert [one.id for one in mixed.dead_letters()] == ["m1"]
        assert agreed_state(mixed).quarantined == 5

    def test_what_is_given_up_of_a_batch_that_was_set_aside_meanwhile_is_not_lost(self, queue):
        append(queue, yaml("m1 and m2", count=2))
        (held,) = queue.receive("ann", 1, 0)
        quarantine(queue, YAML_WORD)
        letter = DeadLetter("m1", held.frame, "normal", "invalid", "broken", 1, 0.0)
        queue.settle("ann", [Settlement(held, letters=(letter,), finished=False)])
        assert [one.id for one in queue.dead_letters()] == ["m1"]
        queue.settle("ann", [Settlement(held, (Handled("m2"),))])
        assert [one.id for one in queue.dead_letters()] == ["m1"]
        state = agreed_state(queue)
        assert (state.handled, state.quarantined) == (1, 0)

    def test_two_frames_of_one_name_are_both_set_aside(self, queue, client):
        for body in ("a", "b"):
            client.xadd(NORMAL, {"t": YAML, "f": "same", "b": body})
            queue.join("ann", ALL_WORDS, 60)
        assert quarantine(queue, YAML_WORD) == 2
        letters = queue.dead_letters(quarantine=True)
        assert [letter.frame.body for letter in letters] == [b"a", b"b"]
        assert queue.discard([letter.id for letter in letters], quarantine=True) == 2

    def test_purge_drops_yaml_for_good(self, mixed):
        mixed.receive("ann", 1, 0)
        assert purge(mixed, YAML_WORD) == 6
        state = agreed_state(mixed)
        assert (state.frames_by_type, state.quarantined, sum(state.pending.values())) == ({JSON: 3}, 0, 0)

    def test_clearing_goes_on_past_what_one_look_sees(self, queue):
        append(queue, *(maker(step) for step in range(300) for maker in (yaml, plain)))
        assert purge(queue, YAML_WORD) == 300
        assert agreed_state(queue).frames_by_type == {JSON: 300}

    def test_a_copy_that_is_half_built_is_cleared_with_its_stream(self, queue, small_steps):
        append(queue, *(yaml(step) for step in range(10)))
        with contextlib.suppress(StoreUnreachable):
            transcode(queue, failing_after(5))
        assert purge(queue, YAML_WORD) == 10
        transcode(queue, as_json)
        assert queue.peek() == []
        assert agreed_state(queue).messages == 0

    def test_a_full_server_can_be_cleared(self, mixed, client):
        client.config_set("maxmemory", "1")
        try:
            assert quarantine(mixed, YAML_WORD) == 6
        finally:
            client.config_set("maxmemory", "0")

    def test_drain_waits_until_consumers_have_settled_everything(self, mixed):
        clock = ManualClock()

        def pause(seconds):
            clock.advance(seconds)
            settle(mixed, *mixed.receive("ann", 2, 0))

        assert drain(mixed, YAML_WORD, 60, clock=clock, pause=pause) == 0
        assert mixed.count(YAML_WORD) == 0

    def test_drain_gives_up_and_tells_what_is_left(self, mixed):
        clock = ManualClock()
        assert drain(mixed, YAML_WORD, 5, clock=clock, pause=clock.advance) == 6


def failing_after(calls):
    left = iter(range(calls))

    def rewrite(frame):
        if next(left, None) is None:
            raise StoreUnreachable("the lights went out")
        return as_json(frame)

    return rewrite


class Traffic:
    """Senders and consumers that go on while somebody transcodes the queue, and remember what they did."""

    def __init__(self, server, rng):
        self.server, self.rng, self.stop = server, rng, threading.Event()
        self.sent, self._sending = [], threading.Lock()
        self.first_deliveries = {priority: [] for priority in ("high", "normal", "low")}
        self.errors = []
        self._threads = [threading.Thread(target=self._guarded, args=(work,)) for work in (self._send, self._consume)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self.stop.set()
        for thread in self._threads:
            thread.join(60)
        assert not self.errors

    def backlog(self, frames):
        """Let at least so many frames stand in the queue."""
        queue = self.server.queue("busy")
        while queue.state(scan=False).messages < frames:
            self._append(queue, 100)

    def _guarded(self, work):
        try:
            work(self.server.queue("busy"))
        except Exception as error:
            self.errors.append(error)
            raise

    def _send(self, queue):
        while not self.stop.wait(0.005):
            self._append(queue, 5)

    def _append(self, queue, count):
        frames = [(yaml if self.rng.random() < 0.7 else plain)(next(numbers)) for _ in range(count)]
        priority = self.rng.choice(["high", "normal", "low"])
        with self._sending:  # so that `sent` has the queue's order
            append(queue, *frames, priority=priority)
            self.sent += [(priority, frame.id) for frame in frames]

    def _consume(self, queue):
        """Take frames and settle some of them; the others come back, to somebody else, as from one that died."""
        while not self.stop.wait(0.005):
            taken = queue.receive(f"c{self.rng.randrange(4)}", 12, 0.05)
            for one in taken:
                self.first_deliveries[one.priority].append(one)
            settle(queue, *(one for one in taken if self.rng.random() < 0.5))
            claimed = queue.claim("heir", 0.2, 12)
            assert all(one.deliveries > 1 for one in claimed)
            settle(queue, *claimed)

    def finish(self):
        """Handle what is left."""
        queue = self.server.queue("busy")
        while taken := queue.receive("last", 500, 0):
            for one in taken:
                self.first_deliveries[one.priority].append(one)
            settle(queue, *taken)
        while sum(queue.state(scan=False).pending.values()):
            settle(queue, *queue.claim("last", 0, 500))


def kill_transcoders(server, url, kills, rng):
    """Transcode in child processes of which each is killed, at a random step or at a random time."""
    with Traffic(server, rng) as traffic:
        killed = 0
        while killed < kills:
            traffic.backlog(3000)
            by_itself = rng.random() < 0.6
            step = str(rng.randrange(24)) if by_itself else "-1"
            when = rng.choice(["before", "after"])
            with subprocess.Popen([sys.executable, CHILD, url, step, when], stdout=subprocess.PIPE) as child:
                assert child.stdout.readline() == b"ready\n"
                if not by_itself:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        child.wait(rng.uniform(0, 0.1))
                    child.kill()
                killed += child.wait() < 0
    queue = server.queue("busy")
    queue.bar(YAML_WORD)
    transcode(queue, as_json, operation="rollback-1")
    return traffic


def check_nothing_lost(traffic, queue):
    assert agreed_state(queue).frames_by_type.keys() <= {JSON}
    traffic.finish()
    handled = [name for _, name, _ in queue.results(limit=10**7)]
    assert len(handled) == len(set(handled))
    assert sorted(handled) == sorted(name for _, name in traffic.sent)
    state = agreed_state(queue)
    assert (state.messages, state.quarantined, state.dead, state.duplicates) == (0, 0, 0, 0)
    for priority, deliveries in traffic.first_deliveries.items():
        names = [one.frame.id for one in deliveries]
        assert names == [name for sent_to, name in traffic.sent if sent_to == priority]


def run_kills(url, kills, seed):
    server = RedisQueueServer(url, "test", QueueLimits(handled_window=7200, results=10**7), timeout=10)
    traffic = kill_transcoders(server, url, kills, random.Random(seed))
    check_nothing_lost(traffic, server.queue("busy"))
    server.close()


def test_transcoders_that_are_killed_lose_and_double_nothing(redis_url):
    run_kills(redis_url, 10, seed=time.time_ns())


@pytest.mark.soak
def test_a_hundred_transcoders_that_are_killed_lose_and_double_nothing(redis_url):
    run_kills(redis_url, 100, seed=time.time_ns())
