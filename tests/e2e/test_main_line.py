"""The promise as a whole: 20,000 numbered messages around a rollback, from senders that obey and senders that can't."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flags import service
from flags.documents import parse_flag
from foundation.ids import new_id
from messenger.formats import JSON, YAML
from tests.e2e.rollback_site import DOMAINS, ENVIRONMENT, ROOT, Site, execute
from tests.proxies import Proxy
from tests.support import eventually

pytestmark = pytest.mark.e2e

BEFORE, DURING, AFTER = 10_000, 5_000, 5_000
BATCHING = {"enabled": True, "rolloutPercentage": 50, "fallback": "individual"}
WAITING = "orphan"
"""A domain without workers until the end: what is put there waits."""


@pytest.fixture
def site(_redis_present, runtime_dir, tmp_path):
    site = Site(tmp_path / "site", runtime_dir / new_id()[-6:])
    try:
        for domain in DOMAINS:
            site.work(domain)
        service.create(site.store, parse_flag("enableBatching", BATCHING), actor="setup")
        site.rearm()
        yield site
    finally:
        site.close()


class Sender:
    """A numbered sender and what it has been asked to send."""

    def __init__(self, site, mode, flags_url=None):
        script = Path(__file__).with_name("numbered_sender.py")
        words = [sys.executable, script, flags_url or site.flags.url, site.queue_server.url, ENVIRONMENT, mode]
        self.process = subprocess.Popen(
            words, cwd=ROOT, env=site.environ | {"PYTHONPATH": str(ROOT)}, stdin=-1, stdout=-1, text=True
        )
        site.processes.append(self.process)
        self.sent = []
        assert self.process.stdout.readline() == "ready\n"

    def send(self, domain, prefix, count):
        """Ask for numbered messages, without waiting for them."""
        self.process.stdin.write(f"{domain} {prefix} {count}\n")
        self.process.stdin.flush()
        self.sent += [f"{prefix}-{number}" for number in range(count)]

    def wait(self):
        """Wait until the oldest request that was not waited for is in its queue."""
        assert self.process.stdout.readline()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


def yaml_frames(site):
    return {domain: count for domain in site.queues.domains() if (count := site.frames(domain).get(YAML))}


def test_of_20000_messages_around_a_rollback_each_is_handled_once_and_no_sender_gets_yaml_past_the_kill(
    site, runtime_dir
):
    proxy = Proxy(runtime_dir / f"{new_id()[-6:]}.sock", Path(site.flags.url.removeprefix("unix://")))
    with (
        Sender(site, "flags") as obedient,
        Sender(site, "flags") as paused,
        Sender(site, "flags", proxy.url) as cut_off,
        Sender(site, "yaml") as disobedient,
    ):
        senders = (obedient, paused, cut_off, disobedient)
        for number, sender in enumerate(senders):
            sender.send((WAITING, *DOMAINS)[number % 3], f"before{number}", BEFORE // 4)
        for sender in senders:
            sender.wait()
        assert set(site.frames(WAITING)) == {YAML}
        os.kill(paused.process.pid, signal.SIGSTOP)
        proxy.blackhole(on=True)
        for number, sender in enumerate((obedient, disobedient, cut_off)):
            sender.send(DOMAINS[number % 2], f"during{number}", DURING // 3)

        done = execute(ROOT / "scripts/rollback.sh", "--yes", "--reason", "drill", env=site.environ, cwd="/")
        assert done.returncode == 0, done
        assert yaml_frames(site) == {}
        for sender in (obedient, disobedient, cut_off):
            sender.wait()

        os.kill(paused.process.pid, signal.SIGCONT)
        for number, sender in enumerate(senders):
            sender.send(WAITING, f"after{number}", AFTER // 4)
        for sender in senders:
            sender.wait()
        assert set(site.frames(WAITING)) == {JSON}
        assert yaml_frames(site) == {}
        proxy.close()

    site.work(WAITING, 1)
    names = [name for sender in senders for name in sender.sent]
    expected = dict.fromkeys(names, 1)
    eventually(lambda: len(handled(site)) >= len(expected), timeout=60, message=lambda: f"{len(handled(site))} handled")
    assert handled(site) == expected


def handled(site):
    found = site.handled(WAITING)
    for domain in DOMAINS:
        found.update(site.handled(domain))
    return found
