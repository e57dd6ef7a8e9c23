"""How flags, segments and explanations are said in a terminal: plain lines that read the same without colour. Pure.

Takes the API's own documents; rules are said in the words of the documents that people write.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from controlplane.cli.common import when
from controlplane.difference import value_text
from controlplane.shapes import STALE_WORDS

Json = Mapping[str, Any]

KEYS_SHOWN = 5
"""Targeting keys of one variant that are named; the rest is counted."""


def state(flag: Json) -> str:
    """Say whether a flag is on, or what keeps it off."""
    if flag["hold"]:
        return f"on hold by {flag['hold']['by']}"
    if flag["archived"]:
        return "archived"
    return "enabled" if flag["enabled"] else "disabled"


def percentages(flag: Json) -> str:
    """Say who gets what where no rule decides: the on variant's percentages, or the split."""
    split = (flag["rollout"] or {}).get("split")
    default = split_words(split) if split else f"{flag['percentages']['default']}%"
    listed = [f"{domain} {percentage}%" for domain, percentage in flag["percentages"]["domains"].items()]
    return ", ".join([default, *listed])


def lifetime(flag: Json) -> str:
    """Say how long a flag is meant to live; nothing for one that is to stay."""
    if flag["lifetime"] != "temporary":
        return ""
    return f"until {flag['expires']}" if flag["expires"] else "temporary"


def stale(flag: Json) -> str:
    """Say why a flag should be looked at; nothing for one that is in order."""
    mark = flag["stale"]
    if mark is None:
        return ""
    said = STALE_WORDS.get(mark["reason"], mark["reason"])
    return f"{said} ({mark['variant']})" if mark["variant"] else said


def changed(document: Json) -> str:
    """Say when a flag or a segment was written last, and by whom."""
    last = document["changed"]
    return f"{when(last['at'])} by {last['by']}" if last else ""


def clause(document: Json) -> str:
    """Say one clause."""
    refused = "not " if document.get("negate") else ""
    if "segment" in document:
        return f"{refused}in segment {document['segment']}"
    values = ", ".join(value_text(value) for value in document.get("values", ()))
    return f"{document['attribute']} {refused}{document['operator']} {values}".rstrip()


def clauses(documents: Iterable[Json]) -> str:
    """Say clauses that all have to hold."""
    return " and ".join(map(clause, documents))


def rule(document: Json) -> str:
    """Say whom a rule takes in, and what it serves."""
    served = document["serve"] if "serve" in document else split_words(document["split"])
    return f"{clauses(document['if'])}: {served}"


def split_words(parts: Iterable[Json]) -> str:
    """Say a split, in its own order."""
    return ", ".join(f"{part['variant']} {part['percentage']}%" for part in parts)


def flag_facts(flag: Json) -> list[tuple[str, str]]:
    """Say all about a flag as pairs of name and words, in the order in which evaluation asks.

    What is not set is left out.
    """
    facts = [
        ("state", state(flag)),
        ("description", flag["description"]),
        ("variants", ", ".join(f"{name} {value_text(value)}" for name, value in flag["variants"].items())),
        ("off variant", flag["offVariant"]),
        ("on variant", flag["onVariant"]),
        *(("prerequisite", f"{each['flag']} serves {' or '.join(each['variants'])}") for each in flag["prerequisites"]),
        *(("target", f"{_keys(keys)}: {variant}") for variant, keys in flag["targets"].items()),
        *((f"rule {number}", rule(each)) for number, each in enumerate(flag["rules"], 1)),
        ("rollout", percentages(flag)),
        ("bucketed by", flag["stickiness"]),
        ("salt", flag["salt"]),
        ("owner", flag["owner"]),
        ("tags", ", ".join(flag["tags"])),
        ("lifetime", lifetime(flag)),
        ("stale", stale(flag)),
        *((f"metadata {name}", value_text(value)) for name, value in flag["metadata"].items()),
        ("hold", flag["hold"]["reason"] if flag["hold"] else ""),
        ("changed", changed(flag)),
        ("version", flag["version"]),
    ]
    return [(name, words) for name, words in facts if words]


def segment_state(segment: Json) -> str:
    """Say whether flags refer to a segment, or that it is archived."""
    if segment["archived"]:
        return "archived"
    return "in use" if segment["flags"] else "not in use"


def segment_facts(segment: Json) -> list[tuple[str, str]]:
    """Say all about a segment as pairs of name and words."""
    facts = [
        ("state", segment_state(segment)),
        ("description", segment["description"]),
        *(("if" if number == 0 else "and", clause(each)) for number, each in enumerate(segment["if"])),
        ("flags", ", ".join(segment["flags"])),
        ("changed", changed(segment)),
        ("version", segment["version"]),
    ]
    return [(name, words) for name, words in facts if words]


def explanation_lines(key: str, told: Json) -> list[str]:
    """Say an evaluation: its steps in order, an arrow at the one that decided, and what came of it."""
    lines = [f"{key} at revision {told['revision']}"]
    for number, step in enumerate(told["steps"], 1):
        lines.append(f"{'->' if step['decided'] else '  '} {number}. {step['question']}: {step['words']}")
    if told["error_code"]:
        lines.append(f"= the caller's default value ({told['reason']} {told['error_code']}: {told['error_message']})")
    else:
        lines.append(f"= {value_text(told['value'])} (variant {told['variant']}, {told['reason']})")
    return lines


def _keys(keys: Sequence[str]) -> str:
    more = len(keys) - KEYS_SHOWN
    named = ", ".join(value_text(key) for key in keys[:KEYS_SHOWN])
    return f"{named} and {more:,} more" if more > 0 else named
