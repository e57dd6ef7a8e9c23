"""The example that `signalbox up` runs: three messaging flags at 0%, workers of every domain, a trickle of traffic.

Knows where the example's modules are, and that they may not be there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from controlplane.listening import reserve_from
from controlplane.processes import Command, Keeper
from controlplane.settings import Settings
from flags import service
from flags.documents import parse_flags
from flags.store import FlagStore

ACTOR = "signalbox up"
PLACE, MODULE = "examples/settlement", "examples.settlement"
HOST, GATEWAY_PORT = "127.0.0.1", 8090
WORKERS_GRACE = 15.0
"""Seconds for the supervisor to end its workers in, who finish what they have at hand."""

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


def start(keeper: Keeper, settings: Settings, logs: Path, say: Callable[[str], None]) -> None:
    """Start the example's workers and its traffic, or say that the example is not here."""
    if not (Path.cwd() / PLACE).is_dir():
        say(f"no {PLACE} in this folder: running without demo workers")
        return
    gateway = reserve_from(HOST, GATEWAY_PORT)
    gateway.close()  # the gateway shares its port with nobody, us included
    environ = {
        **os.environ,
        "SIGNALBOX_REDIS_URL": settings.redis_url,
        "SIGNALBOX_QUEUE_URL": settings.queue_url,
        "SIGNALBOX_ENV": settings.environment,
        "SETTLEMENT_GATEWAY": gateway.address,
    }
    say(f"starting the demo workers; their gateway is http://{gateway.address}")
    for name, words in (("workers", [MODULE]), ("traffic", [f"{MODULE}.traffic", "--gateway", gateway.address])):
        command = [sys.executable, "-m", *words]
        keeper.add(Command(name, command, environ, log=logs / f"{name}.log", grace=WORKERS_GRACE))
