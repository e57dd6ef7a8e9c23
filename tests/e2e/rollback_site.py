"""A small installation of real parts: two Redis servers, workers under their supervisors, and the real command line."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

from flags import edits, service
from flags.documents import parse_flag
from flags.stores.redis import RedisFlagStore
from flags.stores.redis_registry import RedisInstanceRegistry
from foundation.embedded import EmbeddedRedis
from messenger.formats import YAML, FixedPolicy, Format
from messenger.messenger import WorkerMessenger
from messenger.queues.streams import RedisQueueServer
from messenger.queues.telemetry import TelemetryStore
from rollout.journals.redis import RedisJournal
from rollout.release import release
from tests.support import eventually

ROOT = Path(__file__).parents[2]
ENVIRONMENT = "line"
YAML_FLAG = "useYamlMessaging"
FLAG = {"enabled": True, "rolloutPercentage": 100, "fallback": "json"}
DOMAINS = ("balance", "collections")
COUNT = 2


def execute(*words, env, cwd=ROOT, timeout=60):
    """Run a program to its end, without a terminal; answers with its exit code and what it said."""
    return subprocess.run(
        [str(word) for word in words],
        env=env,
        cwd=cwd,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


class Site:
    """Everything of one installation; close it."""

    def __init__(self, folder, sockets):
        self.folder = folder
        self.flags = EmbeddedRedis(folder, sockets, "flags", {"appendonly": "yes", "appendfsync": "always"})
        self.queue_server = EmbeddedRedis(folder, sockets, "queues", {"save": "", "appendonly": "no"})
        self.processes = []
        self.flags.start()
        self.queue_server.start()
        self.store = RedisFlagStore(self.flags.url, ENVIRONMENT)
        self.registry = RedisInstanceRegistry(self.flags.url, ENVIRONMENT)
        self.queues = RedisQueueServer(self.queue_server.url, ENVIRONMENT)
        self.journal = RedisJournal(self.flags.url, ENVIRONMENT)
        service.create(self.store, parse_flag(YAML_FLAG, FLAG), actor="setup")

    @property
    def environ(self):
        """What a process of this installation finds in its environment, and nothing of the machine's own settings."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX_")}
        return {
            **kept,
            "SIGNALBOX_REDIS_URL": self.flags.url,
            "SIGNALBOX_QUEUE_URL": self.queue_server.url,
            "SIGNALBOX_ENV": ENVIRONMENT,
            "SIGNALBOX_DATA_DIR": str(self.folder / "data"),
        }

    def start(self, *words, **options):
        """Start `signalbox` in a process of its own."""
        process = subprocess.Popen(
            [sys.executable, "-m", "controlplane.cli", *words], cwd=ROOT, env=self.environ, text=True, **options
        )
        self.processes.append(process)
        return process

    def run(self, *words, **options):
        """Run `signalbox` to its end."""
        return execute(sys.executable, "-m", "controlplane.cli", *words, **{"env": self.environ} | options)

    def roll_back(self, *words, **options):
        """Pull the lever and wait; answers with the exit code, the receipt and all that was said."""
        done = self.run("rollback", "--yes", "--reason", "drill", "--json", "--window", "0", *words, **options)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        receipt = lines[-1].get("receipt") if lines else None
        return done.returncode, receipt, done.stdout + done.stderr

    def work(self, domain, count=COUNT):
        """Start workers and wait until they are live."""
        words = ["worker", "--domain", domain, "--count", str(count), "--handlers", "tests.e2e.rollback_handlers"]
        process = self.start(*words, stderr=subprocess.DEVNULL)
        eventually(lambda: len(self.live(domain)) >= count, timeout=20, message=f"no workers of {domain}")
        return process

    def live(self, domain=""):
        """List who is live, of one domain or of all."""
        return [one for one in self.registry.live() if domain in {"", one.instance.domain}]

    def rearm(self):
        """Bring the flag back to where it was before any rollback, acknowledged by everyone."""
        release(self.store, self.queues, YAML_FLAG, "setup")
        written = service.change(self.store, [YAML_FLAG], edits.enable, actor="setup")
        self.registry.wait_acknowledged(written.revision, 10)

    def sender(self, content_type=YAML, source="tests"):
        """Make a sender that no flag can tell anything: it always chooses the same format."""
        return WorkerMessenger(
            self.queues, source, instance_id=f"{source}.sender", policy=FixedPolicy(Format(content_type))
        )

    def leave_waiting(self, domain, count):
        """Put numbered YAML messages into a queue, one a frame; answers with their ids."""
        names = [f"{domain}-{number}" for number in range(count)]
        with self.sender() as sender:
            for name in names:
                sender.send("NUMBERED", {"number": name, "amount": 166.67}, target=domain, message_id=name)
        return names

    def pass_a_message(self, domain):
        """Send a message and wait until its being received is reported: there is traffic now."""
        with self.sender() as sender:
            sender.send("NUMBERED", {"number": "one"}, target=domain)
        with closing(TelemetryStore(self.queue_server.url, ENVIRONMENT)) as telemetry:
            eventually(lambda: any(one.received for one in telemetry.domains(60)), message="no report")

    def frames(self, domain):
        """Count what stands in a queue, by content type."""
        with closing(self.queues.queue(domain)) as queue:
            return dict(queue.state().frames_by_type)

    def handled(self, domain):
        """Count how often each message has been handled, by the committed results."""
        seen, cursor = Counter(), "0-0"
        with closing(self.queues.queue(domain)) as queue:
            while page := queue.results(cursor):
                seen.update(message_id for _, message_id, _ in page if "_" not in message_id)
                cursor = page[-1][0]
        return seen

    def close(self):
        """End everything that was started here."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self.processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for closable in (self.queues, self.store, self.registry):
            closable.close()
        self.flags.kill()
        self.queue_server.kill()
