"""flagd's OpenFeature provider for Python in file mode: it evaluates in the process."""

from __future__ import annotations

import json
import logging
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workloads import AMOUNT, COUNTRIES, DEFAULT, DOMAINS, PLAN, Spec

from peers import Contestant, openfeature

DISTRIBUTION = "openfeature-provider-flagd"
EXPRESSIONS = openfeature.EXPRESSIONS
PATIENCE = 30.0


def prepare(flags: Sequence[Spec]) -> str:
    """Write the flags to a file; answers with its path."""
    path = Path(tempfile.mkdtemp(prefix="signalbox-bench-"), "flags.json")
    path.write_text(json.dumps({"flags": {flag.key: document(flag) for flag in flags}}))
    return str(path)


def load(prepared: str) -> Contestant:
    """Start a provider of that file."""
    logging.getLogger("openfeature").setLevel(logging.CRITICAL)
    from openfeature import api  # noqa: PLC0415 - documents are written without it
    from openfeature.contrib.provider.flagd import FlagdProvider  # noqa: PLC0415
    from openfeature.contrib.provider.flagd.config import ResolverType  # noqa: PLC0415
    from openfeature.evaluation_context import EvaluationContext  # noqa: PLC0415
    from openfeature.provider import ProviderStatus  # noqa: PLC0415

    api.set_provider(FlagdProvider(resolver_type=ResolverType.FILE, offline_flag_source_path=prepared))
    client = api.get_client()
    give_up = time.monotonic() + PATIENCE
    while client.get_provider_status() != ProviderStatus.READY:
        if time.monotonic() > give_up:
            raise SystemExit("flagd's provider did not become ready")
        time.sleep(0.002)
    names = {"boolean": client.get_boolean_value, "string": client.get_string_value, "Context": EvaluationContext}
    return Contestant(names, EXPRESSIONS, api.shutdown)


def document(flag: Spec) -> dict[str, Any]:
    """Write one flag."""
    common: dict[str, Any] = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
    if flag.kind == "on":
        return common | {"defaultVariant": "on"}
    if flag.kind == "half":
        return common | {"targeting": share(50)}
    if flag.kind == "domains":
        arms: list[Any] = []
        for domain, percentage in DOMAINS.items():
            arms += [{"===": [{"var": "domain"}, domain]}, share(percentage)]
        return common | {"targeting": {"if": [*arms, "off"]}}
    conditions = [
        {"in": [{"var": "country"}, COUNTRIES]},
        {"===": [{"var": "plan"}, PLAN]},
        {">=": [{"var": "amount"}, AMOUNT]},
    ]
    targeting = {"if": [{"and": conditions}, "on", "off"]}
    return common | {"variants": {"on": flag.value, "off": DEFAULT}, "targeting": targeting}


def share(percentage: int) -> dict[str, Any]:
    """Write a percentage rollout."""
    key = {"cat": [{"var": "$flagd.flagKey"}, {"var": "targetingKey"}]}
    return {"fractional": [key, ["on", percentage], ["off", 100 - percentage]]}
