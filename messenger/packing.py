"""Messages into frames and back: one message as its envelope, more than one as the seed's MESSAGE_BATCH.

Pure, and the only place that knows how a batch looks. Knows nothing of queues.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from messenger import codecs
from messenger.compression import compress, decompress
from messenger.envelope import BATCH_TYPE, Envelope
from messenger.errors import BodyTooLarge, EnvelopeInvalid, PoisonFrame
from messenger.formats import IDENTITY, JSON, Format
from messenger.frame import Frame

MAX_MESSAGES = 1_000
"""The most messages that a frame may hold."""
MAX_MESSAGE_BYTES = 1_048_576
"""The most bytes that one message may take as JSON."""


@dataclass(frozen=True, slots=True)
class BrokenMessage:
    """One message of a frame that breaks the envelope's schema; the frame's others are not touched by it.

    Args:
        index: its place in the frame.
        reason: `invalid`.
        detail: what is wrong, naming the field.
        document: what stood there.
    """

    index: int
    reason: str
    detail: str
    document: Any

    @property
    def message_id(self) -> str:
        """Its id, or "" where it has none that can be read."""
        found = self.document.get("messageId") if isinstance(self.document, dict) else None
        return found if isinstance(found, str) else ""


def draft(envelope: Envelope) -> bytes:
    """Write a message as JSON, and refuse here, at the send, what could not be sent later.

    Raises:
        EncodeFailed: no codec can carry it.
        BodyTooLarge: it takes more than MAX_MESSAGE_BYTES.
    """
    # Two levels deeper than it stands alone, which is how deep it stands in a batch.
    body = codecs.encode(JSON, [[envelope.to_document()]])[2:-2]
    if len(body) > MAX_MESSAGE_BYTES:
        raise BodyTooLarge(f"the message takes {len(body):,} bytes; at most {MAX_MESSAGE_BYTES:,} are allowed")
    return body


def pack(
    envelopes: Sequence[Envelope],
    format: Format,  # noqa: A002 - the noun
    *,
    frame_id: str,
    sender: str,
    drafts: Sequence[bytes] = (),
) -> Frame:
    """Write the messages of one lane as a frame; as JSON from their drafts, where there are any, at no cost.

    Raises:
        EncodeFailed: no codec can carry one of them.
        BodyTooLarge: in this format the body passes the cap; a frame of one message as JSON never does.
    """
    if drafts and format.content_type == JSON:
        body = _joined(drafts, envelopes, frame_id)
    else:
        body = codecs.encode(format.content_type, _document(envelopes, frame_id))
    encoding, body = compress(format.compression, body)
    return Frame(frame_id, format.content_type, encoding, len(envelopes), format.revision, body, sender)


def unpack(frame: Frame) -> list[Envelope | BrokenMessage]:
    """Read a frame's messages, in order; one that breaks the envelope's schema comes as a BrokenMessage.

    Raises:
        PoisonFrame: the frame can't be read at all (CodecUnknown, DecodeFailed, BodyTooLarge), or does not hold as many
            messages as its header says.
    """
    return [_message(index, document) for index, document in enumerate(documents(frame))]


def documents(frame: Frame) -> list[Any]:
    """Read a frame's messages as plain documents, unchecked; raises PoisonFrame as `unpack` does."""
    if not 1 <= frame.count <= MAX_MESSAGES:
        raise PoisonFrame(f"the frame says that it holds {frame.count} messages; 1 to {MAX_MESSAGES} are allowed")
    body = decompress(frame.content_encoding, frame.body, codecs.MAX_BODY_BYTES)
    document = codecs.decode(frame.content_type, body)
    found = _messages(document)
    if len(found) != frame.count:
        raise PoisonFrame(f"the frame says that it holds {frame.count} messages, and holds {len(found)}")
    return found


def recode(frame: Frame, content_type: str) -> Frame:
    """Write a frame's whole body anew in another codec, uncompressed; everything else stays as it is."""
    body = decompress(frame.content_encoding, frame.body, codecs.MAX_BODY_BYTES)
    body = codecs.encode(content_type, codecs.decode(frame.content_type, body))
    return Frame(frame.id, content_type, IDENTITY, frame.count, frame.revision, body, frame.sender)


def cut_out(frame: Frame, index: int, document: Any) -> Frame:
    """Make a frame of its own of one message of a frame, to be dead-lettered or retried alone."""
    if frame.count == 1:
        return frame
    body = codecs.encode(frame.content_type, document)
    return Frame(f"{frame.id}.{index}", frame.content_type, IDENTITY, 1, frame.revision, body, frame.sender)


def _joined(drafts: Sequence[bytes], envelopes: Sequence[Envelope], frame_id: str) -> bytes:
    if len(drafts) == 1:
        return drafts[0]
    head = codecs.encode(JSON, _batch([], envelopes, frame_id))
    body = head.replace(b"[]", b"[" + b",".join(drafts) + b"]", 1)
    if len(body) > codecs.MAX_BODY_BYTES:
        raise BodyTooLarge(f"the batch takes {len(body):,} bytes; at most {codecs.MAX_BODY_BYTES:,} are allowed")
    return body


def _document(envelopes: Sequence[Envelope], frame_id: str) -> dict[str, Any]:
    messages = [envelope.to_document() for envelope in envelopes]
    if len(messages) == 1:
        return messages[0]
    return _batch(messages, envelopes, frame_id)


def _batch(messages: list[Any], envelopes: Sequence[Envelope], frame_id: str) -> dict[str, Any]:
    return {
        "type": BATCH_TYPE,
        "messages": messages,
        "timestamp": envelopes[-1].timestamp,
        "batchId": frame_id,
    }


def _messages(document: Any) -> list[Any]:
    if not isinstance(document, dict) or document.get("type") != BATCH_TYPE:
        return [document]
    messages = document.get("messages")
    if not isinstance(messages, list):
        raise PoisonFrame("the batch has no list of messages")
    return messages


def _message(index: int, document: Any) -> Envelope | BrokenMessage:
    try:
        return Envelope.from_document(document)
    except EnvelopeInvalid as error:
        return BrokenMessage(index, "invalid", str(error), document)
