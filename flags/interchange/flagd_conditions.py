"""Conditions in JsonLogic, read as clauses: a list of alternatives, each of clauses that must all hold.

Forms that this product writes are read as they were meant. Others are turned into alternatives: `or` gives several, and
`!` of a comparison holds for contexts without the attribute too, which here is an alternative of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flags.interchange.alternatives import Alternatives, all_of, any_of, bounded, opposite
from flags.interchange.findings import Finding, Loss, Unmapped
from flags.interchange.flagd_clauses import ORDERINGS, VERSIONS, Logic, clause_of
from flags.model import SEGMENT, Clause

MAX_DEPTH = 50
MAX_QUESTIONS = 20_000
"""Bounds of what is read of one document: evaluators may stand in one another."""

_FLIPPED = {"gt": "lt", "gte": "lte", "lt": "gt", "lte": "gte"}
_ORDERING = {sign: operator for operator, sign in ORDERINGS.items()}
_VERSION = {sign: operator for operator, sign in VERSIONS.items()}
_FALSY = (False, 0, "")


class Conditions:
    """Reads the conditions of one document, and notes what they would answer otherwise here."""

    def __init__(
        self, evaluators: Mapping[str, Logic], segments: frozenset[str], note: Callable[[Finding], None]
    ) -> None:
        self._evaluators, self._segments, self._note = evaluators, segments, note
        self._left = MAX_QUESTIONS

    def read(self, logic: Logic, field: str, depth: int = 0) -> Alternatives:
        """Read a condition; raises Unmapped where clauses can't ask what it asks."""
        self._left -= 1
        if depth > MAX_DEPTH or self._left < 0:
            raise Unmapped(field, "it is too large")
        if logic is None or isinstance(logic, (bool, str, int, float)):
            return [()] if logic else []
        if (clause := clause_of(logic)) is not None:
            return [(clause,)]
        operator, arguments = operation(logic, field)
        if operator == "$ref":
            return self._reference(reference(logic, field), field, depth)
        if operator in ("and", "or", "!", "!!") and arguments:
            parts = [self.read(each, f"{field}.{operator}[{at}]", depth + 1) for at, each in enumerate(arguments)]
            return bounded(_combined(operator, parts), field)
        if operator == "var":
            return [(Clause(attribute(logic, field), "not_in", _FALSY),)]
        return self._comparison(operator, arguments, field)

    def _reference(self, name: str, field: str, depth: int) -> Alternatives:
        if name in self._segments:
            return [(Clause("", SEGMENT, (name,)),)]
        if name not in self._evaluators:
            raise Unmapped(field, f"there is no evaluator {name}")
        return self.read(self._evaluators[name], f"$evaluators.{name}", depth + 1)

    def _comparison(self, operator: str, arguments: list[Logic], field: str) -> Alternatives:
        if operator in ("==", "===", "!=", "!=="):
            return self._equality(operator, arguments, field)
        if operator == "in" and len(arguments) == 2:
            return self._in(arguments[0], arguments[1], field)
        if operator in ("starts_with", "ends_with") and len(arguments) == 2:
            return [(Clause(attribute(arguments[0], field), operator, (_text(arguments[1], field),)),)]
        if operator in _ORDERING:
            return [tuple(self._ordered(_ORDERING[operator], arguments, field))]
        if operator == "sem_ver" and len(arguments) == 3:
            self._differs(field, "flagd takes v1.4.0 and 1.4 for versions too; here they do not match")
            return _version(attribute(arguments[0], field), arguments[1], _text(arguments[2], field), field)
        raise Unmapped(field, f"no clause asks what {operator} asks")

    def _equality(self, operator: str, arguments: list[Logic], field: str) -> Alternatives:
        value, constant = _sides(arguments, field)
        if isinstance(constant, (list, dict)):
            raise Unmapped(field, "clauses compare with texts, numbers and booleans only")
        if constant is None:
            return [(Clause(value, "exists", (), negate=operator[0] == "="),)]
        if len(operator) == 2 and not (isinstance(constant, str) and constant and not _numeric(constant)):
            self._differs(field, f"{operator} converts types in flagd; here they are compared strictly")
        equal: Alternatives = [(Clause(value, "equals", (constant,)),)]
        return equal if operator[0] == "=" else opposite(equal)

    def _in(self, part: Logic, whole: Logic, field: str) -> Alternatives:
        if isinstance(whole, list):
            if not all(isinstance(each, (str, int, float)) for each in whole):
                raise Unmapped(field, "clauses compare with texts, numbers and booleans only")
            return [(Clause(attribute(part, field), "in", tuple(whole)),)] if whole else []
        self._differs(field, "where the attribute is a list, flagd looks for an entry; here only a text can contain it")
        return [(Clause(attribute(whole, field), "contains", (_text(part, field),)),)]

    def _ordered(self, operator: str, arguments: list[Logic], field: str) -> list[Clause]:
        if len(arguments) == 3 and operator in ("lt", "lte"):
            low, value, high = arguments
            return [*self._ordered(operator, [low, value], field), *self._ordered(operator, [value, high], field)]
        value, bound = _sides(arguments, field)
        flipped = not _is_variable(arguments[0])
        if isinstance(bound, bool) or not isinstance(bound, (int, float)):
            raise Unmapped(field, "clauses order numbers only")
        self._differs(field, "flagd takes texts, true and false for numbers too; here they do not match")
        return [Clause(value, _FLIPPED[operator] if flipped else operator, (bound,))]

    def _differs(self, field: str, reason: str) -> None:
        self._note(Finding(field, Loss.DIFFERS, reason))


def operation(logic: Logic, field: str) -> tuple[str, list[Logic]]:
    """Take an expression apart into its operator and arguments; raises Unmapped."""
    if not isinstance(logic, Mapping) or len(logic) != 1:
        raise Unmapped(field, "it is not one JsonLogic operation")
    operator, arguments = next(iter(logic.items()))
    return operator, arguments if isinstance(arguments, list) else [arguments]


def reference(logic: Mapping[str, Logic], field: str) -> str:
    """Take the name of the evaluator that an expression stands for; raises Unmapped."""
    name = logic["$ref"]
    if not isinstance(name, str):
        raise Unmapped(field, "its $ref is not a name")
    return name


def attribute(logic: Logic, field: str) -> str:
    """Take the attribute that an expression looks up; raises Unmapped."""
    if not _is_variable(logic):
        raise Unmapped(field, "a clause compares an attribute with constants")
    name, *default = operation(logic, field)[1] or [""]
    if not isinstance(name, str) or not name or "." in name or any(each is not None for each in default):
        raise Unmapped(field, f"attributes have plain names and no defaults; this looks up {logic['var']!r}")
    return name


def _combined(operator: str, parts: list[Alternatives]) -> Alternatives:
    if operator == "and":
        return all_of(parts)
    if operator == "or":
        return any_of(parts)
    return parts[0] if operator == "!!" else opposite(parts[0])


def _version(value: str, sign: Logic, text: str, field: str) -> Alternatives:
    core, dash, rest = text.removeprefix("v").removeprefix("V").partition("-")
    numbers = [*core.split("+")[0].split("."), "0", "0"][:3]
    bound = ".".join(numbers) + dash + rest
    if not isinstance(sign, str):
        raise Unmapped(field, "sem_ver names no comparison")
    if sign in _VERSION:
        return [(Clause(value, _VERSION[sign], (bound,)),)]
    if sign == "!=":
        return [
            (Clause(value, "semver_lt", (bound,)),),
            (Clause(value, "semver_gt", (bound,)),),
        ]
    if sign not in ("^", "~") or not all(number.isascii() and number.isdigit() for number in numbers):
        raise Unmapped(field, f"sem_ver has no comparison {sign!r} with {text!r}")
    major, minor = int(numbers[0]), int(numbers[1])
    low, high = f"{major}.0.0-0", f"{major + 1}.0.0-0"
    if sign == "~":
        low, high = f"{major}.{minor}.0-0", f"{major}.{minor + 1}.0-0"
    return [(Clause(value, "semver_gte", (low,)), Clause(value, "semver_lt", (high,)))]


def _sides(arguments: list[Logic], field: str) -> tuple[str, Any]:
    if len(arguments) != 2:
        raise Unmapped(field, "a comparison has two sides")
    left, right = arguments
    return (attribute(left, field), right) if _is_variable(left) else (attribute(right, field), left)


def _is_variable(logic: Logic) -> bool:
    return isinstance(logic, Mapping) and set(logic) == {"var"}


def _text(value: Any, field: str) -> str:
    if not isinstance(value, str):
        raise Unmapped(field, "a text stands on the right")
    return value


def _numeric(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return not text.strip()
    return True
