"""Explaining an evaluation: the questions of compiled code, put one after the other to the flag as it stands.

This is the plain way to evaluate, without preparation and without haste. People read its steps; compiled code hands
over to it whenever it meets a context that it can't use; and tests hold the two against each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from flags.bucketing import bucket
from flags.compilation import TARGETING_KEY, compile_clauses, rollout_reason
from flags.evaluation import NOTHING, OVERRIDE, Context, Detail, ErrorCode, Kind, Reason, copied, failure, kind_of
from flags.model import SEGMENT, WEIGHT_TOTAL, Clause, Flag, Prerequisite, Rollout, Rule, Snapshot, Split
from flags.percentages import percentage_of
from flags.references import reach


@dataclass(frozen=True, slots=True)
class Step:
    """One question that was asked of a flag.

    Args:
        question: `enabled`, `prerequisite`, `target`, `rule`, `domain`, `rollout` or `override`.
        decided: whether it settled the evaluation.
        words: what was asked and what came of it, in a line.
        data: the same for machines, such as `rule` (from 0), `bucket` and `threshold` in parts of 100,000.
    """

    question: str
    decided: bool
    words: str
    data: Mapping[str, Any] = field(default_factory=lambda: NOTHING)


@dataclass(frozen=True, slots=True)
class Explanation:
    """An evaluation's result, and every step on the way to it."""

    detail: Detail[Any]
    steps: tuple[Step, ...]


def explain(
    snapshot: Snapshot, key: str, context: Context | None, overrides: Mapping[str, Any] = NOTHING
) -> Explanation:
    """Evaluate one flag step by step; on an error the value is None. Never raises, whatever the context holds."""
    return _Inquiry(snapshot, overrides, key, context).run()


def evaluate(flag: Flag, context: Context | None = None) -> Detail[Any]:
    """Evaluate one flag by itself; on an error the value is None. Never raises, whatever the context holds."""
    return explain(Snapshot(flags={flag.key: flag}), flag.key, context).detail


class _Undecidable(Exception):
    """The context lacks what the flag needs, or holds it in a form that can't be used."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(message)


class _Inquiry:
    """One evaluation under way."""

    def __init__(self, snapshot: Snapshot, overrides: Mapping[str, Any], key: str, context: Context | None) -> None:
        self._snapshot, self._overrides, self._key = snapshot, overrides, key
        self._context: Any = NOTHING if context is None else context
        self._steps: list[Step] = []

    def run(self) -> Explanation:
        """Ask until something decides."""
        try:
            detail = self._answer()
        except _Undecidable as problem:
            detail = failure(self._key, problem.code, problem.message)
        except Exception as error:  # noqa: BLE001 - a context may hold objects of any class, and evaluation never raises
            import traceback  # noqa: PLC0415 - hardly ever needed

            message = "".join(traceback.format_exception_only(error)).strip()
            detail = failure(self._key, ErrorCode.GENERAL, message)
        return Explanation(detail, tuple(self._steps))

    def _answer(self) -> Detail[Any]:
        if self._key in self._overrides:
            value = copied(self._overrides[self._key])
            self._step("override", f"the override file decides: {value!r}", decided=True)
            return Detail(self._key, value, OVERRIDE, Reason.STATIC, metadata={"source": OVERRIDE})
        flag = self._snapshot.flags.get(self._key)
        if flag is None or flag.archived:
            return failure(
                self._key, ErrorCode.FLAG_NOT_FOUND, f"flag {self._key} {'is archived' if flag else 'not found'}"
            )
        return self._switched(flag) or self._conditional(flag) or self._targeted(flag) or self._ruled(flag)

    def _switched(self, flag: Flag) -> Detail[Any] | None:
        if flag.enabled:
            self._step("enabled", "the flag is enabled")
            return None
        self._step("enabled", f"the flag is disabled: the off variant {flag.off_variant!r} is served", decided=True)
        return _detail(flag, flag.off_variant, Reason.DISABLED)

    def _conditional(self, flag: Flag) -> Detail[Any] | None:
        for prerequisite in flag.prerequisites:
            met, words = self._meets(prerequisite)
            if not met:
                words += f": the off variant {flag.off_variant!r} is served"
                self._step("prerequisite", words, decided=True, flag=prerequisite.flag, met=met)
                return _detail(flag, flag.off_variant, Reason.DISABLED, prerequisite=prerequisite.flag)
            self._step("prerequisite", words, flag=prerequisite.flag, met=met)
        return None

    def _meets(self, prerequisite: Prerequisite) -> tuple[bool, str]:
        wanted = f"{prerequisite.flag} has to serve {' or '.join(prerequisite.variants)}"
        if not reach(prerequisite.flag, self._prerequisites).bounded:
            return False, f"{wanted}, and its own prerequisites lead in a circle or too far"
        inquiry = _Inquiry(self._snapshot, self._overrides, prerequisite.flag, self._context)
        found = inquiry.run().detail
        if found.error_code is not None:
            return False, f"{wanted}, and can't be evaluated ({found.error_message})"
        met = found.reason is not Reason.DISABLED and found.variant in prerequisite.variants
        if found.variant == OVERRIDE and found.reason is Reason.STATIC:
            flag = self._snapshot.flags.get(prerequisite.flag)
            met = flag is not None and any(_same(flag.variants.get(v), found.value) for v in prerequisite.variants)
        return met, f"{wanted}, and serves {found.variant} ({found.reason})"

    def _prerequisites(self, key: str) -> tuple[Prerequisite, ...]:
        flag = None if key in self._overrides else self._snapshot.flags.get(key)
        return () if flag is None or flag.archived else flag.prerequisites

    def _targeted(self, flag: Flag) -> Detail[Any] | None:
        if not flag.targets:
            return None
        key = self._attribute(TARGETING_KEY)
        for target in flag.targets:
            if isinstance(key, str) and key in target.keys:
                self._step("target", f"{key!r} is listed for {target.variant!r}", decided=True)
                return _detail(flag, target.variant, Reason.TARGETING_MATCH)
        self._step("target", _lacking(TARGETING_KEY) if key is None else f"{_shown(key)} is listed for no variant")
        return None

    def _ruled(self, flag: Flag) -> Detail[Any]:
        for index, rule in enumerate(flag.rules):
            holds = self._answers(rule)
            told = (self._told(clause, answer) for clause, answer in zip(rule.clauses, holds, strict=True))
            words = f"rule {index + 1}: {'; '.join(told)}"
            if not all(holds):
                self._step("rule", words, rule=index, clauses=holds)
            elif rule.serve is not None:
                self._step("rule", f"{words}: {rule.serve!r} is served", decided=True, rule=index, clauses=holds)
                return _detail(flag, rule.serve, Reason.TARGETING_MATCH)
            else:
                self._step("rule", f"{words}: the rule's split decides", rule=index, clauses=holds)
                return self._split(flag, rule.split, "rule")
        return self._rolled_out(flag, flag.rollout or Rollout(WEIGHT_TOTAL))

    def _answers(self, rule: Rule) -> list[bool]:
        """Ask every clause; of those after one that does not hold, none can make the evaluation fail."""
        holds: list[bool] = []
        for clause in rule.clauses:
            try:
                holds.append(self._holds(clause))
            except Exception:
                if all(holds):
                    raise
                holds.append(False)
        return holds

    def _holds(self, clause: Clause) -> bool:
        if clause.operator == SEGMENT:
            return self._belongs(str(clause.values[0])) is (not clause.negate)
        return self._asked(clause)

    def _belongs(self, key: str) -> bool | None:
        """Tell whether the context belongs to a segment; None where there is no such segment."""
        segment = self._snapshot.segments.get(key)
        if segment is None or segment.archived:
            return None
        return all(clause.operator != SEGMENT and self._asked(clause) for clause in segment.clauses)

    def _asked(self, clause: Clause) -> bool:
        if clause.operator == "exists":
            return (self._attribute(clause.attribute) is not None) is not clause.negate
        if self._attribute(clause.attribute) is None:
            return False
        bare = Clause(clause.attribute, clause.operator, clause.values)
        try:
            holds = bool(compile_clauses([bare])(self._context))
        except TypeError:  # an object or a list can't be looked up: it equals no text
            holds = clause.operator == "not_in"
        return holds is not clause.negate

    def _told(self, clause: Clause, holds: bool) -> str:
        answer = "holds" if holds else "does not hold"
        refused = "not " if clause.negate else ""
        if clause.operator == SEGMENT:
            return f"{refused}in segment {clause.values[0]} {answer}"
        values = ", ".join(repr(value) for value in clause.values[:5]) + (", …" if len(clause.values) > 5 else "")
        question = f"{clause.attribute} {refused}{clause.operator} {values}".rstrip()
        found = self._attribute(clause.attribute)
        given = _lacking(clause.attribute) if found is None else f"{clause.attribute} is {_shown(found)}"
        return f"{question} {answer} ({given})"

    def _rolled_out(self, flag: Flag, rollout: Rollout) -> Detail[Any]:
        weights = {rollout.weight, *rollout.domains.values()}
        by_domain = len(weights) > 1 or bool(rollout.split and rollout.domains)
        domain = self._attribute("domain") if by_domain else None
        listed = isinstance(domain, str) and domain in rollout.domains
        if by_domain:
            words = f"domain {_shown(domain)} {'has a percentage of its own' if listed else 'is not listed'}"
            self._step("domain", _lacking("domain") if domain is None else words, domain=domain if listed else None)
        if rollout.split and not listed:
            return self._split(flag, rollout.split, "rollout")
        weight = rollout.domains[str(domain)] if listed else rollout.weight
        within = 0 < weight < WEIGHT_TOTAL
        place = self._bucket(flag) if within else None
        on = weight > 0 and (place is None or place < weight)
        variant = flag.on_variant if on else flag.off_variant
        words = f"{percentage_of(weight)}% get {flag.on_variant!r}"
        if place is not None:
            words += f": bucket {place:,} of {WEIGHT_TOTAL:,} is {'below' if on else 'not below'} {weight:,}"
        self._step("rollout", f"{words}: {variant!r} is served", decided=True, bucket=place, threshold=weight)
        return _detail(flag, variant, rollout_reason(flag, rollout))

    def _split(self, flag: Flag, split: Split, question: str) -> Detail[Any]:
        parts = [(variant, weight) for variant, weight in split if weight]
        place = self._bucket(flag) if len(parts) > 1 else 0
        ends = accumulate(weight for _, weight in parts)
        variant, end = next((variant, end) for (variant, _), end in zip(parts, ends, strict=True) if place < end)
        words = f"bucket {place:,} of {WEIGHT_TOTAL:,} is below {end:,}, where {variant!r} ends"
        self._step(question, words, decided=True, bucket=place, threshold=end)
        return _detail(flag, variant, Reason.SPLIT)

    def _bucket(self, flag: Flag) -> int:
        attribute = flag.stickiness or TARGETING_KEY
        key = self._attribute(attribute)
        if key is None or key == "":
            message = f"the flag splits traffic, and {_lacking(attribute)}"
            raise _Undecidable(ErrorCode.TARGETING_KEY_MISSING, message)
        if not isinstance(key, str):
            raise _Undecidable(ErrorCode.INVALID_CONTEXT, f"{attribute} is of type {type(key).__name__}, not text")
        try:
            return bucket(flag.salt or flag.key, key)
        except UnicodeEncodeError as error:
            raise _Undecidable(ErrorCode.INVALID_CONTEXT, f"{attribute} holds half of a surrogate pair") from error

    def _attribute(self, name: str) -> Any:
        if not isinstance(self._context, Mapping):
            given = type(self._context).__name__
            raise _Undecidable(ErrorCode.INVALID_CONTEXT, f"the context is of type {given}, not a mapping")
        return self._context.get(name)

    def _step(self, question: str, words: str, *, decided: bool = False, **data: Any) -> None:
        self._steps.append(Step(question, decided, words, data))


def _detail(flag: Flag, variant: str, reason: Reason, **metadata: str) -> Detail[Any]:
    value = copied(flag.variants[variant])
    if kind_of(flag.variants) is Kind.FLOAT:
        value = float(value)
    return Detail(flag.key, value, variant, reason, metadata={**flag.metadata, **metadata})


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _lacking(attribute: str) -> str:
    return f"the context has no {attribute}"


def _shown(value: Any) -> str:
    """Show a value of a context, which may be of any class and size."""
    try:
        text = repr(value[:61] if isinstance(value, str) else value)
    except Exception:  # noqa: BLE001 - nested too deep, or of a class that won't be shown: words must decide nothing
        text = f"<{type(value).__name__}>"
    return text if len(text) <= 60 else f"{text[:60]}…"
