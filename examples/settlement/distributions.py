"""Distributions calculates the commission that a settlement earns its affiliate."""

from __future__ import annotations

from typing import Any

from examples.settlement.money import share
from messenger.envelope import Envelope
from messenger.handlers import Send

RATE = "20.0"
"""Commission in percent."""


def calculate(message: Envelope, send: Send) -> dict[str, Any]:
    """Calculate the commission of one settlement and have its affiliate told."""
    settlement = message.payload
    commission = share(settlement["amount"], RATE)
    calculated = {
        "recipientId": "AFF_001",
        "period": settlement["processedAt"][:7],
        "baseRevenue": settlement["amount"],
        "commissionRate": float(RATE),
        "calculatedAmount": commission,
        "totalAmount": commission,
    }
    send("COMMISSION_CALCULATED", calculated, target="notifications", priority="low")
    return calculated


HANDLERS = {"SETTLEMENT_PROCESSED": calculate}
