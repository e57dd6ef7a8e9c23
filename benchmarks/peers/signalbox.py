"""Ours: a whole client, fed from Redis and registered there as an instance, while it is measured."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from workloads import AMOUNT, COUNTRIES, DEFAULT, DOMAINS, PLAN, Spec

from flags.client import ClientSettings, FlagClient
from flags.documents import parse_flag
from flags.sources.redis import RedisSource
from flags.store import Edit, Write
from flags.stores.redis import RedisFlagStore
from foundation.ids import new_id
from peers import Contestant

VALUES = {
    "W1": "client.get_boolean_value('w1', False, {'targetingKey': k})",
    "W2": "client.get_boolean_value('w2', False, {'targetingKey': k})",
    "W3": "client.get_boolean_value('w3', False, {'targetingKey': k, 'domain': d})",
    "W4": "client.get_string_value(f, 'none', {'targetingKey': k, 'country': country, 'plan': plan, 'amount': amount})",
}
DETAILS = {f"{name} details": call.replace("_value(", "_details(") for name, call in VALUES.items()}
SETTINGS = ClientSettings(start_timeout=30)
WRITTEN_AT_ONCE = 1_000


def prepare(flags: Sequence[Spec]) -> tuple[str, str]:
    """Write the flags to an environment of their own at SIGNALBOX_REDIS_URL; answers with the address and its name."""
    url, environment = os.environ["SIGNALBOX_REDIS_URL"], new_id("bench").lower().replace("_", "-")
    store = RedisFlagStore(url, environment, timeout=30)
    for first in range(0, len(flags), WRITTEN_AT_ONCE):
        part = flags[first : first + WRITTEN_AT_ONCE]
        store.write(Write(new_id(), tuple(Edit(parse_flag(f.key, document(f)), None) for f in part), "bench"))
    store.close()
    return url, environment


def load(prepared: tuple[str, str]) -> Contestant:
    """Start a client, and wait until it is ready."""
    client = FlagClient(RedisSource(*prepared), settings=SETTINGS)
    if not client.start():
        raise SystemExit(f"the client did not start: {client.error}")
    return Contestant({"client": client}, VALUES | DETAILS, client.close)


def document(flag: Spec) -> dict[str, Any]:
    """Write one flag as a user would."""
    simple = {"enabled": True, "variants": {"on": True, "off": False}, "offVariant": "off"}
    if flag.kind == "on":
        return simple
    if flag.kind == "half":
        return simple | {"rollout": {"percentage": 50}}
    if flag.kind == "domains":
        return simple | {"rollout": {"percentage": 0, "domains": DOMAINS}}
    conditions = [
        {"attribute": "country", "operator": "in", "values": COUNTRIES},
        {"attribute": "plan", "operator": "equals", "values": [PLAN]},
        {"attribute": "amount", "operator": "gte", "values": [AMOUNT]},
    ]
    return {
        "enabled": True,
        "variants": {"on": flag.value, "off": DEFAULT},
        "offVariant": "off",
        "rollout": {"percentage": 0},
        "rules": [{"if": conditions, "serve": "on"}],
    }
