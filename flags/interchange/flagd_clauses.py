"""Clauses as JsonLogic, in a form that answers alike wherever flagd runs.

JsonLogic converts types as it compares, and its implementations differ in how. So a comparison stands behind a question
for the type: `starts_with` an empty text is true of texts only, and `===` is strict. Every clause has a form of its
own, so that reading a form back gives the clause it was written from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flags.difference import same
from flags.interchange.findings import Unmapped
from flags.model import SEGMENT, Clause

Logic = Any
"""A JsonLogic expression: an object with one operator, or a value that stands for itself."""

ORDERINGS: Mapping[str, str] = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
VERSIONS: Mapping[str, str] = {
    "semver_eq": "=",
    "semver_gt": ">",
    "semver_gte": ">=",
    "semver_lt": "<",
    "semver_lte": "<=",
}
_TEXT = ("starts_with", "ends_with")
_USED = frozenset({"and", "or", "!", "!!", "===", "!==", "in", "var", "sem_ver", *_TEXT, *ORDERINGS.values()})

_LOOSER = {
    **dict.fromkeys(ORDERINGS, "flagd takes true, false and lists for numbers too; here they do not match"),
    **dict.fromkeys(VERSIONS, "flagd takes v1.4.0 and 1.4 for versions too; here they do not match"),
}


def clause_logic(clause: Clause, field: str) -> Logic:
    """Write a clause; raises Unmapped where JsonLogic can't ask what it asks."""
    if clause.operator == SEGMENT:
        belongs = {"$ref": clause.values[0]}
        return {"!": [belongs]} if clause.negate else belongs
    value = attribute_logic(clause.attribute, field)
    if clause.operator == "exists":
        return {"===" if clause.negate else "!==": [value, None]}
    holds = _positive(clause.operator, value, clause.values, field)
    return {"and": [_present(value), {"!": [holds]}]} if clause.negate else holds


def looser(clause: Clause) -> str:
    """Say for which odd values flagd answers otherwise than the clause does; nothing where it never does."""
    return _LOOSER.get(clause.operator, "")


def attribute_logic(attribute: str, field: str) -> Logic:
    """Write the look-up of an attribute; raises Unmapped for a name that flagd gives another meaning."""
    if "." in attribute or attribute.startswith("$flagd"):
        raise Unmapped(field, f"flagd takes the name {attribute!r} for a path into an object")
    return {"var": attribute}


def has_text(value: Logic) -> Logic:
    """Ask whether a value is a text that is not empty: what can be bucketed."""
    return {"and": [_is_text(value), {"!==": [value, ""]}]}


def clause_of(logic: Logic) -> Clause | None:
    """Read a clause that `clause_logic` wrote; None for any other expression."""
    used, attributes, values = set[str](), set[str](), list[Any]()
    _take_apart(logic, used, attributes, values)
    if len(attributes) != 1 or used - _USED:
        return None
    attribute = attributes.pop()
    for operator in _candidates(used):
        compared = () if operator == "exists" else tuple(values)
        for negate in (False, True):
            clause = Clause(attribute, operator, compared, negate)
            if (compared or operator == "exists") and same(_written(clause), logic):
                return clause
    return None


def _candidates(used: set[str]) -> tuple[str, ...]:
    """Name the operators whose forms use these operations."""
    if "sem_ver" in used:
        return tuple(VERSIONS)
    if used.intersection(ORDERINGS.values()):
        return tuple(ORDERINGS)
    if "in" in used:
        return ("in", "not_in", "contains")
    texts = tuple(operator for operator in _TEXT if operator in used)
    return texts or ("exists", "equals", "in", "not_in")


def _written(clause: Clause) -> Logic:
    try:
        return clause_logic(clause, "")
    except Unmapped:
        return None


def _positive(operator: str, value: Logic, values: tuple[Any, ...], field: str) -> Logic:
    if operator in ("in", "not_in"):
        known = _in(value, values)
        return known if operator == "in" else {"and": [_present(value), {"!": [{"!!": [known]}]}]}
    if operator == "equals":
        return _any([{"===": [value, each]} for each in values])
    if operator in _TEXT:
        return _any([{operator: [value, each]} for each in values])
    if operator == "contains":
        return {"and": [_is_text(value), _any([{"in": [each, value]} for each in values])]}
    return _compared(operator, value, values, field)


def _compared(operator: str, value: Logic, values: tuple[Any, ...], field: str) -> Logic:
    if operator in ORDERINGS:
        compared = _any([{ORDERINGS[operator]: [value, each]} for each in values])
        return {"and": [_present(value), {"!": [_is_text(value)]}, compared]}
    if operator in VERSIONS:
        compared = _any([{"sem_ver": [value, VERSIONS[operator], each]} for each in values])
        return {"and": [_is_text(value), compared]}
    raise Unmapped(field, f"flagd has nothing like the operator {operator}")


def _in(value: Logic, values: tuple[Any, ...]) -> Logic:
    if all(isinstance(each, str) for each in values):
        return {"and": [_is_text(value), {"in": [value, list(values)]}]}
    return {"and": [_present(value), _any([{"===": [value, each]} for each in values])]}


def _any(tests: list[Logic]) -> Logic:
    return tests[0] if len(tests) == 1 else {"or": tests}


def _present(value: Logic) -> Logic:
    return {"!==": [value, None]}


def _is_text(value: Logic) -> Logic:
    return {"starts_with": [value, ""]}


def _take_apart(logic: Logic, used: set[str], attributes: set[str], values: list[Any], *, guard: bool = False) -> None:
    """Collect the operations, the attributes and the constants of an expression, without those of its guards.

    A guard is a question for the type: it opens an `and`, and its constant is the same in every clause.
    """
    if not isinstance(logic, Mapping):
        if isinstance(logic, list):
            values.extend(logic)
        elif logic is not None and not guard:
            values.append(logic)
        return
    for operator, arguments in logic.items():
        inner = arguments if isinstance(arguments, list) else [arguments]
        used.add(operator)
        if operator == "var":
            attributes.update(str(each) for each in inner)
            continue
        for index, each in enumerate(inner):
            opens = guard if operator != "and" else index < len(inner) - 1
            if not (operator == "sem_ver" and index == 1):
                _take_apart(each, used, attributes, values, guard=opens)
