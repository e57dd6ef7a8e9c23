"""Compiling a flag: from its nouns into one function of the context, which answers with a ready-made outcome.

What it asks, in this order: is the flag disabled; does every prerequisite serve what it must; is the targeting key
listed; which rule matches first; which percentage holds for the context's domain. Compiled functions take no lock and
do no I/O. One that meets a context it can't use raises, and `flags.explanation` answers in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from types import MappingProxyType as ReadOnly
from typing import Any, NamedTuple, Protocol

from flags.bucketing import ALL, threshold
from flags.evaluation import OVERRIDE, Detail, Kind, Reason, kind_of
from flags.generated import assemble
from flags.model import SEGMENT, WEIGHT_TOTAL, Clause, Flag, Prerequisite, Rollout, Rule, Split
from flags.operators import clause_test
from flags.outcome import Outcome
from flags.references import references

TARGETING_KEY = "targetingKey"

Decide = Callable[[Any], Outcome[Any]]
"""A compiled flag: takes a context, and raises where that is not one or lacks what is needed."""

Predicate = Callable[[Any], Any]
"""Tells of a context whether all of some clauses hold; raises as `Decide` does."""

_INLINE = 12
"""Clauses of a flag that are written into its function; of more, each rule becomes a function of its own."""


@dataclass(slots=True, eq=False)
class CompiledFlag:
    """A flag ready to be evaluated.

    Args:
        kind: the type of its variants.
        decide: answers for one context.
        outcomes: all that it can answer with.
        needs: the item keys of what was compiled into it, and has to be compiled again with it.
        as_float: for an integer flag, the same with floats for values.
    """

    key: str
    kind: Kind
    decide: Decide
    outcomes: tuple[Outcome[Any], ...]
    needs: tuple[str, ...] = ()
    as_float: CompiledFlag | None = None


class Needed(NamedTuple):
    """A flag that another one needs: its variants, and what it is compiled to."""

    variants: Mapping[str, Any]
    compiled: CompiledFlag


class Scope(Protocol):
    """What a flag may refer to. None is answered for what is not there, or would go round in a circle."""

    def flag(self, key: str) -> Needed | None:
        """Find a prerequisite."""

    def segment(self, key: str) -> Predicate | None:
        """Find a segment."""


class Nowhere:
    """A scope with nothing in it; implements `Scope`."""

    def flag(self, key: str) -> None:
        """Find nothing."""

    def segment(self, key: str) -> None:
        """Find nothing."""


NOWHERE = Nowhere()


def compile_flag(flag: Flag, scope: Scope = NOWHERE) -> CompiledFlag:
    """Compile a flag that `flags.documents` has checked."""
    kind = kind_of(flag.variants)
    if kind not in {Kind.INTEGER, Kind.FLOAT}:
        return _compiled(flag, kind, scope)
    # Documents tell 1.0 from 1 no more than JSON does, and who asks for a float is served one.
    variants = {name: float(value) for name, value in flag.variants.items()}
    floats = _compiled(replace(flag, variants=variants), Kind.FLOAT, scope)
    return floats if kind is Kind.FLOAT else replace(_compiled(flag, kind, scope), as_float=floats)


def rollout_reason(flag: Flag, rollout: Rollout) -> Reason:
    """Tell why a rollout serves what it serves: percentages of 0 or 100 for everyone split nothing."""
    if rollout.split or {rollout.weight, *rollout.domains.values()} not in ({0}, {WEIGHT_TOTAL}):
        return Reason.SPLIT
    return Reason.DEFAULT if flag.rules or flag.targets or flag.prerequisites else Reason.STATIC


def compile_override(key: str, value: Any) -> CompiledFlag:
    """Compile what an override file says: one value for every context, whatever the store says."""
    kind = kind_of({OVERRIDE: value})
    decided = _override(key, kind, value)
    return replace(decided, as_float=_override(key, Kind.FLOAT, float(value))) if kind is Kind.INTEGER else decided


def compile_clauses(clauses: Iterable[Clause], scope: Scope = NOWHERE) -> Predicate:
    """Compile clauses that must all hold."""
    constants: list[Any] = []
    return assemble([f"return {_conjunction(clauses, scope, constants)}"], constants)


def _override(key: str, kind: Kind, value: Any) -> CompiledFlag:
    detail = Detail(key, value, OVERRIDE, Reason.STATIC, metadata=ReadOnly({"source": OVERRIDE}))
    outcome = Outcome(value, OVERRIDE, Reason.STATIC, detail)
    return CompiledFlag(key, kind, assemble(["return {}"], [outcome]), (outcome,))


def _compiled(flag: Flag, kind: Kind, scope: Scope) -> CompiledFlag:
    function = _Function(flag, scope)
    decide = assemble(function.lines, function.constants)
    return CompiledFlag(flag.key, kind, decide, tuple(function.outcomes.values()), references(flag))


class _Function:
    """The function of one flag while it is put together: lines, and the constants that stand in them."""

    def __init__(self, flag: Flag, scope: Scope) -> None:
        self.lines: list[str] = []
        self.constants: list[Any] = []
        self.outcomes: dict[Any, Outcome[Any]] = {}
        self._flag = flag
        self._scope = scope
        self._bucketed = (flag.salt or flag.key, flag.stickiness or TARGETING_KEY)
        if not flag.enabled:
            self._line("return {}", self._outcome(flag.off_variant, Reason.DISABLED))
        elif all(self._prerequisite(prerequisite) for prerequisite in flag.prerequisites):
            self._targets()
            self._rules(flag.rules)
            self._rollout(flag.rollout or Rollout(WEIGHT_TOTAL))

    def _line(self, line: str, *constants: Any) -> None:
        self.lines.append(line)
        self.constants += constants

    def _outcome(self, variant: str, reason: Reason) -> Outcome[Any]:
        outcome = self.outcomes.get((variant, reason))
        if outcome is None:
            value, metadata = self._flag.variants[variant], self._flag.metadata
            told = Detail(self._flag.key, value, variant, reason, metadata=ReadOnly(metadata)) if metadata else None
            outcome = self.outcomes[variant, reason] = Outcome(value, variant, reason, told)
        return outcome

    def _prerequisite(self, prerequisite: Prerequisite) -> bool:
        """Add the question for a prerequisite; False where it can't be met, and the function ends with that."""
        unmet = self.outcomes[prerequisite.flag] = _unmet(self._flag, prerequisite.flag)
        needed = self._scope.flag(prerequisite.flag)
        meeting = frozenset(_meeting(needed, prerequisite)) if needed else frozenset()
        if needed is None or not meeting:
            self._line("return {}", unmet)
            return False
        self._line("if {}(context) not in {}: return {}", needed.compiled.decide, meeting, unmet)
        return True

    def _targets(self) -> None:
        outcomes = {
            key: self._outcome(target.variant, Reason.TARGETING_MATCH)
            for target in self._flag.targets
            for key in target.keys
        }
        if outcomes:
            self._line("if (o := {}(context.get({}))) is not None: return o", outcomes.get, TARGETING_KEY)

    def _rules(self, rules: Sequence[Rule]) -> None:
        inline = sum(len(rule.clauses) for rule in rules) <= _INLINE
        for rule in rules:
            constants: list[Any] = []
            condition = "{}(context)"
            if inline:
                condition = _conjunction(rule.clauses, self._scope, constants)
            else:
                constants.append(compile_clauses(rule.clauses, self._scope))
            served, serving = self._served(rule)
            self._line(f"if {condition}: return {served}", *constants, *serving)

    def _served(self, rule: Rule) -> tuple[str, list[Any]]:
        if rule.serve is not None:
            return "{}", [self._outcome(rule.serve, Reason.TARGETING_MATCH)]
        return self._split(rule.split)

    def _split(self, split: Split) -> tuple[str, list[Any]]:
        parts = [(variant, weight) for variant, weight in split if weight]
        outcomes = tuple(self._outcome(variant, Reason.SPLIT) for variant, _ in parts)
        if len(outcomes) == 1:
            return "{}", [outcomes[0]]
        bounds = [threshold(weight) for weight in accumulate(weight for _, weight in parts)]
        return f"{{}}[bisect_right({{}}, {_HASH})]", [outcomes, bounds, *self._bucketed]

    def _rollout(self, rollout: Rollout) -> None:
        if rollout.split:
            self._split_by_domain(rollout)
            return
        reason = rollout_reason(self._flag, rollout)
        on, off = self._outcome(self._flag.on_variant, reason), self._outcome(self._flag.off_variant, reason)
        if {rollout.weight, *rollout.domains.values()} != {rollout.weight}:
            bounds = {domain: threshold(weight) for domain, weight in rollout.domains.items()}
            self._line('bound = {}(context.get("domain"), {})', bounds.get, threshold(rollout.weight))
            self._below(on, off)
        elif rollout.weight in (0, WEIGHT_TOTAL):
            self._line("return {}", on if rollout.weight else off)
        else:
            self._line(f"return {{}} if {_HASH} < {{}} else {{}}", on, *self._bucketed, threshold(rollout.weight), off)

    def _split_by_domain(self, rollout: Rollout) -> None:
        served, constants = self._split(rollout.split)
        if not rollout.domains:
            self._line(f"return {served}", *constants)
            return
        bounds = {domain: threshold(weight) for domain, weight in rollout.domains.items()}
        self._line('bound = {}(context.get("domain"))', bounds.get)
        self._line(f"if bound is None: return {served}", *constants)
        on, off = (self._outcome(each, Reason.SPLIT) for each in (self._flag.on_variant, self._flag.off_variant))
        self._below(on, off)

    def _below(self, on: Outcome[Any], off: Outcome[Any]) -> None:
        self._line("if not bound: return {}", off)
        self._line(f"if bound == {ALL}: return {{}}", on)
        self._line(f"return {{}} if {_HASH} < bound else {{}}", on, *self._bucketed, off)


# An empty key is no key; adding None to a text raises TypeError, as adding a key that is not text does.
_HASH = "hash32(({} + (context[{}] or None)).encode())"


def _conjunction(clauses: Iterable[Clause], scope: Scope, constants: list[Any]) -> str:
    """Give the expression of clauses that must all hold, and add its constants."""
    tests = []
    for clause in clauses:
        test, given = _segment_test(clause, scope) if clause.operator == SEGMENT else clause_test(clause)
        tests.append(f"({test})")
        constants += given
    return " and ".join(tests)


def _segment_test(clause: Clause, scope: Scope) -> tuple[str, list[Any]]:
    segment = scope.segment(clause.values[0])
    if segment is None:
        return "False", []
    return "not {}(context)" if clause.negate else "{}(context)", [segment]


def _meeting(needed: Needed, prerequisite: Prerequisite) -> Iterable[Outcome[Any]]:
    """List the outcomes that meet a prerequisite; an override meets it by its value, having no variant."""
    wanted = [needed.variants[name] for name in prerequisite.variants if name in needed.variants]
    for outcome in needed.compiled.outcomes:
        if outcome.variant == OVERRIDE and outcome.reason is Reason.STATIC:
            met = any(type(value) is type(outcome.value) and value == outcome.value for value in wanted)
        else:
            met = outcome.variant in prerequisite.variants and outcome.reason is not Reason.DISABLED
        if met:
            yield outcome


def _unmet(flag: Flag, needed: str) -> Outcome[Any]:
    off = flag.off_variant
    value, metadata = flag.variants[off], ReadOnly({**flag.metadata, "prerequisite": needed})
    return Outcome(value, off, Reason.DISABLED, Detail(flag.key, value, off, Reason.DISABLED, metadata=metadata))
