"""What a clause can ask of one attribute: the operators, the values each takes, and the Python that each becomes.

One rule holds for all of them: a context that lacks the attribute, or has null there, is never matched, by `not_in` or
a negated clause neither (as LaunchDarkly has it): a clause about an attribute says nothing about those without it. Only
`exists` speaks of absence. Types are strict: true is not 1, "5" is not 5, and 1 is 1.0, as in JSON. A value of a type
that the operator does not compare does not match; `not_in` compares every type. Of several values any one is enough;
for `not_in` all must differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import eq, ge, gt, le, lt
from typing import Any

from flags import fields
from flags.model import Clause
from flags.patterns import PatternInvalid, Patterns
from foundation.errors import DocumentError
from foundation.lateimports import LATE

Values = tuple[Any, ...]

Test = tuple[str, Any]
"""An expression of the attribute's value, `@`, and of a constant, `{}`, which comes after the first `@`."""

MAX_VALUE = 1_000
"""Characters of one value of a clause."""

_MAX_VERSION = 256
_FEW = 3
"""Values up to which looking at each in turn is as quick as a set, and smaller."""


@dataclass(frozen=True, slots=True)
class Operator:
    """How one operator checks a value that a document gives it, how many it takes, and how it tests a context's value.

    The expression that `test` gives does not raise on JSON values, save for a TypeError where an object or a list meets
    texts only: that equals none of them.
    """

    check: Callable[[Any, str], Any]
    test: Callable[[Values], Test]
    least: int = 1
    limit: int = 1_000


def checked_values(operator: str, values: Sequence[Any], field: str) -> Values:
    """Check the values of a clause; raises DocumentError naming the first that its operator can't use."""
    check = OPERATORS[operator].check
    try:
        return tuple([check(value, field) for value in values])
    except DocumentError:  # which one, is found out only where it matters
        return tuple([check(value, f"{field}[{index}]") for index, value in enumerate(values)])


def clause_test(clause: Clause) -> tuple[str, list[Any]]:
    """Give the expression of a clause that `flags.rules` has checked: `{}` stands for each of the constants in turn."""
    if clause.operator == "exists":
        return f"context.get({{}}) is {'' if clause.negate else 'not '}None", [clause.attribute]
    test, constant = OPERATORS[clause.operator].test(clause.values)
    return _expression(test, clause.negate), [clause.attribute, constant]


@lru_cache(maxsize=256)
def _expression(test: str, negate: bool) -> str:
    if negate:
        return f"(v := context.get({{}})) is not None and not ({test.replace('@', 'v')})"
    value = "(v := context.get({}))" if test.count("@") > 1 else "context.get({})"
    return test.replace("@", value, 1).replace("@", "v")


# What documents may hold.


def _scalar(value: Any, field: str) -> Any:
    if isinstance(value, str):
        return fields.text(value, field, limit=MAX_VALUE)
    if isinstance(value, bool):
        return value
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


# What the expressions call.


def number(value: Any) -> bool:
    """Tell whether a value of another class than int and float is a number all the same; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def member(value: Any, known: tuple[frozenset[Any], frozenset[Any]]) -> bool:
    """Tell whether a value is one of those known: Python takes True for 1, so booleans are looked up apart."""
    booleans, others = known
    return value in (booleans if isinstance(value, bool) else others)


def contains(value: str, parts: Values) -> bool:
    """Tell whether a text contains one of the parts."""
    return any(part in value for part in parts)


def compares(value: str, comparison: tuple[Callable[[Any, Any], bool], list[Any]]) -> bool:
    """Tell whether a text is a version that compares so with one of several others."""
    compare, bounds = comparison
    version = _version_of_context(value)
    return version is not None and any(compare(version, bound) for bound in bounds)


def _version(text: str) -> Any:
    """Parse a semantic version; None for anything else. The length is bounded: reading a long number is quadratic."""
    with LATE:
        import semver  # noqa: PLC0415 - loads argparse and more; most processes never compare versions

    if len(text) > _MAX_VERSION:
        return None
    try:
        return semver.Version.parse(text)
    except ValueError:
        return None


_version_of_context = lru_cache(maxsize=256)(_version)


# The tests.


def _in(values: Values) -> Test:
    if not all(isinstance(value, str) for value in values):
        return "member(@, {})", _known(values)
    if len(values) == 1:
        return "@ == {}", values[0]
    return "@ in {}", _looked_up(values)


def _not_in(values: Values) -> Test:
    if not all(isinstance(value, str) for value in values):
        return "@ is not None and not member(@, {})", _known(values)
    return "@ is not None and @ not in {}", _looked_up(values)


@lru_cache(maxsize=4_096)
def _looked_up(texts: tuple[str, ...]) -> tuple[str, ...] | frozenset[str]:
    """Make what texts are looked up in, one for all flags that ask for the same."""
    return texts if len(texts) <= _FEW else frozenset(texts)


def _known(values: Values) -> tuple[frozenset[Any], frozenset[Any]]:
    booleans = frozenset(value for value in values if isinstance(value, bool))
    return booleans, frozenset(value for value in values if not isinstance(value, bool))


def _of_text(test: str) -> Callable[[Values], Test]:
    return lambda values: (f"isinstance(@, str) and {test}", values)


def _matches(values: Values) -> Test:
    return "isinstance(@, str) and {}.match(@)", Patterns(values)


def _of_number(comparison: str, easiest: Callable[[Values], Any]) -> Callable[[Values], Test]:
    """Compare with the bound that is the easiest to pass: of several, one is enough."""
    test = f"((t := @.__class__) is int or t is float or number(@)) and @ {comparison} {{}}"
    return lambda values: (test, easiest(values))


def _of_version(compare: Callable[[Any, Any], bool]) -> Callable[[Values], Test]:
    return lambda values: (
        "isinstance(@, str) and compares(@, {})",
        (compare, [_version(value) for value in values]),
    )


OPERATORS: Mapping[str, Operator] = {
    "in": Operator(_scalar, _in),
    "not_in": Operator(_scalar, _not_in),
    "equals": Operator(_scalar, _in),
    "starts_with": Operator(_text, _of_text("@.startswith({})")),
    "ends_with": Operator(_text, _of_text("@.endswith({})")),
    "contains": Operator(_text, _of_text("contains(@, {})")),
    "matches": Operator(_pattern, _matches, limit=20),
    "gt": Operator(fields.number, _of_number(">", min)),
    "gte": Operator(fields.number, _of_number(">=", min)),
    "lt": Operator(fields.number, _of_number("<", max)),
    "lte": Operator(fields.number, _of_number("<=", max)),
    "semver_eq": Operator(_version_text, _of_version(eq)),
    "semver_gt": Operator(_version_text, _of_version(gt)),
    "semver_gte": Operator(_version_text, _of_version(ge)),
    "semver_lt": Operator(_version_text, _of_version(lt)),
    "semver_lte": Operator(_version_text, _of_version(le)),
    "exists": Operator(_scalar, lambda values: ("@ is not None", values), least=0, limit=0),
}
"""Every operator by its word in documents."""
