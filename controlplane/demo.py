"""The example that `signalbox up` runs: three messaging flags at 0%, workers of every domain, a trickle of traffic.

Knows where the example's modules are, and that they may not be there.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from controlplane.listening import Reservation, reserve_from
from controlplane.processes import POLL, Command, Keeper, StopSignal
from controlplane.settings import Settings
from flags import service
from flags.definitions import parse_flags
from flags.instances import InstanceRegistry
from flags.store import FlagStore

ACTOR = "signalbox up"
PLACE, MODULE = "examples/settlement", "examples.settlement"
HOST, GATEWAY_PORT = "127.0.0.1", 8090
WORKERS_GRACE = 15.0
"""Seconds for the supervisor to end its workers in, who finish what they have at hand."""

LIVE, SETTLED = 20.0, 0.5
"""Seconds for the first workers to be live in, and for which no more have come once all are."""

FLAGS: Mapping[str, Any] = {
    "useYamlMessaging": {
        "enabled": True,
        "description": "Use YAML instead of JSON for worker messages",
        "rolloutPercentage": 0,
        "fallback": "json",
    },
    "enableCompression": {
        "enabled": True,
        "description": "Compress large messages to reduce bandwidth",
        "rolloutPercentage": 0,
        "fallback": "uncompressed",
    },
    "enableBatching": {
        "enabled": True,
        "description": "Batch multiple messages for efficiency",
        "rolloutPercentage": 0,
        "fallback": "individual",
    },
}


def create_flags(store: FlagStore) -> None:
    """Create the three messaging flags where they are missing; those that are there stay as they are."""
    present = store.snapshot().flags
    for key, flag in parse_flags(FLAGS).items():
        if key not in present:
            service.create(store, flag, actor=ACTOR, reason="first start")


def start(keeper: Keeper, settings: Settings, logs: Path, say: Callable[[str], None]) -> Reservation | None:
    """Start the example's workers and its traffic; answers with the gateway's port, to be held as long as they run.

    Where the example is not in the working folder, it says so and answers with None.
    """
    if not (Path.cwd() / PLACE).is_dir():
        say(f"no {PLACE} in this folder: running without demo workers")
        return None
    gateway = reserve_from(HOST, GATEWAY_PORT)
    environ = {
        **os.environ,
        "SIGNALBOX_REDIS_URL": settings.redis_url,
        "SIGNALBOX_QUEUE_URL": settings.queue_url,
        "SIGNALBOX_ENV": settings.environment,
        "SETTLEMENT_GATEWAY": gateway.address,
        "SIGNALBOX_OVERRIDES": os.environ.get("SIGNALBOX_OVERRIDES") or settings.overrides,
    }
    say(f"starting the demo workers; their gateway is http://{gateway.address}")
    for name, words in (("workers", [MODULE]), ("traffic", [f"{MODULE}.traffic", "--gateway", gateway.address])):
        command = [sys.executable, "-m", *words]
        keeper.add(Command(name, command, environ, log=logs / f"{name}.log", grace=WORKERS_GRACE))
    return gateway


def wait_live(registry: InstanceRegistry, stop: StopSignal, say: Callable[[str], None]) -> None:
    """Wait until the workers are live: there are some, and for a moment no more have come."""
    deadline = time.monotonic() + LIVE
    live, since = 0, time.monotonic()
    while not live or time.monotonic() - since < SETTLED:
        if time.monotonic() > deadline:
            say(f"{live} demo workers are live after {LIVE:.0f} s; see workers.log for the others")
            return
        if stop.wait(POLL):
            return
        found = len(registry.live())
        if found != live:
            live, since = found, time.monotonic()
    say(f"{live} demo workers are live")
