"""A flag's targeting in flagd, read row by row: under which condition it serves what."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from flags.difference import same
from flags.interchange.alternatives import Alternatives, all_of, bounded
from flags.interchange.findings import Finding, Loss, Unmapped
from flags.interchange.flagd_clauses import Logic, has_text
from flags.interchange.flagd_conditions import Conditions, attribute, operation, reference
from flags.model import WEIGHT_TOTAL, Split

_CONDITIONS = frozenset({"==", "===", "!=", "!==", "in", "and", "or", "!", "!!", "<", "<=", ">", ">=", "sem_ver"}) | {
    "starts_with",
    "ends_with",
}
"""Operators that answer true or false, which flagd takes for the variants of those names."""

MAX_STEPS = 1_500
MAX_DEPTH = 50
"""Bounds of one flag's targeting: evaluators may lead back to themselves."""


@dataclass(frozen=True, slots=True)
class Bucketing:
    """What a split hashes: the salt ("" for the flag's key), and the attribute."""

    salt: str
    attribute: str


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a flag's targeting; the last one holds for everyone left.

    Args:
        when: the condition; one alternative without clauses for everyone.
        serve: the variant served, None where it is `split` between several.
        bare: the condition as it was written, where it is the only one.
    """

    when: Alternatives
    serve: str | None
    split: Split = ()
    bare: Logic = None


class Targeting:
    """Reads one flag's targeting into rows."""

    def __init__(
        self, variants: Collection[str], default: str | None, conditions: Conditions, note: Callable[[Finding], None]
    ) -> None:
        self._variants, self._default, self._conditions, self._note = variants, default, conditions, note
        self._rows: list[Row] = []
        self._left = MAX_STEPS
        self.bucketings: list[Bucketing] = []
        """What each split hashes, in the order of the rows."""

    def read(self, logic: Logic, field: str, evaluators: Mapping[str, Logic]) -> list[Row]:
        """Read all of it; raises Unmapped."""
        self._evaluators = evaluators
        self._walk(logic, [()], field)
        return self._rows

    def _walk(self, logic: Logic, when: Alternatives, field: str, depth: int = 0) -> None:
        """Add the rows of an expression that is asked under a condition."""
        bare = None
        while True:
            self._left -= 1
            if self._left < 0 or depth > MAX_DEPTH:
                raise Unmapped(field[:200], "it is too large")
            logic = self._resolved(logic, field)
            served = self._served(logic, field)
            if served is not None:
                self._add(when, *served, bare)
                return
            condition, then, rest = _branches(logic, field)
            field = f"{field}.if"
            holds = self._conditions.read(condition, f"{field}[0]")
            inner = bounded(all_of([when, holds]), field)
            outcome = self._served(self._resolved(then, field), f"{field}[1]") if inner else None
            if outcome is not None:
                self._add(inner, *outcome, condition if when == [()] else None)
            elif inner:
                self._walk(then, inner, f"{field}[1]", depth + 1)
            if holds == [()]:
                return
            logic, field = rest, f"{field}[2]"

    def _add(self, when: Alternatives, serve: str | None, split: Split, bare: Logic) -> None:
        self._rows.append(Row(when, serve, split, bare))

    def _resolved(self, logic: Logic, field: str) -> Logic:
        if isinstance(logic, Mapping) and set(logic) == {"$ref"}:
            name = reference(logic, field)
            if name not in self._evaluators:
                raise Unmapped(field, f"there is no evaluator {name}")
            return self._evaluators[name]
        if isinstance(logic, Mapping) and len(logic) == 1 and next(iter(logic)) in _CONDITIONS:
            return {"if": [logic, True, False]}
        return logic

    def _served(self, logic: Logic, field: str) -> tuple[str | None, Split] | None:
        """Read what serves: a variant, or a split; None for an `if` that decides between several."""
        if logic is None:
            if self._default is None:
                raise Unmapped(field, "it ends in null, and there is no default variant")
            return self._default, ()
        if isinstance(logic, bool):
            logic = str(logic).lower()
        if isinstance(logic, str):
            if logic not in self._variants:
                raise Unmapped(field, f"{logic!r} is not one of the variants")
            return logic, ()
        operator, arguments = operation(logic, field)
        if operator == "fractional":
            return None, self._fractional(arguments, field)
        if operator == "if" and len(arguments) == 3:
            return self._guarded(arguments, field)
        if operator != "if":
            raise Unmapped(field, f"{operator} serves no variant")
        return None

    def _guarded(self, arguments: list[Logic], field: str) -> tuple[None, Split] | None:
        """Read a split behind the question whether there is a key, as this product writes it."""
        condition, then, _ = arguments
        if not (isinstance(then, Mapping) and set(then) == {"fractional"}):
            return None
        if not any(same(condition, has_text({"var": name})) for name in _looked_up(condition)):
            return None
        return None, self._fractional(then["fractional"], f"{field}.if[1]")

    def _fractional(self, arguments: list[Logic], field: str) -> Split:
        field = f"{field}.fractional"
        first, *rest = arguments or [None]
        if isinstance(first, list):
            bucketing, parts = Bucketing("", ""), [first, *rest]
        else:
            bucketing, parts = self._bucketing(first, field), rest
        self.bucketings.append(bucketing)
        weights = [self._weight(part, f"{field}[{at}]") for at, part in enumerate(parts, len(arguments) - len(parts))]
        total = sum(weight for _, weight in weights)
        if not total:
            raise Unmapped(field, "its weights add up to nothing")
        if any(weight * WEIGHT_TOTAL % total for _, weight in weights):
            self._note(Finding(field, Loss.DIFFERS, "weights are rounded to 0.001%, which moves a few keys"))
        split, done, seen = [], 0, 0
        for variant, weight in weights:
            seen += weight
            end = (2 * seen * WEIGHT_TOTAL + total) // (2 * total)
            split.append((variant, end - done))
            done = end
        return tuple(split)

    def _bucketing(self, logic: Logic, field: str) -> Bucketing:
        operator, arguments = operation(logic, field)
        if operator == "cat" and len(arguments) == 2:
            salt = arguments[0]
            if same(salt, {"var": "$flagd.flagKey"}):
                salt = ""
            if isinstance(salt, str):
                return Bucketing(salt, attribute(arguments[1], f"{field}[0]"))
        name = attribute(logic, f"{field}[0]")
        reason = "flagd hashes the attribute alone, and here the flag's key stands before it: assignments change"
        self._note(Finding(f"{field}[0]", Loss.DIFFERS, reason))
        return Bucketing("", name)

    def _weight(self, part: Any, field: str) -> tuple[str, int]:
        if not isinstance(part, list) or not 1 <= len(part) <= 2:
            raise Unmapped(field, "it is not a variant with its weight")
        variant = str(part[0]).lower() if isinstance(part[0], bool) else part[0]
        weight = part[1] if len(part) == 2 else 1
        if not isinstance(variant, str) or variant not in self._variants:
            raise Unmapped(field, f"{variant!r} is not one of the variants")
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or weight != int(weight):
            raise Unmapped(field, "its weight is not a whole number")
        return variant, max(0, int(weight))


def _branches(logic: Logic, field: str) -> tuple[Logic, Logic, Logic]:
    _, arguments = operation(logic, field)
    if len(arguments) < 2:
        raise Unmapped(field, "its if has no outcome")
    condition, then, *rest = arguments
    return condition, then, rest[0] if len(rest) == 1 else {"if": rest} if rest else None


def _looked_up(condition: Logic) -> list[str]:
    if isinstance(condition, Mapping) and isinstance(condition.get("and"), list):
        first = condition["and"][0] if condition["and"] else None
        if isinstance(first, Mapping) and isinstance(first.get("starts_with"), list) and first["starts_with"]:
            value = first["starts_with"][0]
            return [value["var"]] if isinstance(value, Mapping) and isinstance(value.get("var"), str) else []
    return []
