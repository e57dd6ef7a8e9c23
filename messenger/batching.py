"""Batching as a state machine without a clock: messages go in, batches that are ready to be sent come out.

A lane is a target domain, a priority and a format. Messages for one target and priority keep their order: a message of
another format closes the open lane first. Knows nothing of envelopes, queues or threads: whoever shares it, locks it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from messenger.formats import ADAPTIVE, FIXED, SINGLE, Format

Item = TypeVar("Item")

MAX_BYTES = 262_144
"""A lane that holds as much is closed, whatever its mode: a frame should pass through Redis without being noticed."""


class Mode(NamedTuple):
    """When a lane closes by itself: at so many messages, or so many seconds after its first."""

    messages: int
    seconds: float


MODES = {SINGLE: Mode(1, 0.0), ADAPTIVE: Mode(100, 0.0), FIXED: Mode(10, 0.1)}
"""ADAPTIVE is due at once: it holds what arrived while the sender was busy with the batch before."""


class Lane(NamedTuple):
    """What the messages of one batch share."""

    target: str
    priority: str
    format: Format


@dataclass(frozen=True, slots=True)
class Batch(Generic[Item]):
    """Messages of one lane, in the order they were added."""

    lane: Lane
    items: tuple[Item, ...]


@dataclass(slots=True)
class _Open(Generic[Item]):
    lane: Lane
    due: float
    room: int
    items: list[Item] = field(default_factory=list)
    size: int = 0

    def close(self) -> Batch[Item]:
        return Batch(self.lane, tuple(self.items))


class Batcher(Generic[Item]):
    """The open lanes of one sender; every batch that a call answers with is to be sent in the order given."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._open: dict[tuple[str, str], _Open[Item]] = {}

    def add(self, item: Item, lane: Lane, now: float, size: int = 0) -> list[Batch[Item]]:
        """Put a message of `size` bytes into its lane; answers with the batches that this closed, oldest first."""
        closed: list[Batch[Item]] = []
        slot = (lane.target, lane.priority)
        current = self._open.get(slot)
        if current is not None and (current.lane != lane or current.size + size > self._max_bytes):
            closed.append(self._open.pop(slot).close())
            current = None
        if current is None:
            mode = MODES[lane.format.batching]
            current = self._open[slot] = _Open(lane, now + mode.seconds, mode.messages)
        current.items.append(item)
        current.size += size
        if len(current.items) >= current.room or current.size >= self._max_bytes:
            closed.append(self._open.pop(slot).close())
        return closed

    def due(self, now: float) -> list[Batch[Item]]:
        """Close the lanes whose time has come, those due first in front."""
        ready = sorted((lane.due, slot) for slot, lane in self._open.items() if lane.due <= now)
        return self._close(slot for _, slot in ready)

    def next_due(self) -> float | None:
        """Tell when `due` will next have something, on the clock that `add` was given; None where nothing is open."""
        return min((lane.due for lane in self._open.values()), default=None)

    def drain(self) -> list[Batch[Item]]:
        """Close every lane."""
        return self._close(list(self._open))

    def __len__(self) -> int:
        return sum(len(lane.items) for lane in self._open.values())

    def _close(self, slots: Iterable[tuple[str, str]]) -> list[Batch[Item]]:
        return [self._open.pop(slot).close() for slot in slots]
