"""A process that never closes its client ends at once, whatever its client was doing, and says nothing while it does.

Each runs in development mode with every warning an error, so that a socket left open or a thread that trips over the
end of the interpreter would be seen.
"""

import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from flags.service import create
from flags.stores.redis import RedisFlagStore
from tests.flag_sources import flag
from tests.proxies import Proxy

pytestmark = pytest.mark.e2e

PROMPT = 5.0
"""Seconds: a process that hangs does so for good, and a loaded machine is slow."""

OUT_OF_STEP = ("no flags have come, and callers get their own defaults", "the flags are stale, and the last ones go on")

PRELUDE = """
import os, sys, time
from flags.client import ClientSettings, FlagClient, Status
from flags.sources.redis import RedisSource
from flags.sources.file import FileSource

def client(start_timeout=5.0):
    return FlagClient(RedisSource(os.environ["SERVER"], "demo"), settings=ClientSettings(start_timeout))

def done():
    print(time.monotonic(), flush=True)
"""


def ended(body, url="", **environment):
    """Run a process, code or further options of Python's: it exits with 0 soon after it was done.

    There is nothing on stderr but what a client logs of being out of step, which takes as long to notice as it takes.
    """
    rest = body if isinstance(body, list) else ["-c", PRELUDE + textwrap.dedent(body)]
    run = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", *rest],
        env={**os.environ, "SERVER": url, **environment},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    exited = time.monotonic()
    unforeseen = [line for line in run.stderr.splitlines() if not line.startswith(OUT_OF_STEP)]
    assert (run.returncode, unforeseen) == (0, [])
    assert exited - float(run.stdout.split()[-1]) < PROMPT


@pytest.fixture
def store(redis_url):
    store = RedisFlagStore(redis_url, "demo")
    create(store, flag(), actor="test", reason="test")
    return store


def test_while_the_client_follows_its_server(store, redis_url):
    ended("c = client(); assert c.start(); assert c.get_string_value('k', '?') == 'yaml'; done()", redis_url)


def test_after_the_client_was_closed(store, redis_url):
    ended("with client() as c: assert c.status is Status.READY\ndone()", redis_url)


def test_with_a_client_that_was_never_started(redis_url):
    ended("c = client(); done()", redis_url)


def test_while_there_is_no_server(tmp_path):
    ended("c = client(0.2); assert not c.start(); assert c.error is not None; done()", f"unix://{tmp_path}/none")


def test_when_the_server_went_away_meanwhile(make_redis):
    server = make_redis()
    create(RedisFlagStore(server.url, "demo"), flag(), actor="test", reason="test")
    body = """
    import signal
    c = client(); assert c.start()
    os.kill(int(os.environ["PID"]), signal.SIGKILL)
    while c.error is None: time.sleep(0.01)
    done()
    """
    ended(body, server.url, PID=str(server.pid))


def test_while_everything_sent_is_swallowed(store, redis_server, runtime_dir):
    proxy = Proxy(runtime_dir / "hole", redis_server.socket)
    proxy.blackhole(True)
    try:
        ended("c = client(0.5); assert not c.start(); done()", proxy.url)
    finally:
        proxy.close()


def test_in_the_middle_of_updates(store, redis_url):
    body = """
    c = client(); assert c.start()
    seen = []
    c.on_change(seen.append)
    while len(seen) < 3: time.sleep(0.005)
    done()
    """
    stop = threading.Event()

    def write():
        number = 0
        while not stop.is_set():
            number += 1
            create(store, flag(f"k{number}"), actor="test", reason="test")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        ended(body, redis_url)
    finally:
        stop.set()
        writer.join()


def test_while_a_callback_is_busy(store, redis_url):
    ended("c = client(); c.on_status(lambda _: time.sleep(60)); c.start(); time.sleep(0.5); done()", redis_url)


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_with_children_of_multiprocessing_that_have_clients_too(store, redis_url, method, tmp_path):
    script = tmp_path / "parent.py"
    body = """
    import multiprocessing

    def work(results):
        mine = inherited or client()
        mine.start()
        results.put(mine.get_string_value("k", "?"))

    inherited = None
    if __name__ == "__main__":
        context = multiprocessing.get_context(os.environ["METHOD"])
        c = client(); assert c.start()
        inherited = c
        results = context.Queue()
        children = [context.Process(target=work, args=(results,)) for _ in range(3)]
        for child in children: child.start()
        assert [results.get(timeout=20) for _ in children] == ["yaml"] * 3
        for child in children: child.join(20)
        assert [child.exitcode for child in children] == [0, 0, 0]
        results.close(); results.join_thread()
        done()
    """
    script.write_text(PRELUDE + textwrap.dedent(body))
    # Python 3.12 and newer warn of every fork beside threads, which is what is done here on purpose.
    options = ["-W", "ignore:This process:DeprecationWarning", str(script)]
    ended(options, redis_url, METHOD=method, PYTHONPATH=str(Path(__file__).parents[2]))


def test_with_asyncio_and_no_close(store, redis_url):
    body = """
    import asyncio
    async def main():
        c = client()
        assert await asyncio.to_thread(c.start)
        return c
    c = asyncio.run(main())
    done()
    """
    ended(body, redis_url)


def test_out_of_a_loop_that_uses_an_async_context(store, redis_url):
    body = """
    import asyncio
    async def main():
        async with client() as c:
            return c.get_string_value("k", "?")
    assert asyncio.run(main()) == "yaml"
    done()
    """
    ended(body, redis_url)


def test_by_sys_exit(store, redis_url):
    ended("c = client(); c.start(); done(); sys.exit(0)", redis_url)


def test_with_a_file_of_flags(tmp_path):
    path = tmp_path / "flags.json"
    path.write_text(
        json.dumps({"flags": {"k": {"enabled": True, "variants": {"on": 1, "off": 0}, "offVariant": "off"}}})
    )
    ended(f"c = FlagClient(FileSource({str(path)!r})); assert c.start(); done()")


def test_with_an_openfeature_provider_that_nobody_shut_down(store, redis_url):
    body = """
    from openfeature import api
    from flags.openfeature import SignalboxProvider
    api.set_provider_and_wait(SignalboxProvider(client()))
    assert api.get_client().get_string_value("k", "?") == "yaml"
    done()
    """
    ended(body, redis_url)


def test_with_fifty_clients_of_as_many_environments(redis_url):
    for number in range(50):
        each = RedisFlagStore(redis_url, f"env-{number}")
        create(each, flag(on=f"yaml {number}"), actor="test", reason="test")
    body = """
    clients = [FlagClient(RedisSource(os.environ["SERVER"], f"env-{number}")) for number in range(50)]
    assert all([c.start() for c in clients])
    assert [c.get_string_value("k", "?") for c in clients] == [f"yaml {number}" for number in range(50)]
    done()
    """
    ended(body, redis_url)
