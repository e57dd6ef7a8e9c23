"""How the difference of two sets of flags is shown: as JSON for the API and `--json`, and that again as text. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from flags.difference import FieldDifference, ItemDifference, Kind

Json = dict[str, Any]

_MARKS = {Kind.ADDED: "+", Kind.REMOVED: "-", Kind.CHANGED: "~"}


def difference_shape(items: Iterable[ItemDifference]) -> list[Json]:
    """Show what differs: of a field that is not there before, or after, that member is left out."""
    return [
        {"key": item.key, "change": item.kind.value, "fields": [_field_shape(field) for field in item.fields]}
        for item in items
    ]


def difference_lines(shape: Iterable[Mapping[str, Any]]) -> list[str]:
    """Say what differs, an item's line and one for each of its fields; what is removed needs no fields.

    The marks are those of diff: `+` added, `-` removed, `~` changed. No line holds a character that a terminal obeys.
    """
    lines = []
    for item in shape:
        kind = Kind(item["change"])
        lines.append(f"{_MARKS[kind]} {item['key']}")
        if kind is not Kind.REMOVED:
            lines += [f"    {_field_line(field)}" for field in item["fields"]]
    return lines


def difference_count(shape: Iterable[Mapping[str, Any]]) -> str:
    """Say how many items differ and how, as in `1 added, 2 changed`."""
    found = Counter(item["change"] for item in shape)
    return ", ".join(f"{found[kind]} {kind}" for kind in Kind if found[kind]) or "no difference"


def value_text(value: Any) -> str:
    """Show a JSON value on one line, with what a terminal or a browser would not show escaped."""
    return _printable(json.dumps(value, ensure_ascii=False))


def _field_shape(field: FieldDifference) -> Json:
    shape: Json = {"path": field.path}
    if not field.added:
        shape["before"] = field.before
    if not field.removed:
        shape["after"] = field.after
    return shape


def _field_line(field: Mapping[str, Any]) -> str:
    path = _printable(field["path"])
    if "before" not in field:
        return f"+ {path}: {value_text(field['after'])}"
    if "after" not in field:
        return f"- {path}: {value_text(field['before'])}"
    return f"{path}: {value_text(field['before'])} → {value_text(field['after'])}"


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else json.dumps(letter)[1:-1] for letter in text)
