"""Where a targeting key falls: a bucket from 0 to 99,999, the same in every process, language and year.

This is the hash of flagd's `fractional`, version 2, so that an export to flagd keeps every assignment. A flag has one
bucket for each key, shared by all its rules and domains: raising a percentage never turns off a key that was on.
"""

from __future__ import annotations

import mmh3

from flags.model import WEIGHT_TOTAL

hash32 = mmh3.mmh3_32_uintdigest
"""MurmurHash3 x86 32 of bytes, with seed 0, unsigned.

The functions of mmh3 that take text crash the process on half of a surrogate pair, so text is encoded before.
"""

ALL = 1 << 32
"""The threshold of everyone: no hash reaches it."""


def bucket(salt: str, key: str) -> int:
    """Tell the bucket of a key, 0 to 99,999; a key is on at weight w if its bucket is below w."""
    return (hash32((salt + key).encode()) * WEIGHT_TOTAL) >> 32


def threshold(weight: int) -> int:
    """Tell the bound on the hash that a weight stands for: what is below it is in, without computing a bucket."""
    return -(-(weight << 32) // WEIGHT_TOTAL)
