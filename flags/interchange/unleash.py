"""Reading the export of Unleash: features, and the strategies of one environment, as flags with rules.

Strategies are alternatives in Unleash; here the first rule that matches decides. One key has one bucket in a flag, so
rules in the order of falling percentages come to the same. A strategy that has no counterpart is left out, so that
nobody is served more than before; a flag whose dependencies have none is left out whole.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from flags import fields
from flags.definitions import Definitions
from flags.documents import parse_flag
from flags.interchange.findings import Finding, Imported, Loss, Unmapped
from flags.interchange.unleash_constraints import constraints_alternatives
from flags.interchange.unleash_strategies import OFF, Feature, Strategy, read_strategy
from flags.model import SEGMENT, Clause, Flag, Segment
from flags.rules import clause_document
from flags.segments import parse_segment
from foundation.errors import DocumentError

MAX_FEATURES = 10_000
_TEMPORARY = ("release", "experiment", "operational")
"""The types of features that Unleash itself expects to go."""


def import_unleash(document: Any, environment: str | None = None) -> Imported:
    """Read an export of Unleash, as its API for exporting features gives it, or the older export of its state.

    Raises:
        DocumentError: it is no such export, or holds several environments and none of them is named.
    """
    content = fields.object_of(document, "")
    features = fields.list_of(content.get("features"), "features", limit=MAX_FEATURES)
    return _Import(content, _environment(content, environment)).run(features)


class _Import:
    """One export under way."""

    def __init__(self, content: Mapping[str, Any], environment: str | None) -> None:
        self._findings: list[Finding] = []
        self._segments: dict[str, Segment] = {}
        self._named = self._read_segments(content)
        self._strategies = _by_feature(content, "featureStrategies", environment)
        self._environments = _by_feature(content, "featureEnvironments", environment)
        self._tags = _by_feature(content, "featureTags", None)
        self._parents = {each.get("feature"): each.get("dependencies") for each in _objects(content, "dependencies")}

    def run(self, features: list[Any]) -> Imported:
        read = {}
        for index, content in enumerate(features):
            feature = fields.object_of(content, f"features[{index}]")
            key = str(feature.get("name"))
            try:
                read[key] = self._feature(key, feature)
            except Unmapped as unmapped:
                self._left_out(f"features.{key}", f"{unmapped.field}: {unmapped.reason}")
            except DocumentError as error:
                self._left_out(f"features.{key}", str(error))
        flags: dict[str, Flag] = {}
        for key, (_, document) in read.items():
            try:
                flags[key] = parse_flag(key, document | self._prerequisites(key, read))
            except (Unmapped, DocumentError) as error:
                self._left_out(f"features.{key}", str(error))
        return Imported(Definitions(flags, self._segments), tuple(dict.fromkeys(self._findings)))

    def _feature(self, key: str, content: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
        field = f"features.{key}"
        switched = (self._environments.get(key) or [{}])[0]
        feature = Feature(key, switched.get("variants") or [], [*self._usable(key)], self._findings.append)
        for name in ("impressionData", "stale"):
            if content.get(name):
                self._left_out(f"{field}.{name}", "flags have nothing like it")
        tags = [str(tag.get("tagValue")) for tag in self._tags.get(key, ())]
        for tag in tags:
            if not fields.NAME.fullmatch(tag):
                self._left_out(f"featureTags.{key}", f"{tag!r} is no name for a tag here")
        document = {
            "description": content.get("description") or "",
            "enabled": bool(switched.get("enabled")),
            "tags": list(dict.fromkeys(tag for tag in tags if fields.NAME.fullmatch(tag))),
            "lifetime": "temporary" if content.get("type") in _TEMPORARY else "permanent",
            "archived": bool(content.get("archived")),
            **feature.decisions(everybody=not self._strategies.get(key)),
        }
        return list(document["variants"]), document

    def _usable(self, key: str) -> Iterator[Strategy]:
        for index, content in enumerate(self._strategies.get(key, ())):
            field = f"featureStrategies.{key}[{index}]"
            if content.get("disabled"):
                self._left_out(field, "it is disabled")
                continue
            try:
                yield read_strategy(content, self._named, field)
            except Unmapped as unmapped:
                self._findings.append(unmapped.finding)
            except DocumentError as error:
                self._left_out(field, str(error))

    def _prerequisites(self, key: str, read: Mapping[str, tuple[list[str], Any]]) -> dict[str, Any]:
        needed = []
        for index, parent in enumerate(self._parents.get(key) or ()):
            name = parent.get("feature")
            if parent.get("enabled") is False:
                raise Unmapped(f"dependencies.{key}[{index}]", "a flag can't need that another is off")
            known = [variant for variant in read[name][0] if variant != OFF] if name in read else ["on"]
            needed.append({"flag": name, "variants": parent.get("variants") or known})
        return {"prerequisites": needed} if needed else {}

    def _read_segments(self, content: Mapping[str, Any]) -> dict[Any, Any]:
        """Read segments by their ids, as conditions: clauses that must all hold become a segment here."""
        named: dict[Any, Any] = {}
        for each in _objects(content, "segments"):
            name = str(each.get("name"))
            field = f"segments.{name}"
            if "constraints" not in each:
                reason = "exports name segments without their constraints: add those that /api/admin/segments gives"
                named[each.get("id")] = Unmapped(field, reason)
                continue
            try:
                named[each.get("id")] = self._segment(name, each, field)
            except (Unmapped, DocumentError) as error:
                named[each.get("id")] = Unmapped(field, str(error))
        return named

    def _segment(self, name: str, content: Mapping[str, Any], field: str) -> Any:
        alternatives = constraints_alternatives(content["constraints"], f"{field}.constraints")
        if len(alternatives) != 1 or not alternatives[0]:
            return alternatives
        key = "".join(letter if (letter.isascii() and letter.isalnum()) or letter in "._-" else "-" for letter in name)
        conditions = [clause_document(clause) for clause in alternatives[0]]
        read = {"description": content.get("description") or "", "if": conditions}
        self._segments[key] = parse_segment(key, read)
        return [(Clause("", SEGMENT, (key,)),)]

    def _left_out(self, field: str, reason: str) -> None:
        self._findings.append(Finding(field, Loss.LEFT_OUT, reason))


def _environment(content: Mapping[str, Any], wanted: str | None) -> str | None:
    found = sorted(
        {str(each["environment"]) for each in _objects(content, "featureEnvironments") if "environment" in each}
    )
    if wanted is None and len(found) > 1:
        raise DocumentError("featureEnvironments", "are of several environments", expected=f"one of {', '.join(found)}")
    if wanted is not None and wanted not in found:
        raise DocumentError("featureEnvironments", f"have no {wanted}", expected=f"one of {', '.join(found)}")
    return wanted


def _by_feature(content: Mapping[str, Any], name: str, environment: str | None) -> dict[str, list[Mapping[str, Any]]]:
    grouped = defaultdict(list)
    for each in _objects(content, name):
        if environment is None or each.get("environment") in (None, environment):
            grouped[str(each.get("featureName"))].append(each)
    return dict(grouped)


def _objects(content: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    listed = fields.list_of(content.get(name) or [], name, limit=100_000)
    return [fields.object_of(each, f"{name}[{index}]") for index, each in enumerate(listed)]
