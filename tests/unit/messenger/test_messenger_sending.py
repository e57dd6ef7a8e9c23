"""What a messenger does between `send` and the queue."""

import threading
from dataclasses import replace

import pytest

from foundation.errors import StoreUnreachable
from messenger.batching import MODES, Mode
from messenger.errors import BodyTooLarge, EncodeFailed, EnvelopeInvalid, MessengerClosed, QueueFull
from messenger.formats import ADAPTIVE, BATCH, FIXED, GZIP, JSON, YAML, FixedPolicy, Format
from messenger.messenger import WorkerMessenger
from messenger.packing import unpack
from messenger.queue import QueueLimits, Settlement
from messenger.queues.memory import MemoryQueueServer
from messenger.settings import MessengerSettings
from tests.support import eventually

BATCHED = Format(batching=ADAPTIVE)
PATIENT = MessengerSettings(send_timeout=5.0)
IMPATIENT = MessengerSettings(buffer=3, send_timeout=0.05)


class Line:
    """The line to a queue server: a test holds it (but for adjustment's queue), cuts it, and sees what passes."""

    def __init__(self, server):
        self.environment, self._server = server.environment, server
        self.held, self.cut, self.appends = threading.Event(), False, []
        self.held.set()

    def queue(self, domain):
        return LinedQueue(self, self._server.queue(domain))


class LinedQueue:
    def __init__(self, line, queue):
        self._line, self._queue, self.domain = line, queue, queue.domain

    def __getattr__(self, name):
        return getattr(self._queue, name)

    def append(self, frames, *, bounded=True):
        self._line.appends.append([frame.count for _, frame in frames])
        if self.domain != "adjustment":
            self._line.held.wait(5)
        if self._line.cut:
            raise StoreUnreachable("the line is cut")
        return self._queue.append(frames, bounded=bounded)


@pytest.fixture
def server():
    return MemoryQueueServer("test")


@pytest.fixture
def line(server):
    return Line(server)


@pytest.fixture
def make(line):
    """Make a messenger of domain `collections` that is closed at the end."""
    made = []

    def make_one(chosen=None, settings=PATIENT, policy=None):
        policy = policy or FixedPolicy(chosen or Format())
        messenger = WorkerMessenger(
            line, "collections", instance_id="collections-1.a", policy=policy, settings=settings
        )
        made.append(messenger)
        return messenger

    yield make_one
    line.cut = False
    line.held.set()
    for messenger in made:
        messenger.close()


def frames(server, domain="balance"):
    return [delivery.frame for delivery in server.queue(domain).peek(1000)]


def numbers(server, domain="balance"):
    return [message.payload["n"] for frame in frames(server, domain) for message in unpack(frame)]


def send(messenger, n, message_type="NUMBER", **options):
    return messenger.send(message_type, {"n": n}, target="balance", **options)


def under_way(line, messenger, message_type="NUMBER"):
    """Have another thread send 0, and the line hold it; answers with a list that its receipt will be the first of."""
    receipts = []
    line.held.clear()
    threading.Thread(target=lambda: receipts.insert(0, send(messenger, 0, message_type)), daemon=True).start()
    eventually(lambda: line.appends)
    return receipts


def test_a_message_that_goes_alone_is_in_its_queue_when_send_returns(server, make):
    receipt = send(make(), 1, correlation_id="corr_1", message_id="msg_1", priority="high", ttl=5000)

    assert receipt.settled
    assert (receipt.correlation_id, receipt.message_id) == ("corr_1", "msg_1")
    (message,) = unpack(frames(server)[0])
    assert (message.message_id, message.correlation_id) == ("msg_1", "corr_1")
    assert (message.metadata.source_domain, message.metadata.target_domain) == ("collections", "balance")
    assert (message.metadata.priority, message.metadata.ttl) == ("high", 5000)
    assert frames(server)[0].sender == "collections-1.a"


def test_messages_without_ids_get_ids_of_their_own(make):
    messenger = make()
    first, second = send(messenger, 1), send(messenger, 2)

    assert len({first.message_id, second.message_id, first.correlation_id, second.correlation_id}) == 4


def test_what_gathers_during_a_round_trip_goes_together_with_the_next(line, server, make):
    messenger = make(BATCHED)
    receipts = under_way(line, messenger)
    receipts += [send(messenger, n) for n in range(1, 251)]
    line.held.set()

    assert all(receipt.wait(5) for receipt in receipts)
    assert [count for append in line.appends for count in append] == [1, 100, 100, 50]
    assert numbers(server) == list(range(251))


def test_a_timed_batch_gathers_for_as_long_as_a_round_trip_takes(line, make, monkeypatch):
    class FirstAlone:
        def choose(self, context):
            return Format() if context["messageType"] == "FIRST" else Format(batching=FIXED)

    monkeypatch.setitem(MODES, FIXED, Mode(10, 0.01))
    messenger = make(policy=FirstAlone())
    receipts = under_way(line, messenger, "FIRST")
    receipts += [send(messenger, n) for n in (1, 2)]
    assert messenger.send("NUMBER", {"n": 0}, target="adjustment").wait(5)  # its time is over after theirs
    receipts.append(send(messenger, 3))
    line.held.set()

    assert all(receipt.wait(5) for receipt in receipts)
    assert [count for append in line.appends for count in append] == [1, 1, 3]


def test_a_target_that_is_held_up_holds_up_no_batch_to_another(line, make):
    messenger = make(BATCHED)
    receipts = under_way(line, messenger)
    receipts += [send(messenger, n) for n in range(1, 101)]
    others = [messenger.send("NUMBER", {"n": n}, target="adjustment") for n in range(20)]

    assert all(other.wait(5) for other in others)
    assert not any(receipt.settled for receipt in receipts)
    line.held.set()
    assert all(receipt.wait(5) for receipt in receipts)


def test_close_leaves_no_thread_behind(line, make):
    before = set(threading.enumerate())
    messenger = make(BATCHED)
    under_way(line, messenger)
    for n in range(1, 51):
        send(messenger, n)
    threading.Timer(0.05, line.held.set).start()
    messenger.close()

    eventually(lambda: set(threading.enumerate()) <= before)


def test_a_fixed_batch_goes_at_ten_messages_or_when_its_time_is_over(line, server, make):
    messenger = make(Format(batching=FIXED))
    receipts = [send(messenger, n) for n in range(12)]

    assert all(receipt.wait(5) for receipt in receipts)
    assert [frame.count for frame in frames(server)] == [10, 2]


def test_flush_sends_a_fixed_batch_before_its_time(server, make, monkeypatch):
    monkeypatch.setitem(MODES, FIXED, Mode(10, 60.0))
    messenger = make(Format(batching=FIXED))
    send(messenger, 1)
    messenger.flush()

    assert numbers(server) == [1]


def test_the_policy_is_asked_for_each_message_with_its_context(make):
    class Asking:
        def __init__(self):
            self.contexts = []

        def choose(self, context):
            self.contexts.append(dict(context))
            return Format()

    policy = Asking()
    send(make(policy=policy), 1, correlation_id="corr_9", priority="low")

    assert policy.contexts == [
        {
            "targetingKey": "corr_9",
            "domain": "collections",
            "targetDomain": "balance",
            "messageType": "NUMBER",
            "priority": "low",
            "instanceId": "collections-1.a",
        }
    ]


def test_messages_keep_their_order_when_the_format_changes_between_them(line, server, make):
    class Changing:
        def choose(self, context):
            kinds = [BATCHED, Format(), Format(YAML, GZIP, ADAPTIVE), Format(YAML), Format(batching=FIXED)]
            return kinds[int(context["targetingKey"]) // 7 % len(kinds)]

    messenger = make(policy=Changing())
    for n in range(300):
        send(messenger, n, correlation_id=str(n))
    messenger.flush()

    assert numbers(server) == list(range(300))
    assert {frame.content_type for frame in frames(server)} == {JSON, YAML}


def test_a_format_that_is_not_admitted_is_replaced_at_once_and_counted(server, make):
    server.bar_all(frozenset({YAML, GZIP}))
    messenger = make(Format(YAML, GZIP, ADAPTIVE, "7-1"))
    receipts = [send(messenger, n) for n in range(20)]

    assert all(receipt.wait(5) for receipt in receipts)
    assert {frame.content_type for frame in frames(server)} == {JSON}
    assert numbers(server) == list(range(20))
    delta = messenger.telemetry.drain()
    assert delta.total("refused") > 0
    assert delta.total("sent") == 20


def test_refused_frames_are_replaced_in_their_order(line, server, make):
    messenger = make(Format(YAML, batching=ADAPTIVE))
    receipts = under_way(line, messenger)
    receipts += [send(messenger, n) for n in range(1, 251)]
    server.bar_all(frozenset({YAML}))
    line.held.set()

    assert all(receipt.wait(5) for receipt in receipts)
    assert numbers(server) == list(range(251))


def test_a_queue_that_takes_no_batches_gets_the_messages_one_by_one(server, make):
    server.bar_all(frozenset({BATCH}))
    messenger = make(Format(YAML, batching=FIXED))
    receipts = [send(messenger, n) for n in range(10)]

    assert all(receipt.wait(5) for receipt in receipts)
    assert [(frame.count, frame.content_type) for frame in frames(server)] == [(1, YAML)] * 10


def test_what_was_sent_while_the_server_was_gone_arrives_in_order_when_it_is_back(line, server, make):
    messenger = make(BATCHED)
    line.cut = True
    receipts = [send(messenger, n) for n in range(50)]
    assert not receipts[0].wait(0.1)
    line.cut = False

    assert all(receipt.wait(5) for receipt in receipts)
    assert numbers(server) == list(range(50))


def test_a_single_message_is_kept_for_later_where_the_server_is_gone(line, server, make):
    messenger = make()
    line.cut = True
    receipt = send(messenger, 1)
    assert not receipt.settled
    line.cut = False

    assert receipt.wait(5)
    assert numbers(server) == [1]


def test_a_full_buffer_makes_send_wait_and_then_raise_with_the_cause(line, server, make):
    messenger = make(BATCHED, settings=IMPATIENT)
    line.cut = True
    receipts = [send(messenger, n) for n in range(3)]

    with pytest.raises(QueueFull, match="3 messages to 'balance' wait to be sent: the line is cut") as caught:
        send(messenger, 99)
    assert isinstance(caught.value.__cause__, StoreUnreachable)
    line.cut = False
    assert all(receipt.wait(5) for receipt in receipts)
    assert numbers(server) == [0, 1, 2]


def test_a_full_queue_holds_its_senders_back_and_not_those_to_other_queues(line):
    server = MemoryQueueServer("test", limits=QueueLimits(frames=2))
    messenger = WorkerMessenger(server, "collections", instance_id="a", policy=FixedPolicy(), settings=IMPATIENT)
    for n in range(5):
        send(messenger, n)
    with pytest.raises(QueueFull, match="its bound"):
        send(messenger, 5)
    messenger.send("NUMBER", {"n": 1}, target="adjustment")
    assert numbers(server, "adjustment") == [1]

    queue, handled = server.queue("balance"), []
    while len(handled) < 5:
        for delivery in queue.receive("b", 10, 1.0):
            handled += [message.payload["n"] for message in unpack(delivery.frame)]
            queue.settle("b", [Settlement(delivery)])
    messenger.close()
    assert handled == [0, 1, 2, 3, 4]


def test_close_sends_what_waits_and_then_takes_nothing(server, make):
    messenger = make(Format(batching=FIXED))
    send(messenger, 1)
    messenger.close()

    assert numbers(server) == [1]
    with pytest.raises(MessengerClosed):
        send(messenger, 2)


def test_close_says_what_could_not_be_sent(line, make):
    messenger = make(BATCHED)
    line.cut = True
    receipt = send(messenger, 1)

    with pytest.raises(QueueFull, match="1 messages to 'balance'"):
        messenger.close(timeout=0.2)
    with pytest.raises(QueueFull, match="1 messages to 'balance'"):
        receipt.wait(5)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"payload": {"n": {1, 2}}}, EncodeFailed),
        ({"payload": {"n": float("nan")}}, EncodeFailed),
        ({"payload": {"n": "x" * 1_100_000}}, BodyTooLarge),
        ({"payload": [1]}, EnvelopeInvalid),
        ({"target": "no such domain!"}, EnvelopeInvalid),
        ({"priority": "urgent"}, EnvelopeInvalid),
        ({"ttl": 0}, EnvelopeInvalid),
        ({"message_id": "x" * 300}, EnvelopeInvalid),
    ],
)
@pytest.mark.parametrize("chosen", [Format(), BATCHED, Format(YAML, batching=ADAPTIVE)])
def test_what_can_never_be_sent_is_refused_at_once_and_touches_nothing(server, make, options, error, chosen):
    messenger = make(chosen)
    asked = {"payload": {"n": 1}, "target": "balance", **options}
    with pytest.raises(error):
        messenger.send("NUMBER", asked.pop("payload"), **asked)
    send(messenger, 7).wait(5)

    assert numbers(server) == [7]


@pytest.mark.parametrize("chosen", [BATCHED, Format(YAML, batching=ADAPTIVE)])
def test_a_payload_spoiled_after_the_send_is_sent_as_it_was(line, server, make, chosen):
    messenger = make(chosen)
    receipts = under_way(line, messenger)
    spoiled = {"n": 1}
    receipts.append(messenger.send("NUMBER", spoiled, target="balance"))
    receipts += [send(messenger, n) for n in range(2, 5)]
    spoiled["n"] = {1, 2}
    line.held.set()

    assert all(receipt.wait(5) for receipt in receipts)
    assert numbers(server) == [0, 1, 2, 3, 4]


def test_many_threads_lose_and_double_nothing(server, make):
    class Mixed:
        def choose(self, context):
            return [Format(), BATCHED, Format(YAML, GZIP, ADAPTIVE), Format(batching=FIXED)][
                hash(context["targetingKey"]) % 4
            ]

    messenger = make(policy=Mixed())

    def work(first):
        for n in range(first, first + 100):
            send(messenger, n)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(0, 800, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    messenger.flush()

    assert sorted(numbers(server)) == list(range(800))


def test_telemetry_counts_what_the_queue_took(server, make):
    messenger = make(Format(YAML))
    for n in range(3):
        send(messenger, n)

    (traffic,) = messenger.telemetry.drain().counts
    assert (traffic.source, traffic.target, traffic.content_type) == ("collections", "balance", YAML)
    assert messenger.metrics()["sent"] == 3


def test_a_reporter_that_fails_gets_the_figures_the_next_time(server):
    told, failures = [], [StoreUnreachable("gone"), StoreUnreachable("gone")]

    def report(delta):
        if delta and failures:
            raise failures.pop()
        if delta:
            told.append(delta)

    settings = replace(PATIENT, lease=0.06)
    with WorkerMessenger(
        server, "collections", instance_id="a", policy=FixedPolicy(), reporter=report, settings=settings
    ) as messenger:
        send(messenger, 1)
        eventually(lambda: told)

    assert sum(delta.total("sent") for delta in told) == 1
