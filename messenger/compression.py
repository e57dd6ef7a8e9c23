"""Bodies, smaller: bytes to bytes. Knows nothing of what they mean.

Whatever a body says of itself, unpacking it takes no more memory than its limit and a few megabytes.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

from messenger.errors import BodyTooLarge, CodecUnknown, DecodeFailed
from messenger.formats import GZIP, IDENTITY, ZSTD

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

COMPRESSED_ABOVE = 1_000
"""The seed's threshold, applied to the frame's body after batching: shorter ones gain nothing."""

_LEVEL = 1
_GZIP_WINDOW = 31
# A checksum, as gzip has one: a body that was changed is refused and not read as something else.
_ZSTD_WRITE: Mapping[int, int] = {
    zstd.CompressionParameter.compression_level: _LEVEL,
    zstd.CompressionParameter.checksum_flag: 1,
}
# 8 MiB, what RFC 8878 asks of every reader: a header may ask for a window of terabytes.
_ZSTD_READ: Mapping[int, int] = {zstd.DecompressionParameter.window_log_max: 23}


def compress(encoding: str, body: bytes) -> tuple[str, bytes]:
    """Compress a body where that is asked for and worth it; answers with the encoding that it then has."""
    known = _known(encoding)
    if len(body) <= COMPRESSED_ABOVE:
        return IDENTITY, body
    return encoding, known.pack(body)


def decompress(encoding: str, body: bytes, limit: int) -> bytes:
    """Undo `compress`, giving up as soon as the result passes `limit` bytes.

    Raises:
        CodecUnknown: the encoding is not known.
        DecodeFailed: the body is not what the encoding says, is cut short, or has something behind it.
        BodyTooLarge: it is, or unpacks to, more than the limit.
    """
    result, left = _known(encoding).unpack(body, limit + 1)
    if len(result) > limit:
        raise BodyTooLarge(f"the body is, or unpacks to, more than {limit:,} bytes")
    if left is None:
        raise DecodeFailed(f"the {encoding} body is cut short")
    if left:
        raise DecodeFailed(f"something stands behind the {encoding} body")
    return result


def beginning(encoding: str, body: bytes, size: int) -> bytes:
    """Unpack the first `size` bytes, for people to look at; raises CodecUnknown and DecodeFailed as `decompress`."""
    return _known(encoding).unpack(body, size)[0][:size]


class _Encoding(NamedTuple):
    pack: Callable[[bytes], bytes]
    unpack: Callable[[bytes, int], tuple[bytes, bytes | None]]
    """Takes a body and the most bytes to unpack; answers with them and what stands behind, None before the end."""


def _known(encoding: str) -> _Encoding:
    if encoding not in _ENCODINGS:
        raise CodecUnknown(f"content encoding {encoding!r} is not known")
    return _ENCODINGS[encoding]


def _gzip(body: bytes) -> bytes:
    packer = zlib.compressobj(_LEVEL, wbits=_GZIP_WINDOW)
    return packer.compress(body) + packer.flush()


def _gunzip(body: bytes, most: int) -> tuple[bytes, bytes | None]:
    unpacker = zlib.decompressobj(wbits=_GZIP_WINDOW)
    try:
        result = unpacker.decompress(body, most)
    except zlib.error as error:
        raise DecodeFailed(f"the body is not gzip: {error}") from error
    return result, unpacker.unused_data if unpacker.eof else None


def _zstd(body: bytes) -> bytes:
    return zstd.compress(body, options=_ZSTD_WRITE)


def _unzstd(body: bytes, most: int) -> tuple[bytes, bytes | None]:
    unpacker = zstd.ZstdDecompressor(options=_ZSTD_READ)
    try:
        result = unpacker.decompress(body, most)
    except zstd.ZstdError as error:
        raise DecodeFailed(f"the body is not zstd: {error}") from error
    return result, unpacker.unused_data if unpacker.eof else None


_ENCODINGS: Mapping[str, _Encoding] = {
    IDENTITY: _Encoding(lambda body: body, lambda body, _: (body, b"")),
    GZIP: _Encoding(_gzip, _gunzip),
    ZSTD: _Encoding(_zstd, _unzstd),
}
