"""JSON: orjson, and the standard library for the numbers that orjson would bend.

Of two members of one name the last one counts, as nearly everywhere; what is written here has none.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

import orjson

from messenger.codecs.values import MAX_DEPTH, TooDeep, count, is_carried, refuse_unless_carried
from messenger.errors import DecodeFailed, EncodeFailed

# orjson reads an integer past 64 bits as a float without a word. Nothing shorter than 19 digits can be one, and this
# finds 19 digits in a row four times faster than a regular expression.
_DIGITS_TO_ZERO = bytes.maketrans(b"0123456789", b"0000000000")
_LONG_NUMBER = b"0" * 19


def write(document: Any) -> bytes:
    """Write a value as compact JSON; raises EncodeFailed with the field that can't be carried."""
    # orjson writes NaN as null without a word, and knows types that YAML and the standard library don't.
    if not is_carried(document):
        refuse_unless_carried(document)
    try:
        return orjson.dumps(document)
    except TypeError:
        return _write_exactly(document)


def read(body: bytes) -> Any:
    """Read JSON; raises DecodeFailed on anything else, on NaN and infinity, and on too many levels."""
    try:
        document = _loads_checked(body) if may_hold_long_number(body) else orjson.loads(body)
        # Short of this many brackets there is no need to look; most single messages are.
        if body.count(b"{") + body.count(b"[") >= MAX_DEPTH:
            count(document)
    except TooDeep as error:
        raise DecodeFailed(str(error)) from error
    except RecursionError as error:
        raise DecodeFailed(str(TooDeep())) from error
    except ValueError as error:
        raise DecodeFailed(f"the body is not JSON: {error}") from error
    return document


def _loads_checked(body: bytes) -> Any:
    document = loads_exactly(body)
    try:
        refuse_unless_carried(document)  # the standard library lets half a surrogate pair pass
    except EncodeFailed as error:
        raise DecodeFailed(str(error)) from error
    return document


def may_hold_long_number(body: bytes) -> bool:
    """Tell whether a JSON or YAML body may hold an integer that orjson would bend."""
    return _LONG_NUMBER in body.translate(_DIGITS_TO_ZERO)


def loads_exactly(body: bytes | bytearray, *, strict: bool = True) -> Any:
    """Read JSON by the standard library; not `strict` lets control characters stand in strings as they are."""
    return json.loads(body.decode(), parse_constant=_refuse_constant, parse_float=_finite, strict=strict)


def _write_exactly(document: Any) -> bytes:
    refuse_unless_carried(document)
    try:
        return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except ValueError as error:  # what is left is an integer of more digits than Python writes
        raise EncodeFailed(str(error)) from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is too large a number")
    return number
