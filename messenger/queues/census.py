"""Counting what stands in a queue: quickly from lengths and counters, or by a look at every frame.

The look is made at the server, some frames at a time: bodies go nowhere, and nobody waits long.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import redis

from foundation.redis import translated
from messenger.formats import ALL_WORDS, FALLBACK_WORDS
from messenger.queue import PRIORITIES, Member, QueueState
from messenger.queues import scripts
from messenger.queues.entries import pairs, seconds, words_of

_LOOK = 200
"""Frames that one call of the script looks at."""


@dataclass(slots=True)
class Scan:
    """Frames by content type, messages, and the frames that need some words: counted one by one."""

    types: Counter[str] = field(default_factory=Counter)
    messages: int = 0
    matching: int = 0


def take_state(client: redis.Redis, stem: str, domain: str, *, scan: bool) -> QueueState | None:
    """Count what stands in a queue; None where it was never opened."""
    with translated(f"count what stands in queue {domain}"):
        reply = scripts.STATE(client, [stem])
        if reply == b"unopened":
            return None
        lasts = {row[0].decode(): row[4].decode() for row in reply[1]}
        return _state(domain, reply, _scan(client, stem, lasts) if scan else None)


def count_frames(client: redis.Redis, stem: str, domain: str, words: frozenset[str]) -> int:
    """Look at every frame of a queue that is there now, and count those that need any of these words."""
    with translated(f"look through queue {domain}"):
        reply = scripts.STATE(client, [stem])
        if reply == b"unopened":
            return 0
        return _scan(client, stem, {row[0].decode(): row[4].decode() for row in reply[1]}, words).matching


def never_opened(domain: str, barred: frozenset[str]) -> QueueState:
    """Describe a queue that does not exist yet."""
    nothing = dict.fromkeys(PRIORITIES, 0)
    admits = ALL_WORDS - barred | FALLBACK_WORDS
    return QueueState(domain, nothing, nothing, {}, 0, 0, 0, 0, 0, 0, admits, barred)


def _scan(client: redis.Redis, stem: str, lasts: dict[str, str], words: frozenset[str] = frozenset()) -> Scan:
    found = Scan()
    for priority, last in lasts.items():
        reached = "0-0"
        while reached and last and reached != last:
            reply = scripts.SCAN(client, [stem], [priority, reached, last, _LOOK, *words])
            reached = reply[0].decode()
            found.messages += reply[1]
            found.matching += reply[2]
            for name, frames in pairs(reply[3]).items():
                found.types[name.decode("utf-8", "replace")] += int(frames)
    return found


def _state(domain: str, reply: Sequence[Any], scan: Scan | None) -> QueueState:
    time, streams, flat, admits, barred, barred_everywhere, members, dead, quarantined = reply
    counters = {name.decode("utf-8", "replace"): int(value) for name, value in pairs(flat).items()}
    types, messages = (scan.types, scan.messages) if scan else _running(counters)
    pending = {row[0].decode(): row[2] for row in streams}
    firsts = [seconds(row[3].decode()) for row in streams if row[3]]
    return QueueState(
        domain=domain,
        waiting={row[0].decode(): max(0, row[1] - row[2]) for row in streams},
        pending=pending,
        frames_by_type=dict(sorted(types.items())),
        messages=messages,
        dead=dead,
        quarantined=quarantined,
        handled=counters.get("handled", 0),
        duplicates=counters.get("duplicates", 0),
        refused=counters.get("refused", 0),
        admits=words_of(admits),
        barred=words_of(barred) | words_of(barred_everywhere),
        members=tuple(_member(row, time) for row in sorted(members)),
        oldest=max(0.0, time / 1000 - min(firsts)) if firsts else 0.0,
    )


def _running(counters: dict[str, int]) -> tuple[Counter[str], int]:
    """Read the running counters; what was written past the library was never added, so none is shown below nothing."""
    types: Counter[str] = Counter()
    for name, frames in counters.items():
        kind, _, rest = name.partition(":")
        if kind == "frames" and frames > 0:
            types[rest.partition(":")[2]] += frames
    return types, sum(max(0, counters.get(f"messages:{priority}", 0)) for priority in PRIORITIES)


def _member(row: Sequence[bytes], time: int) -> Member:
    consumer, expiry, words = row
    return Member(consumer.decode(), words_of(words.split()), (int(expiry) - time) / 1000)
