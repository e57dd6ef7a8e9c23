"""Statsig's Python SDK over its core in Rust, started from a data store, with network and exposures off."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from workloads import AMOUNT, COUNTRIES, DEFAULT, DOMAINS, PLAN, Spec

from peers import Contestant

DISTRIBUTION = "statsig-python-core"
CONTEXT = "User(k, custom={'country': country, 'plan': plan, 'amount': amount})"
EXPRESSIONS = {
    "W1": "gate(nobody, 'w1', quiet)",
    "W2": "gate(User(k), 'w2', quiet)",
    "W3": "gate(User(k, custom={'domain': d}), 'w3', quiet)",
    "W4": f"config({CONTEXT}, f, quiet_config).get_string('v', '{DEFAULT}')",
}
UNIT = {"isDeviceBased": False, "idType": "userID"}
EVERYBODY = {"type": "public", "field": None, "operator": None, "targetValue": None, "additionalValues": {}} | UNIT


def prepare(flags: Sequence[Spec]) -> str:
    """Write the flags as the body that its servers answer with."""
    conditions: dict[str, Any] = {"everybody": EVERYBODY}
    gates = {flag.key: gate(flag, conditions) for flag in flags if flag.kind != "rule"}
    configs = {flag.key: config(flag, conditions) for flag in flags if flag.kind == "rule"}
    unused = ("layer_configs", "experiment_to_layer", "layers", "id_lists", "sdk_flags", "sdk_configs", "diagnostics")
    empty: dict[str, Any] = {name: {} for name in unused}
    return json.dumps(
        empty
        | {"feature_gates": gates, "dynamic_configs": configs, "condition_map": conditions, "param_stores": {}}
        | {"has_updates": True, "time": int(time.time() * 1000), "response_format": "dcs-v2"}
        | {"company_id": "c", "app_id": "a", "default_environment": None}
    )


def load(prepared: str) -> Contestant:
    """Start a client that has its flags from here."""
    import statsig_python_core as statsig  # noqa: PLC0415 - documents are written without it
    from statsig_python_core.data_store import DataStoreResponse  # noqa: PLC0415

    class Store(statsig.DataStore):
        """Hands out the one body there is."""

        def initialize(self) -> None:
            """Have nothing to do."""

        def shutdown(self) -> None:
            """Have nothing to do."""

        def get(self, key: str) -> Any:
            """Answer with the flags."""
            return DataStoreResponse(result=prepared, time=int(time.time() * 1000)) if "config_specs" in key else None

        def set(self, key: str, value: str, time: int | None = None) -> None:
            """Keep nothing."""

        def support_polling_updates_for(self, key: str) -> bool:  # noqa: ARG002 - the SDK's signature
            """Have no updates."""
            return False

    options = statsig.StatsigOptions(
        data_store=Store(),
        disable_network=True,
        disable_all_logging=True,
        disable_country_lookup=True,
        disable_disk_access=True,
        enable_id_lists=False,
        output_log_level="none",
    )
    client = statsig.Statsig("secret-x", options)
    client.initialize().wait()
    names = {
        "gate": client.check_gate,
        "config": client.get_dynamic_config,
        "User": statsig.StatsigUser,
        "nobody": statsig.StatsigUser("x"),
        "quiet": statsig.FeatureGateEvaluationOptions(disable_exposure_logging=True),
        "quiet_config": statsig.DynamicConfigEvaluationOptions(disable_exposure_logging=True),
    }
    return Contestant(names, EXPRESSIONS, lambda: client.shutdown().wait())


def gate(flag: Spec, conditions: dict[str, Any]) -> dict[str, Any]:
    """Write a flag that is on or off."""
    if flag.kind == "domains":
        rules = [
            rule(domain, percentage, [condition(conditions, "domain", "any", [domain])], True)
            for domain, percentage in DOMAINS.items()
        ]
    else:
        rules = [rule("all", 100 if flag.kind == "on" else 50, ["everybody"], True)]
    return common(flag) | {"type": "feature_gate", "entity": "feature_gate", "defaultValue": False, "rules": rules}


def config(flag: Spec, conditions: dict[str, Any]) -> dict[str, Any]:
    """Write a flag that serves text."""
    needed = [
        condition(conditions, "country", "any", COUNTRIES),
        condition(conditions, "plan", "any", [PLAN]),
        condition(conditions, "amount", "gte", AMOUNT),
    ]
    rules = [rule("targeted", 100, needed, {"v": flag.value})]
    kind = {"type": "dynamic_config", "entity": "dynamic_config", "defaultValue": {"v": DEFAULT}}
    return common(flag) | kind | {"rules": rules}


def common(flag: Spec) -> dict[str, Any]:
    """Write what all flags have."""
    return {"name": flag.key, "salt": flag.key, "enabled": True, "version": 1, "explicitParameters": None} | UNIT


def rule(name: str, percentage: int, conditions: list[str], value: Any) -> dict[str, Any]:
    """Write a rule."""
    text = {"name": name, "groupName": name, "id": name, "salt": name}
    return text | {"passPercentage": percentage, "conditions": conditions, "returnValue": value} | UNIT


def condition(conditions: dict[str, Any], field: str, operator: str, target: Any) -> str:
    """Write a condition beside the others, once; answers with its name."""
    name = f"{field} {operator} {target}"
    kind = {"type": "user_field", "field": field, "operator": operator, "targetValue": target, "additionalValues": {}}
    conditions[name] = kind | UNIT
    return name
