"""What two sets of documents differ in: which items were added, removed and changed, and each field that differs.

Made on plain documents, as `flags.documents` writes them, under the keys that a store keeps them by; knows nothing of
what a document means, so it compares whatever an environment holds. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile
from typing import Any, Final

ABSENT: Final[Any] = object()
"""Stands for a field that is not there; None is a value of its own."""

Document = Mapping[str, Any]


class Kind(StrEnum):
    """What became of an item."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """One field that differs: its path, as in `rules[1].serve`, and its value before and after; ABSENT where it is not.

    Of what was taken out of a list, the path says where it stood before; of all else, where it stands after.
    """

    path: str
    before: Any
    after: Any

    @property
    def added(self) -> bool:
        """Tell whether the field was not there before."""
        return self.before is ABSENT

    @property
    def removed(self) -> bool:
        """Tell whether the field is not there any more."""
        return self.after is ABSENT


@dataclass(frozen=True, slots=True)
class ItemDifference:
    """One item that differs, with its fields in the order of the documents."""

    key: str
    kind: Kind
    fields: tuple[FieldDifference, ...]


def difference(before: Mapping[str, Document], after: Mapping[str, Document]) -> list[ItemDifference]:
    """Compare two sets of documents by their keys; items come in the order of their keys, equal ones not at all."""
    compared = (_item(key, before.get(key), after.get(key)) for key in sorted({*before, *after}))
    return [item for item in compared if item.fields or item.kind is not Kind.CHANGED]


def field_differences(before: Document | None, after: Document | None) -> list[FieldDifference]:
    """Compare two documents, of which None has no fields.

    Objects are compared inside, and lists of objects entry by entry; other lists, such as tags, as a whole.
    """
    return list(_walk("", before or {}, after or {}))


def same(before: Any, after: Any) -> bool:
    """Compare two JSON values as a store would: to Python true equals 1, to a store 1.0 does and true does not."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return before.keys() == after.keys() and all(same(value, after[key]) for key, value in before.items())
    if _is_list(before) and _is_list(after):
        return len(before) == len(after) and all(map(same, before, after))
    return isinstance(before, bool) == isinstance(after, bool) and bool(before == after)


def _item(key: str, before: Document | None, after: Document | None) -> ItemDifference:
    kind = Kind.ADDED if before is None else Kind.REMOVED if after is None else Kind.CHANGED
    return ItemDifference(key, kind, tuple(field_differences(before, after)))


def _walk(path: str, before: Any, after: Any) -> Iterator[FieldDifference]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in [*before, *(key for key in after if key not in before)]:
            inner = f"{path}.{key}" if path else str(key)
            yield from _walk(inner, before.get(key, ABSENT), after.get(key, ABSENT))
    elif _is_list(before) and _is_list(after) and _holds_objects([*before, *after]):
        yield from _walk_list(path, before, after)
    elif not same(before, after):
        yield FieldDifference(path, before, after)


def _walk_list(path: str, before: Sequence[Any], after: Sequence[Any]) -> Iterator[FieldDifference]:
    """Leave out what both lists begin and end with, so that a rule put in front does not make all others differ."""
    start = _alike(before, after)
    end = _alike(before[start:][::-1], after[start:][::-1])
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    if len(old) == len(new):
        for index, (was, becomes) in enumerate(zip(old, new, strict=True), start):
            yield from _walk(f"{path}[{index}]", was, becomes)
        return
    yield from (FieldDifference(f"{path}[{index}]", was, ABSENT) for index, was in enumerate(old, start))
    yield from (FieldDifference(f"{path}[{index}]", ABSENT, becomes) for index, becomes in enumerate(new, start))


def _alike(before: Sequence[Any], after: Sequence[Any]) -> int:
    return sum(1 for _ in takewhile(lambda pair: same(*pair), zip(before, after, strict=False)))


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _holds_objects(values: Sequence[Any]) -> bool:
    return bool(values) and all(isinstance(value, Mapping) for value in values)
