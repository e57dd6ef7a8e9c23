"""What is on its way out: messages with their receipts, and the frames that carry them.

Knows how a batch becomes frames, and what a refused frame becomes instead. Knows no queue and no thread.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from foundation.ids import new_id
from messenger.envelope import Envelope
from messenger.errors import MessengerError
from messenger.formats import BATCH, FALLBACK, FALLBACK_WORDS, IDENTITY, JSON, Format
from messenger.frame import Frame
from messenger.packing import pack
from messenger.telemetry import Traffic


class Receipt:
    """What a sender holds of a message that was accepted: its ids, and whether its queue has it yet."""

    __slots__ = ("_changed", "_done", "_error", "correlation_id", "message_id")

    def __init__(self, envelope: Envelope) -> None:
        self.message_id, self.correlation_id = envelope.message_id, envelope.correlation_id
        self._changed: threading.Condition | None = None
        self._done = False
        self._error: Exception | None = None

    @property
    def settled(self) -> bool:
        """Whether the queue has the message, or it is certain that it never will."""
        return self._done

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the queue has the message; False where `timeout` seconds pass first.

        Raises what kept the message from being sent, where nothing will send it any more. What a handler sends leaves
        when the handler has returned, so a handler can't wait for it: MessengerError.
        """
        if self._changed is None:
            raise MessengerError("what a handler sends leaves when it returns: there is nothing to wait for in it")
        with self._changed:
            self._changed.wait_for(lambda: self._done, timeout)
        if self._error is not None:
            raise self._error
        return self._done

    def accepted(self, changed: threading.Condition) -> None:
        """Say that an outbox has taken the message on, and which condition it will notify."""
        self._changed = changed

    def settle(self, error: Exception | None = None) -> None:
        """Say that the queue has it, or why it never will; the caller holds the condition and notifies it."""
        self._done, self._error = True, error


@dataclass(slots=True, eq=False)
class Outgoing:
    """A message to be sent: the format that was chosen for it, what it is as JSON, and its receipt."""

    envelope: Envelope
    format: Format
    draft: bytes
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Parcel:
    """A frame with the messages that it carries."""

    items: tuple[Outgoing, ...]
    frame: Frame

    @property
    def priority(self) -> str:
        """The stream that it goes to."""
        return self.items[0].envelope.metadata.priority

    @property
    def traffic(self) -> Traffic:
        """What it is counted as."""
        metadata = self.items[0].envelope.metadata
        return Traffic.of(metadata.source_domain, metadata.target_domain, self.frame)


def parcels(items: Sequence[Outgoing], chosen: Format, sender: str) -> Iterator[Parcel]:
    """Write messages of one lane as a frame; where that can't be, one by one, and at last as the fallback."""
    try:
        frame = pack(
            [item.envelope for item in items],
            chosen,
            frame_id=new_id("frm"),
            sender=sender,
            drafts=[item.draft for item in items],
        )
    except Exception:
        if len(items) == 1 and chosen.content_type == JSON:
            raise
        simpler = chosen if len(items) > 1 else replace(FALLBACK, revision=chosen.revision)
        for item in items:
            yield from parcels([item], simpler, sender)
    else:
        yield Parcel(tuple(items), frame)


def rewritten(parcel: Parcel, admits: frozenset[str], sender: str) -> Iterator[Parcel]:
    """Write a refused parcel's messages as its queue admits them: as close to what was chosen as may be."""
    chosen = parcel.items[0].format
    allowed = replace(
        chosen,
        content_type=chosen.content_type if chosen.content_type in admits else JSON,
        compression=chosen.compression if chosen.compression in admits else IDENTITY,
    )
    groups = [parcel.items] if BATCH in admits else [(item,) for item in parcel.items]
    for items in groups:
        yield from parcels(items, allowed, sender)


def is_fallback(frame: Frame) -> bool:
    """Tell whether a frame is written as every queue must admit it."""
    return frame.words <= FALLBACK_WORDS
