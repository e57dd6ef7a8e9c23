"""What items refer to by key: a flag to its prerequisites and to segments; and the check that all of it holds good.

A document can't be checked for this by itself, so a write is checked against the environment it changes. Evaluation
relies on none of it: where a reference leads nowhere, in a circle or too far, the flag serves its off variant, and the
clause does not match.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from flags.model import SEGMENT, SEGMENT_ITEM, Clause, Flag, Item, Prerequisite, Segment
from foundation.errors import DocumentError

MAX_CHAIN = 20
"""Flags in a chain of prerequisites, the first one included."""

MAX_EVALUATIONS = 1_000
"""Evaluations that one of a flag may come to, those of its prerequisites and of theirs included: a flag that is needed
on several ways is evaluated for each, and the ways multiply with every flag in a row."""

NEEDED = "one that is not: to archive it, take this reference out first"

Items = Mapping[str, Item]
"""Flags and segments by item key."""


class Reach(NamedTuple):
    """How far the prerequisites of a flag lead: to which flags, whether within bounds, and whether back to the flag.

    Where they lead too far, not all `flags` are named, but no change of the others would bring them within bounds.
    """

    flags: frozenset[str]
    bounded: bool
    circular: bool


def reach(key: str, prerequisites: Callable[[str], Iterable[Prerequisite]]) -> Reach:
    """Follow the prerequisites of a flag, given those of each one; takes time by their number, not by their ways."""
    met: set[str] = set()
    evaluations, level = 0, Counter({key: 1})
    for _ in range(MAX_CHAIN):
        evaluations += level.total()
        following: Counter[str] = Counter()
        for flag, ways in level.items():
            for prerequisite in prerequisites(flag):
                following[prerequisite.flag] += ways
        met.update(following)
        level = following
    return Reach(frozenset(met), not level and evaluations <= MAX_EVALUATIONS, key in met)


def references(item: Item) -> tuple[str, ...]:
    """Name the items that an item refers to, by item key, each once."""
    if isinstance(item, Segment) or not (item.rules or item.prerequisites):
        return ()
    clauses = (clause for rule in item.rules for clause in rule.clauses if clause.operator == SEGMENT)
    named = [prerequisite.flag for prerequisite in item.prerequisites]
    return tuple(dict.fromkeys([*named, *(SEGMENT_ITEM + str(clause.values[0]) for clause in clauses)]))


def check_references(items: Items, edited: Iterable[str]) -> frozenset[str]:
    """Check what the edited items refer to, and what refers to them, in the environment as it is to become.

    Answers with every item that this rests on: if one of them changes meanwhile, it has to be checked anew.

    Raises:
        DocumentError: a reference leads to nothing, to something archived, to a variant that is not there, in a
            circle, or too far; or an edited item is gone, or lacks a variant, that another flag needs.
    """
    touched = set(edited)
    leading = {key for key in touched if _prerequisites(items.get(key))}
    relied: set[str] = set()
    for key in sorted(items, key=lambda key: key not in touched):  # of a circle, what was edited is named
        item = items[key]
        named = () if item.archived else references(item)
        if key in touched or touched.intersection(named):
            _check_own(item, items)
            relied.update(named)
        if leading and _prerequisites(item):
            reached = reach(key, lambda flag: _prerequisites(items.get(flag)))
            if key in leading or leading.intersection(reached.flags):
                _check_reach(item, reached)
            if key in leading:
                relied.update(reached.flags)
    return frozenset(relied)


def _check_own(item: Item, items: Items) -> None:
    if isinstance(item, Segment) or item.archived:
        return
    field = f"flags.{item.key}"
    for index, prerequisite in enumerate(item.prerequisites):
        _check_prerequisite(prerequisite.flag, prerequisite.variants, items, f"{field}.prerequisites[{index}]")
    for at, rule in enumerate(item.rules):
        for index, clause in enumerate(rule.clauses):
            _check_clause(clause, items, f"{field}.rules[{at}].if[{index}].segment")


def _check_prerequisite(key: str, variants: Iterable[str], items: Items, field: str) -> None:
    flag = items.get(key)
    if not isinstance(flag, Flag) or flag.archived:
        problem = "is archived" if flag else "is not a flag of this environment"
        raise DocumentError(f"{field}.flag", problem, value=key, expected=NEEDED if flag else "a flag that exists")
    for variant in variants:
        if variant not in flag.variants:
            expected = f"one of {', '.join(flag.variants)}"
            raise DocumentError(f"{field}.variants", f"name no variant of {key}", value=variant, expected=expected)


def _check_clause(clause: Clause, items: Items, field: str) -> None:
    if clause.operator != SEGMENT:
        return
    segment = items.get(SEGMENT_ITEM + str(clause.values[0]))
    if segment is None or segment.archived:
        problem = "is archived" if segment else "is not a segment of this environment"
        expected = NEEDED if segment else "a segment that exists"
        raise DocumentError(field, problem, value=clause.values[0], expected=expected)


def _check_reach(item: Item, reached: Reach) -> None:
    field = f"flags.{item.key}.prerequisites"
    if reached.circular:
        raise DocumentError(field, "lead back to the flag itself", value=item.key, expected="no circle")
    if not reached.bounded:
        expected = f"at most {MAX_CHAIN} flags in a row, and {MAX_EVALUATIONS:,} evaluations of them in all"
        raise DocumentError(field, "form too long a chain", expected=expected)


def _prerequisites(item: Item | None) -> tuple[Prerequisite, ...]:
    return item.prerequisites if isinstance(item, Flag) and not item.archived else ()
