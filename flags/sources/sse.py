"""Server-sent events: from bytes, in whatever pieces they arrive, to events. Pure.

Only what our own streams send is taken: `event`, `data` and comments; `id` and `retry` are read over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from foundation.errors import DocumentError

_END = re.compile(rb"\r?\n\r?\n")
_LONGEST_END = 4


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its kind, and its data as it was sent."""

    kind: str
    data: bytes


class EventReader:
    """Puts events together; one that grows past `limit` bytes is refused before it is whole."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting = bytearray()
        self._searched = 0

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Take the next bytes; gives the events that they complete.

        Raises:
            DocumentError: an event is larger than the limit.
        """
        self._waiting += piece
        # A piece may end within the end of an event; what was searched before holds no other.
        while end := _END.search(self._waiting, max(0, self._searched - _LONGEST_END + 1)):
            block = bytes(self._waiting[: end.start()])
            del self._waiting[: end.end()]
            self._searched = 0
            if (event := _event(block)) is not None:
                yield event
        self._searched = len(self._waiting)
        if self._searched > self._limit:
            raise DocumentError("event", f"is larger than {self._limit:,} bytes")


def _event(block: bytes) -> Event | None:
    """Read one block of lines; None where it only keeps the line alive or says when to come back."""
    kind, data = b"", []
    for line in block.splitlines():
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"event":
            kind = value
        elif name == b"data":
            data.append(value)
    return Event(kind.decode(errors="replace"), b"\n".join(data)) if data else None
