"""The port of a domain's queue: admission, order, pending entries, one-script commits, dead letters.

Adapters stand in `messenger/queues/`. A queue moves frames and never decodes them. Its promises: delivery at least
once, handled exactly once (mark, result and acknowledgement are one step), order kept within a priority.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from messenger.frame import Frame

PRIORITIES = ("high", "normal", "low")


def reading_order(turn: int) -> tuple[str, ...]:
    """Tell in which order a consumer's `turn`-th receive looks at the priorities.

    High comes first, except that every eighth receive begins with normal and every eighth with low: however much of the
    higher priorities there is, nothing starves.
    """
    first = {3: "normal", 7: "low"}.get(turn % 8, "high")
    return (first, *(priority for priority in PRIORITIES if priority != first))


def check_priorities(frames: Iterable[tuple[str, object]]) -> None:
    """Raise ValueError for a priority that there is not: its stream would have no reader."""
    for priority, _ in frames:
        if priority not in PRIORITIES:
            raise ValueError(f"no such priority: {priority!r}")


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """How much a queue holds and how long it remembers: the same in every process that uses the queue.

    Args:
        frames: frames in the streams, waiting and pending, past which an append raises QueueFull.
        append_window: seconds for which a retried append is recognised by its frame id, at least.
        handled_window: seconds for which a handled message is recognised by its id, at least.
        results: committed results kept, about.
    """

    frames: int = 100_000
    append_window: float = 60.0
    handled_window: float = 3600.0
    results: int = 100_000


@dataclass(frozen=True, slots=True)
class Delivery:
    """A frame handed to a consumer.

    Args:
        entry: the entry's id within its priority's stream.
        priority: which stream it stands in.
        frame: what was sent.
        appended: when it entered the queue, seconds since 1970 by the queue's clock.
        deliveries: how often it was handed out, this time included.
    """

    entry: str
    priority: str
    frame: Frame
    appended: float
    deliveries: int = 1


@dataclass(frozen=True, slots=True)
class Handled:
    """One message of a delivery that was handled: its id, and its result if it has one (JSON bytes)."""

    message_id: str
    result: bytes | None = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A frame that will not be delivered again, and why.

    Args:
        id: names the letter for `replay` and `discard`: the message's id, or the frame's where no message can be read,
            so that a letter buried twice is one letter and a replay knows whose mark to clear.
        frame: as it stood in the queue (a single message, or one message cut out of a batch).
        priority: the stream it came from and is replayed to.
        reason: one of `poison`, `invalid`, `handler`, `expired`, `quarantine`.
        detail: what was wrong, in words.
        deliveries: how often it was tried.
        at: when it was given up, seconds since 1970 by the queue's clock.
    """

    id: str
    frame: Frame
    priority: str
    reason: str
    detail: str
    deliveries: int
    at: float


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of one delivery.

    Args:
        delivery: the frame as it was handed out.
        handled: its messages that were handled.
        letters: dead letters cut out of it.
        finished: True takes the frame off the queue; False leaves it pending, to be claimed and tried again.
    """

    delivery: Delivery
    handled: tuple[Handled, ...] = ()
    letters: tuple[DeadLetter, ...] = ()
    finished: bool = True


@dataclass(frozen=True, slots=True)
class Member:
    """A consumer of the queue, the words it can decode, and the seconds left of its lease."""

    consumer: str
    words: frozenset[str]
    lease_left: float


@dataclass(frozen=True, slots=True)
class QueueState:
    """What stands where, for people and for the rollback's proof.

    Args:
        waiting: frames not yet handed out, by priority.
        pending: frames handed out and not committed, by priority.
        frames_by_type: frames in the streams (waiting and pending) by content type.
        messages: messages in the streams.
        dead, quarantined: letters of either kind.
        handled: messages committed ever.
        duplicates: messages recognised as seen before and not handled again.
        refused: frames refused at the append because of their format.
        admits: words that the queue takes.
        barred: words that a kill took out, until released.
        members: consumers that joined.
        oldest: age in seconds of the oldest frame in the streams; 0 where there is none.
    """

    domain: str
    waiting: Mapping[str, int]
    pending: Mapping[str, int]
    frames_by_type: Mapping[str, int]
    messages: int
    dead: int
    quarantined: int
    handled: int
    duplicates: int
    refused: int
    admits: frozenset[str]
    barred: frozenset[str]
    members: tuple[Member, ...] = field(default_factory=tuple)
    oldest: float = 0.0


@dataclass(frozen=True, slots=True)
class FrameRefusal:
    """Why a frame was not admitted: the words that the queue does not take, and those it takes."""

    refused: frozenset[str]
    admits: frozenset[str]


class Queue(Protocol):
    """One domain's queue. Every method raises StoreUnreachable when the server does not answer in time."""

    domain: str

    def append(self, frames: Sequence[tuple[str, Frame]], *, bounded: bool = True) -> list[FrameRefusal | None]:
        """Append (priority, frame) pairs in order, in one round trip; for each None, or why it was refused.

        A frame id that was taken before is recognised and answered with None, whatever is admitted by now. Raises
        QueueFull where the bound would be passed, or StoreRefused where the server will not write; then none of these
        frames was taken. ValueError for a priority that there is not.

        Not `bounded`, they pass the bound: for what a handler sends, of which there is no more than there are frames in
        hand. Two domains that fill each other's queues would otherwise both wait for room, for ever.
        """

    def join(self, consumer: str, words: frozenset[str], lease: float) -> None:
        """Register or renew a consumer; narrows what the queue admits to what every live consumer can decode."""

    def leave(self, consumer: str) -> None:
        """Take a consumer out; widens what the queue admits again. Its pending frames are claimed by others."""

    def receive(self, consumer: str, limit: int, block: float) -> list[Delivery]:
        """Take up to `limit` new frames in `reading_order`; wait up to `block` seconds for the first one.

        A receive that had to wait may bring one frame of each priority, even where `limit` is less than three.
        """

    def claim(self, consumer: str, idle: float, limit: int) -> list[Delivery]:
        """Take over frames that some consumer has held for more than `idle` seconds without committing."""

    def hold(self, consumer: str, deliveries: Sequence[Delivery]) -> None:
        """Start the idle time of frames that this consumer still works on again, so that nobody claims them from it.

        Frames that are settled, or that another consumer has claimed, are left alone.
        """

    def seen(self, message_ids: Sequence[str]) -> list[bool]:
        """Tell for each message whether it was handled before, within the deduplication window."""

    def settle(self, consumer: str, settlements: Sequence[Settlement]) -> None:
        """Mark messages handled, keep their results, bury letters, and take finished frames off: one step, all or none.

        A message that was marked before keeps its first result and counts as a duplicate. A letter marks its message
        too, and is not buried where the message was marked before or somebody else has settled the frame.
        """

    def results(self, after: str = "0-0", limit: int = 1000) -> list[tuple[str, str, bytes]]:
        """Read committed results in order: (cursor, message id, result)."""

    def bar(self, words: frozenset[str]) -> None:
        """Stop admitting these words until they are released: the interlocking half of a kill."""

    def release(self, words: frozenset[str]) -> None:
        """Admit these words again, as far as every live consumer can decode them and `bar_all` has not barred them."""

    def now(self) -> float:
        """Read the queue's clock, seconds since 1970: what `Delivery.appended` and a message's ttl are measured by."""

    def state(self, *, scan: bool = True) -> QueueState:
        """Count what stands where.

        `scan` looks at every frame, which is a proof; without it the figures by type and of messages are the running
        counters of the queue's own scripts, which is cheap enough for once a second.
        """

    def peek(self, limit: int = 10) -> list[Delivery]:
        """Look at the oldest frames without taking them."""

    def dead_letters(self, limit: int = 100, *, quarantine: bool = False) -> list[DeadLetter]:
        """List what was given up, oldest first."""

    def replay(
        self,
        letter_ids: Sequence[str],
        *,
        quarantine: bool = False,
        rewrite: Callable[[Frame], Frame] | None = None,
    ) -> int:
        """Put letters back at the end of the queue, in the order asked for; answers how many were.

        Passes admission: a frame that is not admitted is put through `rewrite`, and stays a letter where that is None
        or its result is not admitted either. Dead letters lose their deduplication marks; what was quarantined keeps
        them, since a mark there means that a consumer handled it in the meantime. Raises QueueFull.
        """

    def discard(self, letter_ids: Sequence[str], *, quarantine: bool = False) -> int:
        """Drop letters for good; answers how many were."""

    def close(self) -> None:
        """Wake a blocked `receive` and let go of connections."""


class QueueServer(Protocol):
    """The queues of one environment and what is shared by them."""

    environment: str

    def queue(self, domain: str) -> Queue:
        """Open a domain's queue; it comes into being with the first append or join.

        Each call opens a handle of its own over the same queue: closing one leaves the others alone.
        """

    def domains(self) -> list[str]:
        """Name the domains that have a queue, in order."""

    def bars(self) -> str:
        """Name how far the environment's bars have got: another name after every `bar_all`."""

    def bar_all(self, words: frozenset[str]) -> None:
        """Bar words in every queue that exists and in those yet to come."""

    def release_all(self, words: frozenset[str], bars: str = "") -> bool:
        """Release words in every queue; where `bars` is given and is not their name any more, none, answering False."""

    def close(self) -> None:
        """Let go of connections."""
