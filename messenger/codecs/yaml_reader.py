"""Reads YAML: what keeps to our dialect by rapidyaml, everything else by the guarded reader of `foundation.documents`.

rapidyaml follows rules of its own about what a plain word means, leaves aliases and tags as text, and takes duplicate
keys and some crooked indentation as they come. It is never asked about any of that: a body that leaves the dialect in a
single character goes the other way. See docs/decisions/0004-yaml-path.md.
"""

from __future__ import annotations

import json
from typing import Any

import ryml

from foundation.documents import read_yaml
from foundation.errors import DocumentError
from messenger.codecs import json_codec, yaml_writer
from messenger.codecs.values import count
from messenger.codecs.yaml_dialect import dialect
from messenger.errors import DecodeFailed

_BLANKS_FIRST = b'"  '


def read(body: bytes) -> Any:
    """Read one YAML document of plain values.

    Raises:
        DecodeFailed: it is not that, or has duplicate keys or tags, or was not written here and passes the limits of
            `foundation.documents`, which are narrower than the codec's own.
    """
    if dialect().fullmatch(body) is not None:
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
    try:
        # Room for all nodes from the start: a tree that grows as it is built takes a third longer.
        tree = ryml.Tree(body.count(b"\n") * 5 // 4 + 8, len(body) + 16)
        ryml.parse_csubstr(body, tree)
        text = _as_json(tree, len(body))
        document = _loads(text)
    except (ryml.ExceptionBasic, ValueError) as error:
        raise _Declined from error
    # Each node of the tree became a value, unless two keys were the same.
    if count(document) != tree.size():
        raise _Declined
    # Where a line is indented too far, rapidyaml takes the surplus for the beginning of its key.
    if _BLANKS_FIRST in text and yaml_writer.write(document) != body:
        raise _Declined
    return document


def _as_json(tree: Any, expected: int) -> bytes:
    # Into a buffer of ours: rapidyaml's own result ends at the first NUL, and takes it twice as long.
    root = tree.root_id()
    buffer = bytearray(2 * expected + 64)
    failed, size = ryml.emit_json_to_substr(tree, root, buffer)
    if failed:
        buffer = bytearray(size)
        _, size = ryml.emit_json_to_substr(tree, root, buffer)
    return bytes(memoryview(buffer)[:size])


def _loads(text: bytes) -> Any:
    try:
        return json_codec.loads(text)
    except json.JSONDecodeError:
        # rapidyaml writes control characters as they are.
        return json_codec.loads_exactly(text, strict=False)
