"""Free play issues bonuses, has balance credit them, and tells the customer."""

from __future__ import annotations

from typing import Any

from messenger.envelope import Envelope
from messenger.handlers import Send


def issue(message: Envelope, send: Send) -> dict[str, Any]:
    """Issue a bonus that was requested."""
    send("BONUS_ISSUED", message.payload, target="balance")
    return {"bonus": message.payload["transactionId"], "status": "issued"}


def credited(message: Envelope, send: Send) -> dict[str, Any]:
    """Tell the customer about a bonus that balance has credited."""
    bonus = {
        "transactionId": message.payload["reference"],
        "customerId": message.payload["customerId"],
        "bonusType": "welcome_bonus",
        "amount": message.payload["change"],
    }
    send("BONUS_ISSUED", bonus, target="notifications")
    return {"bonus": bonus["transactionId"], "status": "credited"}


HANDLERS = {"BONUS_ISSUED": issue, "BALANCE_UPDATED": credited}
