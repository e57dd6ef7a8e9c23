"""Amounts: computed as decimals, carried as numbers with two decimals, as the seed's messages carry them."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

CENT = Decimal("0.01")


def cents(value: Decimal | float) -> Decimal:
    """Read an amount to the cent, half to even."""
    exact = value if isinstance(value, Decimal) else Decimal(str(value))
    return exact.quantize(CENT, ROUND_HALF_EVEN)


def share(amount: float, percent: str) -> float:
    """Take a percentage of an amount, to the cent."""
    return float(cents(cents(amount) * Decimal(percent) / 100))
