"""Reads YAML: what keeps to our dialect by rapidyaml, everything else by the guarded reader of `foundation.documents`.

rapidyaml follows rules of its own about what a plain word means, leaves aliases and tags as text, and takes duplicate
keys and some crooked indentation as they come. It is never asked about any of that: a body that leaves the dialect in a
single character goes the other way. See docs/decisions/0004-yaml-path.md.
"""

from __future__ import annotations

from typing import Any

import orjson
import ryml

from foundation.documents import read_yaml
from foundation.errors import DocumentError
from messenger.codecs import json_codec, yaml_writer
from messenger.codecs.values import count
from messenger.codecs.yaml_dialect import END, keeps_to_dialect
from messenger.errors import DecodeFailed

_ROOT = 0
_BLANKS_FIRST = b'"  '
_END = f"\n{END}".rstrip().encode()


def read(body: bytes) -> Any:
    """Read one YAML document of plain values.

    Raises:
        DecodeFailed: it is not that, or has duplicate keys or tags, or lacks its end mark; or it was not written here
            and passes the limits of `foundation.documents`, which are narrower than the codec's own.
    """
    if not body.rstrip().endswith(_END):
        raise DecodeFailed("the body is cut short: its last line is not the end mark '...'")
    if keeps_to_dialect(body):
        try:
            return _read_dialect(body)
        except _Declined:
            pass  # the guarded reader reads it, or says what is wrong with it and where
    try:
        return read_yaml(body)
    except DocumentError as error:
        raise DecodeFailed(str(error)) from error


class _Declined(Exception):
    """The fast reader would not answer for this body."""


def _read_dialect(body: bytes) -> Any:
    text = body[: -len(END)]
    try:
        # Room for all nodes from the start: a tree that grows as it is built takes a third longer.
        tree = ryml.Tree(text.count(b"\n") * 5 // 4 + 8, len(text) + 16)
        ryml.parse_csubstr(text, tree)
        json = _as_json(tree, 2 * len(text) + 64)
        document = _loads(json, exactly=json_codec.may_hold_long_number(text))
    except (ryml.ExceptionBasic, ValueError) as error:
        raise _Declined from error
    # Each node of the tree became a value, unless two keys were the same.
    if count(document) != tree.size():
        raise _Declined
    # Where a line is indented too far, rapidyaml takes the surplus for the beginning of its key.
    if _BLANKS_FIRST in json and yaml_writer.write(document) != body:
        raise _Declined
    return document


def _as_json(tree: Any, room: int) -> bytearray:
    # Into a buffer of ours: rapidyaml's own result ends at the first NUL, and takes it twice as long.
    buffer = bytearray(room)
    failed, size = ryml.emit_json_to_substr(tree, _ROOT, buffer)
    if failed:
        return _as_json(tree, size)
    del buffer[size:]
    return buffer


def _loads(json: bytearray, *, exactly: bool) -> Any:
    if not exactly:
        try:
            return orjson.loads(json)
        except orjson.JSONDecodeError:
            pass  # rapidyaml writes control characters as they are, which the next line puts up with
    return json_codec.loads_exactly(json, strict=False)
