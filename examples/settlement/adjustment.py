"""Adjustment has balance apply a correction, and tells the customer."""

from __future__ import annotations

from typing import Any

from messenger.envelope import Envelope
from messenger.handlers import Send


def request(message: Envelope, send: Send) -> dict[str, Any]:
    """Pass a correction that was requested on to balance."""
    send("ADJUSTMENT_REQUESTED", message.payload, target="balance")
    return {"adjustment": message.payload["adjustmentId"], "status": "requested"}


def applied(message: Envelope, send: Send) -> dict[str, Any]:
    """Tell the customer about a correction that balance has applied."""
    booked = message.payload
    adjustment = {
        "adjustmentId": booked["reference"],
        "customerId": booked["customerId"],
        "amount": booked["change"],
        "status": "applied",
        "balance": booked["balance"],
        "appliedAt": booked["updatedAt"],
    }
    send("ADJUSTMENT_APPLIED", adjustment, target="notifications")
    return adjustment


HANDLERS = {"ADJUSTMENT_REQUESTED": request, "BALANCE_UPDATED": applied}
