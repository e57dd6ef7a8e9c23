"""Balance books what the other domains decide and confirms it to whoever asked.

A booking is a handler's result: it is committed in one step with the message, so each message is booked exactly once,
and the results of the queue are the ledger.
"""

from __future__ import annotations

from typing import Any

from examples.settlement.money import cents
from messenger.envelope import Envelope
from messenger.handlers import Send

OPENING = 1000.00
"""Every customer's balance before a booking: the example keeps no accounts."""


def book_settlement(message: Envelope, send: Send) -> dict[str, Any]:
    """Credit a settlement."""
    settlement = message.payload["settlement"]
    return _book(message, send, settlement["customerId"], settlement["amount"], settlement["id"])


def book_bonus(message: Envelope, send: Send) -> dict[str, Any]:
    """Credit a free-play bonus."""
    bonus = message.payload
    return _book(message, send, bonus["customerId"], bonus["amount"], bonus["transactionId"])


def book_adjustment(message: Envelope, send: Send) -> dict[str, Any]:
    """Credit or debit an adjustment."""
    adjustment = message.payload
    return _book(message, send, adjustment["customerId"], adjustment["amount"], adjustment["adjustmentId"])


def _book(message: Envelope, send: Send, customer: str, change: float, reference: str) -> dict[str, Any]:
    booking = {
        "customerId": customer,
        "previousBalance": OPENING,
        "change": change,
        "balance": float(cents(OPENING) + cents(change)),
        "currency": "USD",
        "reason": message.type,
        "reference": reference,
        "updatedAt": message.timestamp,
    }
    send("BALANCE_UPDATED", booking, target=message.metadata.source_domain, priority=message.metadata.priority)
    return booking


HANDLERS = {
    "SETTLEMENT_UPDATE": book_settlement,
    "BONUS_ISSUED": book_bonus,
    "ADJUSTMENT_REQUESTED": book_adjustment,
}
