"""Prerequisites and individual targets in documents: reading them with an error for each wrong field, and writing back.

Whether a prerequisite exists, and has the variants named, is not a matter of one document: see `flags.references`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from flags import fields
from flags.model import Prerequisite, Target
from flags.rules import variant_of
from foundation.errors import DocumentError

MAX_PREREQUISITES = 20
MAX_VARIANTS = 100
MAX_TARGETS = 10_000
"""Targeting keys of one flag, over all variants."""

MAX_KEY = 1_000


def parse_prerequisites(value: Any, field: str) -> tuple[Prerequisite, ...]:
    """Read the flags that have to serve certain variants first; raises DocumentError."""
    parts = fields.list_of(value, field, limit=MAX_PREREQUISITES)
    parsed = tuple(_prerequisite(part, f"{field}[{index}]") for index, part in enumerate(parts))
    if len({prerequisite.flag for prerequisite in parsed}) < len(parsed):
        raise DocumentError(field, "name a flag twice", value=[prerequisite.flag for prerequisite in parsed])
    return parsed


def prerequisite_document(prerequisite: Prerequisite) -> dict[str, Any]:
    """Write a prerequisite as `parse_prerequisites` reads it."""
    return {"flag": prerequisite.flag, "variants": list(prerequisite.variants)}


def parse_targets(value: Any, variants: Mapping[str, Any], field: str) -> tuple[Target, ...]:
    """Read the targeting keys that are served a variant of their own, each key once; raises DocumentError."""
    content = fields.object_of(value, field, limit=MAX_VARIANTS)
    targets = tuple(
        _target(variant, keys, variants, f"{field}.{variant[:100]}") for variant, keys in sorted(content.items())
    )
    listed = [key for target in targets for key in target.keys]
    if len(listed) > MAX_TARGETS:
        raise DocumentError(field, f"name {len(listed):,} keys", expected=f"at most {MAX_TARGETS:,}; or use a rule")
    if len(set(listed)) < len(listed):
        raise DocumentError(field, "name a key twice", value=Counter(listed).most_common(1)[0][0])
    return targets


def targets_document(targets: tuple[Target, ...]) -> dict[str, list[str]]:
    """Write targets as `parse_targets` reads them."""
    return {target.variant: list(target.keys) for target in targets}


def _prerequisite(value: Any, field: str) -> Prerequisite:
    content = fields.fields(value, field, ("flag", "variants"), required=("flag", "variants"))
    names = fields.list_of(content["variants"], f"{field}.variants", limit=MAX_VARIANTS, least=1)
    return Prerequisite(
        flag=fields.text(content["flag"], f"{field}.flag", limit=100, least=1),
        variants=tuple(fields.name(name, f"{field}.variants[{index}]") for index, name in enumerate(names)),
    )


def _target(variant: Any, keys: Any, variants: Mapping[str, Any], field: str) -> Target:
    listed = fields.list_of(keys, field, limit=MAX_TARGETS, least=1)
    texts = (fields.text(key, f"{field}[{index}]", limit=MAX_KEY, least=1) for index, key in enumerate(listed))
    return Target(variant_of(variant, variants, field), tuple(texts))
