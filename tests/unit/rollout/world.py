"""A small world in memory: a clock that stands still, workers that live only while somebody waits, and a lever."""

import itertools
import threading
from collections import Counter, defaultdict
from contextlib import closing
from dataclasses import dataclass, replace

from flags.definitions import parse_flags
from flags.instances import Instance
from flags.model import ZERO
from flags.service import apply
from flags.stores.memory import MemoryFlagStore
from flags.stores.memory_registry import MemoryInstanceRegistry
from foundation.clock import ManualClock
from foundation.signing import SigningKey
from messenger.codecs import encode
from messenger.envelope import Envelope, Metadata
from messenger.errors import PoisonFrame
from messenger.formats import FALLBACK_WORDS, JSON, YAML, Format
from messenger.frame import Frame
from messenger.handlers import PROBE
from messenger.packing import pack, recode, unpack
from messenger.queue import Handled, Settlement
from messenger.queues.memory import MemoryQueueServer
from rollout.emergency import EmergencyRollback
from rollout.journals.memory import MemoryJournal
from rollout.ports import Ports
from rollout.record import Request
from rollout.restart import SupervisorRestarter

ENVIRONMENT = "demo"
FLAGS = {
    "useYamlMessaging": {"enabled": True, "rolloutPercentage": 50, "fallback": "json"},
    "enableBatching": {"enabled": True, "rolloutPercentage": 50, "fallback": "individual"},
    "newPricing": {"enabled": True, "rolloutPercentage": 50, "fallback": False},
}
KEY = SigningKey.generate()


@dataclass
class Worker:
    """A worker that breathes, acknowledges and handles whenever the world turns, unless it is stuck."""

    instance: Instance
    stuck: bool = False
    deaf: bool = False
    """Renews its lease and handles messages, and applies no revision any more."""
    acknowledged: object = ZERO
    generation: int = 0


class MemoryClearing:
    """Clears a queue in memory by hand, frame for frame."""

    def __init__(self, server):
        self.server, self.done = server, defaultdict(Counter)

    def transcode(self, domain, operation):
        return self._each(domain, operation, self._transcoded)

    def quarantine(self, domain, operation):
        return self._each(domain, operation, self._quarantined)

    def purge(self, domain, operation):
        return self._each(domain, operation, self._purged)

    def _each(self, domain, operation, change):
        done = self.done[domain, operation]
        for stream in self.server._contents[domain].streams.values():
            for entry, (_, frame) in list(stream.frames.items()):
                if frame.content_type == YAML:
                    done[change(domain, stream, entry)] += 1
        return dict(done)

    def _transcoded(self, domain, stream, entry):
        at, frame = stream.frames[entry]
        try:
            stream.frames[entry] = (at, recode(frame, JSON))
        except PoisonFrame:
            return self._quarantined(domain, stream, entry)
        return "transcoded"

    def _quarantined(self, domain, stream, entry):
        self.server._contents[domain].quarantine[entry] = stream.frames[entry][1]
        self._purged(domain, stream, entry)
        return "quarantined"

    def _purged(self, domain, stream, entry):
        del stream.frames[entry]
        stream.waiting.pop(entry, None)
        stream.pending.pop(entry, None)
        return "purged"


class WorldRegistry(MemoryInstanceRegistry):
    """Waiting lets the world turn."""

    def __init__(self, world):
        super().__init__(ENVIRONMENT, world.clock)
        self.world = world

    def wait_acknowledged(self, revision, timeout):
        self.world.pause(timeout)
        return self.live()


class MemoryArchive:
    """Receipts on a disk that may be full."""

    def __init__(self):
        self.kept, self.full = {}, False

    def keep(self, receipt):
        if self.full:
            raise OSError(28, "No space left on device")
        self.kept[receipt["receipt"]] = receipt
        return f"/receipts/{receipt['receipt']}.json"


class Idle:
    """A hand that promises and does nothing."""

    name = "idle"

    def able(self, target):
        return True

    def restart(self, targets):
        return {}


class Traffic:
    """No traffic at all."""

    def domains(self, window):
        return []


class World:
    """Two domains with two workers each, all flags on, and YAML waiting where a test puts it."""

    def __init__(self):
        self.clock = ManualClock()
        self.lock = threading.RLock()
        self.store = MemoryFlagStore(ENVIRONMENT, self.clock)
        self.registry = WorldRegistry(self)
        self.queues = MemoryQueueServer(ENVIRONMENT, self.clock)
        self.journal = MemoryJournal(ENVIRONMENT, self.clock)
        self.archive, self.traffic = MemoryArchive(), Traffic()
        self.clearing = MemoryClearing(self.queues)
        self.workers, self.births = [], itertools.count()
        self.handled = []
        self.consuming = False
        self.meanwhile = lambda: None
        apply(self.store, parse_flags(FLAGS), actor="setup")
        for domain in ("balance", "collections"):
            for number in (1, 2):
                self.start(f"{domain}-{number}", domain)
        self.turn()

    def start(self, slot, domain, *, kind="worker", supervisor="sup", overrides=()):
        born = next(self.births)
        worker = Worker(Instance(f"{slot}.{born}", slot, kind, domain, "host", 100 + born, 0.0, supervisor))
        worker.instance = replace(worker.instance, overrides=overrides)
        worker.generation = self.registry.restart_generations().get(slot, 0)
        self.workers.append(worker)
        return worker

    def worker(self, slot):
        return next(worker for worker in self.workers if worker.instance.slot == slot)

    def turn(self):
        """Let every worker do what it does; supervisors replace those whose generation rose."""
        with self.lock:
            self.meanwhile()
            generations = self.registry.restart_generations()
            for worker in list(self.workers):
                one = worker.instance
                if one.supervisor and generations.get(one.slot, 0) > worker.generation:
                    self.workers.remove(worker)
                    self.start(one.slot, one.domain)
            revision = self.store.snapshot().revision
            for worker in self.workers:
                if worker.stuck:
                    continue
                worker.acknowledged = worker.acknowledged if worker.deaf else revision
                self.registry.renew(worker.instance, worker.acknowledged, 3.0)
                if worker.instance.kind == "worker":
                    self.consume(worker.instance)

    def consume(self, instance):
        with closing(self.queues.queue(instance.domain)) as queue:
            queue.join(instance.id, FALLBACK_WORDS | {YAML, "gzip", "batch"}, 3.0)
            if not (self.consuming or queue.state().waiting["high"]):
                return
            for delivery in queue.receive(instance.id, 100 if self.consuming else 1, 0):
                handled = []
                for message in unpack(delivery.frame):
                    self.handled.append(message.message_id)
                    result = {"instance": instance.id} if message.type == PROBE else None
                    handled.append(Handled(message.message_id, result and encode(JSON, result)))
                queue.settle(instance.id, [Settlement(delivery, tuple(handled))])

    def pause(self, seconds):
        self.clock.advance(seconds)
        self.turn()

    def send(self, domain, count, content_type=YAML, batch=1):
        """Put frames into a queue; answers with the ids of their messages, or None where one was refused."""
        names = []
        with closing(self.queues.queue(domain)) as queue:
            for number in range(count):
                envelopes = [envelope(f"{domain}-{content_type}-{number}-{part}", domain) for part in range(batch)]
                frame = pack(envelopes, Format(content_type), frame_id=f"f-{envelopes[0].message_id}", sender="test")
                if queue.append([("normal", frame)]) != [None]:
                    return None
                names += [one.message_id for one in envelopes]
        return names

    def send_garbage(self, domain):
        with closing(self.queues.queue(domain)) as queue:
            queue.append([("normal", Frame(f"garbage-{domain}", YAML, "identity", 1, "0-0", b"{[", "test"))])

    def yaml_left(self):
        total = 0
        for domain in self.queues.domains():
            with closing(self.queues.queue(domain)) as queue:
                total += queue.state().frames_by_type.get(YAML, 0)
        return total

    def ports(self, **changes):
        ports = Ports(
            store=self.store,
            registry=self.registry,
            journal=self.journal,
            queues=self.queues,
            clearing=self.clearing,
            traffic=self.traffic,
            restarters=(SupervisorRestarter(self.registry),),
            checks=(),
            archive=self.archive,
            key=KEY,
            clock=self.clock,
            pause=self.pause,
        )
        return replace(ports, **changes)

    def roll_back(self, ports=None, **request):
        """Pull the lever; answers with the rollback when it has ended, and its events."""
        rollback = EmergencyRollback(
            ports or self.ports(), Request(**{"actor": "ops@host", "reason": "drill"} | request)
        )
        return rollback, list(rollback.run())


def envelope(message_id, domain, message_type="TEST"):
    metadata = Metadata("tests", domain)
    return Envelope(message_type, message_id, "flow", "2025-01-26T15:30:00Z", {"amount": 166.67}, metadata)
