"""The checks that every document of this floor is read with: each refusal names the field and what would be right.

Knows the shapes of values (text, list, object, number) and nothing of what a flag is.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

from foundation.errors import DocumentError

MAX_NUMBER = 2**53 - 1
"""Numbers beyond this lose digits in some readers of JSON, so none is taken."""

MAX_DEPTH = 16
MAX_NODES = 10_000
MAX_TEXT = 10_000
MAX_KEY = 200
"""Bounds of a variant's value: levels of nesting, values in all, characters of a text and of an object's key."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SHORT = 64

NAME_RULE = "1 to 100 letters, digits, '.', '_' or '-', starting with a letter or digit"


def fields(value: Any, field: str, known: Collection[str], required: Collection[str] = ()) -> Mapping[str, Any]:
    """Take an object that has every required field and none but known ones."""
    mapping: Mapping[str, Any] = value if type(value) is dict else object_of(value, field)
    for name in mapping:
        if name not in known:
            unknown = f"{field}.{next(iter(object_of({name: None}, field)))[:MAX_KEY]}".removeprefix(".")
            raise DocumentError(unknown, "is not a known field", expected=f"one of {', '.join(known)}")
    for name in required:
        if name not in mapping:
            raise DocumentError(f"{field}.{name}".removeprefix("."), "is missing")
    return mapping


def object_of(value: Any, field: str, *, limit: int | None = None) -> Mapping[str, Any]:
    """Take an object whose keys are texts, of at most `limit` entries."""
    if type(value) is not dict and not isinstance(value, Mapping):
        raise DocumentError(field, "is not an object", value=value, expected="an object")
    if limit is not None and len(value) > limit:
        raise DocumentError(field, f"has {len(value):,} entries", expected=f"at most {limit:,}")
    for name in value:
        if not isinstance(name, str):
            raise DocumentError(field, "has a key that is not text", value=name, expected="quotes around it")
    return value


def list_of(value: Any, field: str, *, limit: int, least: int = 0) -> list[Any]:
    """Take a list of `least` to `limit` entries."""
    if not isinstance(value, list):
        raise DocumentError(field, "is not a list", value=value, expected="a list")
    if not least <= len(value) <= limit:
        raise DocumentError(field, f"has {len(value):,} entries", expected=f"{least} to {limit:,}")
    return value


def boolean(value: Any, field: str) -> bool:
    """Take true or false."""
    if not isinstance(value, bool):
        raise DocumentError(field, "is not a boolean", value=value, expected="true or false")
    return value


def text(value: Any, field: str, *, limit: int, least: int = 0) -> str:
    """Take a text of `least` to `limit` characters that UTF-8 can carry."""
    if not isinstance(value, str):
        raise DocumentError(field, "is not text", value=value, expected="text (quote it)")
    if not least <= len(value) <= limit:
        raise DocumentError(field, f"has {len(value):,} characters", expected=f"{least} to {limit:,}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise DocumentError(field, "holds half of a surrogate pair", value=value) from error
    return _kept(str(value))


def name(value: Any, field: str) -> str:
    """Take a name of a variant, a domain or a tag."""
    if not (isinstance(value, str) and _is_name(value)):
        raise DocumentError(field, "is not a valid name", value=value, expected=NAME_RULE)
    return _kept(str(value))


def number(value: Any, field: str) -> int | float:
    """Take a number that every reader of JSON keeps exactly; a whole one comes out as int."""
    if type(value) is int and -MAX_NUMBER <= value <= MAX_NUMBER:
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise DocumentError(field, "is not a number", value=value, expected="a number")
    if not -MAX_NUMBER <= value <= MAX_NUMBER:  # refuses NaN too
        raise DocumentError(field, "is out of range", value=value, expected=f"-{MAX_NUMBER} to {MAX_NUMBER}")
    return int(value) if value == int(value) else float(value)


def json_value(value: Any, field: str) -> Any:
    """Take a copy of any JSON value but null, within the bounds of this module."""
    if value is None:
        raise DocumentError(field, "is null", expected="a value")
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return text(value, field, limit=MAX_TEXT)
    return _Copier(MAX_NODES).copy(value, field, MAX_DEPTH)


def _kept(text: str) -> str:
    """Keep one copy of a short text: the same words stand in thousands of flags."""
    return sys.intern(text) if len(text) <= _SHORT else text


@lru_cache(maxsize=4_096)
def _is_name(text: str) -> bool:
    return NAME.fullmatch(text) is not None


class _Copier:
    """Copies one value, counting what it meets, so that a small document with shared parts can't grow without end."""

    def __init__(self, budget: int) -> None:
        self._budget = budget

    def copy(self, value: Any, field: str, depth: int) -> Any:
        self._budget -= 1
        if self._budget < 0 or depth < 0:
            raise DocumentError(field, "is too large", expected=f"at most {MAX_NODES:,} values, {MAX_DEPTH} deep")
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return text(value, field, limit=MAX_TEXT)
        if isinstance(value, Mapping):
            return {
                text(key, field, limit=MAX_KEY): self.copy(inner, f"{field}.{key}", depth - 1)
                for key, inner in object_of(value, field).items()
            }
        if isinstance(value, list):
            return [self.copy(inner, f"{field}[{index}]", depth - 1) for index, inner in enumerate(value)]
        return number(value, field)
