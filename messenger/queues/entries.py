"""How frames, deliveries, letters and settlements are written in Redis: the names of fields, and both directions.

Pure. Reading takes whatever stands there: an entry that somebody wrote past the library becomes a frame that no codec
knows, which is then dealt with as any other poison.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from messenger.frame import Frame
from messenger.queue import DeadLetter, Delivery, Settlement

GROUP = "workers"
"""The one consumer group of every stream."""

Fields = Mapping[bytes, bytes]
Entry = tuple[bytes, Fields]


def pairs(values: Sequence[bytes]) -> dict[bytes, bytes]:
    """Read names and values that stand in turn."""
    return dict(zip(values[::2], values[1::2], strict=True))


def entries(reply: Iterable[Sequence[Any]]) -> list[Entry]:
    """Read entries as a script answers with them."""
    return [(entry, pairs(values)) for entry, values in reply]


def frame_of(fields: Fields) -> Frame:
    """Read a frame."""
    return Frame(
        id=_text(fields, b"f"),
        content_type=_text(fields, b"t"),
        content_encoding=_text(fields, b"e"),
        count=_number(fields, b"n", 1),
        revision=_text(fields, b"r"),
        body=fields.get(b"b", b""),
        sender=_text(fields, b"s"),
    )


def header(frame: Frame) -> list[Any]:
    """Write a frame's fields in the order that the scripts take them: t e n r f s b."""
    return [
        frame.content_type,
        frame.content_encoding,
        frame.count,
        frame.revision,
        frame.id,
        frame.sender,
        frame.body,
    ]


def append_arguments(priority: str, frame: Frame) -> list[Any]:
    """Write a frame for `append.lua`."""
    return [
        priority,
        frame.id,
        frame.content_type,
        frame.content_encoding,
        frame.count,
        frame.revision,
        frame.sender,
        frame.body,
    ]


def delivery_of(priority: str, entry: Entry, deliveries: int) -> Delivery:
    """Read a delivery; the entry's id says when it was appended."""
    name = entry[0].decode()
    return Delivery(name, priority, frame_of(entry[1]), seconds(name), deliveries)


def letter_of(entry: Entry) -> DeadLetter:
    """Read a letter."""
    name, fields = entry
    return DeadLetter(
        id=_text(fields, b"i"),
        frame=frame_of(fields),
        priority=_text(fields, b"p"),
        reason=_text(fields, b"w"),
        detail=_text(fields, b"d"),
        deliveries=_number(fields, b"c", 0),
        at=seconds(name.decode()),
    )


def settle_arguments(settlement: Settlement) -> list[Any]:
    """Write a settlement for `settle.lua`."""
    delivery = settlement.delivery
    written: list[Any] = [delivery.priority, delivery.entry, int(settlement.finished), len(settlement.handled)]
    for message in settlement.handled:
        written += (message.message_id, message.result or b"")
    written.append(len(settlement.letters))
    for letter in settlement.letters:
        written += (letter.id, letter.reason, letter.detail, letter.deliveries, *header(letter.frame))
    return written


def seconds(entry: str) -> float:
    """Read an entry's id as the time at which it was made, in seconds since 1970."""
    return int(entry.partition("-")[0]) / 1000


def words_of(names: Iterable[bytes]) -> frozenset[str]:
    """Read a set of words."""
    return frozenset(name.decode() for name in names)


def _text(fields: Fields, name: bytes) -> str:
    return fields.get(name, b"").decode("utf-8", "replace")


def _number(fields: Fields, name: bytes, default: int) -> int:
    text = fields.get(name, b"")
    return int(text) if text.isdigit() else default
