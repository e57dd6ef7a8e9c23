"""Collections takes a settlement in, has balance book it, and announces it once it is booked."""

from __future__ import annotations

from typing import Any

from messenger.envelope import Envelope
from messenger.handlers import Send


def take_in(message: Envelope, send: Send) -> dict[str, Any]:
    """Pass a settlement that was requested on to balance."""
    settlement = {**message.payload["settlement"], "status": "processing"}
    processing = {"processedBy": "collections", "retryCount": 0}
    send("SETTLEMENT_UPDATE", {"settlement": settlement, "processing": processing}, target="balance", priority="high")
    return {"settlement": settlement["id"], "status": "processing"}


def confirm(message: Envelope, send: Send) -> dict[str, Any]:
    """Announce a settlement that balance has booked."""
    booked = message.payload
    processed = {
        "settlementId": booked["reference"],
        "customerId": booked["customerId"],
        "amount": booked["change"],
        "paymentMethod": "wire_transfer",
        "processedAt": booked["updatedAt"],
        "confirmationNumber": f"CONF_{booked['reference']}",
    }
    for target in ("distributions", "notifications"):
        send("SETTLEMENT_PROCESSED", processed, target=target, priority="high")
    return {"settlement": booked["reference"], "status": "completed"}


HANDLERS = {"SETTLEMENT_UPDATE": take_in, "BALANCE_UPDATED": confirm}
