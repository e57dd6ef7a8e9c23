"""Every error of the messenger floor.

    MessengerError
    ├── EnvelopeInvalid     a message breaks the envelope's or its template's schema
    ├── PoisonFrame         a frame that can't be read at all; dead-lettered at once
    │   ├── CodecUnknown    its content type or encoding is not one that this build knows
    │   ├── DecodeFailed    its body is not what its header says
    │   └── BodyTooLarge    it is, or unpacks to, more than the cap
    ├── EncodeFailed        a payload that no codec can carry (NaN, a set, an object)
    ├── FormatRefused       the queue does not admit this format; the sender re-encodes
    ├── QueueFull           the queue is at its bound: back-pressure
    └── MessengerClosed     send after close

A queue server that does not answer or refuses a write raises `StoreUnreachable` or `StoreRefused`.
"""

from __future__ import annotations

from foundation.errors import SignalboxError


class MessengerError(SignalboxError):
    """An error of the messenger floor."""

    code = "MESSENGER_ERROR"


class EnvelopeInvalid(MessengerError):
    """A message that breaks the envelope's or its template's schema; `field` names where."""

    code = "ENVELOPE_INVALID"

    def __init__(self, field: str, problem: str) -> None:
        self.field = field
        super().__init__(f"{field or 'message'}: {problem}")


class PoisonFrame(MessengerError):
    """A frame that can't be read at all."""

    code = "POISON_FRAME"


class CodecUnknown(PoisonFrame):
    """A content type or content encoding that this build does not know."""

    code = "CODEC_UNKNOWN"


class DecodeFailed(PoisonFrame):
    """A body that is not what its header says."""

    code = "DECODE_FAILED"


class BodyTooLarge(PoisonFrame):
    """A body that is, or unpacks to, more than the cap."""

    code = "BODY_TOO_LARGE"


class EncodeFailed(MessengerError):
    """A payload that no codec can carry."""

    code = "ENCODE_FAILED"


class FormatRefused(MessengerError):
    """The queue does not admit this format.

    Args:
        domain: the queue's domain.
        refused: the words of the format that are not admitted.
        admits: what the queue takes right now.
    """

    code = "FORMAT_REFUSED"

    def __init__(self, domain: str, refused: frozenset[str], admits: frozenset[str]) -> None:
        self.domain, self.refused, self.admits = domain, refused, admits
        super().__init__(f"queue {domain!r} does not admit {', '.join(sorted(refused))}")


class QueueFull(MessengerError):
    """The queue is at its bound, or its server is out of memory."""

    code = "QUEUE_FULL"


class MessengerClosed(MessengerError):
    """The messenger is closed."""

    code = "MESSENGER_CLOSED"
