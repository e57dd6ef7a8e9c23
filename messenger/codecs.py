"""Objects to bytes and back, by content type. Knows nothing of envelopes, frames or queues."""

from __future__ import annotations

from typing import Any

import orjson

from foundation.documents import Limits, read_yaml, write_yaml
from foundation.errors import DocumentError
from messenger.errors import CodecUnknown, DecodeFailed, EncodeFailed
from messenger.formats import JSON, YAML

MAX_BODY_BYTES = 4_194_304


def encode(content_type: str, document: Any) -> bytes:
    """Write a JSON value as bytes."""
    if content_type == JSON:
        try:
            return orjson.dumps(document)
        except TypeError as error:
            raise EncodeFailed(str(error)) from error
    if content_type == YAML:
        return write_yaml(document).encode()
    raise CodecUnknown(f"content type {content_type!r} is not known")


def decode(content_type: str, body: bytes) -> Any:
    """Read bytes back."""
    if content_type == JSON:
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise DecodeFailed(str(error)) from error
    if content_type == YAML:
        try:
            return read_yaml(body, Limits(MAX_BODY_BYTES))
        except DocumentError as error:
            raise DecodeFailed(str(error)) from error
    raise CodecUnknown(f"content type {content_type!r} is not known")
