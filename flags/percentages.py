"""Percentages of documents and their exact weights: parts of 100,000, so that 0.001% is one part."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flags.model import WEIGHT_TOTAL
from foundation.errors import DocumentError

_PER_PERCENT = WEIGHT_TOTAL // 100


def weight_of(value: Any, field: str) -> int:
    """Turn a percentage (a number from 0 to 100 with at most 3 decimals) into its exact weight; raises DocumentError.

    A float is taken for what it prints as: 33.333 is 33,333 parts of 100,000.
    """
    if type(value) is int and 0 <= value <= 100:
        return value * _PER_PERCENT
    expected = "a number from 0 to 100 with at most 3 decimals"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise DocumentError(field, "is not a number", value=value, expected=expected)
    if not 0 <= value <= 100:  # refuses NaN too
        raise DocumentError(field, "is not a percentage", value=value, expected=expected)
    weight = Decimal(str(value)) * _PER_PERCENT
    if weight != int(weight):
        raise DocumentError(field, "is finer than 0.001", value=value, expected=expected)
    return int(weight)


def percentage_of(weight: int) -> int | float:
    """Turn a weight into the percentage that `weight_of` reads."""
    whole, rest = divmod(weight, _PER_PERCENT)
    return weight / _PER_PERCENT if rest else whole
