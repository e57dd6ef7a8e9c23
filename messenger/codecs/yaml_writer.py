"""Writes the dialect of `yaml_dialect`, for machines to read fast and for people to read without surprise."""

from __future__ import annotations

import re
from json.encoder import encode_basestring
from math import isfinite
from typing import Any, Final

from foundation.documents import DEFAULT
from messenger.codecs import json_codec
from messenger.codecs.values import MAX_DEPTH, refuse_unless_carried
from messenger.codecs.yaml_dialect import END, TAKEN, keeps_to_dialect
from messenger.errors import EncodeFailed

_DEEPEST: Final = MAX_DEPTH - 2
"""The level of the innermost container that holds something, counted from 0; its values stand one level deeper."""

_READ_BY_ANYONE: Final = min(DEFAULT.max_bytes, 2 * DEFAULT.max_nodes)
"""No body of so many bytes is too much for the guarded reader: each value takes two at least."""

_LONGEST_KEY = 1000
"""YAML looks for the colon within 1,024 characters; behind a longer key it stands on a line of its own."""

# What JSON leaves as it is and some reader of YAML refuses, or takes for the end of a line.
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def write(document: Any) -> bytes:
    """Write a value as YAML; raises EncodeFailed with the field that can't be carried."""
    body = _write_carefully(document)
    if len(body) > _READ_BY_ANYONE and not keeps_to_dialect(body):
        raise EncodeFailed("keys that only the slow reader takes, in a message that is too large for it")
    return body


def _write_carefully(document: Any) -> bytes:
    try:
        try:
            return _write(document)
        except _Unusual:
            # JSON decides what such a value is worth, so both codecs carry the same and say the same of the rest.
            return _write(json_codec.read(json_codec.write(document)))
    except ValueError as error:  # half a surrogate pair, or an integer of more digits than Python writes
        refuse_unless_carried(document)
        raise EncodeFailed(str(error)) from error


class _Unusual(Exception):
    """Something that is not written here: a tuple, a stranger, NaN, a key that is no text, a level too many."""


class _Names(dict[str, str]):
    """Keys as they are written in one place, with what stands in front of them there; keys come again."""

    __slots__ = ("_start",)

    def __init__(self, start: str) -> None:
        self._start = start

    def __missing__(self, key: Any) -> str:
        if not isinstance(key, str):
            raise _Unusual
        text = _text(key)
        if len(text) > _LONGEST_KEY:
            return f"{self._start}? {text}\n{' ' * (len(self._start) - 1)}: "
        name = f"{self._start}{text}: "
        if len(self) < 512 and len(key) < 64:  # the keys of a payload may be data, of which there is no end
            self[key] = name
        return name


_STARTS = ["\n" + "  " * level for level in range(MAX_DEPTH)]
_DASHES = [start + "- " for start in _STARTS]
_NAMES = [_Names(start) for start in _STARTS]
_FIRST_NAMES = [_Names(dash) for dash in _DASHES]
"""For the first key of a mapping that is an item of a sequence at this level: it stands behind the item's dash."""


def _write(document: Any) -> bytes:
    parts: list[str] = []
    if type(document) is dict and document:
        _mapping(document, 0, parts, _NAMES[0])
    elif type(document) is list and document:
        _sequence(document, 0, parts)
    else:
        parts.append(_scalar(document))
    parts.append("\n" + END)
    return "".join(parts).removeprefix("\n").encode()


def _mapping(mapping: dict[str, Any], level: int, parts: list[str], first: _Names) -> None:
    # The hottest loop of this floor, so the commonest kinds of values are written out, and so is `_text`.
    if level > _DEEPEST:
        raise _Unusual
    names, others, put = first, _NAMES[level], parts.append
    for key, value in mapping.items():
        name, names = names[key], others
        kind = type(value)
        if kind is str:
            put(name)
            put(value if value.isidentifier() and value.isascii() and value not in TAKEN else _quoted(value))
        elif kind is int:
            put(name)
            put(repr(value))
        elif kind is dict and value:
            put(name[:-1])
            _mapping(value, level + 1, parts, _NAMES[level + 1])
        elif kind is list and value:
            put(name[:-1])
            _sequence(value, level + 1, parts)
        else:
            put(name)
            put(_scalar(value))


def _sequence(items: list[Any], level: int, parts: list[str]) -> None:
    if level > _DEEPEST:
        raise _Unusual
    dash, names, put = _DASHES[level], _FIRST_NAMES[level], parts.append
    for value in items:
        kind = type(value)
        if kind is dict and value:
            _mapping(value, level + 1, parts, names)
        elif kind is list and value:
            at = len(parts)
            _sequence(value, level + 1, parts)
            # Its first line goes behind the dash, where that line's indentation would have been.
            parts[at] = dash + parts[at][len(dash) :]
        else:
            put(dash)
            put(_text(value) if kind is str else _scalar(value))


_CONSTANTS = {None: "null", True: "true", False: "false"}


def _scalar(value: Any) -> str:
    kind = type(value)
    if value is None or kind is bool:
        return _CONSTANTS[value]
    if kind is float:
        return _float(value)
    if kind is int:
        return repr(value)
    if kind is str:
        return _text(value)
    if kind is dict or kind is list:  # an empty one: what holds something is written line by line
        return "{}" if kind is dict else "[]"
    raise _Unusual


def _float(value: float) -> str:
    text = repr(value)
    if "." in text:
        return text
    if not isfinite(value):
        raise _Unusual
    # YAML 1.1 knows a float by its point, which Python leaves out of 1e+16.
    return text.replace("e", ".0e")


def _text(text: str) -> str:
    return text if text.isidentifier() and text.isascii() and text not in TAKEN else _quoted(text)


def _quoted(text: str) -> str:
    quoted = encode_basestring(text)
    return quoted if text.isprintable() else _UNPRINTABLE.sub(_escape, quoted)


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
