"""Where a targeting key falls: a bucket from 0 to 99,999, the same in every process, language and year.

This is the hash of flagd's `fractional`, version 2, so that an export to flagd keeps every assignment. A flag has one
bucket for each key, shared by all its rules and domains: raising a percentage never turns off a key that was on.
"""

from __future__ import annotations

import mmh3

from flags.model import WEIGHT_TOTAL


def bucket(salt: str, key: str) -> int:
    """Tell the bucket of a key, 0 to 99,999; a key is on at weight w if its bucket is below w."""
    return (mmh3.hash(salt + key, 0, signed=False) * WEIGHT_TOTAL) >> 32


def threshold(weight: int) -> int:
    """Turn a weight into the bound on the hash itself: `bucket < weight` is `hash < threshold(weight)`, and quicker."""
    return -(-(weight << 32) // WEIGHT_TOTAL)
