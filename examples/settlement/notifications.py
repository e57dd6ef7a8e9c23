"""Notifications tells people; a flow that came in through the gateway is answered there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from messenger.envelope import Envelope
from messenger.handlers import Send


def _answering(recipient: str, reference: str) -> Callable[[Envelope, Send], dict[str, Any]]:
    def tell(message: Envelope, send: Send) -> dict[str, Any]:
        sent = _sent(message, recipient, reference)
        send("NOTIFICATION_SENT", sent, target="gateway", priority=message.metadata.priority)
        return sent

    return tell


def tell_affiliate(message: Envelope, send: Send) -> dict[str, Any]:  # noqa: ARG001 - nobody waits for this one
    """Tell an affiliate of a commission."""
    return _sent(message, "recipientId", "period")


def _sent(message: Envelope, recipient: str, reference: str) -> dict[str, Any]:
    return {
        "notificationId": f"NOTE_{message.payload[reference]}",
        "recipient": message.payload[recipient],
        "channel": "push",
        "status": "delivered",
        "sentAt": message.timestamp,
    }


HANDLERS = {
    "SETTLEMENT_PROCESSED": _answering("customerId", "settlementId"),
    "BONUS_ISSUED": _answering("customerId", "transactionId"),
    "ADJUSTMENT_APPLIED": _answering("customerId", "adjustmentId"),
    "COMMISSION_CALCULATED": tell_affiliate,
}
