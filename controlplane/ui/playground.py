"""The playground's example: a context that holds every attribute which a flag asks about. Pure.

Takes the API's own documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Json = Mapping[str, Any]


def example(flag: Json, segments: Mapping[str, Json]) -> dict[str, Any]:
    """Make a context to begin with: each attribute with a value that a rule or a target names."""
    listed = [key for keys in flag["targets"].values() for key in keys]
    context: dict[str, Any] = {"targetingKey": listed[0] if listed else "user-1"}
    if flag["stickiness"]:
        context.setdefault(flag["stickiness"], f"{flag['stickiness']}-1")
    for domain in list(flag["percentages"]["domains"])[:1]:
        context["domain"] = domain
    for clause in _clauses(flag["rules"], segments):
        context.setdefault(clause["attribute"], next(iter(clause.get("values", ())), "any"))
    return context


def _clauses(rules: Iterable[Json], segments: Mapping[str, Json]) -> Iterable[Json]:
    for rule in rules:
        for clause in rule["if"]:
            if "segment" not in clause:
                yield clause
            elif clause["segment"] in segments:
                yield from segments[clause["segment"]]["if"]
