"""Reads one YAML document of plain values from PyYAML's events, checking every limit before anything recurses.

libyaml's own composer recurses in C and crashes the process on 60 KB of `[`; its event parser does not. A plain word is
taken for something other than text only where YAML 1.1 and 1.2 agree on it, so `no`, `on`, `12:30:00`, `1e3` and dates
stay text. What the values mean is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from foundation.errors import DocumentError, shorten
from foundation.lateimports import LATE
from foundation.limits import DEFAULT, Limits, check_unicode, checked_text, finite, too_deep, too_many


def read_yaml(data: str | bytes, limits: Limits = DEFAULT) -> Any:
    """Read one YAML document of plain values; tags, duplicate keys, keys that are not text and merges are refused.

    Raises:
        DocumentError: the text is not such a document, or passes a limit; names the line where it is known.
    """
    return _Builder(_events(checked_text(data, limits)), limits).document()


def _events(text: str) -> Iterator[Any]:
    with LATE:
        import yaml  # noqa: PLC0415 - a process that never meets YAML does not load it

    try:
        yield from yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise DocumentError("", f"is not YAML: {line}{error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise DocumentError("", f"is not YAML: {' '.join(str(error).split())}") from error


@dataclass(frozen=True, slots=True)
class _Path:
    """Where a value stands; spelled out only for an error, since a long key above many values would cost dearly."""

    parent: _Path | None
    step: str

    def __str__(self) -> str:
        steps: list[str] = []
        path: _Path | None = self
        while path is not None:
            steps.append(path.step if len(path.step) <= 60 else shorten(path.step))
            path = path.parent
        return "".join(reversed(steps)).removeprefix(".")


@dataclass(frozen=True, slots=True)
class _Node:
    """A built value with what it costs where it stands, and again at each alias of it."""

    value: Any
    nodes: int = 1
    height: int = 1


class _Builder:
    """Builds the value of one document from its events; recursion is bounded by the limit on depth."""

    def __init__(self, events: Iterator[Any], limits: Limits) -> None:
        self._events = events
        self._limits = limits
        self._nodes = 0
        self._anchors: dict[str, _Node | None] = {}

    def document(self) -> Any:
        value = None
        documents = 0
        for event in self._events:
            if _kind(event) == "DocumentStartEvent":
                documents += 1
                if documents > 1:
                    raise _error(event, "starts a second document", expected="one document")
                value = self._node(next(self._events), None, 1).value
        return value

    def _node(self, event: Any, path: _Path | None, depth: int) -> _Node:
        kind = _kind(event)
        if kind == "AliasEvent":
            return self._alias(event, path, depth)
        if event.tag is not None:
            raise _error(event, "has a tag", path, value=event.tag, expected="plain values without tags")
        self._spend(event, 1, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        node = self._plain(event, kind, path, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _plain(self, event: Any, kind: str, path: _Path | None, depth: int) -> _Node:
        if kind == "ScalarEvent":
            return _Node(_scalar(event, path))
        before = self._nodes
        value, height = (self._mapping if kind == "MappingStartEvent" else self._sequence)(path, depth)
        return _Node(value, self._nodes - before + 1, height + 1)

    def _alias(self, event: Any, path: _Path | None, depth: int) -> _Node:
        if event.anchor not in self._anchors:
            raise _error(event, "names an anchor that does not exist", path, value=f"*{event.anchor}")
        node = self._anchors[event.anchor]
        if node is None:
            raise _error(event, "contains itself", path, value=f"*{event.anchor}")
        self._spend(event, node.nodes, depth + node.height - 1)
        return node

    def _sequence(self, path: _Path | None, depth: int) -> tuple[list[Any], int]:
        items: list[Any] = []
        height = 0
        while _kind(event := next(self._events)) != "SequenceEndEvent":
            node = self._node(event, _Path(path, f"[{len(items)}]"), depth + 1)
            items.append(node.value)
            height = max(height, node.height)
        return items, height

    def _mapping(self, path: _Path | None, depth: int) -> tuple[dict[str, Any], int]:
        items: dict[str, Any] = {}
        height = 0
        while _kind(event := next(self._events)) != "MappingEndEvent":
            key = self._key(event, path, depth + 1)
            inner = _Path(path, f".{key}")
            if key in items:
                raise _error(event, "appears twice in one mapping", inner)
            node = self._node(next(self._events), inner, depth + 1)
            items[key] = node.value
            height = max(height, node.height)
        return items, height

    def _key(self, event: Any, path: _Path | None, depth: int) -> str:
        kind = _kind(event)
        if kind not in {"ScalarEvent", "AliasEvent"}:
            raise _error(event, "has a key that is not text", path)
        if kind == "ScalarEvent" and event.value == "<<" and event.implicit[0]:
            raise _error(event, "has a merge key", path, expected="the values themselves")
        key = self._node(event, path, depth).value
        if not isinstance(key, str):
            raise _error(event, "has a key that is not text", path, value=key, expected="quotes around it")
        return key

    def _spend(self, event: Any, nodes: int, depth: int) -> None:
        self._nodes += nodes
        if depth > self._limits.max_depth:
            raise too_deep(self._limits, _line(event))
        if self._nodes > self._limits.max_nodes:
            raise too_many(self._limits, _line(event))


_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FRACTION = re.compile(r"(?:[-+]?[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+][0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


def _scalar(event: Any, path: _Path | None) -> Any:
    text: str = event.value
    plain = event.implicit[0]
    if plain and text in _WORDS:
        return _WORDS[text]
    try:
        if plain and (number := _number(text)) is not None:
            return number
        check_unicode(text)
    except ValueError as error:
        raise _error(event, str(error), path) from error
    return text


def _number(text: str) -> float | None:
    if _INTEGER.fullmatch(text):
        return int(text)
    if _HEXADECIMAL.fullmatch(text):
        return int(text, 16)
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"holds {text}, which is not a JSON number")
    return finite(text) if _FRACTION.fullmatch(text) else None


def _kind(event: Any) -> str:
    return type(event).__name__


def _line(event: Any) -> str:
    return f"line {event.start_mark.line + 1}: "


def _error(
    event: Any, problem: str, path: _Path | None = None, *, value: Any = ..., expected: str = ""
) -> DocumentError:
    return DocumentError(str(path or ""), f"{_line(event)}{problem}", value=value, expected=expected)
