"""Unleash's constraints as clauses.

Unleash compares what is in a context as text, and an inverted constraint, or NOT_IN, holds for a context without the
field. `userId` is what this product calls the targeting key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flags import fields
from flags.interchange.alternatives import Alternatives, all_of, bounded, opposite
from flags.interchange.findings import Unmapped
from flags.model import Clause

TARGETING_KEY = "targetingKey"
_TEXT = {"STR_STARTS_WITH": "starts_with", "STR_ENDS_WITH": "ends_with", "STR_CONTAINS": "contains"}
_PATTERNS = {"STR_STARTS_WITH": r"(?i)^\Q{}\E", "STR_ENDS_WITH": r"(?i)\Q{}\E$", "STR_CONTAINS": r"(?i)\Q{}\E"}
_NUMBERS = {"NUM_EQ": "equals", "NUM_GT": "gt", "NUM_GTE": "gte", "NUM_LT": "lt", "NUM_LTE": "lte"}
_VERSIONS = {"SEMVER_EQ": "semver_eq", "SEMVER_GT": "semver_gt", "SEMVER_LT": "semver_lt"}
_OPPOSITE = {
    "NUM_EQ": ("lt", "gt"),
    "NUM_GT": ("lte",),
    "NUM_GTE": ("lt",),
    "NUM_LT": ("gte",),
    "NUM_LTE": ("gt",),
}
"""What holds of numbers where these don't: not of texts, which Unleash takes for numbers and would compare."""

NUMERIC = frozenset(_NUMBERS)


def attribute_of(name: Any) -> str:
    """Name the attribute that a field of Unleash's context is here."""
    return TARGETING_KEY if name == "userId" else str(name)


def constraints_alternatives(constraints: Any, field: str) -> Alternatives:
    """Read constraints that must all hold; raises Unmapped for one that no clause asks."""
    listed = fields.list_of(constraints or [], field, limit=1_000)
    parts = [_constraint(each, f"{field}[{index}]") for index, each in enumerate(listed)]
    return bounded(all_of(parts), field)


def _constraint(value: Any, field: str) -> Alternatives:
    content = fields.object_of(value, field)
    operator = content.get("operator")
    attribute = attribute_of(content.get("contextName"))
    holds: Alternatives = [(_clause(str(operator), attribute, content, field),)]
    if bool(content.get("inverted")) is (operator == "NOT_IN"):
        return holds
    if operator in _OPPOSITE:
        absent = Clause(attribute, "exists", (), negate=True)
        bound = holds[0][0].values
        return [*((Clause(attribute, other, bound),) for other in _OPPOSITE[str(operator)]), (absent,)]
    return opposite(holds)


def _clause(operator: str, attribute: str, content: Mapping[str, Any], field: str) -> Clause:
    if operator in ("IN", "NOT_IN"):
        return Clause(attribute, "in", _texts(content, field))
    if operator in _TEXT and content.get("caseInsensitive"):
        return Clause(attribute, "matches", tuple(_pattern(operator, text, field) for text in _texts(content, field)))
    if operator in _TEXT:
        return Clause(attribute, _TEXT[operator], _texts(content, field))
    if operator in _NUMBERS:
        return Clause(attribute, _NUMBERS[operator], (_number(content.get("value"), field),))
    if operator in _VERSIONS:
        return Clause(attribute, _VERSIONS[operator], (content.get("value"),))
    raise Unmapped(field, f"no clause asks what {operator} asks")


def _texts(content: Mapping[str, Any], field: str) -> tuple[str, ...]:
    values: Sequence[Any] = fields.list_of(content.get("values") or [], f"{field}.values", limit=10_000)
    texts = tuple(str(value).strip() for value in values if str(value).strip())
    if not texts:
        raise Unmapped(field, "it names no values")
    return texts


def _pattern(operator: str, text: str, field: str) -> str:
    if "\\E" in text:
        raise Unmapped(field, f"{text!r} can't be quoted in a pattern")
    return _PATTERNS[operator].format(text)


def _number(value: Any, field: str) -> int | float:
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise Unmapped(field, f"{value!r} is not a number") from error
    return fields.number(number, field)
