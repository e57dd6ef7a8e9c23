"""Unleash's Python SDK over its engine in Rust, started from a cache, with metrics off as far as they can be."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

from workloads import AMOUNT, COUNTRIES, DEFAULT, DOMAINS, PLAN, Spec

from peers import Contestant

DISTRIBUTION = "UnleashClient"
EXPRESSIONS = {
    "W1": "enabled('w1')",
    "W2": "enabled('w2', {'userId': k})",
    "W3": "enabled('w3', {'userId': k, 'domain': d})",
    "W4": "value(variant(f, {'userId': k, 'country': country, 'plan': plan, 'amount': amount}))",
}


def prepare(flags: Sequence[Spec]) -> str:
    """Write the flags as its server answers."""
    return json.dumps({"version": 2, "features": [document(flag) for flag in flags]})


def load(prepared: str) -> Contestant:
    """Start a client that finds its flags in a cache and asks nobody."""
    logging.getLogger("UnleashClient").setLevel(logging.ERROR)
    from UnleashClient import UnleashClient  # noqa: PLC0415 - documents are written without it
    from UnleashClient.cache import BaseCache  # noqa: PLC0415
    from UnleashClient.constants import FEATURES_URL  # noqa: PLC0415
    from UnleashClient.utils import InstanceAllowType  # noqa: PLC0415

    class Cache(BaseCache):
        """Keeps what it is given in a dict."""

        def __init__(self) -> None:
            self.held: dict[str, Any] = {FEATURES_URL: prepared}
            self.bootstrapped = True

        def set(self, key: str, value: Any) -> None:
            """Keep one."""
            self.held[key] = value

        def mset(self, data: dict[str, Any]) -> None:
            """Keep several."""
            self.held.update(data)

        def get(self, key: str, default: Any = None) -> Any:
            """Give one back."""
            return self.held.get(key, default)

        def exists(self, key: str) -> bool:
            """Tell whether it is there."""
            return key in self.held

        def destroy(self) -> None:
            """Let go of everything."""
            self.held.clear()

    client = UnleashClient(
        url="http://127.0.0.1:9/api",
        app_name="bench",
        cache=Cache(),
        disable_metrics=True,
        disable_registration=True,
        refresh_interval=3600,
        multiple_instance_mode=InstanceAllowType.SILENTLY_ALLOW,
    )
    client.initialize_client(fetch_toggles=False)

    def value(variant: dict[str, Any]) -> Any:
        return variant["payload"]["value"] if variant["enabled"] else DEFAULT

    names = {"enabled": client.is_enabled, "variant": client.get_variant, "value": value}
    return Contestant(names, EXPRESSIONS, client.destroy)


def document(flag: Spec) -> dict[str, Any]:
    """Write one flag."""
    common = {"name": flag.key, "type": "release", "project": "default", "enabled": True, "stale": False}
    return common | {"impressionData": False, "variants": [], "strategies": strategies(flag)}


def strategies(flag: Spec) -> list[dict[str, Any]]:
    """Write who is served what."""
    if flag.kind == "on":
        return [{"name": "default", "constraints": [], "parameters": {}}]
    if flag.kind == "half":
        return [share(flag, 50, [])]
    if flag.kind == "domains":
        return [share(flag, percentage, [among("domain", [domain])]) for domain, percentage in DOMAINS.items()]
    amount = {"contextName": "amount", "operator": "NUM_GTE", "value": str(AMOUNT)}
    payload = {"type": "string", "value": flag.value}
    variant = {"name": "v", "weight": 1000, "weightType": "variable", "stickiness": "userId", "payload": payload}
    return [share(flag, 100, [among("country", COUNTRIES), among("plan", [PLAN]), amount]) | {"variants": [variant]}]


def share(flag: Spec, percentage: int, constraints: list[dict[str, Any]]) -> dict[str, Any]:
    """Write a percentage rollout."""
    parameters = {"groupId": flag.key, "rollout": str(percentage), "stickiness": "userId"}
    return {"name": "flexibleRollout", "constraints": constraints, "parameters": parameters}


def among(attribute: str, values: list[str]) -> dict[str, Any]:
    """Write a condition."""
    return {"contextName": attribute, "operator": "IN", "values": values, "inverted": False, "caseInsensitive": False}
