"""SDKs over HTTP against the real processes: in step, counted, and sent on when the streams end."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request

import pytest

from controlplane.account_stores import RedisAccountStore
from controlplane.accounts import SDK, Accounts, new_token
from flags import edits, service
from flags.client import FlagClient, Status
from flags.documents import parse_flag
from flags.sources.http import HttpSource
from flags.stores.redis import RedisFlagStore, RedisInstanceRegistry
from foundation.clock import SYSTEM
from foundation.redis import connect
from tests.e2e.test_up import ROOT, SIGNALBOX, alive, free_port, parent_of, processes
from tests.support import eventually

pytestmark = pytest.mark.e2e

FLAG = {"enabled": True, "variants": {"on": "yaml", "off": "json"}, "offVariant": "off"}


@pytest.fixture
def site(redis_url, tmp_path):
    """A running `signalbox serve` with a token for SDKs."""
    port, streams, log = free_port(), free_port(), tmp_path / "log"
    environ = {"SIGNALBOX_REDIS_URL": redis_url, "SIGNALBOX_QUEUE_URL": redis_url, "SIGNALBOX_DATA_DIR": str(tmp_path)}
    line = [*SIGNALBOX, "serve", "--port", str(port), "--stream-port", str(streams), "--workers", "1"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            line, cwd=ROOT, env={**os.environ, **environ}, stdout=output, stderr=subprocess.STDOUT
        )
    eventually(lambda: "Signalbox serves" in log.read_text() or process.poll() is not None, 60)
    assert process.poll() is None, log.read_text()
    token = new_token(SDK)
    Accounts(RedisAccountStore(connect(redis_url)), SYSTEM).admit_token(token, "sdk")
    yield process, f"http://127.0.0.1:{port}", token, streams
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0, log.read_text()


@pytest.fixture
def store(redis_url):
    with_store = RedisFlagStore(redis_url, "demo")
    service.create(with_store, parse_flag("k", FLAG), actor="test")
    yield with_store
    with_store.close()


def turn(store):
    enabled = store.snapshot().flags["k"].enabled
    return service.change(store, ["k"], edits.disable if enabled else edits.enable, actor="test").revision


def read_raw(url, token):
    """Read a stream as anybody would, to its end; answers with the list that fills meanwhile."""
    asked = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310 - our own server
    stream, lines = urllib.request.urlopen(asked, timeout=30), []  # noqa: S310 - the same

    def read():
        with stream:
            lines.extend(stream)
            lines.append(b"ended")

    threading.Thread(target=read, daemon=True).start()
    return lines


def masters(process, port):
    """The gunicorn processes that listen on a port, masters before workers."""
    named = [pid for pid, line in processes().items() if re.search(rf"--bind \S*:{port}\b", line)]
    return sorted(named, key=lambda pid: parent_of(pid) != process.pid)


def test_clients_follow_prove_and_leave_and_streams_that_end_say_goodbye(site, store, redis_url):
    process, url, token, stream_port = site
    registry = RedisInstanceRegistry(redis_url, "demo")
    clients = [FlagClient(HttpSource(url, "demo", token)) for _ in range(5)]
    assert all(client.start() for client in clients)
    eventually(lambda: len(registry.live()) == 5)
    for _ in range(5):
        revision = turn(store)
        live = registry.wait_acknowledged(revision, 5)
        assert {one.acknowledged for one in live} == {revision}
    raw = read_raw(f"{url}/api/v1/environments/demo/changes", token)
    time.sleep(1.2)  # a stream that has lasted is sought again at once
    worker = masters(process, stream_port)[-1]
    os.kill(worker, signal.SIGTERM)  # gunicorn puts another in its place
    eventually(lambda: not alive([worker]), 10)
    eventually(lambda: raw and raw[-1] == b"ended")
    assert b"event: goodbye\n" in raw
    assert b'data: {"why":"closing"}\n' in raw
    revision = turn(store)
    live = registry.wait_acknowledged(revision, 10)
    assert {one.acknowledged for one in live} == {revision}
    assert {client.status for client in clients} == {Status.READY}
    for client in clients:
        client.close()
    assert registry.live() == []
    registry.close()


def test_a_fork_of_a_client_over_http_is_an_instance_of_its_own_and_its_parent_goes_on(site, store, redis_url):
    _, url, token, _ = site
    program = f"""
import os, sys, time, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from flags.client import FlagClient
from flags.sources.http import HttpSource
client = FlagClient(HttpSource({url!r}, "demo", {token!r}))
assert client.start()
children = []
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        children = []
        break
    children.append(pid)
deadline = time.monotonic() + 20
while client.get_string_value("k", "d") != "json" or client.lapsed:
    if time.monotonic() > deadline:
        os._exit(1)
    time.sleep(0.01)
sys.stdin.readline()
client.close()
ended = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
os._exit(any(ended))
"""
    registry = RedisInstanceRegistry(redis_url, "demo")
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE)
    eventually(lambda: len(registry.live()) == 4, 20)
    revision = turn(store)
    live = registry.wait_acknowledged(revision, 5)
    assert ({one.acknowledged for one in live}, len({one.instance.pid for one in live})) == ({revision}, 4)
    threading.Timer(0.5, parent.stdin.close).start()
    assert parent.wait(20) == 0
    assert registry.live() == []
    registry.close()
