"""Writing flags in flagd's form: each becomes one JsonLogic expression that names the variant to serve.

From the outside in: `{"if": [false, …, off]}` where the flag is disabled, its prerequisites, targets, rules, then the
percentages of listed domains, and its own. Segments, and what each prerequisite serves, stand in `$evaluators`. An
expression that ends in null has no key to bucket: flagd then serves the caller's default, as this product does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from flags.definitions import Definitions
from flags.interchange.findings import Exported, Finding, Loss, Unmapped
from flags.interchange.flagd_clauses import Logic, attribute_logic, clause_logic, has_text, looser
from flags.model import SEGMENT, WEIGHT_TOTAL, Clause, Flag, Rollout, Segment, Split
from flags.references import MAX_CHAIN

SCHEMA = "https://flagd.dev/schema/v0/flags.json"
PREREQUISITE = "flag:"
"""How the name of an evaluator begins that says what a prerequisite serves; a segment's is its key, without a colon."""

MAX_NODES = 50_000
"""Values in the expression of one flag: prerequisites stand in it once for each that needs them."""

MAX_NEEDED = 1_000
"""Flags that are written into one, each as often as it is needed."""

MAX_DEPTH = 250
"""Levels of nested `if`: evaluators follow them by recursion."""

OWN = "signalbox."
"""How the metadata begin that hold what flagd has no field for; all others are the flag's own."""


def export_flagd(definitions: Definitions, keys: Iterable[str] | None = None) -> Exported:
    """Write these flags, or all, with the segments they need.

    What flagd has no form for is left out, flag by flag, and listed; so is what it answers otherwise in rare cases.
    """
    return _Export(definitions).run(sorted(definitions.flags) if keys is None else list(keys))


def prerequisite_logic(definitions: Definitions, key: str) -> Logic:
    """Write what a flag serves to those that need it: null while it is disabled; raises Unmapped."""
    return _Writer(definitions, inline=True).needed(key, f"flags.{key}", 1)


def rollout_marker(flag: Flag) -> str:
    """Name the form of the rollout where the logic alone could be read as another that serves the same."""
    rollout = flag.rollout
    if rollout is not None and rollout.split == percentage_split(flag, rollout.split[0][1] if rollout.split else 0):
        return "split"
    whole = rollout is not None and not rollout.split and rollout.weight == WEIGHT_TOTAL
    return "percentage" if whole else ""


def percentage_split(flag: Flag, weight: int) -> Split:
    """Say a percentage as a split between the on and the off variant."""
    return ((flag.on_variant, weight), (flag.off_variant, WEIGHT_TOTAL - weight))


def domain_clause(domains: Iterable[str]) -> Clause:
    """Make the clause that stands for listed domains of a rollout."""
    return Clause("domain", "in", tuple(domains))


class _Export:
    """One document under way."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._evaluators: dict[str, Logic] = {}
        self._findings: list[Finding] = []

    def run(self, keys: list[str]) -> Exported:
        flags = {}
        for key in keys:
            try:
                flags[key] = self._flag(self._definitions.flags[key])
            except Unmapped as unmapped:
                self._findings.append(unmapped.finding)
        document: dict[str, Any] = {"$schema": SCHEMA, "flags": flags}
        if self._evaluators:
            document["$evaluators"] = dict(sorted(self._evaluators.items()))
        return Exported(document, tuple(dict.fromkeys(self._findings)))

    def _flag(self, flag: Flag) -> dict[str, Any]:
        field = f"flags.{flag.key}"
        for name, value in flag.variants.items():
            if isinstance(value, list):
                raise Unmapped(f"{field}.variants.{name}", "flagd's variants may be objects, and not lists")
        logic = _Writer(self._definitions).flag(flag)
        _check_size(logic, field)
        self._evaluators |= self._needed(flag)
        self._findings += self._differences(flag)
        constant = isinstance(logic, str)
        default = logic if constant else None if _splits(logic) else flag.off_variant
        document = {
            "state": "DISABLED" if flag.archived else "ENABLED",
            "variants": dict(flag.variants),
            "defaultVariant": default,
        }
        if not constant:
            document["targeting"] = logic
        for name in flag.metadata:
            if name.startswith(OWN):
                raise Unmapped(f"{field}.metadata.{name}", f"metadata that begin with {OWN} are what exports keep")
        return {**document, "metadata": {**flag.metadata, **_own_metadata(flag)}}

    def _needed(self, flag: Flag) -> dict[str, Logic]:
        evaluators = {}
        for prerequisite in flag.prerequisites:
            field = f"flags.{flag.key}.prerequisites"
            try:
                logic = prerequisite_logic(self._definitions, prerequisite.flag)
            except Unmapped as unmapped:
                raise Unmapped(field, f"{unmapped.field}: {unmapped.reason}") from unmapped
            _check_size(logic, field)
            evaluators[PREREQUISITE + prerequisite.flag] = logic
        writer = _Writer(self._definitions)
        for clause in _clauses(flag):
            if clause.operator == SEGMENT:
                key = str(clause.values[0])
                evaluators[key] = writer.segment(key, f"segments.{key}")
        return evaluators

    def _differences(self, flag: Flag) -> Iterator[Finding]:
        field = f"flags.{flag.key}"
        if flag.hold is not None:
            yield Finding(f"{field}.hold", Loss.LEFT_OUT, "flagd has no holds; the flag is exported as disabled")
        for at, rule in enumerate(flag.rules):
            yield from _looser(rule.clauses, f"{field}.rules[{at}].if")
        for clause in _clauses(flag):
            if clause.operator == SEGMENT:
                yield from _segment_differences(self._definitions.segments[str(clause.values[0])])


class _Writer:
    """Writes the logic of flags: references as such, or, where `inline` is set, what they stand for."""

    def __init__(self, definitions: Definitions, *, inline: bool = False) -> None:
        self._definitions = definitions
        self._inline = inline
        self._left = MAX_NEEDED

    def flag(self, flag: Flag) -> Logic:
        field = f"flags.{flag.key}"
        logic = self._unswitched(flag, flag.off_variant, field, 0)
        return logic if flag.enabled else {"if": [False, logic, flag.off_variant]}

    def needed(self, key: str, field: str, depth: int) -> Logic:
        self._left -= 1
        if self._left < 0:
            raise Unmapped(field, "its logic is too large for flagd's form")
        flag = self._definitions.flags.get(key)
        if flag is None or flag.archived or depth > MAX_CHAIN:
            raise Unmapped(field, f"the flag {key} is not there to be written into it")
        return {"if": [flag.enabled, self._unswitched(flag, None, field, depth), None]}

    def segment(self, key: str, field: str) -> Logic:
        segment = self._definitions.segments.get(key)
        if segment is None or segment.archived:
            raise Unmapped(field, f"there is no segment {key}")
        return self._all(segment.clauses, f"segments.{key}.if")

    def _unswitched(self, flag: Flag, off: str | None, field: str, depth: int) -> Logic:
        logic = self._rollout(flag, flag.rollout or Rollout(WEIGHT_TOTAL), field)
        for at, rule in reversed(list(enumerate(flag.rules))):
            served = rule.serve if rule.serve is not None else self._split(flag, rule.split, field)
            logic = {"if": [self._all(rule.clauses, f"{field}.rules[{at}].if"), served, logic]}
        for target in reversed(flag.targets):
            logic = {"if": [{"in": [{"var": "targetingKey"}, list(target.keys)]}, target.variant, logic]}
        if flag.prerequisites:
            met = [
                {"in": [self._prerequisite(each.flag, f"{field}.prerequisites", depth), list(each.variants)]}
                for each in flag.prerequisites
            ]
            logic = {"if": [{"and": met}, logic, off]}
        return logic

    def _prerequisite(self, key: str, field: str, depth: int) -> Logic:
        return self.needed(key, field, depth + 1) if self._inline else {"$ref": PREREQUISITE + key}

    def _all(self, clauses: Iterable[Clause], field: str) -> Logic:
        return {"and": [self._clause(clause, f"{field}[{index}]") for index, clause in enumerate(clauses)]}

    def _clause(self, clause: Clause, field: str) -> Logic:
        if clause.operator != SEGMENT:
            return clause_logic(clause, field)
        belongs = self.segment(str(clause.values[0]), field)
        if not self._inline:
            return clause_logic(clause, field)
        return {"!": [belongs]} if clause.negate else belongs

    def _rollout(self, flag: Flag, rollout: Rollout, field: str) -> Logic:
        split = rollout.split
        logic = self._split(flag, split, field) if split else self._figure(flag, rollout.weight, field)
        by_weight: dict[int, list[str]] = {}
        for domain, weight in rollout.domains.items():
            by_weight.setdefault(weight, []).append(domain)
        for weight, domains in reversed(by_weight.items()):
            logic = {"if": [clause_logic(domain_clause(domains), field), self._figure(flag, weight, field), logic]}
        return logic

    def _figure(self, flag: Flag, weight: int, field: str) -> Logic:
        if weight in (0, WEIGHT_TOTAL):
            return flag.on_variant if weight else flag.off_variant
        return self._split(flag, percentage_split(flag, weight), field)

    def _split(self, flag: Flag, split: Split, field: str) -> Logic:
        weights = [[variant, weight] for variant, weight in split]
        served = [variant for variant, weight in split if weight]
        key = attribute_logic(flag.stickiness or "targetingKey", f"{field}.stickiness")
        if not (self._inline or flag.salt or flag.stickiness):
            if len(served) > 1:
                return {"fractional": weights}
            return {"if": [has_text(key), {"fractional": weights}, served[0]]}
        salt = flag.salt or (flag.key if self._inline else {"var": "$flagd.flagKey"})
        divided = {"fractional": [{"cat": [salt, key]}, *weights]}
        return {"if": [has_text(key), divided, served[0] if len(served) == 1 else None]}


def _own_metadata(flag: Flag) -> dict[str, str]:
    metadata = {
        "description": flag.description,
        "offVariant": flag.off_variant,
        "onVariant": flag.on_variant if len(flag.variants) > 2 else "",
        "rollout": rollout_marker(flag),
        "salt": flag.salt,
        "stickiness": flag.stickiness,
        "tags": ",".join(flag.tags),
        "owner": flag.owner,
        "lifetime": "temporary" if flag.temporary else "",
        "expires": flag.expires,
    }
    return {OWN + name: value for name, value in metadata.items() if value}


def _segment_differences(segment: Segment) -> Iterator[Finding]:
    field = f"segments.{segment.key}"
    if segment.description:
        yield Finding(f"{field}.description", Loss.LEFT_OUT, "flagd has no place for it")
    yield from _looser(segment.clauses, f"{field}.if")


def _looser(clauses: Iterable[Clause], field: str) -> Iterator[Finding]:
    for index, clause in enumerate(clauses):
        if reason := looser(clause):
            yield Finding(f"{field}[{index}]", Loss.DIFFERS, reason)


def _clauses(flag: Flag) -> Iterator[Clause]:
    for rule in flag.rules:
        yield from rule.clauses


def _splits(logic: Logic) -> bool:
    if isinstance(logic, Mapping):
        return "fractional" in logic or any(_splits(inner) for inner in logic.values())
    return isinstance(logic, list) and any(_splits(inner) for inner in logic)


def _check_size(logic: Logic, field: str) -> None:
    level, nodes = [logic], 0
    for _ in range(MAX_DEPTH):
        nodes += len(level)
        if nodes > MAX_NODES:
            break
        inner = (
            each.values() if isinstance(each, Mapping) else each for each in level if isinstance(each, (dict, list))
        )
        level = [each for values in inner for each in values]
        if not level:
            return
    raise Unmapped(field, "its logic is too large for flagd's form")
