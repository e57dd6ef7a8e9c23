"""How a messenger sends and receives; entry points and tests choose, everything else is handed the choice."""

from __future__ import annotations

from dataclasses import dataclass

from messenger.formats import ALL_WORDS


@dataclass(frozen=True, slots=True)
class MessengerSettings:
    """The figures of one messenger; times are seconds.

    Args:
        buffer: messages accepted for one target and not yet in its queue, past which a send waits.
        send_timeout: how long a send waits for room before it raises.
        receive: frames taken at a time.
        block: how long an idle receive waits at the server.
        attempts: deliveries after which a message that always fails is given up.
        retry: pause before a failed message is tried again; it doubles each time.
        claim_idle: how long a frame may lie with a consumer that has stopped holding it before another takes it over.
        handler_timeout: how long one handler may run; after it the messenger is `overdue` and lets go of its frames.
        drain: how long a messenger that is told to stop may take over what it has at hand.
        lease: how long the queue counts this consumer as a member without a renewal.
        words: what this consumer can decode.
        validate: whether messages are checked against their type's template, on the way out and in.
    """

    buffer: int = 10_000
    send_timeout: float = 5.0
    receive: int = 32
    block: float = 1.0
    attempts: int = 5
    retry: float = 0.2
    claim_idle: float = 5.0
    handler_timeout: float = 60.0
    drain: float = 5.0
    lease: float = 3.0
    words: frozenset[str] = ALL_WORDS
    validate: bool = True

    @property
    def tick(self) -> float:
        """Seconds between two rounds of renewing, holding and reporting."""
        return min(1.0, self.lease / 3, self.claim_idle / 3)
