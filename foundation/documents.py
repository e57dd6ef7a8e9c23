"""Reading JSON and YAML from people and from the network, in bounded time and memory; writing YAML for people.

This module owns JSON and is the door to the YAML reader and writer beside it. Knows nothing of flags or messages.
"""

from __future__ import annotations

import json
from typing import Any

from foundation.errors import DocumentError, shorten
from foundation.limits import DEFAULT, Limits, check_unicode, checked_text, finite, too_deep, too_many
from foundation.yamlreader import read_yaml
from foundation.yamlwriter import write_yaml

__all__ = ["DEFAULT", "Limits", "read_json", "read_yaml", "write_yaml"]


def read_json(data: str | bytes, limits: Limits = DEFAULT) -> Any:
    """Read a JSON value; duplicate keys, NaN and infinity are refused.

    Raises:
        DocumentError: the text is not JSON, or passes a limit.
    """
    text = checked_text(data, limits)
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant, parse_float=finite)
        _check_size(value, limits)
    except json.JSONDecodeError as error:
        raise DocumentError("", f"is not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise too_deep(limits) from error
    except ValueError as error:  # a number or a text that can't be carried any further
        raise DocumentError("", str(error)) from error
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise DocumentError(shorten(twice)[1:-1], "appears twice in one object")
    return result


def _refuse_constant(name: str) -> Any:
    raise DocumentError("", f"holds {name}, which is not a JSON number")


def _check_size(root: Any, limits: Limits) -> None:
    level, nodes = [root], 0
    for _ in range(limits.max_depth):
        nodes += len(level)
        if nodes > limits.max_nodes:
            raise too_many(limits)
        level = [child for value in level for child in _children(value)]
        if not level:
            return
    raise too_deep(limits)


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    if isinstance(value, str):
        check_unicode(value)
    return value if isinstance(value, list) else []
