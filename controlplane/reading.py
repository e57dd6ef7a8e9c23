"""What an environment looks like right now, as documents: read here by the API, the pages and the commands alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from controlplane.shapes import (
    Json,
    convergence_shape,
    domain_shape,
    entry_shape,
    event_shape,
    explanation_shape,
    flag_shape,
    instance_shape,
    letter_shape,
    queue_shape,
    receipt_shape,
    running_shape,
)
from controlplane.usage import Marks
from controlplane.wiring import Connection
from flags.convergence import converged
from flags.errors import FlagNotFound
from flags.explanation import explain
from flags.model import Revision, Snapshot
from foundation.errors import StoreRefused, StoreUnreachable
from rollout.clearing import plain

if TYPE_CHECKING:
    from flags.store import HistoryEntry

WINDOW = 10.0
"""Seconds of traffic that lists of instances and domains show."""

FLOW_WINDOW = 60.0
"""Seconds of flows: fewer end than messages pass."""


def flags(connection: Connection, *, archived: bool = False, stale: bool = False) -> Json:
    """List the flags by key: archived ones only where asked for, or none but those that are stale."""
    snapshot = connection.store.snapshot()
    shown = sorted(key for key, flag in snapshot.flags.items() if archived or not flag.archived)
    marks = Marks(connection, snapshot)
    found = [_flag(connection, snapshot, key, marks) for key in shown]
    return {
        "environment": connection.environment,
        "revision": str(snapshot.revision),
        "flags": [flag for flag in found if flag["stale"]] if stale else found,
    }


def flag(connection: Connection, key: str) -> Json:
    """Read one flag; raises FlagNotFound."""
    snapshot = connection.store.snapshot()
    if key not in snapshot.flags:
        raise FlagNotFound(key, connection.environment)
    return _flag(connection, snapshot, key, Marks(connection, snapshot, snapshot.flags[key]))


def explanation(connection: Connection, key: str, context: Mapping[str, Any]) -> Json:
    """Evaluate one flag for a context, step by step; raises FlagNotFound."""
    snapshot = connection.store.snapshot()
    if key not in snapshot.flags:
        raise FlagNotFound(key, connection.environment)
    return {"revision": str(snapshot.revision), **explanation_shape(explain(snapshot, key, context))}


def history(connection: Connection, key: str, *, limit: int = 50) -> Json:
    """List what was done to one flag, newest first; raises FlagNotFound."""
    entries = connection.store.history(key, limit=limit)
    if not entries:
        raise FlagNotFound(key, connection.environment)
    return {"entries": [entry_shape(entry) for entry in entries]}


def written(connection: Connection, revision: Revision, key: str) -> Json:
    """Answer a write: its revision, the flag as it is now, and how far the revision has got."""
    return {
        "revision": str(revision),
        "flag": flag(connection, key),
        "convergence": convergence(connection, revision, (key,)),
    }


def convergence(connection: Connection, revision: Revision, keys: tuple[str, ...], *, wait: float = 0.0) -> Json:
    """Tell how far a revision of some flags has got, after waiting up to `wait` seconds for every live instance."""
    registry = connection.registry
    live = registry.wait_acknowledged(revision, wait) if wait else registry.live()
    return convergence_shape(converged(revision, live, keys))


def instances(connection: Connection) -> Json:
    """List the live instances and the domains with their traffic of the last seconds.

    Traffic is kept on the queue server. Where that does not answer, who is live is told all the same, and `unmeasured`
    says why there are no figures.
    """
    live = connection.registry.live()
    revision = connection.store.revision()
    unmeasured = ""
    try:
        traffic = {each.instance_id: each for each in connection.telemetry.instances(WINDOW)}
        domains = connection.telemetry.domains(WINDOW)
        flows = connection.telemetry.flows(FLOW_WINDOW)
    except (StoreUnreachable, StoreRefused) as error:
        traffic, domains, flows, unmeasured = {}, [], [], str(error)
    return {
        "revision": str(revision),
        "instances": [instance_shape(each, revision, traffic.get(each.instance.id)) for each in live],
        "domains": [domain_shape(each) for each in domains],
        "flows": [asdict(each) for each in flows],
        "unmeasured": unmeasured,
    }


def queues(connection: Connection, *, scan: bool = True) -> Json:
    """Count what stands in each queue; without `scan` from the queues' running counters."""
    server = connection.queues
    return {"queues": [queue_shape(server.queue(domain).state(scan=scan)) for domain in server.domains()]}


def dead_letters(connection: Connection, domain: str, *, limit: int = 100, quarantine: bool = False) -> Json:
    """List a domain's dead letters, oldest first, or what is in quarantine."""
    letters = connection.queues.queue(domain).dead_letters(limit, quarantine=quarantine)
    return {"domain": domain, "letters": [letter_shape(letter) for letter in letters]}


def replay(connection: Connection, domain: str, ids: list[str], *, quarantine: bool = False) -> Json:
    """Put letters back into their queue, as plain JSON where their own format is not admitted.

    Answers how many were, and how many were `left`: not admitted as JSON either, or no such letter.
    """
    replayed = connection.queues.queue(domain).replay(ids, quarantine=quarantine, rewrite=plain)
    return {"replayed": replayed, "left": len(set(ids)) - replayed}


def rollbacks(connection: Connection) -> list[Json]:
    """List the rollbacks, newest first; one that has not ended comes before all others."""
    running = connection.journal.running()
    receipts = sorted(connection.journal.receipts(), key=lambda receipt: str(receipt["started"]), reverse=True)
    return [*([running_shape(running)] if running else []), *(receipt_shape(receipt) for receipt in receipts)]


def rollback(connection: Connection, rollback_id: str) -> Json:
    """Read one rollback with its events and its receipt, which is None until it has ended; raises ReceiptUnknown."""
    running = connection.journal.running()
    mine = running if running and running.lead.receipt == rollback_id else None
    receipt = None if mine else connection.journal.receipt(rollback_id)
    shape = running_shape(mine) if mine else receipt_shape(receipt or {})
    events = [event_shape(cursor, event) for cursor, event in connection.journal.events(rollback_id)]
    return {**shape, "events": events, "receipt": receipt}


def _flag(connection: Connection, snapshot: Snapshot, key: str, marks: Marks) -> Json:
    flag, version = snapshot.flags[key], snapshot.versions[key]
    last = last_write(connection, key, version)
    return {**flag_shape(flag, version, last), **marks.of(flag, last.at if last else None)}


@lru_cache(maxsize=10_000)
def last_write(connection: Connection, key: str, version: Revision) -> HistoryEntry | None:
    """Read who made a write. The past does not change, so one reading for each version is enough."""
    return next((entry for entry in connection.store.history(key, limit=5) if entry.revision == version), None)
