"""Names for things: fresh ones that sort by the time of their making, and derived ones that anyone can make again."""

from __future__ import annotations

import os
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: sorts as it counts, is safe in URLs, and leaves out letters that people misread."""

_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
"""Two characters at a time: a messenger names every message that it sends."""

_RANDOM_BITS = 80


def new_id(prefix: str = "") -> str:
    """Make a unique id such as `msg_01jg3k…`: 26 characters that sort by time (to the millisecond) after the prefix."""
    milliseconds = time.time_ns() // 1_000_000
    return _named(prefix, milliseconds << _RANDOM_BITS | int.from_bytes(os.urandom(_RANDOM_BITS // 8), "big"))


def derived_id(cause: str, index: int) -> str:
    """Name the `index`-th thing that `cause` brought about: the same id each time it is asked for."""
    import hashlib  # noqa: PLC0415 - few derive names, and it is slow to load

    hashed = hashlib.sha256(f"{cause}\0{index}".encode()).digest()
    prefix, underscore, _ = cause.rpartition("_")
    return _named(prefix if underscore else "", int.from_bytes(hashed[:16], "big"))


def _named(prefix: str, number: int) -> str:
    text = "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])
    return f"{prefix}_{text}" if prefix else text
