"""What a clause can ask of one attribute: the operators, the values each takes, and their compiled form.

One rule holds for all of them: a context that lacks the attribute, or has null there, is never matched, by `not_in`
neither (as LaunchDarkly has it): a clause about an attribute says nothing about those without it. Types are strict:
true is not 1, "5" is not 5, and 1 is 1.0, as in JSON. A value of a type that the operator does not compare does not
match; `not_in` compares every type. Of several values any one is enough; for `not_in` all must differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flags import fields
from flags.model import Clause
from flags.patterns import PatternInvalid, Patterns
from foundation.errors import DocumentError

Values = tuple[Any, ...]
Predicate = Callable[[Mapping[str, Any]], bool]
"""Tells whether a clause holds in an evaluation context; never raises on a context of JSON values."""

MAX_VALUE = 1_000
"""Characters of one value of a clause."""

_MAX_VERSION = 256


@dataclass(frozen=True, slots=True)
class Operator:
    """How one operator checks a value that a document gives it, how many it takes, and how it is compiled."""

    check: Callable[[Any, str], Any]
    build: Callable[[str, Values], Predicate]
    least: int = 1
    limit: int = 1_000


def checked_values(operator: str, values: Sequence[Any], field: str) -> Values:
    """Check the values of a clause; raises DocumentError naming the first that its operator can't use."""
    check = OPERATORS[operator].check
    return tuple(check(value, f"{field}[{index}]") for index, value in enumerate(values))


def compile_clause(clause: Clause) -> Predicate:
    """Compile a clause that `flags.documents` has checked."""
    return OPERATORS[clause.operator].build(clause.attribute, clause.values)


# What documents may hold.


def _scalar(value: Any, field: str) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, field)
    if isinstance(value, (int, float)):
        return fields.number(value, field)
    raise DocumentError(field, "can't be compared", value=value, expected="text, a number, true or false")


def _text(value: Any, field: str) -> str:
    return fields.text(value, field, limit=MAX_VALUE)


def _pattern(value: Any, field: str) -> str:
    pattern = _text(value, field)
    try:
        Patterns((pattern,))
    except PatternInvalid as error:
        raise DocumentError(field, f"is not an RE2 pattern ({error})", value=pattern) from error
    return pattern


def _version_text(value: Any, field: str) -> str:
    text = _text(value, field)
    if _version(text) is None:
        raise DocumentError(field, "is not a semantic version", value=text, expected="a version such as 1.4.0")
    return text


# What contexts may hold: anything at all.


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _version(text: Any) -> Any:
    """Parse a semantic version; None for anything else. The length is bounded: reading a long number is quadratic."""
    import semver  # noqa: PLC0415 - loads argparse and more; most processes never compare versions

    if not isinstance(text, str) or len(text) > _MAX_VERSION:
        return None
    try:
        return semver.Version.parse(text)
    except ValueError:
        return None


_version_of_context = lru_cache(maxsize=256)(_version)


# The compiled forms.


def _in(attribute: str, values: Values) -> Predicate:
    if all(isinstance(value, str) for value in values):
        return _in_texts(attribute, frozenset(values))
    member = _membership(values)

    def holds(context: Mapping[str, Any]) -> bool:
        return member(context.get(attribute))

    return holds


def _in_texts(attribute: str, texts: frozenset[str]) -> Predicate:
    def holds(context: Mapping[str, Any]) -> bool:
        try:
            return context.get(attribute) in texts
        except TypeError:  # a list or an object can't be looked up, and equals no text
            return False

    return holds


def _not_in(attribute: str, values: Values) -> Predicate:
    member = _membership(values)

    def holds(context: Mapping[str, Any]) -> bool:
        value = context.get(attribute)
        return value is not None and not member(value)

    return holds


def _membership(values: Values) -> Callable[[Any], bool]:
    """Make the test for being one of `values`; Python takes True for 1, so booleans are looked up apart."""
    booleans = frozenset(value for value in values if isinstance(value, bool))
    others = frozenset(value for value in values if not isinstance(value, bool))

    def member(value: Any) -> bool:
        try:
            return value in (booleans if isinstance(value, bool) else others)
        except TypeError:
            return False

    return member


def _starts_with(attribute: str, values: Values) -> Predicate:
    def holds(context: Mapping[str, Any]) -> bool:
        value = context.get(attribute)
        return isinstance(value, str) and value.startswith(values)

    return holds


def _ends_with(attribute: str, values: Values) -> Predicate:
    def holds(context: Mapping[str, Any]) -> bool:
        value = context.get(attribute)
        return isinstance(value, str) and value.endswith(values)

    return holds


def _contains(attribute: str, values: Values) -> Predicate:
    def holds(context: Mapping[str, Any]) -> bool:
        value = context.get(attribute)
        return isinstance(value, str) and any(part in value for part in values)

    return holds


def _matches(attribute: str, values: Values) -> Predicate:
    patterns = Patterns(values)

    def holds(context: Mapping[str, Any]) -> bool:
        value = context.get(attribute)
        return isinstance(value, str) and patterns.match(value)

    return holds


# The four comparisons are written out: one that is passed in would cost a call for every message. Of several bounds the
# easiest to pass is enough.


def _gt(attribute: str, values: Values) -> Predicate:
    bound = min(values)

    def holds(context: Mapping[str, Any]) -> bool:
        value = context.get(attribute)
        kind = type(value)
        return (kind is int or kind is float or _is_number(value)) and value > bound

    return holds


def _gte(attribute: str, values: Values) -> Predicate:
    bound = min(values)

    def holds(context: Mapping[str, Any]) -> bool:
        value = context.get(attribute)
        kind = type(value)
        return (kind is int or kind is float or _is_number(value)) and value >= bound

    return holds


def _lt(attribute: str, values: Values) -> Predicate:
    bound = max(values)

    def holds(context: Mapping[str, Any]) -> bool:
        value = context.get(attribute)
        kind = type(value)
        return (kind is int or kind is float or _is_number(value)) and value < bound

    return holds


def _lte(attribute: str, values: Values) -> Predicate:
    bound = max(values)

    def holds(context: Mapping[str, Any]) -> bool:
        value = context.get(attribute)
        kind = type(value)
        return (kind is int or kind is float or _is_number(value)) and value <= bound

    return holds


def _semver(compare: Callable[[Any, Any], bool]) -> Callable[[str, Values], Predicate]:
    def build(attribute: str, values: Values) -> Predicate:
        bounds = [_version(value) for value in values]

        def holds(context: Mapping[str, Any]) -> bool:
            value = context.get(attribute)
            version = _version_of_context(value) if isinstance(value, str) else None
            return version is not None and any(compare(version, bound) for bound in bounds)

        return holds

    return build


def _exists(attribute: str, values: Values) -> Predicate:  # noqa: ARG001 - one shape for every operator
    def holds(context: Mapping[str, Any]) -> bool:
        return context.get(attribute) is not None

    return holds


OPERATORS: Mapping[str, Operator] = {
    "in": Operator(_scalar, _in),
    "not_in": Operator(_scalar, _not_in),
    "equals": Operator(_scalar, _in),
    "starts_with": Operator(_text, _starts_with),
    "ends_with": Operator(_text, _ends_with),
    "contains": Operator(_text, _contains),
    "matches": Operator(_pattern, _matches, limit=20),
    "gt": Operator(fields.number, _gt),
    "gte": Operator(fields.number, _gte),
    "lt": Operator(fields.number, _lt),
    "lte": Operator(fields.number, _lte),
    "semver_eq": Operator(_version_text, _semver(lambda version, bound: version == bound)),
    "semver_gt": Operator(_version_text, _semver(lambda version, bound: version > bound)),
    "semver_gte": Operator(_version_text, _semver(lambda version, bound: version >= bound)),
    "semver_lt": Operator(_version_text, _semver(lambda version, bound: version < bound)),
    "semver_lte": Operator(_version_text, _semver(lambda version, bound: version <= bound)),
    "exists": Operator(_scalar, _exists, least=0, limit=0),
}
"""Every operator by its word in documents."""
