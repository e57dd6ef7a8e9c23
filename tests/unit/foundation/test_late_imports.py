"""What is imported late is imported whole, though a process forks at that very moment."""

import subprocess
import sys

import pytest

FORK = """
import importlib.abc, os, signal, socket, sys, threading
from flags.client import FlagClient, Status
from foundation.canonical import canonical_json
from foundation.documents import read_yaml
from flags.documents import parse_flag
from flags.explanation import evaluate
from flags.model import Snapshot

newer = {"attribute": "v", "operator": "semver_gt", "values": ["1.0.0"]}

def compare_versions():
    flag = {"enabled": True, "variants": {"on": 1, "off": 0}, "offVariant": "off"}
    return evaluate(parse_flag("k", {**flag, "rules": [{"if": [newer], "serve": "off"}]}), {"v": "2.0.0"}).value == 0

class Source:
    environment, heartbeat, lease = "", 1.0, 3.0

    def run(self, feed, instance, stop):
        feed.replace(Snapshot(flags={}))
        stop.wait()

    def close(self):
        pass

def look_up_names():
    with FlagClient(Source()) as client:
        return client.status is Status.READY and socket.getaddrinfo("localhost", 1) != []

needs, work = {
    "semver": ("semver", compare_versions),
    "canonical": ("rfc8785", lambda: canonical_json({"a": 1.5}) == b'{"a":1.5}'),
    "names": ("encodings.idna", look_up_names),
    "yaml": ("yaml", lambda: read_yaml("a: 1") == {"a": 1}),
}[sys.argv[1]]
assert needs not in sys.modules, "the test says nothing: it is no late import any more"
within = threading.Event()

class Slow(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == needs or name.startswith(needs + "."):
            within.set()
            threading.Event().wait(0.1)  # a disk that takes its time

sys.meta_path.insert(0, Slow())
thread = threading.Thread(target=work, daemon=True)
thread.start()
assert within.wait(10)
pid = os.fork()
if pid == 0:
    signal.alarm(5)  # ends a child that hangs
    os._exit(0 if work() else 1)
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
thread.join(10)
sys.exit(0 if code == 0 and work() else f"the child ended with {code}")
"""


@pytest.mark.parametrize("what", ["semver", "canonical", "names", "yaml"])
def test_a_fork_during_a_late_import_leaves_a_child_that_can_use_the_module(what: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORK, what]
    forked = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert forked.returncode == 0, forked.stderr.decode()


def test_a_fork_within_a_late_import_does_not_wait_for_itself() -> None:
    script = """
import os
from foundation.lateimports import LATE
with LATE:
    pid = os.fork()
    if pid == 0:
        with LATE:
            os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
with LATE:
    pass
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, timeout=30)
