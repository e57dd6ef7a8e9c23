"""Bodies, smaller: bytes to bytes. Knows nothing of what they mean."""

from __future__ import annotations

import zlib

from messenger.errors import BodyTooLarge, CodecUnknown, DecodeFailed
from messenger.formats import GZIP, IDENTITY

GZIP_ABOVE = 1_000
"""The seed's threshold, applied to the frame's body after batching: shorter ones gain nothing."""

_LEVEL = 1
_GZIP_WINDOW = 31


def compress(encoding: str, body: bytes) -> tuple[str, bytes]:
    """Compress a body where that is asked for and worth it; answers with the encoding that it then has."""
    if encoding == GZIP and len(body) > GZIP_ABOVE:
        packer = zlib.compressobj(_LEVEL, wbits=_GZIP_WINDOW)
        return GZIP, packer.compress(body) + packer.flush()
    if encoding not in {IDENTITY, GZIP}:
        raise CodecUnknown(f"content encoding {encoding!r} is not known")
    return IDENTITY, body


def decompress(encoding: str, body: bytes, limit: int) -> bytes:
    """Undo `compress`, giving up as soon as the result passes `limit` bytes.

    Raises:
        CodecUnknown: the encoding is not known.
        DecodeFailed: the body is not what the encoding says, is cut short, or has something behind it.
        BodyTooLarge: it is, or unpacks to, more than the limit.
    """
    if encoding == IDENTITY:
        result = body
    elif encoding == GZIP:
        result = _gunzip(body, limit)
    else:
        raise CodecUnknown(f"content encoding {encoding!r} is not known")
    if len(result) > limit:
        raise BodyTooLarge(f"the body is, or unpacks to, more than {limit:,} bytes")
    return result


def _gunzip(body: bytes, limit: int) -> bytes:
    unpacker = zlib.decompressobj(wbits=_GZIP_WINDOW)
    try:
        result = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise DecodeFailed(f"the body is not gzip: {error}") from error
    if len(result) <= limit and not unpacker.eof:
        raise DecodeFailed("the gzip body is cut short")
    if unpacker.unused_data:
        raise DecodeFailed("something stands behind the gzip body")
    return result
