"""Queues: what waits as YAML is rewritten, drained, set aside or dropped; a scan of every frame is the proof.

Only the format of messages is cleared out: what is compressed or batched every receiver reads, whatever the flags say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing

from messenger.formats import YAML
from messenger.queue import QueueState
from rollout.ports import Clearing
from rollout.record import Note, QueueCounts, QueueEntry
from rollout.run import Run, named

ROUNDS = 3
"""How often a queue is cleared anew where the scan after it still finds YAML: frames written past the library."""

POLL = 0.1
"""Seconds between two looks at queues that drain."""


def queues(run: Run) -> Iterator[Note]:
    """Clear every domain's queue; what is left in one does not keep the next from being cleared."""
    if not run.clears_yaml:
        yield Note("done", "nothing to clear: every receiver reads what these flags choose")
        return
    domains = run.ports.queues.domains()
    found = {domain: look(run, domain)["yaml"] for domain in domains}
    yield Note("progress", _found(found), {"yaml": found})
    if run.request.queues == "drain":
        _drain(run, domains)
    else:
        for domain in domains:
            yield from _clear(run, domain)
    yield _last_word(run, found)


def look(run: Run, domain: str) -> QueueCounts:
    """Scan a queue and write down what stands there now; the first look of all attempts is the one before."""
    with closing(run.ports.queues.queue(domain)) as queue:
        counts = counts_of(queue.state(scan=True))
    _entry(run, domain, counts)["after"] = counts
    return counts


def counts_of(state: QueueState) -> QueueCounts:
    """Keep what the receipt tells of a queue's state."""
    return {
        "frames": sum(state.frames_by_type.values()),
        "messages": state.messages,
        "yaml": state.frames_by_type.get(YAML, 0),
        "pending": sum(state.pending.values()),
        "dead": state.dead,
        "quarantined": state.quarantined,
    }


def _entry(run: Run, domain: str, counts: QueueCounts) -> QueueEntry:
    return run.record["queues"].setdefault(domain, {"before": counts, "after": counts, "cleared": {}})


def _clear(run: Run, domain: str) -> Iterator[Note]:
    entry = run.record["queues"][domain]
    # Once even where nothing is left: an attempt that was killed may have cleared it, and its counts are at the server.
    for _ in range(ROUNDS if entry["before"]["yaml"] or entry["after"]["yaml"] else 0):
        cleared = _method(run)(domain, run.record["receipt"])
        entry["cleared"] = {what: count for what, count in sorted(cleared.items()) if count}
        left = look(run, domain)
        said = ", ".join(f"{count} {what}" for what, count in entry["cleared"].items()) or "nothing cleared"
        yield Note("progress", f"{domain}: {said}, {left['yaml']} YAML left", {"domain": domain, **entry["cleared"]})
        if not left["yaml"]:
            return


def _method(run: Run) -> Callable[[str, str], Mapping[str, int]]:
    clearing: Clearing = run.ports.clearing
    if run.request.queues == "transcode":
        return clearing.transcode
    return clearing.quarantine if run.request.queues == "quarantine" else clearing.purge


def _drain(run: Run, domains: list[str]) -> None:
    clock = run.ports.clock
    deadline = clock.monotonic() + run.request.drain_timeout
    while sum(look(run, domain)["yaml"] for domain in domains) and clock.monotonic() < deadline:
        run.ports.pause(POLL)
    for entry in run.record["queues"].values():
        drained = entry["before"]["yaml"] - entry["after"]["yaml"]
        entry["cleared"] = {**entry["cleared"], "drained": max(0, drained)}


def _last_word(run: Run, found: dict[str, int]) -> Note:
    left = [domain for domain in found if run.record["queues"][domain]["after"]["yaml"]]
    total: Counter[str] = Counter()
    for entry in run.record["queues"].values():
        total.update(entry["cleared"])
    said = ", ".join(f"{count} frames {what}" for what, count in sorted(total.items()) if count)
    if left:
        return Note("failed", f"YAML is left in {named(left)}{'; ' + said if said else ''}", dict(total))
    return Note("done", f"no YAML in {len(found)} queues{'; ' + said if said else ''}", dict(total))


def _found(found: dict[str, int]) -> str:
    waiting = [f"{domain} {count}" for domain, count in found.items() if count]
    return f"YAML frames wait: {named(waiting, limit=8)}" if waiting else "no YAML frame waits"
