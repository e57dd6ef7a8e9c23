"""LaunchDarkly's server SDK for Python, fed from a file of flags, with events off."""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workloads import AMOUNT, COUNTRIES, DEFAULT, DOMAINS, PLAN, Spec

from peers import Contestant

DISTRIBUTION = "launchdarkly-server-sdk"
CONTEXT = "builder(k).set('country', country).set('plan', plan).set('amount', amount).build()"
EXPRESSIONS = {
    "W1": "variation('w1', nobody, False)",
    "W2": "variation('w2', create(k), False)",
    "W3": "variation('w3', builder(k).set('domain', d).build(), False)",
    "W4": f"variation(f, {CONTEXT}, 'none')",
}


def prepare(flags: Sequence[Spec]) -> str:
    """Write the flags to a file; answers with its path."""
    path = Path(tempfile.mkdtemp(prefix="signalbox-bench-"), "flags.json")
    path.write_text(json.dumps({"flags": {flag.key: document(flag) for flag in flags}}))
    return str(path)


def load(prepared: str) -> Contestant:
    """Start a client of that file."""
    sys.modules.setdefault("yaml", None)  # where PyYAML is there, it reads JSON with that: 30x slower
    logging.getLogger("ldclient").setLevel(logging.CRITICAL)
    from ldclient import Context  # noqa: PLC0415 - documents are written without it
    from ldclient.client import LDClient  # noqa: PLC0415
    from ldclient.config import Config  # noqa: PLC0415
    from ldclient.integrations import Files  # noqa: PLC0415

    source = Files.new_data_source(paths=[prepared])
    client = LDClient(Config("sdk-x", update_processor_class=source, send_events=False, diagnostic_opt_out=True))
    if not client.is_initialized():
        raise SystemExit("LaunchDarkly's client did not start")
    names = {
        "variation": client.variation,
        "create": Context.create,
        "builder": Context.builder,
        "nobody": Context.create("x"),
    }
    return Contestant(names, EXPRESSIONS, client.close)


def document(flag: Spec) -> dict[str, Any]:
    """Write one flag."""
    common: dict[str, Any] = {
        "key": flag.key,
        "version": 1,
        "on": True,
        "salt": flag.key,
        "variations": [flag.value, DEFAULT] if flag.kind == "rule" else [True, False],
        "offVariation": 1,
        "fallthrough": {"variation": 1},
        "prerequisites": [],
        "targets": [],
        "rules": [],
    }
    if flag.kind == "on":
        return common | {"fallthrough": {"variation": 0}}
    if flag.kind == "half":
        return common | {"fallthrough": share(50)}
    if flag.kind == "domains":
        rules = [{"id": d, "clauses": [clause("domain", "in", [d])]} | share(p) for d, p in DOMAINS.items()]
        return common | {"rules": rules}
    clauses = [
        clause("country", "in", COUNTRIES),
        clause("plan", "in", [PLAN]),
        clause("amount", "greaterThanOrEqual", [AMOUNT]),
    ]
    return common | {"rules": [{"id": "targeted", "clauses": clauses, "variation": 0}]}


def share(percentage: int) -> dict[str, Any]:
    """Write a percentage rollout."""
    on = percentage * 1_000
    return {"rollout": {"variations": [{"variation": 0, "weight": on}, {"variation": 1, "weight": 100_000 - on}]}}


def clause(attribute: str, operator: str, values: list[Any]) -> dict[str, Any]:
    """Write a condition."""
    return {"contextKind": "user", "attribute": attribute, "op": operator, "values": values, "negate": False}
