"""A settlement's way through six domains, as real workers: `signalbox worker --handlers examples.settlement`.

`register` is what a worker calls; which handlers it gets depends on its domain. README.md draws the flow.
"""

from __future__ import annotations

import os

from examples.settlement import adjustment, balance, collections, distributions, free_play, gateway, notifications
from foundation.errors import DocumentError
from messenger.messenger import WorkerMessenger

GATEWAY_ADDRESS = "SETTLEMENT_GATEWAY"
"""Environment variable: where the gateway listens, `127.0.0.1:8090` unless set."""

HANDLERS = {
    "collections": collections.HANDLERS,
    "balance": balance.HANDLERS,
    "distributions": distributions.HANDLERS,
    "free-play": free_play.HANDLERS,
    "adjustment": adjustment.HANDLERS,
    "notifications": notifications.HANDLERS,
}

POOLS = {"gateway": 1, **dict.fromkeys(HANDLERS, 1), "collections": 2}
"""How many workers of each domain the demo runs."""


def register(messenger: WorkerMessenger) -> None:
    """Give a worker the handlers of its domain; the gateway's worker gets an HTTP server instead.

    Raises DocumentError for a domain that is no part of a settlement.
    """
    if messenger.domain == "gateway":
        gateway.serve(messenger, os.environ.get(GATEWAY_ADDRESS, "127.0.0.1:8090"))
        return
    if messenger.domain not in HANDLERS:
        known = ", ".join(POOLS)
        raise DocumentError("domain", "has no handlers in examples.settlement", value=messenger.domain, expected=known)
    for message_type, handler in HANDLERS[messenger.domain].items():
        messenger.on(message_type, handler)
