"""The segments of an environment as documents: read here by the API, the pages and the commands alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from controlplane import reading
from controlplane.shapes import Json, entry_shape, segment_shape
from controlplane.wiring import Connection
from flags.errors import SegmentNotFound
from flags.model import SEGMENT_ITEM, Revision, Snapshot
from flags.references import references
from flags.segments import segment_document


def listed(connection: Connection, *, archived: bool = False) -> Json:
    """List the segments by key, archived ones only where asked for."""
    snapshot = connection.store.snapshot()
    shown = sorted(key for key, segment in snapshot.segments.items() if archived or not segment.archived)
    used = _used(snapshot)
    return {
        "environment": connection.environment,
        "revision": str(snapshot.revision),
        "segments": [_segment(connection, snapshot, key, used) for key in shown],
    }


def documents(connection: Connection) -> dict[str, Json]:
    """Read the documents of all segments, archived or not, without who wrote them."""
    return {key: segment_document(segment) for key, segment in connection.store.snapshot().segments.items()}


def found(connection: Connection, key: str) -> Json:
    """Read one segment; raises SegmentNotFound."""
    snapshot = connection.store.snapshot()
    if key not in snapshot.segments:
        raise SegmentNotFound(key, connection.environment)
    return _segment(connection, snapshot, key, _used(snapshot))


def history(connection: Connection, key: str, *, limit: int = 50) -> Json:
    """List what was done to one segment, newest first; raises SegmentNotFound."""
    entries = connection.store.history(SEGMENT_ITEM + key, limit=limit)
    if not entries:
        raise SegmentNotFound(key, connection.environment)
    return {"entries": [entry_shape(entry) for entry in entries]}


def written(connection: Connection, revision: Revision, key: str, *, wait: float = 0.0) -> Json:
    """Answer a write: its revision, the segment as it is now, and how far the revision has got."""
    segment = found(connection, key)
    told = reading.convergence(connection, revision, tuple(segment["flags"]), wait=wait)
    return {"revision": str(revision), "segment": segment, "convergence": told}


def _segment(connection: Connection, snapshot: Snapshot, key: str, used: Mapping[str, list[str]]) -> Json:
    segment = snapshot.segments[key]
    version = snapshot.versions[segment.item_key]
    last = reading.last_write(connection, segment.item_key, version)
    return segment_shape(segment, version, last, sorted(used.get(segment.item_key, ())))


def _used(snapshot: Snapshot) -> Mapping[str, list[str]]:
    """List by segment, in one pass over all flags, those that refer to it."""
    used: defaultdict[str, list[str]] = defaultdict(list)
    for flag in snapshot.flags.values():
        for item_key in () if flag.archived else references(flag):
            used[item_key].append(flag.key)
    return used
