"""The rollback over real Redis servers: cleared queues, and a death between any two of its commands."""

from contextlib import closing
from dataclasses import replace

import pytest

from flags import service
from flags.definitions import parse_flags
from flags.stores.redis import RedisFlagStore
from flags.stores.redis_registry import RedisInstanceRegistry
from foundation.redis import connect
from messenger.errors import PoisonFrame
from messenger.formats import FALLBACK_WORDS, GZIP, JSON, YAML, ZSTD, Format
from messenger.frame import Frame
from messenger.packing import pack, unpack
from messenger.queues.streams import RedisQueueServer
from rollout.clearing import QueueClearing, as_json
from rollout.emergency import EmergencyRollback
from rollout.journals.redis import RedisJournal
from rollout.ports import Ports
from rollout.receipt import verify
from rollout.record import Request
from tests.unit.rollout.fuse import PORTS, Fuse, Killed
from tests.unit.rollout.world import FLAGS, KEY, MemoryArchive, Traffic, envelope

YAML_FLAG = "useYamlMessaging"


class Line:
    """An environment in Redis without workers: what waits in its queues waits."""

    def __init__(self, url):
        self.url, self.client = url, connect(url)
        self.client.flushall()
        self.store = RedisFlagStore(url, "demo")
        self.queues = RedisQueueServer(url, "demo")
        self.journal = RedisJournal(url, "demo")
        service.apply(self.store, parse_flags(FLAGS), actor="setup")

    def ports(self):
        return Ports(
            store=self.store,
            registry=RedisInstanceRegistry(self.client, "demo"),
            journal=self.journal,
            queues=self.queues,
            clearing=QueueClearing(self.queues),
            traffic=Traffic(),
            restarters=(),
            checks=(),
            archive=MemoryArchive(),
            key=KEY,
        )

    def send(self, domain, count, batch=1, form=YAML):
        frames = []
        for number in range(count):
            envelopes = [envelope(f"{domain}-{number}-{part}", domain) for part in range(batch)]
            frames.append(("normal", pack(envelopes, Format(form), frame_id=f"{domain}-{number}", sender="test")))
        with closing(self.queues.queue(domain)) as queue:
            assert queue.append(frames) == [None] * count

    def send_garbage(self, domain):
        with closing(self.queues.queue(domain)) as queue:
            queue.append([("low", Frame("garbage", YAML, "identity", 1, "0-0", b"{[", "test"))])

    def take(self, domain, count):
        """Hand frames out to a consumer that never settles them."""
        with closing(self.queues.queue(domain)) as queue:
            queue.join("sleeper", FALLBACK_WORDS | {YAML}, 60)
            taken = queue.receive("sleeper", count, 0)
            queue.leave("sleeper")  # or it would be somebody who lives and has not proven to have the kill
            return taken

    def state(self, domain):
        with closing(self.queues.queue(domain)) as queue:
            return queue.state()

    def messages(self, domain):
        """Read every message that waits, in order."""
        with closing(self.queues.queue(domain)) as queue:
            return [message.message_id for one in queue.peek(1000) for message in unpack(one.frame)]

    def roll_back(self, ports=None, **request):
        rollback = EmergencyRollback(ports or self.ports(), Request(**{"actor": "ops", "window": 0.0} | request))
        return rollback, list(rollback.run())


@pytest.fixture
def line(redis_url):
    return Line(redis_url)


def test_transcoding_keeps_order_and_what_is_pending(line):
    line.send("collections", 50)
    line.send("balance", 5, batch=20)
    taken = line.take("collections", 10)
    before = {domain: line.messages(domain) for domain in ("collections", "balance")}
    rollback, _ = line.roll_back()
    assert rollback.exit_code == 0
    assert line.state("collections").frames_by_type == {JSON: 50}
    assert line.state("collections").pending["normal"] == len(taken) == 10
    assert {domain: line.messages(domain) for domain in before} == before
    assert rollback.receipt["queues"]["collections"]["cleared"] == {"transcoded": 50}
    assert rollback.receipt["queues"]["balance"]["before"]["messages"] == 100


@pytest.mark.parametrize(("mode", "counted"), [("quarantine", "quarantined"), ("purge", "purged")])
def test_what_is_set_aside_or_dropped_is_counted(line, mode, counted):
    line.send("collections", 7)
    line.send("collections", 7, form=JSON)
    rollback, _ = line.roll_back(queues=mode)
    assert rollback.exit_code == 0
    assert rollback.receipt["queues"]["collections"]["cleared"] == {counted: 7}
    assert line.state("collections").quarantined == (7 if mode == "quarantine" else 0)


def test_what_can_not_be_decoded_is_set_aside(line):
    line.send("collections", 3)
    line.send_garbage("collections")
    rollback, _ = line.roll_back()
    assert rollback.exit_code == 0
    assert rollback.receipt["queues"]["collections"]["cleared"] == {"quarantined": 1, "transcoded": 3}
    assert line.state("collections").quarantined == 1


def test_frames_of_other_formats_are_left_as_they_are():
    frame = pack([envelope("m", "d")], Format(JSON, GZIP), frame_id="f", sender="s")
    assert as_json(frame) is None


@pytest.mark.parametrize("compression", [GZIP, ZSTD])
def test_compressed_yaml_becomes_json_that_every_queue_admits(compression):
    sent = [envelope(f"m{number}", "d") for number in range(20)]
    frame = pack(sent, Format(YAML, compression), frame_id="f", sender="s")
    assert frame.content_encoding == compression
    rewritten = as_json(frame)
    assert (rewritten.content_type, rewritten.content_encoding) == (JSON, "identity")
    assert unpack(rewritten) == sent


def test_what_json_can_not_carry_is_poison():
    with pytest.raises(PoisonFrame):
        as_json(Frame("f", YAML, "identity", 1, "0-0", b"a: .nan\n", "s"))


@pytest.mark.parametrize("after", [False, True], ids=["before it", "after it"])
def test_killed_between_any_two_commands_and_run_again_it_ends_safe(line, after):
    total = calls_of_a_whole_rollback(line)
    for calls in range(1, total + 1):
        prepare(line)
        fuse = Fuse(calls, after=after)
        with pytest.raises(Killed):
            line.roll_back(ports=fused(line, fuse))
        unfinished = line.journal.running()
        if unfinished:
            line.journal.let_go(unfinished.lead)  # its lease runs out; nobody wants to wait for that here
        rollback, _ = line.roll_back()
        assert rollback.exit_code == 0, (calls, rollback.receipt["failed"])
        verify(rollback.receipt, KEY.public_key)
        assert line.state("collections").frames_by_type == {JSON: 5}
        assert line.messages("collections") == [f"collections-{number}-0" for number in range(5)]
        assert not service.find(line.store, YAML_FLAG).flag.enabled
        if unfinished:
            assert rollback.receipt["receipt"] == unfinished.record["receipt"]
            assert rollback.receipt["queues"]["collections"]["cleared"] == {"quarantined": 1, "transcoded": 5}


def prepare(line):
    line.client.flushall()
    service.apply(line.store, parse_flags(FLAGS), actor="setup")
    line.send("collections", 5)
    line.send_garbage("collections")
    line.take("collections", 2)


def calls_of_a_whole_rollback(line):
    prepare(line)
    fuse = Fuse()
    assert line.roll_back(ports=fused(line, fuse))[0].exit_code == 0
    assert fuse.count > 25
    return fuse.count


def fused(line, fuse):
    ports = line.ports()
    return replace(ports, **{name: fuse.wrap(getattr(ports, name)) for name in PORTS})
