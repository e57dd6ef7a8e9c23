"""OpenFeature's Python SDK around the ideal closure: what its API costs whatever stands behind it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from workloads import DEFAULT, Spec

from peers import Contestant, ideal

DISTRIBUTION = "openfeature-sdk"
CONTEXT = "Context(k, {'country': country, 'plan': plan, 'amount': amount})"
EXPRESSIONS = {
    "W1": "boolean('w1', False)",
    "W2": "boolean('w2', False, Context(k))",
    "W3": "boolean('w3', False, Context(k, {'domain': d}))",
    "W4": f"string(f, 'none', {CONTEXT})",
}


def prepare(flags: Sequence[Spec]) -> list[bytes]:
    """Write the flags as the ideal has them."""
    return ideal.prepare(flags)


def load(prepared: list[bytes]) -> Contestant:
    """Make its in-memory provider, which has no rules, ask the ideal's closures."""
    from openfeature import api  # noqa: PLC0415 - documents are written without it
    from openfeature.evaluation_context import EvaluationContext  # noqa: PLC0415
    from openfeature.flag_evaluation import FlagResolutionDetails, Reason  # noqa: PLC0415
    from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider  # noqa: PLC0415

    def flag_of(flag: Spec) -> Any:
        if flag.kind == "on":
            return InMemoryFlag("on", {"on": True, "off": False})
        closure = ideal.closure_of(flag)

        def resolve(_: Any, context: Any) -> Any:
            value = closure(context.targeting_key, context.attributes)
            return FlagResolutionDetails(value=value, reason=Reason.TARGETING_MATCH)

        variants = {"on": flag.value, "off": DEFAULT} if flag.kind == "rule" else {"on": True, "off": False}
        return InMemoryFlag("off", variants, context_evaluator=resolve)

    flags = [Spec(**json.loads(line)) for line in prepared]
    api.set_provider(InMemoryProvider({flag.key: flag_of(flag) for flag in flags}))
    client = api.get_client()
    names = {"boolean": client.get_boolean_value, "string": client.get_string_value, "Context": EvaluationContext}
    return Contestant(names, EXPRESSIONS, api.shutdown)
