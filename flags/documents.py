"""Flag documents: reading them with an error for each wrong field, and writing them back.

Two forms are read: the full form (`variants`, `offVariant`, `rollout`, `rules`, …), and a shorthand, in which the
three messaging flags were first published (`enabled`, `description`, `rolloutPercentage`, `fallback`, `value`). What
comes out is checked once and for all: evaluation never meets a malformed flag. The checks are these functions and not
the JSON Schema in `flags/schema/`, so that they are quick, bounded, and name the field in words; a test keeps the two
in agreement. Knows nothing of files, YAML or stores.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from flags import fields
from flags.model import NO_METADATA, Flag, Hold, Prerequisite, Rollout, Scalar
from flags.percentages import percentage_of, weight_of
from flags.rules import parse_rules, parse_split, rule_document, split_document, variant_of
from flags.targeting import parse_prerequisites, parse_targets, prerequisite_document, targets_document
from foundation.canonical import canonical_json
from foundation.errors import DocumentError

__all__ = [
    "flag_document",
    "flag_from_json",
    "flag_json",
    "flag_key",
    "parse_flag",
    "percentage_of",
    "weight_of",
]

KEY = re.compile(r"(?!.{101})[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")
KEY_RULE = "1 to 100 letters, digits, '.', '_', '/' or '-', starting with a letter or digit, also after each '/'"
RESERVED = ("disable", "enable", "explain", "history", "percentages", "release", "revert", "usage")
"""What the API puts behind a key and a slash: a key that ended so could not be told from another flag's route."""

MAX_DESCRIPTION = 2_000
MAX_VARIANTS = 100
MAX_DOMAINS = 1_000
MAX_TAGS = 50
MAX_METADATA = 50
"""Bounds of a document; those of single values stand in `flags.fields` and `flags.operators`."""

MESSAGING_TAG = "messaging"
MESSAGING_VALUES: Mapping[str, str] = {
    "useYamlMessaging": "yaml",
    "enableCompression": "gzip",
    "enableBatching": "batched",
}
"""What the shorthand of these three flags serves when on; they are tagged `messaging` too, so a rollback finds them."""

_FULL = (
    "description",
    "enabled",
    "variants",
    "offVariant",
    "onVariant",
    "prerequisites",
    "targets",
    "rules",
    "rollout",
    "stickiness",
    "salt",
    "tags",
    "owner",
    "lifetime",
    "expires",
    "metadata",
    "hold",
    "archived",
)
_SHORTHAND = ("description", "enabled", "rolloutPercentage", "fallback", "value")
_ONLY_SHORTHAND = frozenset(_SHORTHAND) - frozenset(_FULL)


def parse_flag(key: str, document: Mapping[str, Any]) -> Flag:
    """Read one flag, in its full form or the shorthand.

    Raises:
        DocumentError: names the first field that is wrong, as in `flags.useYamlMessaging.rollout.percentage`.
    """
    field = f"flags.{flag_key(key)}"
    if _ONLY_SHORTHAND.intersection(fields.object_of(document, field)):
        return _parse_shorthand(key, document, field)
    return _parse_full(key, document, field)


def flag_key(key: Any, field: str = "flags") -> str:
    """Take the key of a flag; raises DocumentError."""
    if not (isinstance(key, str) and KEY.fullmatch(key)):
        raise DocumentError(field, "holds an invalid flag key", value=key, expected=KEY_RULE)
    _, slash, last = key.rpartition("/")
    if slash and last in RESERVED:
        raise DocumentError(field, f"holds a flag key that ends in /{last}", value=key, expected="another last word")
    return str(key)


def flag_from_json(key: str, text: str | bytes) -> Flag:
    """Read a flag as `flag_json` wrote it; raises DocumentError.

    Canonical text needs no guard: it was bounded when it was written, and its keys and numbers are plain.
    """
    try:
        return parse_flag(key, orjson.loads(text))
    except orjson.JSONDecodeError as error:
        raise DocumentError(f"flags.{key}", f"is not JSON: {error}") from error


def flag_json(flag: Flag) -> str:
    """Write a flag as canonical JSON: equal flags give equal text."""
    return canonical_json(flag_document(flag)).decode()


def flag_document(flag: Flag) -> dict[str, Any]:
    """Write a flag in its full form, without what is left at its default; `parse_flag` reads the same flag back."""
    document: dict[str, Any] = {
        "description": flag.description,
        "enabled": flag.enabled,
        "variants": dict(flag.variants),
        "offVariant": flag.off_variant,
        "onVariant": flag.on_variant if len(flag.variants) > 2 else "",
        "prerequisites": [prerequisite_document(prerequisite) for prerequisite in flag.prerequisites],
        "targets": targets_document(flag.targets),
        "rules": [rule_document(rule) for rule in flag.rules],
        "rollout": _rollout_document(flag.rollout),
        "stickiness": flag.stickiness,
        "salt": flag.salt,
        "tags": list(flag.tags),
        "owner": flag.owner,
        "lifetime": "temporary" if flag.temporary else "",
        "expires": flag.expires,
        "metadata": dict(flag.metadata),
        "hold": _hold_document(flag.hold),
        "archived": flag.archived,
    }
    always = {"enabled", "variants", "offVariant"}
    return {name: value for name, value in document.items() if name in always or value}


def _parse_shorthand(key: str, document: Mapping[str, Any], field: str) -> Flag:
    content = fields.fields(document, field, _SHORTHAND, required=("enabled", "rolloutPercentage", "fallback"))
    fallback = fields.json_value(content["fallback"], f"{field}.fallback")
    value = fields.json_value(content["value"], f"{field}.value") if "value" in content else _on_value(key, fallback)
    if value is None:
        raise DocumentError(f"{field}.value", "is missing", expected="what the flag serves when on")
    return Flag(
        key=key,
        enabled=fields.boolean(content["enabled"], f"{field}.enabled"),
        variants=_one_kind({"on": value, "off": fallback}, field),
        off_variant="off",
        on_variant="on",
        description=_description(content, field),
        rollout=Rollout(weight_of(content["rolloutPercentage"], f"{field}.rolloutPercentage")),
        tags=(MESSAGING_TAG,) if key in MESSAGING_VALUES else (),
    )


def _on_value(key: str, fallback: Any) -> Any:
    if isinstance(fallback, bool):
        return True
    return MESSAGING_VALUES.get(key, "on") if isinstance(fallback, str) else None


def _parse_full(key: str, document: Mapping[str, Any], field: str) -> Flag:
    content = fields.fields(document, field, _FULL, required=("enabled", "variants", "offVariant"))
    variants = _variants(content["variants"], f"{field}.variants")
    off = variant_of(content["offVariant"], variants, f"{field}.offVariant")
    enabled = fields.boolean(content["enabled"], f"{field}.enabled")
    if enabled and "hold" in content:
        raise DocumentError(
            f"{field}.enabled", "is true, and the flag is on hold", expected="false until it is released"
        )
    return Flag(
        key=key,
        enabled=enabled,
        variants=variants,
        off_variant=off,
        on_variant=_on_variant(content, variants, off, field),
        description=_description(content, field),
        rollout=_rollout(content["rollout"], variants, f"{field}.rollout") if "rollout" in content else None,
        rules=parse_rules(content["rules"], variants, f"{field}.rules") if "rules" in content else (),
        prerequisites=_prerequisites(key, content["prerequisites"], field) if "prerequisites" in content else (),
        targets=parse_targets(content["targets"], variants, f"{field}.targets") if "targets" in content else (),
        salt=_short_text(content, "salt", field),
        stickiness=_short_text(content, "stickiness", field),
        tags=_tags(content["tags"], f"{field}.tags") if "tags" in content else (),
        owner=_short_text(content, "owner", field),
        temporary=_temporary(content, field),
        expires=_expires(content, field),
        metadata=_metadata(content["metadata"], f"{field}.metadata") if "metadata" in content else NO_METADATA,
        hold=_hold(content["hold"], f"{field}.hold") if "hold" in content else None,
        archived=fields.boolean(content.get("archived", False), f"{field}.archived"),
    )


def _short_text(content: Mapping[str, Any], name: str, field: str) -> str:
    return fields.text(content[name], f"{field}.{name}", limit=100, least=1) if name in content else ""


def _prerequisites(key: str, value: Any, field: str) -> tuple[Prerequisite, ...]:
    prerequisites = parse_prerequisites(value, f"{field}.prerequisites")
    for index, prerequisite in enumerate(prerequisites):
        if prerequisite.flag == key:
            raise DocumentError(f"{field}.prerequisites[{index}].flag", "is the flag itself", value=key)
    return prerequisites


def _temporary(content: Mapping[str, Any], field: str) -> bool:
    lifetime = content.get("lifetime", "permanent")
    if lifetime not in ("permanent", "temporary"):
        raise DocumentError(f"{field}.lifetime", "is unknown", value=lifetime, expected="permanent or temporary")
    return bool(lifetime == "temporary")


def _expires(content: Mapping[str, Any], field: str) -> str:
    if "expires" not in content:
        return ""
    expires = fields.text(content["expires"], f"{field}.expires", limit=10)
    if content.get("lifetime") != "temporary":
        raise DocumentError(f"{field}.expires", "is set for a permanent flag", expected="lifetime: temporary beside it")
    from datetime import date  # noqa: PLC0415 - few flags have a day to go by

    try:
        return date.fromisoformat(expires).isoformat()
    except ValueError as error:
        expected = "a day such as 2027-01-31"
        raise DocumentError(f"{field}.expires", "is not a date", value=expires, expected=expected) from error


def _metadata(value: Any, field: str) -> dict[str, Scalar]:
    content = fields.object_of(value, field, limit=MAX_METADATA)
    return {fields.name(name, field): _scalar(inner, f"{field}.{name}") for name, inner in content.items()}


def _scalar(value: Any, field: str) -> Scalar:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return fields.text(value, field, limit=MAX_DESCRIPTION)
    return fields.number(value, field)


def _description(content: Mapping[str, Any], field: str) -> str:
    return fields.text(content.get("description", ""), f"{field}.description", limit=MAX_DESCRIPTION)


def _variants(value: Any, field: str) -> dict[str, Any]:
    content = fields.object_of(value, field, limit=MAX_VARIANTS)
    if len(content) < 2:
        raise DocumentError(field, "are too few", value=value, expected="at least an on and an off variant")
    variants = {
        fields.name(name, field): fields.json_value(inner, f"{field}.{name}") for name, inner in content.items()
    }
    return _one_kind(variants, field)


def _one_kind(variants: dict[str, Any], field: str) -> dict[str, Any]:
    kinds = {_kind(value) for value in variants.values()}
    if len(kinds) > 1:
        raise DocumentError(field, f"are of several types ({', '.join(sorted(kinds))})", expected="one type")
    return variants


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "text"
    return "object" if isinstance(value, (dict, list)) else "number"


def _on_variant(content: Mapping[str, Any], variants: Mapping[str, Any], off: str, field: str) -> str:
    """Take the variant that a percentage serves; of two variants it is the one that is not off."""
    field = f"{field}.onVariant"
    others = [name for name in variants if name != off]
    if "onVariant" not in content and len(others) > 1:
        raise DocumentError(field, "is missing", expected=f"one of {', '.join(others)}")
    on = variant_of(content.get("onVariant", others[0]), variants, field)
    if on == off:
        raise DocumentError(field, "is the off variant", value=on, expected=f"one of {', '.join(others)}")
    return on


def _rollout(value: Any, variants: Mapping[str, Any], field: str) -> Rollout:
    content = fields.fields(value, field, ("percentage", "split", "domains"))
    if "percentage" in content and "split" in content:
        raise DocumentError(field, "has both percentage and split", expected="one of them")
    if "percentage" not in content and "split" not in content:
        raise DocumentError(f"{field}.percentage", "is missing", expected="a percentage, or a split in its place")
    domains = fields.object_of(content.get("domains", {}), f"{field}.domains", limit=MAX_DOMAINS)
    return Rollout(
        weight=weight_of(content["percentage"], f"{field}.percentage") if "percentage" in content else 0,
        domains={
            fields.name(domain, f"{field}.domains"): weight_of(percentage, f"{field}.domains.{domain}")
            for domain, percentage in domains.items()
        },
        split=parse_split(content["split"], variants, f"{field}.split") if "split" in content else (),
    )


def _tags(value: Any, field: str) -> tuple[str, ...]:
    tags = fields.list_of(value, field, limit=MAX_TAGS)
    names = tuple(fields.name(tag, f"{field}[{index}]") for index, tag in enumerate(tags))
    if len(set(names)) < len(names):
        raise DocumentError(field, "name a tag twice", value=value)
    return names


def _hold(value: Any, field: str) -> Hold:
    content = fields.fields(value, field, ("by", "reason", "receipt"), required=("by", "reason"))
    texts = {name: fields.text(text, f"{field}.{name}", limit=MAX_DESCRIPTION) for name, text in content.items()}
    return Hold(**texts)


def _rollout_document(rollout: Rollout | None) -> dict[str, Any] | None:
    if rollout is None:
        return None
    document: dict[str, Any] = {"percentage": percentage_of(rollout.weight)}
    if rollout.split:
        document = {"split": split_document(rollout.split)}
    if rollout.domains:
        document["domains"] = {domain: percentage_of(weight) for domain, weight in rollout.domains.items()}
    return document


def _hold_document(hold: Hold | None) -> dict[str, str] | None:
    if hold is None:
        return None
    document = {"by": hold.by, "reason": hold.reason}
    return {**document, "receipt": hold.receipt} if hold.receipt else document
