"""Conditions as alternatives, of which each is a list of clauses that must all hold: what rules can ask.

In other products a negated comparison often holds for a context without the attribute, as it never does here. So its
opposite is two alternatives: the attribute is there and compares otherwise, or it is not there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice, product

from flags.interchange.findings import Unmapped
from flags.model import SEGMENT, Clause

Alternatives = list[tuple[Clause, ...]]
"""None of them is a condition that never holds; one without clauses always holds."""

MAX_ALTERNATIVES = 50

_MERGED = ("in", "equals", "starts_with", "ends_with", "contains")


def all_of(parts: Iterable[Alternatives]) -> Alternatives:
    """Join conditions that must all hold; of more alternatives than `bounded` takes, the rest is not made."""
    result: Alternatives = [()]
    for part in parts:
        joined = ((*one, *other) for one, other in product(result, part))
        result = list(islice(joined, MAX_ALTERNATIVES + 1))
    return result


def any_of(parts: Iterable[Alternatives]) -> Alternatives:
    """Join conditions of which one is enough; what asks one attribute with one operator becomes one clause."""
    alternatives = [alternative for part in parts for alternative in part]
    first = alternatives[0][0] if alternatives and alternatives[0] else None
    if first is None or first.operator not in _MERGED or first.negate:
        return alternatives
    if not all(len(each) == 1 and replace(each[0], values=first.values) == first for each in alternatives):
        return alternatives
    return [(replace(first, values=tuple(value for (each,) in alternatives for value in each.values)),)]


def opposite(condition: Alternatives) -> Alternatives:
    """Turn a condition round, for contexts without the attribute too."""
    return all_of([one for clause in alternative for one in _opposite(clause)] for alternative in condition)


def bounded(condition: Alternatives, field: str) -> Alternatives:
    """Refuse a condition of too many alternatives; raises Unmapped."""
    if len(condition) > MAX_ALTERNATIVES:
        raise Unmapped(field, f"it comes to more than {MAX_ALTERNATIVES} rules")
    return condition


def _opposite(clause: Clause) -> Alternatives:
    if clause.operator in (SEGMENT, "exists"):
        return [(replace(clause, negate=not clause.negate),)]
    turned = replace(clause, negate=not clause.negate)
    if clause.operator in ("in", "not_in") and not clause.negate:
        turned = replace(clause, operator="in" if clause.operator == "not_in" else "not_in")
    return [(turned,), (Clause(clause.attribute, "exists", (), negate=True),)]
