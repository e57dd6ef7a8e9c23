"""The yardstick: what somebody might write by hand. A look-up, a closure, a hash, a comparison.

It has no reasons, no types, no errors, no updates and no telemetry.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

import mmh3
from workloads import AMOUNT, COUNTRIES, DEFAULT, DOMAINS, PLAN, Spec

from peers import Contestant

EVERYONE = 1 << 32

EXPRESSIONS = {
    "W1": "ev('w1', k)",
    "W2": "ev('w2', k)",
    "W3": "ev('w3', k, {'domain': d})",
    "W4": "ev(f, k, {'country': country, 'plan': plan, 'amount': amount})",
}


def prepare(flags: Iterable[Spec]) -> list[bytes]:
    """Write each flag as a line of JSON."""
    return [json.dumps(asdict(flag)).encode() for flag in flags]


def load(prepared: list[bytes]) -> Contestant:
    """Compile every flag."""
    closures = closures_of(Spec(**json.loads(line)) for line in prepared)
    get = closures.get

    def nothing(key: str, context: Any) -> None:
        """Stand for a flag that is not there."""

    def evaluate(name: str, key: str, context: Any = None) -> Any:
        return get(name, nothing)(key, context)

    return Contestant({"ev": evaluate}, EXPRESSIONS)


def closures_of(flags: Iterable[Spec]) -> dict[str, Callable[[str, Any], Any]]:
    """Compile flags."""
    return {flag.key: closure_of(flag) for flag in flags}


def closure_of(flag: Spec) -> Callable[[str, Any], Any]:
    """Compile one flag."""
    hashed, seed = mmh3.hash, zlib.crc32(flag.key.encode())
    if flag.kind == "on":
        return lambda key, c: True  # noqa: ARG005 - all closures are called alike
    if flag.kind == "half":
        return lambda key, c: hashed(key, seed, False) < EVERYONE // 2  # noqa: ARG005
    if flag.kind == "domains":
        bounds = {domain: int(percentage * EVERYONE / 100) for domain, percentage in DOMAINS.items()}.get
        return lambda key, c: hashed(key, seed, False) < bounds(c["domain"], 0)
    countries, value, plan, amount, default = frozenset(COUNTRIES), flag.value, PLAN, AMOUNT, DEFAULT
    return lambda key, c: (  # noqa: ARG005
        value if c["country"] in countries and c["plan"] == plan and c["amount"] >= amount else default
    )
