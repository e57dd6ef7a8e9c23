"""What runs when a message arrives: handlers by type, and the `send` that they are given.

What a handler sends carries ids derived from the message it handles, so that what a second run sends is recognised
where it arrives; and it leaves only when the handler has returned, so that a run that fails has sent nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from foundation.ids import derived_id
from messenger.envelope import Envelope
from messenger.parcels import Outgoing, Receipt

ANY = "*"
"""The type of the handler for messages that no other handler takes."""


class Send(Protocol):
    """How a handler, or anyone with a messenger, sends a message; see `WorkerMessenger.send`."""

    def __call__(  # noqa: PLR0913 - one argument for each thing that a message has
        self,
        type: str,  # noqa: A002 - the envelope's own word
        payload: Mapping[str, Any],
        *,
        target: str,
        priority: str = "normal",
        ttl: int | None = None,
        correlation_id: str | None = None,
        message_id: str | None = None,
    ) -> Receipt:
        """Send a message to `target`'s queue."""


PROBE = "SIGNALBOX_PROBE"
"""The type of message that every messenger answers by itself: proof that a live worker handles what its queue holds."""

Handler = Callable[[Envelope, Send], Any]
"""Takes a message and a `send`; what it returns, unless None, is committed as the message's result: any JSON value."""

Compose = Callable[..., Outgoing]
"""Makes a checked message of what `Send` is called with; a messenger's own, see `WorkerMessenger`."""


class Handlers:
    """The handlers of one messenger."""

    def __init__(self) -> None:
        self._by_type: dict[str, Handler] = {}

    def register(self, message_type: str, handler: Handler) -> None:
        """Name the handler of a type, or of `*`: every type that has none."""
        self._by_type[message_type] = handler

    def find(self, message_type: str) -> Handler | None:
        """Tell which handler takes a type."""
        return self._by_type.get(message_type) or self._by_type.get(ANY)


@dataclass(slots=True)
class HandlerSend:
    """The `send` of one run of one handler: it composes and keeps, and the receiver delivers."""

    cause: Envelope
    compose: Compose
    kept: list[Outgoing] = field(default_factory=list)

    def __call__(  # noqa: PLR0913 - as `Send`
        self,
        type: str,  # noqa: A002 - as `Send`
        payload: Mapping[str, Any],
        *,
        target: str,
        priority: str = "normal",
        ttl: int | None = None,
        correlation_id: str | None = None,
        message_id: str | None = None,
    ) -> Receipt:
        """Send a message of the same flow, unless it names another."""
        item = self.compose(
            type,
            payload,
            target=target,
            priority=priority,
            ttl=ttl,
            correlation_id=correlation_id or self.cause.correlation_id,
            message_id=message_id or derived_id(self.cause.message_id, len(self.kept)),
        )
        self.kept.append(item)
        return item.receipt
