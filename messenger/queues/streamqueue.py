"""One domain's queue over Redis Streams: the port, each of its changes one script.

Knows frames and words, never codecs or flags. What the queues of an environment share is in `environment`.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import redis

from foundation.errors import StoreRefused
from foundation.redis import Script, translated
from messenger.errors import QueueFull
from messenger.formats import ALL_WORDS, FALLBACK_WORDS
from messenger.frame import Frame
from messenger.queue import (
    PRIORITIES,
    DeadLetter,
    Delivery,
    FrameRefusal,
    QueueLimits,
    QueueState,
    Settlement,
    check_priorities,
    reading_order,
)
from messenger.queues import census, scripts
from messenger.queues.entries import (
    append_arguments,
    delivery_of,
    entries,
    settle_arguments,
    words_of,
)
from messenger.queues.environment import Bars, Environment
from messenger.queues.letters import Letters
from messenger.queues.waiting import Waiter

_ATTEMPTS = 3
_GONE = ("NOGROUP", "UNBLOCKED")
"""How the server says that a stream or its group is not there (any more)."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where queues are: their server and its address, what they share, their limits, and the seconds for an answer."""

    client: redis.Redis
    url: str
    environment: Environment
    limits: QueueLimits
    timeout: float


class RedisQueue:
    """A handle on one domain's queue."""

    def __init__(self, site: Site, domain: str) -> None:
        self.domain, self.site = domain, site
        self.client = site.client
        self.stem = f"sb:{{{site.environment.name}/{domain}}}"
        self._streams = {f"{self.stem}:q:{priority}".encode(): priority for priority in PRIORITIES}
        self._names = [stream.decode() for stream in self._streams]
        self._turns = itertools.count()
        self._window = int(site.limits.handled_window * 1000)
        self._waiter: Waiter | None = None
        self._making = threading.RLock()  # a signal's handler may close in the thread that is just receiving
        self._closed = False

    def append(self, frames: Sequence[tuple[str, Frame]], *, bounded: bool = True) -> list[FrameRefusal | None]:
        """Append (priority, frame) pairs in order; for each None, or why it was refused."""
        check_priorities(frames)
        limits = self.site.limits
        arguments: list[Any] = [limits.frames if bounded else -1, int(limits.append_window * 1000)]
        for priority, frame in frames:
            arguments += append_arguments(priority, frame)
        with scripts.adding(f"append to queue {self.domain}"):
            reply = self.run("append to", scripts.APPEND, arguments)
        answers: list[FrameRefusal | None] = [None] * len(frames)
        if isinstance(reply, list):
            if reply[0] == b"full":
                raise QueueFull(f"queue {self.domain!r} holds {reply[1]} frames, its bound")
            admits = words_of(reply[2])
            for place in reply[1]:
                answers[place] = FrameRefusal(frames[place][1].words - admits, admits)
        return answers

    def join(self, consumer: str, words: frozenset[str], lease: float) -> None:
        """Register or renew a consumer."""
        self._admission("join", consumer, _text(words), str(int(lease * 1000)))

    def leave(self, consumer: str) -> None:
        """Take a consumer out."""
        self._admission("leave", consumer)

    def receive(self, consumer: str, limit: int, block: float) -> list[Delivery]:
        """Take up to `limit` new frames; wait up to `block` seconds for the first one."""
        deadline = time.monotonic() + block
        if self._closed or limit < 1:
            return []
        order = reading_order(next(self._turns))
        reply = self.run("receive from", scripts.RECEIVE, [consumer, limit, *order])
        taken = [delivery_of(name.decode(), entry, 1) for name, found in reply for entry in entries(found)]
        while not taken and not self._closed and (left := deadline - time.monotonic()) > 0:
            taken = self._wait(consumer, limit, left)
        return taken

    def claim(self, consumer: str, idle: float, limit: int) -> list[Delivery]:
        """Take over frames that some consumer has held for more than `idle` seconds without committing."""
        return _deliveries(self.run("claim from", scripts.CLAIM, [consumer, int(idle * 1000), limit]))

    def hold(self, consumer: str, deliveries: Sequence[Delivery]) -> None:
        """Start the idle time of frames that this consumer still works on again."""
        if deliveries:
            places = [part for delivery in deliveries for part in (delivery.priority, delivery.entry)]
            self.run("hold frames of", scripts.HOLD, [consumer, *places])

    def seen(self, message_ids: Sequence[str]) -> list[bool]:
        """Tell for each message whether it was handled before, within the deduplication window."""
        if not message_ids:
            return []
        return [mark == 1 for mark in self.run("read marks of", scripts.SEEN, [self._window, *message_ids])]

    def settle(self, consumer: str, settlements: Sequence[Settlement]) -> None:  # noqa: ARG002 - the port's signature
        """Mark, keep results, bury letters and take finished frames off."""
        if settlements:
            arguments = [self._window, self.site.limits.results]
            for settlement in settlements:
                arguments += settle_arguments(settlement)
            self.run("settle frames of", scripts.SETTLE, arguments)

    def results(self, after: str = "0-0", limit: int = 1000) -> list[tuple[str, str, bytes]]:
        """Read committed results in order: (cursor, message id, result)."""
        with translated(f"read results of queue {self.domain}"):
            found: Any = self.client.xrange(f"{self.stem}:results", f"({after}", count=limit)
        return [(cursor.decode(), fields[b"m"].decode(), fields[b"v"]) for cursor, fields in found]

    def bar(self, words: frozenset[str]) -> None:
        """Stop admitting these words until they are released."""
        self._admission("bar", _text(words))

    def release(self, words: frozenset[str]) -> None:
        """Admit these words again."""
        self._admission("release", _text(words))

    def now(self) -> float:
        """Read the queue's clock, seconds since 1970."""
        with translated(f"read the clock of queue {self.domain}"):
            seconds, micros = self.client.time()
        return int(seconds) + int(micros) / 1_000_000

    def state(self, *, scan: bool = True) -> QueueState:
        """Count what stands where."""
        state = census.take_state(self.client, self.stem, self.domain, scan=scan)
        return state or census.never_opened(self.domain, self.site.environment.look().words)

    def count(self, words: frozenset[str]) -> int:
        """Count the frames, waiting and pending, that need any of these words, by a look at every one."""
        return census.count_frames(self.client, self.stem, self.domain, words)

    def peek(self, limit: int = 10) -> list[Delivery]:
        """Look at the oldest frames without taking them; `deliveries` is 0 for those never handed out."""
        with translated(f"look into queue {self.domain}"):
            reply = scripts.PEEK(self.client, [self.stem], [max(1, limit)])
        places = _deliveries(reply)
        return sorted(places, key=lambda place: (place.appended, _sequence(place.entry)))[:limit]

    def dead_letters(self, limit: int = 100, *, quarantine: bool = False) -> list[DeadLetter]:
        """List what was given up, oldest first."""
        return self._letters(quarantine).list(limit)

    def replay(
        self,
        letter_ids: Sequence[str],
        *,
        quarantine: bool = False,
        rewrite: Callable[[Frame], Frame] | None = None,
    ) -> int:
        """Put letters back at the end of the queue; answers how many were."""
        return self._letters(quarantine).replay(letter_ids, rewrite)

    def discard(self, letter_ids: Sequence[str], *, quarantine: bool = False) -> int:
        """Drop letters for good; answers how many were."""
        return self._letters(quarantine).discard(letter_ids)

    def close(self) -> None:
        """Wake a blocked `receive` and let go of its connection."""
        with self._making:
            self._closed = True
        if self._waiter:
            self._waiter.close()

    def take_over(self, bars: Bars, released: frozenset[str] = frozenset()) -> None:
        """Open the queue where it is not, take over what is barred everywhere, and release what was barred here."""
        decodable = _text(ALL_WORDS)
        arguments = [_text(FALLBACK_WORDS), "open", bars.generation, _text(bars.words), _text(released), decodable]
        with translated(f"open queue {self.domain}"):
            scripts.ADMISSION(self.client, [self.stem], arguments)

    def run(self, purpose: str, script: Script, arguments: Sequence[Any]) -> Any:
        """Run a script of this queue, and open the queue first where it is not there or was lost with its server."""
        for _ in range(_ATTEMPTS):
            with translated(f"{purpose} queue {self.domain}"):
                try:
                    reply = script(self.client, [self.stem], arguments)
                except redis.ResponseError as error:
                    if not _is_gone(error):
                        raise
                else:
                    if reply not in (b"unopened", [b"unopened"]):
                        return reply
            self._open()
        raise StoreRefused("NOGROUP", f"{purpose} queue {self.domain}: its keys vanish as soon as they are made")

    def _open(self) -> None:
        # First into the list, then the bars, then the first frame: see Environment and RedisQueueServer.bar_all.
        self.take_over(self.site.environment.enroll(self.domain))

    def _admission(self, verb: str, *arguments: str) -> None:
        self.run(f"{verb} at", scripts.ADMISSION, [_text(FALLBACK_WORDS), verb, *arguments])

    def _wait(self, consumer: str, limit: int, wait: float) -> list[Delivery]:
        with self._making:
            if self._closed:
                return []
            self._waiter = self._waiter or Waiter(self.site.url, self.site.timeout)
        with translated(f"wait for queue {self.domain}"):
            try:
                # A command that finds entries at once answers with so many of each priority.
                reply = self._waiter.read(self._names, consumer, max(1, limit // len(PRIORITIES)), wait)
            except redis.ResponseError as error:
                if not _is_gone(error):
                    raise
                reply = None
        if reply is None:
            self._open()
            return []
        return [delivery_of(self._streams[stream], entry, 1) for stream, found in reply for entry in found]

    def _letters(self, quarantine: bool) -> Letters:
        return Letters(self.client, self.stem, "quarantine" if quarantine else "dead", self.site.limits)


def _deliveries(reply: Sequence[tuple[bytes, Any, int]]) -> list[Delivery]:
    return [delivery_of(name.decode(), entries([entry])[0], deliveries) for name, entry, deliveries in reply]


def _sequence(entry: str) -> int:
    return int(entry.partition("-")[2])


def _text(words: frozenset[str]) -> str:
    return " ".join(sorted(words))


def _is_gone(error: redis.ResponseError) -> bool:
    return any(word in str(error) for word in _GONE)
