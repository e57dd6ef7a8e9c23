"""What a write changed, field by field: the difference of two flag documents, for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ABSENT: Any = object()
"""Stands for a field that is not there; None is a value of its own."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that differs: its path with dots, and its value before and after; ABSENT where it is not there."""

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


def differences(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[Difference]:
    """Compare two documents; objects are compared inside, lists and everything else as a whole."""
    return list(_walk("", before or {}, after or {}))


def _walk(path: str, before: Any, after: Any) -> Iterator[Difference]:
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        if before is ABSENT or after is ABSENT or type(before) is not type(after) or before != after:
            yield Difference(path, before, after)
        return
    for key in [*before, *(key for key in after if key not in before)]:
        inner = f"{path}.{key}" if path else str(key)
        yield from _walk(inner, before.get(key, ABSENT), after.get(key, ABSENT))
