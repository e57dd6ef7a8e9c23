"""The example that `signalbox up` runs: three messaging flags at 0%, workers of every domain, a trickle of traffic.

Knows where the example's modules are, and that they may not be there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from controlplane.processes import Keeper, StopSignal
from controlplane.settings import Settings
from flags import service
from flags.documents import parse_flags
from flags.store import FlagStore

ACTOR = "signalbox up"

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


def start(keeper: Keeper, settings: Settings, logs: Path, stop: StopSignal, say: Callable[[str], None]) -> None:
    """Start the example."""
