"""Reading flags in flagd's form: what this product wrote comes back as it was, and of other documents what maps.

A flag of which a part has no counterpart is left out whole: half of its rules would serve people something else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flags import fields
from flags.definitions import Definitions
from flags.difference import same
from flags.documents import parse_flag
from flags.interchange.findings import Finding, Imported, Loss, Unmapped
from flags.interchange.flagd_clauses import Logic, clause_logic
from flags.interchange.flagd_conditions import Conditions
from flags.interchange.flagd_export import OWN, PREREQUISITE, domain_clause, prerequisite_logic
from flags.interchange.flagd_targeting import Row, Targeting
from flags.model import WEIGHT_TOTAL, Clause, Flag, Segment, Split
from flags.percentages import percentage_of
from flags.rules import clause_document, split_document
from flags.segments import parse_segment
from foundation.errors import DocumentError

MAX_FLAGS = 10_000
_COPIED = ("description", "owner", "lifetime", "expires")
_KEPT = (*_COPIED, "offVariant", "onVariant", "rollout", "salt", "stickiness", "tags")
_OFF = re.compile(r"off|false|disabled|none|control", re.IGNORECASE)


def import_flagd(document: Any) -> Imported:
    """Read a document in flagd's form; raises DocumentError where it is none at all."""
    content = fields.object_of(document, "")
    flags = content.get("flags")
    if isinstance(flags, list):
        flags = {each["key"]: each for each in flags if isinstance(each, Mapping) and isinstance(each.get("key"), str)}
    evaluators = fields.object_of(content.get("$evaluators", {}), "$evaluators")
    return _Import(fields.object_of(flags, "flags", limit=MAX_FLAGS), evaluators, content.get("metadata")).run()


class _Import:
    """One document under way."""

    def __init__(self, flags: Mapping[str, Any], evaluators: Mapping[str, Logic], metadata: Any) -> None:
        self._documents = flags
        self._evaluators = evaluators
        self._findings: list[Finding] = []
        self._segments = self._read_segments()
        if metadata:
            self._left_out("metadata", "flags carry no metadata of the file they came in")

    def run(self) -> Imported:
        flags: dict[str, Flag] = {}
        for key, document in self._documents.items():
            findings: list[Finding] = []
            try:
                flags[key] = parse_flag(key, _Reader(self, findings).read(key, document))
                self._findings += findings
            except Unmapped as unmapped:
                self._left_out(f"flags.{key}", f"{unmapped.field}: {unmapped.reason}")
            except DocumentError as error:
                self._left_out(f"flags.{key}", str(error))
        definitions = self._without_strangers(Definitions(flags, self._segments))
        return Imported(definitions, tuple(dict.fromkeys(self._findings)))

    def conditions(self, findings: list[Finding]) -> Conditions:
        return Conditions(self._evaluators, frozenset(self._segments), findings.append)

    @property
    def evaluators(self) -> Mapping[str, Logic]:
        return self._evaluators

    def _left_out(self, field: str, reason: str) -> None:
        self._findings.append(Finding(field, Loss.LEFT_OUT, reason))

    def _read_segments(self) -> dict[str, Segment]:
        """Take each evaluator for a segment that asks for clauses which must all hold; others stand for themselves."""
        segments = {}
        for name, logic in self._evaluators.items():
            findings: list[Finding] = []
            try:
                clauses = _segment_clauses(logic, Conditions({}, frozenset(), findings.append), f"$evaluators.{name}")
                segments[name] = parse_segment(name, {"if": [clause_document(clause) for clause in clauses]})
                self._findings += findings
            except (Unmapped, DocumentError):
                continue
        return segments

    def _without_strangers(self, definitions: Definitions) -> Definitions:
        """Leave out flags with prerequisites that the document says otherwise than the flags it holds."""
        flags = dict(definitions.flags)
        for key, flag in definitions.flags.items():
            for index, prerequisite in enumerate(flag.prerequisites):
                field = f"flags.{key}.prerequisites[{index}]"
                needed = prerequisite.flag
                if needed not in definitions.flags:
                    reason = f"it rests on the flag {needed}, which this document does not define"
                    self._findings.append(Finding(field, Loss.DIFFERS, reason))
                elif not self._agrees(definitions, needed):
                    self._left_out(f"flags.{key}", f"its evaluator for {needed} is not what that flag serves")
                    flags.pop(key, None)
        return Definitions(flags, definitions.segments)

    def _agrees(self, definitions: Definitions, needed: str) -> bool:
        try:
            return same(prerequisite_logic(definitions, needed), self._evaluators.get(PREREQUISITE + needed))
        except Unmapped:
            return False


class _Reader:
    """Reads one flag into a document of this product."""

    def __init__(self, whole: _Import, findings: list[Finding]) -> None:
        self._whole = whole
        self._findings = findings

    def read(self, key: str, document: Any) -> dict[str, Any]:
        """Read it; raises Unmapped and DocumentError."""
        field = f"flags.{key}"
        content = fields.object_of(document, field)
        variants = fields.object_of(content.get("variants"), f"{field}.variants")
        metadata, own = self._metadata(content.get("metadata", {}), field)
        default = content.get("defaultVariant") or None
        if default is not None and not (isinstance(default, str) and default in variants):
            raise Unmapped(f"{field}.defaultVariant", f"{default!r} is not one of the variants")
        read: dict[str, Any] = {name: metadata[name] for name in _COPIED if name in metadata}
        if "tags" in metadata:
            read["tags"] = metadata["tags"].split(",")
        read |= {"enabled": True, "variants": dict(variants), "metadata": own}
        logic = content.get("targeting") or default
        if logic is None:
            raise Unmapped(field, "it has neither targeting nor a default variant")
        off = _off_variant(metadata, default, list(variants))
        logic, switched = _switched(logic, variants, metadata)
        read |= switched
        off = switched.get("offVariant", off)
        logic, prerequisites = _prerequisites(logic, off)
        if prerequisites:
            read["prerequisites"] = prerequisites
        targeting = Targeting(variants, default, self._whole.conditions(self._findings), self._findings.append)
        rows = targeting.read(logic, f"{field}.targeting", self._whole.evaluators)
        on = metadata.get("onVariant") or _on_variant(off, list(variants), rows)
        read |= {"offVariant": off, "onVariant": on, **_bucketing(targeting, metadata, self._findings, field)}
        self._tell(content, metadata, targeting, field)
        if content.get("state") == "DISABLED":
            read["archived"] = True
        return {**read, **_decisions(rows, on, off, metadata.get("rollout", ""))}

    def _metadata(self, value: Any, field: str) -> tuple[dict[str, str], dict[str, Any]]:
        """Tell what an export kept in the metadata from the flag's own."""
        kept: dict[str, str] = {}
        own: dict[str, Any] = {}
        for name, each in fields.object_of(value, f"{field}.metadata").items():
            if name.startswith(OWN) and name.removeprefix(OWN) in _KEPT and isinstance(each, str):
                kept[name.removeprefix(OWN)] = each
            elif fields.NAME.fullmatch(name) and isinstance(each, (str, int, float)):
                own[name] = each
            else:
                reason = f"{fields.NAME_RULE} name metadata here, and their values are texts, numbers or booleans"
                self._findings.append(Finding(f"{field}.metadata.{name}", Loss.LEFT_OUT, reason))
        return kept, own

    def _tell(self, content: Mapping[str, Any], metadata: Mapping[str, str], targeting: Targeting, field: str) -> None:
        if "offVariant" in metadata:
            return
        if content.get("state") == "DISABLED":
            reason = "it is imported as archived: callers get their own default, as flagd has it"
            self._findings.append(Finding(f"{field}.state", Loss.DIFFERS, reason))
        if not content.get("defaultVariant"):
            reason = "it names no default variant, so the off variant was chosen by name"
            self._findings.append(Finding(f"{field}.defaultVariant", Loss.DIFFERS, reason))
        elif targeting.bucketings:
            reason = "without a key to hash flagd serves the default variant, and here callers get their own default"
            self._findings.append(Finding(f"{field}.targeting", Loss.DIFFERS, reason))


def _segment_clauses(logic: Logic, conditions: Conditions, field: str) -> tuple[Clause, ...]:
    alternatives = conditions.read(logic, field)
    if len(alternatives) != 1 or not alternatives[0]:
        raise Unmapped(field, "it is no list of clauses that must all hold")
    return alternatives[0]


def _off_variant(metadata: Mapping[str, str], default: str | None, variants: list[str]) -> str:
    if metadata.get("offVariant") in variants:
        return metadata["offVariant"]
    if default is not None:
        return default
    return next((name for name in variants if _OFF.fullmatch(name)), variants[-1] if variants else "")


def _on_variant(off: str, variants: list[str], rows: list[Row]) -> str:
    """Choose what a percentage would serve: what everybody left is served, else what a rule serves first."""
    others = [name for name in variants if name != off]
    served = [row.serve for row in [*rows[-1:], *rows] if row.serve is not None]
    split = [name for row in [*rows[-1:], *rows] for name, weight in row.split if weight]
    return next((name for name in [*served, *split] if name in others), others[0] if others else "")


def _switched(logic: Logic, variants: Mapping[str, Any], metadata: Mapping[str, str]) -> tuple[Logic, dict[str, Any]]:
    """Take off the kill switch, `{"if": [false, …, off]}`."""
    if isinstance(logic, Mapping) and set(logic) == {"if"} and isinstance(logic["if"], list) and len(logic["if"]) == 3:
        condition, then, off = logic["if"]
        if condition is False and isinstance(off, str) and off in variants and metadata.get("offVariant", off) == off:
            return then, {"enabled": False, "offVariant": off}
    return logic, {}


def _prerequisites(logic: Logic, off: str) -> tuple[Logic, list[dict[str, Any]]]:
    """Take off the question for prerequisites, which names their evaluators."""
    if not (isinstance(logic, Mapping) and isinstance(logic.get("if"), list) and len(logic["if"]) == 3):
        return logic, []
    condition, then, otherwise = logic["if"]
    asked = condition.get("and") if isinstance(condition, Mapping) else None
    if otherwise != off or not isinstance(asked, list) or not asked:
        return logic, []
    found = [_prerequisite(each) for each in asked]
    read = [each for each in found if each is not None]
    return (then, read) if len(read) == len(found) else (logic, [])


def _prerequisite(logic: Logic) -> dict[str, Any] | None:
    arguments = logic.get("in") if isinstance(logic, Mapping) else None
    if not (isinstance(arguments, list) and len(arguments) == 2 and isinstance(arguments[0], Mapping)):
        return None
    name = arguments[0].get("$ref")
    if not isinstance(name, str) or not name.startswith(PREREQUISITE):
        return None
    return {"flag": name.removeprefix(PREREQUISITE), "variants": arguments[1]}


def _bucketing(
    targeting: Targeting, metadata: Mapping[str, str], findings: list[Finding], field: str
) -> dict[str, str]:
    found = list(dict.fromkeys(targeting.bucketings))
    if len(found) > 1:
        reason = "its splits hash different things, and a flag hashes one here: assignments of all but the first change"
        findings.append(Finding(f"{field}.targeting", Loss.DIFFERS, reason))
    read = {name: metadata[name] for name in ("salt", "stickiness") if name in metadata}
    if found and not read:
        attribute = "" if found[0].attribute == "targetingKey" else found[0].attribute
        read = {"salt": found[0].salt, "stickiness": attribute}
    return {name: value for name, value in read.items() if value}


def _decisions(rows: list[Row], on: str, off: str, marker: str) -> dict[str, Any]:
    """Share rows out to individual targets, rules, domains and the rollout."""
    rows = [row for row in rows if row.when]
    end = next(index for index, row in enumerate(rows) if () in row.when)
    rows, last = rows[:end], rows[end]
    targets: dict[str, list[str]] = {}
    seen: set[str] = set()
    while rows and rows[0].serve is not None and (keys := _target_keys(rows[0].bare)):
        targets.setdefault(rows[0].serve, []).extend(key for key in dict.fromkeys(keys) if key not in seen)
        seen.update(keys)
        rows = rows[1:]
    domains: dict[str, int] = {}
    while rows and (names := _domain_names(rows[-1].bare)) and (figure := _figure(rows[-1], on, off)) is not None:
        domains = {**dict.fromkeys(names, figure), **{name: domains[name] for name in domains if name not in names}}
        rows = rows[:-1]
    document = {
        "targets": {variant: keys for variant, keys in targets.items() if keys},
        "rules": [_rule(row, clauses) for row in rows for clauses in row.when],
        "rollout": _rollout(last, domains, on, off, marker),
    }
    return {name: value for name, value in document.items() if value}


def _target_keys(bare: Logic) -> list[str]:
    arguments = bare.get("in") if isinstance(bare, Mapping) else None
    if not isinstance(arguments, list) or len(arguments) != 2 or arguments[0] != {"var": "targetingKey"}:
        return []
    keys = arguments[1]
    return keys if isinstance(keys, list) and all(isinstance(key, str) and key for key in keys) else []


def _domain_names(bare: Logic) -> list[str]:
    """Name the domains that a condition lists in the very form of a rollout's."""
    try:
        listed = bare["and"][1]["in"][1]
        names = listed if same(clause_logic(domain_clause(listed), ""), bare) else []
    except (KeyError, IndexError, TypeError, Unmapped):
        return []
    return names if all(isinstance(name, str) and fields.NAME.fullmatch(name) for name in names) else []


def _figure(row: Row, on: str, off: str) -> int | None:
    if row.serve is not None:
        return {on: WEIGHT_TOTAL, off: 0}.get(row.serve)
    return row.split[0][1] if _is_percentage(row.split, on, off) else None


def _is_percentage(split: Split, on: str, off: str) -> bool:
    return len(split) == 2 and (split[0][0], split[1][0]) == (on, off) and 0 < split[0][1] < WEIGHT_TOTAL


def _rule(row: Row, clauses: tuple[Clause, ...]) -> dict[str, Any]:
    conditions = [clause_document(clause) for clause in clauses]
    if row.serve is not None:
        return {"if": conditions, "serve": row.serve}
    return {"if": conditions, "split": split_document(row.split)}


def _rollout(last: Row, domains: Mapping[str, int], on: str, off: str, marker: str) -> dict[str, Any] | None:
    listed = {"domains": {name: percentage_of(weight) for name, weight in domains.items()}} if domains else {}
    if last.serve == on and not domains and marker != "percentage":
        return None
    figure = _figure(last, on, off) if marker != "split" else None
    if figure is not None:
        return {"percentage": percentage_of(figure), **listed}
    split = last.split or ((last.serve or "", WEIGHT_TOTAL),)
    return {"split": split_document(split), **listed}
