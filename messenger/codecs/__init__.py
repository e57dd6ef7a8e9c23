"""Objects to bytes and back, by content type: what one codec carries every codec carries, and means the same in each.

Knows nothing of envelopes, frames, compression or queues.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from messenger.codecs import json_codec, yaml_reader, yaml_writer
from messenger.codecs.values import MAX_DEPTH
from messenger.errors import BodyTooLarge, CodecUnknown
from messenger.formats import JSON, YAML

__all__ = ["MAX_BODY_BYTES", "MAX_DEPTH", "decode", "encode"]

MAX_BODY_BYTES = 4_194_304
"""The most bytes that a body may have before compression."""


class Codec(NamedTuple):
    """How one content type is written and read."""

    write: Callable[[Any], bytes]
    read: Callable[[bytes], Any]


CODECS: Mapping[str, Codec] = {
    JSON: Codec(json_codec.write, json_codec.read),
    YAML: Codec(yaml_writer.write, yaml_reader.read),
}


def encode(content_type: str, document: Any) -> bytes:
    """Write a JSON value.

    Raises:
        CodecUnknown: no codec has this content type.
        EncodeFailed: the value holds something that no codec can carry, or is nested deeper than MAX_DEPTH levels.
        BodyTooLarge: it takes more than MAX_BODY_BYTES; in another codec it may take less.
    """
    return _checked(_codec(content_type).write(document))


def decode(content_type: str, body: bytes) -> Any:
    """Read what `encode` wrote, or what someone else wrote in that content type.

    Raises:
        CodecUnknown: no codec has this content type.
        DecodeFailed: the body is not of this content type, or holds what no codec can carry.
        BodyTooLarge: it has more than MAX_BODY_BYTES.
    """
    return _codec(content_type).read(_checked(body))


def _codec(content_type: str) -> Codec:
    codec = CODECS.get(content_type)
    if codec is None:
        raise CodecUnknown(f"content type {content_type!r} is not known")
    return codec


def _checked(body: bytes) -> bytes:
    if len(body) > MAX_BODY_BYTES:
        raise BodyTooLarge(f"the body has {len(body):,} bytes; at most {MAX_BODY_BYTES:,} are allowed")
    return body
