"""What a codec can carry: JSON values of any size of number, nested no deeper than every reader can follow."""

from __future__ import annotations

import math
from typing import Any, NoReturn

from foundation.errors import shorten
from messenger.errors import EncodeFailed

MAX_DEPTH = 64
"""Levels of nesting, the values in the innermost container included; rapidyaml follows one more."""

_ALWAYS = frozenset({str, int, bool, type(None)})
_SCALARS = _ALWAYS | {float}


class TooDeep(ValueError):
    """The value is nested deeper than MAX_DEPTH levels."""

    def __init__(self, field: str = "") -> None:
        super().__init__(f"{shorten(field) if field else 'the value'} is nested deeper than {MAX_DEPTH} levels")


def count(value: Any, level: int = 1) -> int:
    """Count the values in a value, itself included; raises TooDeep."""
    if isinstance(value, dict):
        children: Any = value.values()
    elif isinstance(value, list | tuple):
        children = value
    else:
        return 1
    if level >= MAX_DEPTH and children:
        raise TooDeep
    nodes = 1 + len(children)
    for child in children:
        if type(child) not in _SCALARS:
            nodes += count(child, level + 1) - 1
    return nodes


def is_carried(value: Any, level: int = 1) -> bool:
    """Tell, fast, whether every codec can carry a value, by its types, floats and levels; keys are not looked at."""
    if isinstance(value, dict):
        children: Any = value.values()
    elif isinstance(value, list | tuple):
        children = value
    else:
        return isinstance(value, str | int) or value is None or (isinstance(value, float) and math.isfinite(value))
    if level >= MAX_DEPTH and children:
        return False
    for child in children:
        kind = type(child)
        if kind not in _ALWAYS and not (math.isfinite(child) if kind is float else is_carried(child, level + 1)):
            return False
    return True


def refuse_unless_carried(value: Any, field: str = "", level: int = 1) -> None:
    """Raise EncodeFailed, naming the field, where a value holds what no codec can carry.

    Slow: for what a codec has stumbled over.
    """
    if level > MAX_DEPTH:
        raise EncodeFailed(str(TooDeep(field)))
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                _refuse(field, f"the key {shorten(key)} is not text")
            path = f"{field}.{key}" if field else key
            _refuse_unless_whole(key, path)
            refuse_unless_carried(item, path, level + 1)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            refuse_unless_carried(item, f"{field}[{index}]", level + 1)
    elif isinstance(value, str):
        _refuse_unless_whole(value, field)
    else:
        _refuse_unless_number(value, field)


def _refuse(field: str, problem: str) -> NoReturn:
    raise EncodeFailed(f"{shorten(field) if field else 'message'}: {problem}")


def _refuse_unless_whole(text: str, field: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        _refuse(field, f"{shorten(text)} holds half of a surrogate pair")


def _refuse_unless_number(value: Any, field: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        _refuse(field, f"{value} is not a JSON number")
    if value is not None and not isinstance(value, bool | int | float):
        _refuse(field, f"a value of type {type(value).__name__} can't be carried")
