"""One delivery taken apart: the messages still to be handled, what became of the others, and what the queue is told.

Pure: data in, data out. Whether a message was seen before, and what its handler does, is the receiver's business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from messenger.envelope import Envelope
from messenger.errors import EnvelopeInvalid
from messenger.frame import Frame
from messenger.packing import BrokenMessage, cut_out, unpack
from messenger.queue import DeadLetter, Delivery, Handled, Settlement
from messenger.telemetry import Traffic


@dataclass(slots=True, eq=False)
class Work:
    """One delivery on a consumer's bench.

    Args:
        delivery: the frame as it was handed out.
        now: when it was taken apart, by the queue's clock.
        messages: those that can be handled, with their place in the frame.
        handled, letters: what became of messages since the last `settlement`.
        latencies: seconds from the append to the end of the handler, for each that was handled since.
        retry: a handler failed and is to be tried again, so the frame stays pending.
        traffic: what its messages are counted as.
    """

    delivery: Delivery
    now: float
    traffic: Traffic
    messages: list[tuple[int, Envelope]] = field(default_factory=list)
    handled: list[Handled] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    retry: bool = False

    @property
    def place(self) -> tuple[str, str]:
        """What names the entry in its queue."""
        return self.delivery.priority, self.delivery.entry

    @property
    def step_by_step(self) -> bool:
        """Whether each message is committed by itself.

        A batch that comes back may hold a message that ends whoever handles it; the others should not be tried again
        and again because of it.
        """
        return self.delivery.deliveries > 1 and self.delivery.frame.count > 1

    def names(self) -> list[str]:
        """Name what is in it: its messages by their ids, and the letters about what is broken in it."""
        return [letter.id for letter in self.letters] + [message.message_id for _, message in self.messages]

    def drop(self, names: set[str]) -> list[str]:
        """Take out the messages and letters of these names; answers with the names that were there."""
        dropped = [name for name in self.names() if name in names]
        self.letters = [letter for letter in self.letters if letter.id not in names]
        self.messages = [place for place in self.messages if place[1].message_id not in names]
        return dropped

    def bury(self, index: int, message: Envelope, reason: str, detail: str) -> None:
        """Give a message up."""
        frame = cut_out(self.delivery.frame, index, message.to_document())
        self.letters.append(self.letter(message.message_id, frame, reason, detail))

    def settlement(self, *, finished: bool) -> Settlement:
        """Tell the queue what became of messages since the last time."""
        told = Settlement(self.delivery, tuple(self.handled), tuple(self.letters), finished)
        self.handled, self.letters = [], []
        return told

    def letter(self, name: str, frame: Frame, reason: str, detail: str) -> DeadLetter:
        """Write a letter about a frame, or a part of it."""
        delivery = self.delivery
        return DeadLetter(name, frame, delivery.priority, reason, detail, delivery.deliveries, self.now)


def take_apart(delivery: Delivery, domain: str, now: float, check: Callable[[Envelope], None]) -> Work:
    """Read a delivery; what can't be read, or breaks a schema, becomes letters and leaves the other messages alone.

    Args:
        delivery: what the queue handed out.
        domain: whose queue it is.
        now: by the queue's clock.
        check: raises EnvelopeInvalid for a message that breaks its template.
    """
    frame = delivery.frame
    work = Work(delivery, now, Traffic.of("", domain, frame))
    try:
        parts = unpack(frame)
    except Exception as error:  # noqa: BLE001 - bytes from anywhere: whatever they make a parser do, they are poison
        work.letters.append(work.letter(frame.id, frame, "poison", _words(error)))
        return work
    for index, part in enumerate(parts):
        _sort(work, index, part, check)
    if work.messages:
        work.traffic = Traffic.of(work.messages[0][1].metadata.source_domain, domain, frame)
    return work


def failure(error: BaseException) -> str:
    """Say in one line what a handler raised and where."""
    where = error.__traceback__
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    place = f" (line {where.tb_lineno} of {where.tb_frame.f_globals.get('__name__', '?')})" if where else ""
    return f"{_words(error)}{place}"


def _sort(work: Work, index: int, part: Envelope | BrokenMessage, check: Callable[[Envelope], None]) -> None:
    if isinstance(part, BrokenMessage):
        # Named after its frame: an id that stands in a broken message is nothing to recognise others by.
        cut = cut_out(work.delivery.frame, index, part.document)
        work.letters.append(work.letter(cut.id, cut, part.reason, part.detail))
        return
    try:
        check(part)
    except EnvelopeInvalid as error:
        work.bury(index, part, "invalid", str(error))
    else:
        work.messages.append((index, part))


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
