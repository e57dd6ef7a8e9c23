"""Rewriting the frames of a queue in place, while consumers and senders go on and whoever does it may be killed.

Beside each stream a copy is built in steps, with the same entry ids and some frames rewritten; how far it has got
stands on the server, so that anybody can go on with it. One script then copies what little was appended since, gives
the copy the group as it stands (what was delivered, to whom, how often) and puts it in the stream's place. What
consumers settle meanwhile is taken off both. What can't be rewritten goes to the quarantine.

Knows frames, never codecs: what a frame becomes is the caller's affair.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from foundation.ids import new_id
from foundation.redis import translated
from messenger.errors import PoisonFrame
from messenger.frame import Frame
from messenger.queue import PRIORITIES
from messenger.queues import scripts
from messenger.queues.entries import Entry, frame_of, header
from messenger.queues.operations import KEPT, counted
from messenger.queues.streamqueue import RedisQueue

Rewrite = Callable[[Frame], Frame | None]
"""Answers with what is to stand in a frame's place; with the same frame, or None, where it may stay as it is. Raises
PoisonFrame where that can't be told, because the frame can't be read."""

_STEP = 128
"""Frames read, rewritten and added to the copy at a time."""

_TAIL = 1000
"""Frames that the last script may copy itself; they are not rewritten, so they must be such as the queue admits."""


@dataclass(frozen=True, slots=True)
class TranscodeReport:
    """What an operation has done to a queue, over all of its runs.

    Args:
        operation: its name; a run under the same name counts on.
        rewritten: frames that were rewritten; of them, some may have been settled before the copy took their place.
        quarantined: frames set aside because they could not be read.
        swapped: streams that were replaced.
    """

    operation: str
    rewritten: int
    quarantined: int
    swapped: int


def transcode(queue: RedisQueue, rewrite: Rewrite, *, operation: str = "") -> TranscodeReport:
    """Put every frame of a queue through `rewrite`, in place: order, pending state and count of deliveries stay.

    Bar what must not come in again first. Run it again where it raised or was killed: it goes on where it was.

    Raises:
        StoreUnreachable, StoreRefused: as the queue does.
    """
    operation = operation or new_id("op")
    for priority in PRIORITIES:
        stream = _Stream(queue, priority, rewrite, operation)
        while not stream.finish():
            pass
    done = counted(queue, operation)
    return TranscodeReport(operation, done["rewritten"], done["quarantined"], done["swapped"])


class _Stream:
    """The work on one stream."""

    def __init__(self, queue: RedisQueue, priority: str, rewrite: Rewrite, operation: str) -> None:
        self._queue, self._priority, self._rewrite = queue, priority, rewrite
        self._operation = [priority, operation, KEPT]
        self._reached = b""

    def finish(self) -> bool:
        """Build the copy, or what is left of it, and swap it in; False where it has to be looked at afresh.

        As long as nothing had to be rewritten, nothing is copied: a stream that is as it should be is only read.
        """
        self._reached = self._read_reached()
        while True:
            ends: list[bytes] = []
            while step := self._read(ends[-1] if ends else self._reached):
                changes = self._changes(step)
                ends.append(step[-1][0])
                if changes or self._reached:
                    if not self._add(ends, changes):
                        return False
                    ends = []
            if not self._reached:
                return True
            answer = self._run(scripts.SWAP, [self._reached, _TAIL])
            if answer != b"on":
                return bool(answer == b"swapped")

    def _add(self, ends: Sequence[bytes], changes: Sequence[Any]) -> bool:
        """Add the frames up to each of `ends`; the changes belong to the last. False where another run got further."""
        for end in ends:
            arguments = [self._reached, end, *(changes if end == ends[-1] else ())]
            if self._run(scripts.REWRITE, arguments) != b"on":
                return False
            self._reached = end
        return True

    def _changes(self, step: Sequence[Entry]) -> list[Any]:
        changes: list[Any] = []
        for entry, fields in step:
            frame = frame_of(fields)
            try:
                rewritten = self._rewrite(frame)
            except PoisonFrame as error:
                changes += (entry, "poison", f"{error.code}: {error}")
            else:
                if rewritten is not None and rewritten != frame:
                    changes += (entry, "frame", *header(rewritten))
        return changes

    def _read_reached(self) -> bytes:
        with translated(f"see how far the copy of queue {self._queue.domain} is"):
            reached: Any = self._queue.client.hget(f"{self._queue.stem}:building:{self._priority}", "reached")
        return reached or b""

    def _read(self, after: bytes) -> list[Entry]:
        with translated(f"read queue {self._queue.domain}"):
            found: Any = self._queue.client.xrange(
                f"{self._queue.stem}:q:{self._priority}", b"(" + after if after else "-", count=_STEP
            )
        return list(found)

    def _run(self, script: Any, arguments: Sequence[Any]) -> Any:
        return self._queue.run("transcode", script, [*self._operation, *arguments])
