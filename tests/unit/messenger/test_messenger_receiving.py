"""What a messenger does between the queue and the commit."""

import sys
import threading
from dataclasses import replace

import pytest

from foundation.clock import ManualClock
from foundation.errors import StoreUnreachable
from foundation.ids import derived_id
from messenger.envelope import Envelope, Metadata, timestamp
from messenger.errors import MessengerError, QueueFull
from messenger.formats import ADAPTIVE, JSON, YAML, FixedPolicy, Format
from messenger.frame import Frame
from messenger.messenger import WorkerMessenger
from messenger.packing import pack, unpack
from messenger.queue import QueueLimits
from messenger.queues.memory import MemoryQueueServer
from messenger.settings import MessengerSettings
from tests.support import eventually

SETTINGS = MessengerSettings(retry=0.01, claim_idle=0.3, attempts=3)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def server(clock):
    return MemoryQueueServer("test", clock)


@pytest.fixture
def queue(server):
    """The queue that the messengers of these tests handle."""
    return server.queue("balance")


@pytest.fixture
def make(server):
    """Make a messenger of domain `balance` that is closed at the end."""
    made = []

    def make_one(handlers=None, *, settings=SETTINGS, name="balance-1.a", through=server, chosen=None):
        policy = FixedPolicy(chosen or Format())
        messenger = WorkerMessenger(through, "balance", instance_id=name, policy=policy, settings=settings)
        for message_type, handler in (handlers or {}).items():
            messenger.on(message_type, handler)
        made.append(messenger)
        return messenger

    yield make_one
    for messenger in made:
        messenger.close()


def message(n, *, kind="NUMBER", **metadata):
    meta = Metadata("collections", "balance", **metadata)
    return Envelope(kind, f"msg_{n}", f"corr_{n}", timestamp(1_700_000_000), {"n": n}, meta)


def put(queue, *messages, chosen=None, frame_id=None):
    name = frame_id or f"frm_{messages[0].message_id}"
    queue.append([("normal", pack(messages, chosen or Format(), frame_id=name, sender="test"))])


def empty(queue):
    state = queue.state()
    return not (sum(state.waiting.values()) or sum(state.pending.values()))


def results(queue):
    return [(message_id, result) for _, message_id, result in queue.results()]


def letters(queue):
    return {letter.id: (letter.reason, letter.detail) for letter in queue.dead_letters()}


class Failing:
    """A queue server whose queues raise StoreUnreachable from the methods named in `broken`."""

    def __init__(self, server):
        self.environment, self._server, self.broken, self.calls = server.environment, server, set(), []

    def queue(self, domain):
        return FailingQueue(self, self._server.queue(domain))


class FailingQueue:
    def __init__(self, failing, queue):
        self._failing, self._queue, self.domain = failing, queue, queue.domain

    def __getattr__(self, name):
        method = getattr(self._queue, name)

        def call(*args, **options):
            self._failing.calls.append((name, self.domain))
            if name in self._failing.broken:
                raise StoreUnreachable(f"{name} is broken")
            return method(*args, **options)

        return call


@pytest.mark.parametrize(
    "chosen", [Format(), Format(YAML), Format(YAML, "gzip", ADAPTIVE), Format(YAML, "zstd", ADAPTIVE)]
)
def test_each_message_is_handled_by_the_handler_of_its_type_and_its_result_is_committed(queue, make, chosen):
    put(queue, message(1), message(2, kind="OTHER"), chosen=chosen)
    make({"NUMBER": lambda m, send: {"got": m.payload["n"]}, "*": lambda m, send: None}).start()

    eventually(lambda: empty(queue))
    assert results(queue) == [("msg_1", b'{"got":1}')]
    assert queue.state().handled == 2


def test_a_message_that_nobody_handles_becomes_a_letter(queue, make):
    put(queue, message(1))
    make({"OTHER": lambda m, send: None}).start()

    eventually(lambda: letters(queue))
    assert letters(queue) == {"msg_1": ("handler", "nothing here handles NUMBER")}
    assert empty(queue)


def test_what_a_handler_sends_belongs_to_the_flow_and_has_ids_that_a_second_run_would_give_again(server, queue, make):
    def handler(m, send):
        send("FIRST", {"n": 1}, target="distributions")
        send("SECOND", {"n": 2}, target="distributions", correlation_id="corr_other", message_id="msg_own")
        return "sent"

    put(queue, message(1))
    make({"NUMBER": handler}).start()

    eventually(lambda: empty(queue))
    sent = [unpack(delivery.frame)[0] for delivery in server.queue("distributions").peek()]
    assert [(m.message_id, m.correlation_id) for m in sent] == [
        (derived_id("msg_1", 0), "corr_1"),
        ("msg_own", "corr_other"),
    ]


def test_what_handlers_send_is_in_its_queue_before_what_they_handled_is_settled(server, queue, make):
    through = Failing(server)
    put(queue, *[message(n) for n in range(5)])

    def handler(m, send):
        send("NEXT", {"n": m.payload["n"]}, target="distributions")

    make({"NUMBER": handler}, through=through, chosen=Format(batching=ADAPTIVE)).start()

    eventually(lambda: empty(queue))
    steps = [call for call in through.calls if call[0] in {"append", "settle"}]
    assert steps == [("append", "distributions"), ("settle", "balance")]


def test_a_handler_is_not_settled_while_what_it_sent_waits_for_its_queue(server, queue, make):
    through = Failing(server)
    through.broken = {"append"}
    put(queue, message(1))
    make({"NUMBER": lambda m, send: send("NEXT", {}, target="distributions") and None}, through=through).start()

    eventually(lambda: ("append", "distributions") in through.calls)
    assert ("settle", "balance") not in through.calls
    through.broken = set()
    eventually(lambda: empty(queue))
    assert queue.state().handled == 1
    assert len(server.queue("distributions").peek()) == 1


def test_a_handler_that_raises_has_sent_nothing_and_is_tried_again(server, queue, make):
    runs = []

    def handler(m, send):
        send("NEXT", {"run": len(runs)}, target="distributions")
        runs.append(m.message_id)
        if len(runs) < 3:
            raise ValueError("not yet")

    put(queue, message(1))
    make({"NUMBER": handler}).start()

    eventually(lambda: empty(queue))
    assert len(runs) == 3
    assert [unpack(d.frame)[0].payload for d in server.queue("distributions").peek()] == [{"run": 2}]
    assert queue.state().handled == 1


def test_a_handler_that_always_raises_is_given_up_with_what_it_said_and_the_others_are_not_touched(queue, make):
    runs = []

    def handler(m, send):
        runs.append(m.payload["n"])
        if m.payload["n"] == 2:
            raise ValueError("never")
        return m.payload["n"]

    put(queue, message(1), message(2), message(3))
    messenger = make({"NUMBER": handler})
    messenger.start()

    eventually(lambda: empty(queue))
    assert sorted(runs) == [1, 2, 2, 2, 3]
    assert dict(results(queue)) == {"msg_1": b"1", "msg_3": b"3"}
    assert list(letters(queue)) == ["msg_2"]
    reason, detail = letters(queue)["msg_2"]
    assert reason == "handler"
    assert detail.startswith("ValueError: never (line ")
    assert queue.dead_letters()[0].deliveries == 3
    assert messenger.metrics()["errors"] == 3


def test_a_handler_that_calls_exit_fails_its_message_and_not_the_worker(queue, make):
    put(queue, message(1))
    make({"NUMBER": lambda m, send: sys.exit(3)}).start()

    eventually(lambda: letters(queue))
    assert letters(queue)["msg_1"][0] == "handler"


def test_a_result_that_is_no_json_value_counts_as_the_handlers_failure(queue, make):
    put(queue, message(1))
    make({"NUMBER": lambda m, send: {1, 2}}).start()

    eventually(lambda: letters(queue))
    assert letters(queue)["msg_1"][0] == "handler"


def test_a_handler_can_not_wait_for_what_it_sends(queue, make):
    raised = []

    def handler(m, send):
        try:
            send("NEXT", {}, target="distributions").wait(1)
        except MessengerError as error:
            raised.append(str(error))

    put(queue, message(1))
    make({"NUMBER": handler}).start()

    eventually(lambda: empty(queue))
    assert "leaves when it returns" in raised[0]


@pytest.mark.parametrize(
    ("frame", "detail"),
    [
        (Frame("f", JSON, "identity", 1, "0-0", b'{"type": "NUM'), "DecodeFailed"),
        (Frame("f", "application/x-unknown", "identity", 1, "0-0", b"{}"), "CodecUnknown"),
        (Frame("f", JSON, "brotli", 1, "0-0", b"{}"), "CodecUnknown"),
        (Frame("f", JSON, "gzip", 1, "0-0", b"\x1f\x8b cut short"), "DecodeFailed"),
        (Frame("f", JSON, "zstd", 1, "0-0", b"\x28\xb5\x2f\xfd"), "DecodeFailed"),
        (Frame("f", JSON, "identity", 5, "0-0", b"{}"), "PoisonFrame"),
    ],
)
def test_a_frame_that_can_not_be_read_becomes_a_letter_at_once_and_stands_as_it_was(queue, make, frame, detail):
    # past admission, which refuses most of these: as if a newer build had widened it
    with queue._contents.changed:
        queue._contents.put("normal", frame)
    make({"*": lambda m, send: None}).start()

    eventually(lambda: letters(queue))
    reason, said = letters(queue)["f"]
    assert (reason, said.split(":")[0]) == ("poison", detail)
    assert queue.dead_letters()[0].frame == frame
    assert empty(queue)


def test_the_good_messages_of_a_partly_broken_batch_are_handled_and_the_broken_cut_out(queue, make):
    good, broken = message(1).to_document(), message(2).to_document()
    del broken["correlationId"]
    body = Frame("frm_b", JSON, "identity", 2, "0-0", _batch(broken, good))
    queue.append([("normal", body)])
    make({"NUMBER": lambda m, send: m.payload["n"]}).start()

    eventually(lambda: empty(queue))
    assert results(queue) == [("msg_1", b"1")]
    assert letters(queue) == {"frm_b.0": ("invalid", "correlationId: is missing")}


def _batch(*documents):
    from messenger.codecs import encode

    return encode(JSON, {"type": "MESSAGE_BATCH", "messages": list(documents), "batchId": "b", "timestamp": ""})


def test_what_is_broken_in_a_batch_is_buried_once_however_often_the_batch_is_tried(queue, make):
    runs = []

    def handler(m, send):
        runs.append(1)
        if len(runs) < 3:
            raise ValueError("not yet")

    broken = message(2).to_document() | {"timestamp": "yesterday"}
    queue.append([("normal", Frame("frm_b", JSON, "identity", 2, "0-0", _batch(broken, message(1).to_document())))])
    messenger = make({"NUMBER": handler})
    messenger.start()

    eventually(lambda: empty(queue))
    assert list(letters(queue)) == ["frm_b.0"]
    assert (queue.state().handled, queue.state().duplicates) == (1, 0)
    assert messenger.telemetry.drain().total("dead") == 1


def test_a_message_older_than_its_ttl_by_the_queues_clock_is_expired(queue, make, clock):
    put(queue, message(1, ttl=5_000), message(2, ttl=60_000))
    clock.advance(6.0)
    make({"NUMBER": lambda m, send: m.payload["n"]}).start()

    eventually(lambda: empty(queue))
    assert results(queue) == [("msg_2", b"2")]
    reason, detail = letters(queue)["msg_1"]
    assert reason == "expired"
    assert "its ttl is 5000 ms" in detail


def test_a_message_sent_twice_is_handled_once_wherever_its_copies_stand(queue, make):
    runs = []
    put(queue, message(1), message(1), frame_id="frm_x")
    put(queue, message(1), frame_id="frm_y")
    messenger = make({"NUMBER": lambda m, send: runs.append(1)})
    messenger.start()
    eventually(lambda: empty(queue))
    put(queue, message(1), frame_id="frm_z")
    eventually(lambda: empty(queue))

    assert len(runs) == 1
    assert (queue.state().handled, queue.state().duplicates) == (1, 3)


def test_the_copy_of_a_message_that_failed_does_not_mark_it_handled(queue, make):
    runs = []

    def handler(m, send):
        runs.append(1)
        raise ValueError("never")

    put(queue, message(1), message(1), frame_id="frm_x")
    make({"NUMBER": handler}).start()

    eventually(lambda: empty(queue))
    assert queue.state().handled == 0
    assert list(letters(queue)) == ["msg_1"]


def test_frames_of_a_dead_consumer_are_claimed_and_what_it_had_committed_is_not_done_again(queue, make, clock):
    put(queue, message(1), message(2))
    queue.receive("balance-9.dead", 10, 0)
    clock.advance(1.0)
    runs = []
    make({"NUMBER": lambda m, send: runs.append(m.payload["n"])}).start()

    eventually(lambda: empty(queue))
    assert runs == [1, 2]


def test_a_consumer_holds_what_it_works_on_so_that_nobody_claims_it(server, queue, make, clock):
    release, runs = threading.Event(), []

    def slow(m, send):
        runs.append(m.payload["n"])
        release.wait(5)

    put(queue, message(1))
    make({"NUMBER": slow}, name="balance-1.a").start()
    eventually(lambda: runs)
    calls = Failing(server)
    make({"NUMBER": slow}, name="balance-2.b", through=calls).start()
    for _ in range(3):
        clock.advance(0.2)  # less than the idle time, again and again
        seen = calls.calls.count(("claim", "balance"))
        eventually(lambda: _pending_since(queue) == clock.monotonic())
        eventually(lambda seen=seen: calls.calls.count(("claim", "balance")) > seen)
    release.set()

    eventually(lambda: empty(queue))
    assert runs == [1]


def _pending_since(queue):
    return next(iter(queue._contents.streams["normal"].pending.values())).since


def test_a_message_that_ends_its_handlers_process_again_and_again_is_given_up_and_its_batch_goes_on(queue, make, clock):
    put(queue, *[message(n) for n in range(1, 5)])
    for _ in range(SETTINGS.attempts):  # each of these consumers handles 1, meets 2, and is never heard of again
        (queue.claim if queue.state().pending["normal"] else queue.receive)(
            "gone", *((0.3, 9) if queue.state().pending["normal"] else (9, 0))
        )
        clock.advance(1.0)
    queue._contents.marks.add("msg_1")
    make({"NUMBER": lambda m, send: m.payload["n"]}).start()

    eventually(lambda: empty(queue))
    assert letters(queue) == {"msg_2": ("handler", "3 deliveries ended without an answer")}
    assert dict(results(queue)) == {"msg_3": b"3", "msg_4": b"4"}


def test_a_batch_that_came_back_is_committed_message_by_message(server, queue, make, clock):
    put(queue, *[message(n) for n in range(3)])
    queue.receive("gone", 9, 0)
    clock.advance(1.0)
    through = Failing(server)
    make({"NUMBER": lambda m, send: None}, through=through).start()

    eventually(lambda: empty(queue))
    assert through.calls.count(("settle", "balance")) == 4


def test_a_handler_that_hangs_makes_the_messenger_overdue_and_it_lets_go_of_its_frames(server, queue, make, clock):
    release, through = threading.Event(), Failing(server)
    put(queue, message(1))
    settings = replace(SETTINGS, handler_timeout=0.05)
    hung = make({"NUMBER": lambda m, send: release.wait(5)}, settings=settings, through=through)
    hung.start()
    eventually(lambda: hung.overdue)
    for _ in range(3):
        clock.advance(0.2)  # less than the idle time: only a frame that nobody holds gets older than it
        rounds = through.calls.count(("now", "balance"))
        eventually(lambda rounds=rounds: through.calls.count(("now", "balance")) >= rounds + 2)
    make({"NUMBER": lambda m, send: "done"}, name="balance-2.b").start()

    eventually(lambda: results(queue) == [("msg_1", b'"done"')])
    release.set()
    eventually(lambda: queue.state().duplicates == 1)


@pytest.mark.parametrize("method", ["receive", "settle", "seen", "claim", "now", "join"])
def test_the_loop_outlives_its_server(server, queue, make, method):
    through = Failing(server)
    through.broken = {method}
    put(queue, message(1))
    make({"NUMBER": lambda m, send: m.payload["n"]}, through=through).start()

    eventually(lambda: through.calls.count((method, "balance")) >= 2)
    through.broken = set()
    eventually(lambda: empty(queue))
    assert results(queue) == [("msg_1", b"1")]
    assert queue.state().duplicates == 0


def test_closing_finishes_the_message_at_hand_and_leaves_the_queue(queue, make):
    started, release = threading.Event(), threading.Event()

    def handler(m, send):
        started.set()
        release.wait(5)
        return "done"

    put(queue, message(1))
    messenger = make({"NUMBER": handler})
    messenger.start()
    started.wait(5)
    eventually(lambda: queue.state().members)
    closing = threading.Thread(target=messenger.close)
    closing.start()
    release.set()
    closing.join(5)

    assert results(queue) == [("msg_1", b'"done"')]
    assert queue.state().members == ()


def test_a_message_that_breaks_its_types_template_becomes_a_letter(queue, make):
    put(queue, message(1, kind="SETTLEMENT_PROCESSED"), message(2))
    make({"*": lambda m, send: m.payload["n"]}).start()

    eventually(lambda: empty(queue))
    assert letters(queue)["msg_1"][0] == "invalid"
    assert results(queue) == [("msg_2", b"2")]


def test_domains_that_fill_each_others_queues_go_on():
    """Handlers of either send to the other, and both queues are at their bound; what else is sent there has to wait."""
    full = MemoryQueueServer("test", limits=QueueLimits(frames=2))
    hasty = replace(SETTINGS, buffer=1, send_timeout=0.01)

    def member(mine, other):
        def relay(received, send):
            if received.payload["n"] > 0:
                send("NUMBER", {"n": received.payload["n"] - 1}, target=other)

        for number in range(2):
            put(full.queue(mine), replace(message(9), message_id=f"msg_{mine}_{number}"))
        messenger = WorkerMessenger(full, mine, instance_id=mine, policy=FixedPolicy(), settings=hasty)
        messenger.on("NUMBER", relay)
        return messenger

    with member("collections", "balance") as one, member("balance", "collections") as two:
        held_back = one.send("NUMBER", {"n": 0}, target="balance")
        with pytest.raises(QueueFull):
            one.send("NUMBER", {"n": 0}, target="balance")
        one.start()
        two.start()
        eventually(lambda: held_back.settled and all(empty(full.queue(own)) for own in ("collections", "balance")))
    assert sum(full.queue(own).state().handled for own in ("collections", "balance")) == 41


def test_a_letter_that_is_replayed_is_handled(queue, make):
    broken = [True]

    def handler(m, send):
        if broken:
            raise ValueError("broken")
        return "mended"

    put(queue, message(1))
    make({"NUMBER": handler}).start()
    eventually(lambda: letters(queue))
    broken.clear()
    assert queue.replay(["msg_1"]) == 1

    eventually(lambda: results(queue))
    assert results(queue) == [("msg_1", b'"mended"')]


def test_metrics_tell_what_was_received_and_how_long_it_took(queue, make, clock):
    put(queue, message(1), message(2))
    clock.advance(0.1)
    messenger = make({"NUMBER": lambda m, send: None})
    messenger.start()

    eventually(lambda: empty(queue))
    metrics = messenger.metrics()
    assert metrics["received"] == 2
    assert metrics["averageLatency"] == pytest.approx(100, rel=0.5)
    assert set(metrics["percentiles"]) == {"p50", "p95", "p99"}
