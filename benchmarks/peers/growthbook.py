"""GrowthBook's Python SDK: its core evaluation, which is what its client runs, over one shared set of features."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from workloads import AMOUNT, COUNTRIES, DEFAULT, DOMAINS, PLAN, Spec

from peers import Contestant

DISTRIBUTION = "growthbook"
EXPRESSIONS = {
    "W1": "on('w1', nobody)",
    "W2": "on('w2', {'id': k})",
    "W3": "on('w3', {'id': k, 'domain': d})",
    "W4": "value(f, {'id': k, 'country': country, 'plan': plan, 'amount': amount})",
}
HASHED = {"force": True, "hashAttribute": "id", "hashVersion": 2}


def prepare(flags: Sequence[Spec]) -> str:
    """Write the flags as its API answers."""
    return json.dumps({flag.key: feature(flag) for flag in flags})


def load(prepared: str) -> Contestant:
    """Make a context that all evaluations share."""
    from growthbook.common_types import (  # noqa: PLC0415 - documents are written without it
        EvaluationContext,
        Feature,
        GlobalContext,
        Options,
        StackContext,
        UserContext,
    )
    from growthbook.core import eval_feature  # noqa: PLC0415

    given = json.loads(prepared).items()
    features = {key: Feature(rules=f.get("rules", []), defaultValue=f["defaultValue"]) for key, f in given}
    shared = GlobalContext(options=Options(), features=features)

    def result(key: str, attributes: dict[str, Any]) -> Any:
        user, stack = UserContext(attributes=attributes), StackContext(evaluated_features=set())
        return eval_feature(key, EvaluationContext(user=user, global_ctx=shared, stack=stack))

    def on(key: str, attributes: dict[str, Any]) -> bool:
        return bool(result(key, attributes).on)

    def value(key: str, attributes: dict[str, Any]) -> Any:
        return result(key, attributes).value

    return Contestant({"on": on, "value": value, "nobody": {}}, EXPRESSIONS)


def feature(flag: Spec) -> dict[str, Any]:
    """Write one flag."""
    if flag.kind == "on":
        return {"defaultValue": True}
    if flag.kind == "half":
        return {"defaultValue": False, "rules": [HASHED | {"coverage": 0.5}]}
    if flag.kind == "domains":
        rules = [HASHED | {"condition": {"domain": d}, "coverage": p / 100} for d, p in DOMAINS.items()]
        return {"defaultValue": False, "rules": rules}
    condition = {"country": {"$in": COUNTRIES}, "plan": PLAN, "amount": {"$gte": AMOUNT}}
    return {"defaultValue": DEFAULT, "rules": [{"condition": condition, "force": flag.value}]}
