"""Processes that fork while they evaluate and are told of changes: no child hangs, and none stays behind."""

import contextlib
import itertools
import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.client import HTTPConnection

import pytest

from flags.store import Edit, Write
from flags.stores.redis import RedisFlagStore, RedisInstanceRegistry
from foundation.ids import new_id
from tests.forking import DECISIONS, ENVIRONMENT, URL, flag
from tests.support import eventually

PAUSE = 0.02
"""Seconds between two changes."""


class Writer:
    """Changes flags without end, one at a time, from before the first client starts."""

    def __init__(self, url):
        self._store = RedisFlagStore(url, ENVIRONMENT, timeout=20.0)
        self._stop = threading.Event()
        self._seen = dict.fromkeys(DECISIONS)
        for key in DECISIONS:
            self._write(key, 1)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self):
        self._stop.set()
        self._thread.join()
        self._store.close()

    def _run(self):
        for number in itertools.count(2):
            for key in DECISIONS:
                self._write(key, number)
                if self._stop.wait(PAUSE):
                    return

    def _write(self, key, number):
        edit = Edit(flag(key, number), self._seen[key])
        self._seen[key] = self._store.write(Write(new_id("op"), (edit,), "kim")).revision


@pytest.fixture
def changing(redis_url):
    """The URL of flags that change all the time."""
    with contextlib.closing(Writer(redis_url)):
        yield redis_url


def fork(mode, url, count):
    command = [sys.executable, "-m", "tests.forker", mode, url, str(count)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == count, done.stderr


@pytest.mark.e2e
@pytest.mark.parametrize(("mode", "count"), [("bare", 1_000), ("process", 60), ("server", 60)])
def test_children_of_a_process_that_evaluates_are_neither_stuck_nor_stale(mode, count, changing):
    fork(mode, changing, count)


@pytest.mark.soak
@pytest.mark.parametrize("mode", ["process", "server"])
def test_a_thousand_children_are_neither_stuck_nor_stale(mode, changing):
    fork(mode, changing, 1_000)


@contextlib.contextmanager
def gunicorn(url, folder):
    """Serve the proof from workers that are forked from a loaded parent, and end after one request."""
    address = folder / f"{new_id()[-8:]}.sock"
    command = [sys.executable, "-m", "gunicorn", "--preload", "--workers", "4", "--max-requests", "1"]
    command += ["--bind", f"unix:{address}", "--timeout", "60", "--no-control-socket", "tests.forking:application"]
    log = (folder / "gunicorn.log").open("w+")
    server = subprocess.Popen(command, env=os.environ | {URL: url}, stdout=log, stderr=log)
    try:
        eventually(address.exists, timeout=20)
        yield address
    finally:
        server.terminate()
        assert server.wait(30) == 0
        log.close()


def ask(address):
    """Have one worker prove itself; answers with its instance's id."""
    with contextlib.closing(UnixConnection(address)) as connection:
        connection.request("GET", "/")
        answer = connection.getresponse()
        said = answer.read().decode()
    assert answer.status == HTTPStatus.OK, said
    return said


class UnixConnection(HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=90)
        self._path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask_gunicorn(url, folder, count):
    with gunicorn(url, folder) as address, ThreadPoolExecutor(4) as askers:
        proved = list(askers.map(ask, itertools.repeat(address, count)))
    assert len(set(proved)) == count


@pytest.mark.e2e
def test_workers_of_a_preloaded_gunicorn_are_neither_stuck_nor_stale(changing, runtime_dir):
    ask_gunicorn(changing, runtime_dir, 60)
    with contextlib.closing(RedisInstanceRegistry(changing, ENVIRONMENT)) as registry:
        eventually(lambda: registry.live() == [], message="somebody did not take leave")


@pytest.mark.soak
def test_a_thousand_workers_of_a_preloaded_gunicorn_are_neither_stuck_nor_stale(changing, runtime_dir):
    ask_gunicorn(changing, runtime_dir, 1_000)
