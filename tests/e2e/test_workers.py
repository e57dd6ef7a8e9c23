"""Real worker processes under real supervisors: nothing lost, nothing handled twice, nobody left behind."""

import os
import random
import signal
import zlib
from collections import Counter
from dataclasses import dataclass
from functools import partial

import pytest

from flags import service
from flags.definitions import parse_flags
from flags.edits import set_percentage
from flags.instances import Instance
from flags.stores.redis import RedisFlagStore
from flags.stores.redis_registry import RedisInstanceRegistry
from foundation.redis import connect
from messenger.compression import zstd
from messenger.formats import ALL_WORDS, FIXED, JSON, YAML, FixedPolicy, Format
from messenger.frame import Frame
from messenger.messenger import WorkerMessenger
from messenger.policy import open_flag_policy
from messenger.queues.entries import header
from messenger.queues.streams import RedisQueueServer
from messenger.queues.telemetry import TelemetryStore
from messenger.settings import MessengerSettings
from tests.e2e.fleet import running
from tests.support import eventually

pytestmark = pytest.mark.e2e

WORKLOAD = "tests.e2e.workload"
ENVIRONMENT = "test"
FLAGS = {
    "useYamlMessaging": {"enabled": True, "rolloutPercentage": 0, "fallback": "json"},
    "enableCompression": {"enabled": True, "rolloutPercentage": 0, "fallback": "uncompressed"},
    "enableBatching": {"enabled": True, "rolloutPercentage": 0, "fallback": "individual"},
}


@dataclass(frozen=True)
class Place:
    """One environment: its servers' address, and every way of looking at it."""

    url: str
    store: RedisFlagStore
    registry: RedisInstanceRegistry
    server: RedisQueueServer

    @property
    def site(self):
        return {"environment": ENVIRONMENT, "flags_url": self.url, "queue_url": self.url}

    def workers(self):
        """The live workers' instances."""
        return [one.instance for one in self.registry.live() if one.instance.kind == "worker"]

    def pids(self, slot):
        """The processes that fill a slot; for the length of a lease the dead count too."""
        return [instance.pid for instance in self.workers() if instance.slot == slot]

    def up(self, *slots):
        """Wait until exactly these slots are filled; answers with the instances."""
        eventually(
            lambda: sorted(instance.slot for instance in self.workers()) == sorted(slots),
            20,
            message=lambda: str(self.workers()),
        )
        return {instance.slot: instance for instance in self.workers()}


@pytest.fixture
def place(redis_url):
    store, server = RedisFlagStore(redis_url, ENVIRONMENT), RedisQueueServer(redis_url, ENVIRONMENT)
    for flag in parse_flags(FLAGS).values():
        service.create(store, flag, actor="test")
    yield Place(redis_url, store, RedisInstanceRegistry(redis_url, ENVIRONMENT), server)
    server.close()


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def sender(server, **settings):
    return WorkerMessenger(
        server, "tests", instance_id="tests-1.a", policy=FixedPolicy(), settings=MessengerSettings(**settings)
    )


def test_workers_register_handle_and_leave_nothing_behind(place):
    with running(place.site, [["collections", 2, WORKLOAD], ["balance", 1, WORKLOAD]], supervisor="sup_a") as process:
        found = place.up("collections-1", "collections-2", "balance-1")
        one = found["collections-2"]
        assert (one.domain, one.supervisor, set(one.capabilities)) == ("collections", "sup_a", set(ALL_WORDS))
        with sender(place.server) as messenger:
            for n in range(20):
                messenger.send("NUMBER", {"n": n}, target="collections")
        eventually(lambda: place.server.queue("balance").state().handled == 20)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0

    assert place.workers() == []
    assert place.server.queue("collections").state().members == ()
    assert all(gone(instance.pid) for instance in found.values())


def test_a_worker_that_is_killed_is_started_again(place):
    with running(place.site, [["collections", 1, WORKLOAD]]):
        first = place.up("collections-1")["collections-1"]
        os.kill(first.pid, signal.SIGKILL)
        eventually(lambda: set(place.pids("collections-1")) - {first.pid})


@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped by SIGSTOP"])
def test_a_slot_is_restarted_as_asked_and_no_other(place, stopped):
    with running(place.site, [["collections", 2, WORKLOAD]]):
        before = place.up("collections-1", "collections-2")
        if stopped:
            os.kill(before["collections-1"].pid, signal.SIGSTOP)
        place.registry.request_restart(["collections-1"])

        eventually(lambda: set(place.pids("collections-1")) - {before["collections-1"].pid}, 20)
        assert gone(before["collections-1"].pid)
        assert place.pids("collections-2") == [before["collections-2"].pid]


def test_the_workers_of_a_supervisor_that_is_killed_die_with_it(place):
    with running(place.site, [["collections", 2, WORKLOAD]]) as process:
        pids = [instance.pid for instance in place.up("collections-1", "collections-2").values()]
        process.kill()
        process.wait()
        eventually(lambda: all(gone(pid) for pid in pids))


def test_two_supervisors_of_a_domain_fill_slots_of_their_own(place):
    with running(place.site, [["collections", 2, WORKLOAD]]):
        place.up("collections-1", "collections-2")
        with running(place.site, [["collections", 1, WORKLOAD]]):
            place.up("collections-1", "collections-2", "collections-3")


def test_a_supervisor_that_comes_back_under_its_name_takes_its_slots_again(place):
    with running(place.site, [["collections", 1, WORKLOAD]], supervisor="up") as process:
        first = place.up("collections-1")["collections-1"]
        process.kill()
        process.wait()
        with running(place.site, [["collections", 1, WORKLOAD]], supervisor="up"):
            eventually(lambda: set(place.pids("collections-1")) - {first.pid})


def flip(store, dice):
    """Change one of the flags at random, in the whole environment or in one domain."""
    weight, domain = dice.choice([0, 50_000, 100_000]), dice.choice([None, "collections"])
    key = dice.choice([*FLAGS, "useYamlMessaging"])
    service.change(store, [key], lambda flag: set_percentage(flag, weight, domain), actor="test", reason="flip")


def drive(place, *, messages, flips, kills):
    """Send numbers while flags flip and workers die; answers with the ids that were sent."""
    dice, sent = random.Random(messages), []
    client, telemetry = Instance("tests-1.a", "tests-1", domain="tests"), TelemetryStore(place.url, ENVIRONMENT)
    with (
        open_flag_policy(place.url, ENVIRONMENT, client) as policy,
        WorkerMessenger(
            place.server, "tests", instance_id=client.id, policy=policy, reporter=partial(telemetry.report, client)
        ) as messenger,
    ):
        for n in range(messages):
            sent.append(messenger.send("NUMBER", {"n": n}, target="collections").message_id)
            if n % (messages // flips) == 0:
                flip(place.store, dice)
            if n % (messages // kills) == messages // kills // 2:
                living = [one.pid for one in place.workers() if not gone(one.pid)]
                os.kill(dice.choice(living), signal.SIGKILL)
    return sent


def committed(queue):
    """Every committed result's message id, as often as it was committed."""
    found, cursor = Counter(), "0-0"
    while page := queue.results(cursor, 1000):
        cursor = page[-1][0]
        found.update(message_id for _, message_id, _ in page)
    return found


@pytest.mark.parametrize(
    ("messages", "flips", "kills"),
    [(5_000, 10, 2), pytest.param(50_000, 100, 10, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])],
)
def test_no_message_is_lost_or_handled_twice_while_flags_flip_and_workers_die(place, messages, flips, kills):
    pools = [["collections", 3, WORKLOAD], ["balance", 2, WORKLOAD]]
    with running(place.site, pools, claim_idle=1.0):
        place.up("collections-1", "collections-2", "collections-3", "balance-1", "balance-2")
        sent = drive(place, messages=messages, flips=flips, kills=kills)
        collections, balance = place.server.queue("collections"), place.server.queue("balance")
        eventually(
            lambda: collections.state().handled >= messages and balance.state().handled >= messages,
            120,
            message=lambda: f"{collections.state()} {balance.state()}",
        )
        eventually(lambda: not collections.state().messages and not balance.state().messages, 30)

    (traffic,) = (one for one in TelemetryStore(place.url, ENVIRONMENT).domains(3600) if one.domain == "tests")
    assert traffic.sent[JSON] > 0
    assert traffic.sent[YAML] > 0
    assert committed(collections) == Counter(sent)
    assert len(committed(balance)) == messages
    assert set(committed(balance).values()) == {1}
    assert collections.dead_letters() == balance.dead_letters() == []


def bomb(packer):
    """Two hundred megabytes of zeros, packed."""
    piece = bytes(1_000_000)
    return b"".join(packer.compress(piece) for _ in range(200)) + packer.flush()


def frame(name, body, *, content_type=JSON, encoding="identity", count=1):
    return Frame(name, content_type, encoding, count, "0-0", body, "tests")


def raw_append(place, frame):
    """Put a frame into `collections` past the library: what no sender of ours would or could write."""
    with connect(place.url) as client:
        fields = dict(zip("tenrfsb", header(frame), strict=True))
        client.xadd(f"sb:{{{ENVIRONMENT}/collections}}:q:normal", fields)


ASKS_FOR_A_TERABYTE = b"\x28\xb5\x2f\xfd\xe0" + (1 << 40).to_bytes(8, "little") + b"\x01\x00\x00"
"""The head of a zstd frame that says what it will unpack to, and one empty block."""

BAD = {
    "cut_short": frame("cut_short", b'{"type": "NUMBER", "payl'),
    "unknown_codec": frame("unknown_codec", b"\x80\x04.", content_type="application/x-pickle"),
    "gzip_bomb": frame("gzip_bomb", bomb(zlib.compressobj(9, wbits=31)), encoding="gzip"),
    "zstd_bomb": frame("zstd_bomb", bomb(zstd.ZstdCompressor()), encoding="zstd"),
    "zstd_window": frame("zstd_window", ASKS_FOR_A_TERABYTE, encoding="zstd"),
    "deep_yaml": frame("deep_yaml", b"[" * 60_000, content_type=YAML),
    "no_envelope": frame("no_envelope", b'{"type": "NUMBER"}'),
}


def test_bad_frames_become_letters_with_their_reason_and_a_mended_one_can_be_replayed(place):
    queue = place.server.queue("collections")
    with running(place.site, [["collections", 1, WORKLOAD]]):
        worker = place.up("collections-1")["collections-1"]
        for bad in BAD.values():
            raw_append(place, bad)
        with sender(place.server) as messenger:
            messenger.send("NUMBER", {"n": 1}, target="collections")
            raising = messenger.send("RAISE", {"n": 2}, target="collections").message_id
        eventually(lambda: len(queue.dead_letters()) == len(BAD) + 1, 30, message=lambda: str(queue.dead_letters()))

        letters = {letter.id: letter for letter in queue.dead_letters()}
        reasons = {name: (letter.reason, letter.detail.split(":")[0]) for name, letter in letters.items()}
        assert reasons == {
            "cut_short": ("poison", "DecodeFailed"),
            "unknown_codec": ("poison", "CodecUnknown"),
            "gzip_bomb": ("poison", "BodyTooLarge"),
            "zstd_bomb": ("poison", "BodyTooLarge"),
            "zstd_window": ("poison", "DecodeFailed"),
            "deep_yaml": ("poison", "DecodeFailed"),
            "no_envelope": ("invalid", "payload"),
            raising: ("handler", "ValueError"),
        }
        for name in ("gzip_bomb", "zstd_bomb"):
            assert letters[name].frame.body == BAD[name].body
        assert queue.state().handled == 1
        assert place.pids("collections-1") == [worker.pid]

    def mend(name):
        return lambda message, send: name

    with WorkerMessenger(place.server, "collections", instance_id="mended", policy=FixedPolicy()) as messenger:
        messenger.on("RAISE", mend("handled now"))
        assert queue.replay([raising]) == 1
        messenger.start()
        eventually(lambda: committed(queue)[raising] == 1)


def test_a_handler_that_hangs_costs_its_worker_and_not_the_other_messages(place):
    queue = place.server.queue("balance")
    with running(place.site, [["balance", 1, WORKLOAD]], claim_idle=0.5, handler_timeout=0.5, attempts=2):
        first = place.up("balance-1")["balance-1"]
        policy = FixedPolicy(Format(batching=FIXED))
        with WorkerMessenger(place.server, "tests", instance_id="tests-1.a", policy=policy) as messenger:
            before = messenger.send("NUMBER", {"n": 1}, target="balance").message_id
            hanging = messenger.send("HANG", {}, target="balance").message_id
            after = messenger.send("NUMBER", {"n": 2}, target="balance").message_id
        eventually(queue.dead_letters, 60)
        eventually(lambda: not queue.state().messages)

        assert committed(queue) == Counter([before, after])
        assert [(letter.id, letter.reason) for letter in queue.dead_letters()] == [(hanging, "handler")]
        assert set(place.pids("balance-1")) - {first.pid}


def test_handlers_that_refuse_their_domain_end_the_supervisor_with_one_line(place, capfd):
    with running(place.site, [["weird", 1, "examples.settlement"]]) as process:
        assert process.wait(30) == 1
    said = capfd.readouterr().err
    assert "workers of weird in environment test: weird-1\n" in said
    assert (
        said.count("weird-1: domain: has no handlers in examples.settlement (found 'weird'); expected gateway, ") == 1
    )
    assert "Traceback" not in said
    assert "started again" not in said
