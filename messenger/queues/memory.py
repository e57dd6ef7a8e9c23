"""The queue port in memory: the faithful twin of the Redis adapter for tests, and for workers of one process.

It keeps every promise of the port but the ones about surviving the process. Nothing here knows of codecs.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
import weakref
from collections.abc import Callable, Sequence

from foundation.clock import SYSTEM, Clock
from foundation.errors import DocumentError
from messenger.envelope import is_domain
from messenger.errors import PoisonFrame, QueueFull
from messenger.frame import Frame
from messenger.queue import (
    DeadLetter,
    Delivery,
    FrameRefusal,
    Member,
    QueueLimits,
    QueueState,
    Settlement,
    check_priorities,
)
from messenger.queues.contents import Contents, numbers


class MemoryQueueServer:
    """The queues of one environment in this process's memory; safe to share between threads."""

    def __init__(self, environment: str, clock: Clock = SYSTEM, limits: QueueLimits | None = None) -> None:
        self.environment = environment
        self._clock = clock
        self._limits = limits or QueueLimits()
        self._lock = threading.Lock()
        self._barred: frozenset[str] = frozenset()
        self._generation = 0
        self._contents: dict[str, Contents] = {}
        self._handles: weakref.WeakSet[MemoryQueue] = weakref.WeakSet()

    def queue(self, domain: str) -> MemoryQueue:
        """Open a domain's queue."""
        if not is_domain(domain):
            raise DocumentError(
                "domain", "can't name a queue", value=domain, expected="letters, digits, '.', '_' or '-'"
            )
        with self._lock:
            contents = self._contents.setdefault(domain, Contents(self._clock, self._limits, self._barred))
            handle = MemoryQueue(domain, contents)
            self._handles.add(handle)
        return handle

    def domains(self) -> list[str]:
        """Name the domains that have a queue, in order."""
        with self._lock:
            return sorted(domain for domain, contents in self._contents.items() if contents.exists)

    def bars(self) -> str:
        """Name how far the environment's bars have got."""
        with self._lock:
            return str(self._generation)

    def bar_all(self, words: frozenset[str]) -> None:
        """Bar words in every queue that exists and in those yet to come."""
        with self._lock:
            self._generation += 1
            self._barred |= words
            for contents in self._contents.values():
                contents.bar_everywhere(self._barred)

    def release_all(self, words: frozenset[str], bars: str = "") -> bool:
        """Release words in every queue, unless the bars are not as they were seen."""
        with self._lock:
            if bars not in {"", str(self._generation)}:
                return False
            self._generation += 1
            self._barred -= words
            for contents in self._contents.values():
                contents.bar_everywhere(self._barred)
                contents.release(words)
            return True

    def close(self) -> None:
        """Close every handle that was opened here."""
        with self._lock:
            handles = list(self._handles)
        for handle in handles:
            handle.close()


class MemoryQueue:
    """A handle on one domain's queue in memory."""

    def __init__(self, domain: str, contents: Contents) -> None:
        self.domain = domain
        self._contents = contents
        self._turns = itertools.count()
        self._closed = False

    def append(self, frames: Sequence[tuple[str, Frame]], *, bounded: bool = True) -> list[FrameRefusal | None]:
        """Append (priority, frame) pairs in order; for each None, or why it was refused."""
        check_priorities(frames)
        contents = self._contents
        with contents.changed:
            contents.exists = True
            answers: list[FrameRefusal | None] = []
            new: dict[str, tuple[str, Frame]] = {}
            for priority, frame in frames:
                known = frame.id in new or frame.id in contents.appended
                answers.append(None if known else contents.refusal(frame))
                if not known and answers[-1] is None:
                    new[frame.id] = (priority, frame)
            if new and bounded and contents.count() + len(new) > contents.limits.frames:
                raise QueueFull(f"queue {self.domain!r} holds {contents.count()} frames, its bound")
            contents.refused += sum(refusal is not None for refusal in answers)
            for priority, frame in new.values():
                contents.appended.add(frame.id)
                contents.put(priority, frame)
            contents.changed.notify_all()
        return answers

    def join(self, consumer: str, words: frozenset[str], lease: float) -> None:
        """Register or renew a consumer."""
        contents = self._contents
        with contents.changed:
            contents.exists = True
            contents.members[consumer] = (words, contents.clock.monotonic() + lease)
            contents.review_members()

    def leave(self, consumer: str) -> None:
        """Take a consumer out."""
        with self._contents.changed:
            self._contents.members.pop(consumer, None)
            self._contents.review_members()

    def receive(self, consumer: str, limit: int, block: float) -> list[Delivery]:
        """Take up to `limit` new frames; wait up to `block` seconds, of real time, for the first one."""
        if limit < 1:
            return []
        deadline, turn = time.monotonic() + block, next(self._turns)
        with self._contents.changed:
            while not self._closed:
                taken = self._contents.take(consumer, limit, turn)
                left = deadline - time.monotonic()
                if taken or left <= 0:
                    return taken
                self._contents.changed.wait(left)
        return []

    def claim(self, consumer: str, idle: float, limit: int) -> list[Delivery]:
        """Take over frames that some consumer has held for more than `idle` seconds without committing."""
        contents = self._contents
        with contents.changed:
            horizon = contents.clock.monotonic() - idle
            stale = (place for place in contents.held() if place[2].since < horizon)
            return [
                contents.deliver(consumer, priority, entry, pending.deliveries + 1)
                for priority, entry, pending in list(itertools.islice(stale, max(limit, 0)))
            ]

    def hold(self, consumer: str, deliveries: Sequence[Delivery]) -> None:
        """Start the idle time of frames that this consumer still works on again."""
        contents = self._contents
        with contents.changed:
            for delivery in deliveries:
                pending = contents.streams[delivery.priority].pending.get(delivery.entry)
                if pending and pending.consumer == consumer:
                    pending.since = contents.clock.monotonic()

    def seen(self, message_ids: Sequence[str]) -> list[bool]:
        """Tell for each message whether it was handled before, within the deduplication window."""
        with self._contents.changed:
            return [message_id in self._contents.marks for message_id in message_ids]

    def settle(self, consumer: str, settlements: Sequence[Settlement]) -> None:  # noqa: ARG002 - the port's signature
        """Mark, keep results, bury letters and take finished frames off."""
        with self._contents.changed:
            for settlement in settlements:
                self._contents.settle(settlement)
            self._contents.forget_old_results()

    def results(self, after: str = "0-0", limit: int = 1000) -> list[tuple[str, str, bytes]]:
        """Read committed results in order: (cursor, message id, result)."""
        with self._contents.changed:
            later = (item for item in self._contents.results.items() if numbers(item[0]) > numbers(after))
            return [(cursor, *result) for cursor, result in itertools.islice(later, limit)]

    def bar(self, words: frozenset[str]) -> None:
        """Stop admitting these words until they are released."""
        self._contents.exists = True
        self._contents.bar(words)

    def release(self, words: frozenset[str]) -> None:
        """Admit these words again."""
        self._contents.release(words)

    def now(self) -> float:
        """Read the queue's clock, seconds since 1970."""
        return self._contents.clock.now()

    def state(self, *, scan: bool = True) -> QueueState:  # noqa: ARG002 - counting is always a scan here
        """Count what stands where."""
        contents = self._contents
        with contents.changed:
            contents.review_members()
            standing = [held for stream in contents.streams.values() for held in stream.frames.values()]
            types = sorted({frame.content_type for _, frame in standing})
            now = contents.clock.monotonic()
            return QueueState(
                domain=self.domain,
                waiting={priority: len(stream.waiting) for priority, stream in contents.streams.items()},
                pending={priority: len(stream.pending) for priority, stream in contents.streams.items()},
                frames_by_type={name: sum(frame.content_type == name for _, frame in standing) for name in types},
                messages=sum(frame.count for _, frame in standing),
                dead=len(contents.dead),
                quarantined=len(contents.quarantine),
                handled=contents.handled,
                duplicates=contents.duplicates,
                refused=contents.refused,
                admits=contents.admits,
                barred=contents.barred,
                members=tuple(Member(n, w, expiry - now) for n, (w, expiry) in sorted(contents.members.items())),
                oldest=max((contents.clock.now() - appended for appended, _ in standing), default=0.0),
            )

    def peek(self, limit: int = 10) -> list[Delivery]:
        """Look at the oldest frames without taking them; `deliveries` is 0 for those never handed out."""
        contents = self._contents
        with contents.changed:
            places = [(entry, priority) for priority, stream in contents.streams.items() for entry in stream.frames]
            places.sort(key=lambda place: numbers(place[0]))
            return [contents.delivery(priority, entry) for entry, priority in places[:limit]]

    def dead_letters(self, limit: int = 100, *, quarantine: bool = False) -> list[DeadLetter]:
        """List what was given up, oldest first."""
        with self._contents.changed:
            return list(itertools.islice(self._letters(quarantine).values(), limit))

    def replay(
        self,
        letter_ids: Sequence[str],
        *,
        quarantine: bool = False,
        rewrite: Callable[[Frame], Frame] | None = None,
    ) -> int:
        """Put letters back at the end of the queue; answers how many were."""
        contents = self._contents
        with contents.changed:
            letters, ready = self._letters(quarantine), []
            for letter in (letters[name] for name in dict.fromkeys(letter_ids) if name in letters):
                frame = letter.frame
                if rewrite and contents.refusal(frame):
                    with contextlib.suppress(PoisonFrame):  # then it stays as it is, and is not admitted
                        frame = rewrite(frame)
                if contents.refusal(frame) is None:
                    ready.append((letter, frame))
            if contents.count() + len(ready) > contents.limits.frames:
                raise QueueFull(f"queue {self.domain!r} holds {contents.count()} frames, its bound")
            for letter, frame in ready:
                del letters[letter.id]
                if not quarantine:
                    contents.marks.discard(letter.id)
                contents.put(letter.priority, frame)
            contents.changed.notify_all()
        return len(ready)

    def discard(self, letter_ids: Sequence[str], *, quarantine: bool = False) -> int:
        """Drop letters for good; answers how many were."""
        with self._contents.changed:
            letters = self._letters(quarantine)
            return sum(letters.pop(name, None) is not None for name in dict.fromkeys(letter_ids))

    def close(self) -> None:
        """Wake a blocked `receive`."""
        with self._contents.changed:
            self._closed = True
            self._contents.changed.notify_all()

    def _letters(self, quarantine: bool) -> dict[str, DeadLetter]:
        return self._contents.quarantine if quarantine else self._contents.dead
