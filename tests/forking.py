"""A process that forks while it evaluates, and the proof that each child gives before it ends: for `test_forks`.

Where SIGNALBOX_TEST_URL is set it starts the client and its threads as it is imported: that is how gunicorn's parent
and multiprocessing's fork server come to have them before they fork. `python -m tests.forker` forks in other ways.
"""

import atexit
import contextlib
import os
import random
import signal
import threading
import time
import warnings
from http import HTTPStatus

from flags.client import FlagClient
from flags.documents import parse_flag
from flags.sources.redis import RedisSource
from flags.stores.redis import RedisInstanceRegistry

warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of what is being tested

ENVIRONMENT = "test"
THREADS = 4
PATIENCE = 60
"""Seconds after which a child counts as hung, and is ended even where it hangs in C."""

URL = "SIGNALBOX_TEST_URL"
DECISIONS = ("by-pattern", "by-version", "by-split")


def flag(key, number):
    """Make a flag that serves `number` to everybody, by one way of deciding or another."""
    pattern = f"(?i)(x?){{20}}(x|y){{{20 + number % 20}}}z$"
    ways = {
        "by-pattern": ({"attribute": "text", "operator": "matches", "values": [pattern, "a"]}, {"serve": "on"}),
        "by-version": ({"attribute": "version", "operator": "semver_gte", "values": ["1.2.3"]}, {"serve": "on"}),
        "by-split": ({"attribute": "text", "operator": "exists"}, {"split": [{"variant": "on", "percentage": 100}]}),
    }
    clause, served = ways[key]
    rules = [{"if": [clause], **served}]
    document = {"enabled": True, "variants": {"on": number, "off": -1}, "offVariant": "off", "rules": rules}
    return parse_flag(key, document | {"rollout": {"percentage": 0}})


def somebody():
    """Make up a context that no automaton has seen."""
    text = "xXyY" * 5 + str(random.random()) + "xy" * random.randint(1, 200) + "a"
    return {"targetingKey": f"corr_{random.random()}", "text": text, "version": "1.10.0"}


def evaluated(client):
    return [client.get_integer_value(key, -2, somebody()) for key in DECISIONS]


def started(url):
    """Start a client, and threads that evaluate until the process ends."""
    client = FlagClient(RedisSource(url, ENVIRONMENT, heartbeat=0.5, lease=3.0))
    assert client.start(), client.error
    over = threading.Event()

    def evaluate():
        while not over.is_set():
            evaluated(client)

    threads = [threading.Thread(target=evaluate, daemon=True) for _ in range(THREADS)]
    for thread in threads:
        thread.start()

    def end():
        # Python before 3.14 aborts where it ends while a thread is inside of RE2.
        over.set()
        for thread in threads:
            thread.join()

    atexit.register(end)
    return client


def prove(client, url, parent):
    """Show that a child is not stuck, not stale, and an instance of its own.

    Args:
        client: as it was handed over by the fork.
        url: of the flags' Redis.
        parent: the instance that forked.
    """
    at_first = client.revision
    assert min(evaluated(client)) > 0
    assert client.instance.id != parent.id
    assert client.instance.pid == os.getpid() != parent.pid
    wait(lambda: not client.lapsed, "renewed no lease")
    wait(lambda: client.revision.rev > at_first.rev + 1, "got no change")
    held = client.revision
    thread = threading.Thread(target=lambda: evaluated(client))
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    known = client.snapshot.flags["by-split"].variants["on"]  # it is the last to get each number
    assert min(evaluated(client)) >= known
    with contextlib.closing(RedisInstanceRegistry(url, ENVIRONMENT, timeout=PATIENCE)) as registry:
        wait(lambda: acknowledged(registry, client).rev >= held.rev, "acknowledged nothing new")
        (mine,) = [live for live in registry.live() if live.instance.id == client.instance.id]
    assert mine.instance.pid == os.getpid()


def acknowledged(registry, client):
    return next(live.acknowledged for live in registry.live() if live.instance.id == client.instance.id)


def wait(condition, otherwise):
    deadline = time.monotonic() + PATIENCE / 2
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.002)


def in_child(client, url, parent):
    """Prove and leave."""
    signal.alarm(PATIENCE)
    prove(client, url, parent)
    began = time.monotonic()
    client.close()
    assert time.monotonic() - began < PATIENCE / 2


def in_child_of_loaded(url):
    """The same, where the fork was made by a process that had loaded this module."""
    client, parent = LOADED
    in_child(client, url, parent)


def application(environ, start_response):
    """Answer a request, in a worker of gunicorn, with the proof of that worker."""
    client, parent = LOADED
    try:
        prove(client, os.environ[URL], parent)
        status, said = HTTPStatus.OK, client.instance.id
    except AssertionError as error:
        status, said = HTTPStatus.INTERNAL_SERVER_ERROR, repr(error)
    start_response(f"{status.value} {status.phrase}", [("Content-Length", str(len(said)))])
    return [said.encode()]


if os.environ.get(URL):
    _client = started(os.environ[URL])
    LOADED = (_client, _client.instance)
