"""Fleets of flag clients in child processes, and the writer that times a change until every one has acknowledged it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flags.client import ClientSettings, FlagClient
from flags.convergence import converged
from flags.documents import parse_flag
from flags.instances import Instance
from flags.model import Flag
from flags.source import Source
from flags.store import Edit, Write
from flags.stores.redis import RedisFlagStore, RedisInstanceRegistry
from foundation.ids import new_id

FLAGS = 30
PATIENCE = 60.0
SETTINGS = ClientSettings(start_timeout=PATIENCE)


class NotEverywhere(Exception):
    """A fleet is not, or no longer, as large as it should be."""


def fill(url: str, environment: str) -> Flag:
    """Write the flags; answers with the one that will change."""
    document = {
        "enabled": True,
        "variants": {"on": "yaml", "off": "json"},
        "offVariant": "off",
        "rollout": {"percentage": 0, "domains": {"collections": 10, "distributions": 50}},
    }
    flags = [parse_flag(f"flag{number}", document) for number in range(FLAGS)]
    store = RedisFlagStore(url, environment)
    store.write(Write(new_id(), tuple(Edit(flag, None) for flag in flags), "bench"))
    store.close()
    return flags[0]


def run_clients(source: Callable[[], Source], numbers: range, over: Any) -> None:
    """Run flag clients until it is over."""
    clients = []
    for number in numbers:
        instance = Instance(f"w-{number}.{new_id()[-6:]}", f"w-{number}", "worker", "collections", "bench", os.getpid())
        clients.append(FlagClient(source(), instance=instance, settings=SETTINGS))
        clients[-1].start()
    over.wait()
    os._exit(0)  # the server goes too: nobody needs to be told goodbye a thousand times


def acknowledged_writer(url: str, environment: str, flag: Flag, instances: int) -> Callable[[], float]:
    """Make the function that writes once and tells how long it took to be acknowledged by all: seconds."""
    store = RedisFlagStore(url, environment, timeout=PATIENCE)
    registry = RedisInstanceRegistry(url, environment, timeout=PATIENCE)
    wait_live(registry, instances)
    expected = store.snapshot().versions[flag.key]
    count = 0

    def write() -> float:
        nonlocal expected, count
        count += 1
        edit = Edit(replace(flag, description=f"change {count}"), expected)
        started = time.monotonic()
        expected = store.write(Write(new_id(), (edit,), "bench")).revision
        live = registry.wait_acknowledged(expected, PATIENCE)
        took = time.monotonic() - started
        if len(live) != instances or not converged(expected, live, [flag.key]).reached:
            raise NotEverywhere(f"revision {expected} is not everywhere: {len(live)} of {instances} instances are live")
        return took

    return write


def wait_live(registry: RedisInstanceRegistry, instances: int) -> None:
    """Wait until that many instances are registered."""
    deadline = time.monotonic() + PATIENCE
    while (live := len(registry.live())) < instances:
        if time.monotonic() > deadline:
            raise NotEverywhere(f"only {live} of {instances} instances came up")
        time.sleep(0.05)
