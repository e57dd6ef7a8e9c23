"""The flag store over Redis: one script reads, one script writes, and nothing is ever repeated without being asked.

The scripts beside this module own the layout; this module owns what is sent, how long it is waited for, and when a
write is sent again: only with the same operation id, after an answer that was lost, within the time-out.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import redis

from flags.errors import RevisionConflict, WriteUnconfirmed
from flags.items import item_from_json, parted
from flags.model import Item, Revision, Snapshot
from flags.store import HistoryEntry, Write, Written
from flags.stores.keys import Keys
from flags.stores.redis_registry import RedisInstanceRegistry
from flags.stores.writing import OPERATION_SECONDS, body_digest, contents, mismatch, requirements
from foundation.errors import DocumentError, StoreUnreachable
from foundation.redis import Script, connect, translated

__all__ = ["RedisFlagStore", "RedisInstanceRegistry", "read_snapshot"]

LOG_ENTRIES = 10_000
LOG_ITEMS = 1_000
"""Most items in one entry of the log; a larger write makes subscribers read everything."""

ATTEMPTS = 3
PAUSE = 0.05
"""Seconds between two attempts at a write; all of them together start within the client's time-out."""

REPLICA_WAIT = 0.5
"""Seconds that a write waits for a replica, where there are any."""

_LOG = logging.getLogger(__name__)
_WRITE = Script("flags.stores", "fence.lua", "write.lua")
_SNAPSHOT = Script("flags.stores", "fence.lua", "snapshot.lua")


class RedisFlagStore:
    """The flags and segments of one environment, in Redis.

    Args:
        server: a URL, or a client made by `foundation.redis.connect`.
        environment: its name.
        timeout: seconds within which the server has to answer; used with a URL.
    """

    def __init__(self, server: redis.Redis | str, environment: str, *, timeout: float = 1.0) -> None:
        self.environment = environment
        self._keys = Keys(environment)
        self._client = connect(server, timeout=timeout) if isinstance(server, str) else server
        self._timeout = timeout

    def snapshot(self) -> Snapshot:
        """Read every flag and segment at one revision."""
        with translated("read the flags"):
            return read_snapshot(self._client, self._keys)

    def write(self, write: Write) -> Written:
        """Apply a write, all of it or none; an answer that was lost is asked for again.

        Raises:
            RevisionConflict, IdempotencyMismatch, StoreRefused, WriteUnconfirmed, StoreUnreachable: see the port.
        """
        keys, arguments = self._arguments(write)
        give_up = time.monotonic() + self._timeout
        attempt = 1
        while True:
            try:
                with translated("write flags"):
                    return self._send(write, keys, arguments)
            except StoreUnreachable:
                # Whether it was applied is not known; the operation id makes sending it again harmless.
                if attempt == ATTEMPTS or time.monotonic() + PAUSE > give_up:
                    raise
            attempt += 1
            time.sleep(PAUSE)

    def recall(self, operation: str, request: str) -> Written | None:
        """Tell what a write of this operation and request has done before; raises IdempotencyMismatch."""
        with translated("read an operation"):
            stored: Any = self._client.get(self._keys.operation(operation))
        if stored is None:
            return None
        digest, _, revision = stored.decode().partition(" ")
        if digest != request:
            raise mismatch(operation)
        return Written(Revision.parse(revision), repeated=True)

    def history(self, item_key: str, *, limit: int = 50) -> list[HistoryEntry]:
        """Read what was done to one item, newest first."""
        with translated("read a history"):
            entries: Any = self._client.xrevrange(self._keys.history(item_key), count=limit)
        return [_history_entry(item_key, entry_id, fields) for entry_id, fields in entries]

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def _arguments(self, write: Write) -> tuple[list[str], list[str | int]]:
        named = self._keys.named
        keys = [named("meta"), named("flags"), named("ver"), named("log"), named("audit")]
        keys.append(self._keys.operation(write.operation))
        items = contents(write)
        arguments: list[str | int] = [self._keys.prefix, write.operation, body_digest(write, items)]
        arguments += [write.actor, write.reason, OPERATION_SECONDS, LOG_ENTRIES, LOG_ITEMS]
        for item_key, expected in requirements(write).items():
            arguments += [item_key, str(expected or ""), items.get(item_key, "")]
        return keys, arguments

    def _send(self, write: Write, keys: list[str], arguments: list[str | int]) -> Written:
        # WAIT speaks of the connection's own writes, so both commands take the same one.
        with self._client.client() as connection:  # type: ignore[no-untyped-call]
            outcome, *answer = _WRITE(connection, keys, arguments)
            if outcome == b"conflict":
                raise _conflict(write, *answer)
            if outcome == b"mismatch":
                raise mismatch(write.operation)
            revision, replicas = Revision.parse(answer[0].decode()), answer[1]
            if replicas and not connection.wait(1, int(REPLICA_WAIT * 1000)):
                raise WriteUnconfirmed(
                    f"applied as revision {revision}, and none of {replicas} replicas has confirmed it "
                    f"within {REPLICA_WAIT:g} s"
                )
        return Written(revision, repeated=outcome == b"repeated")


def read_snapshot(client: redis.Redis, keys: Keys) -> Snapshot:
    """Read every flag and segment at one revision, for callers who translate the library's errors themselves.

    An item that this release can't read is left out, and logged: it must not keep flags from being killed.
    """
    epoch, rev, items, versions = _SNAPSHOT(client, [keys.named("meta")], [keys.prefix])
    flags, segments = parted(_readable(_pairs(items)))
    return Snapshot(
        revision=Revision(int(epoch), int(rev)),
        flags=flags,
        versions={key: Revision.parse(revision.decode()) for key, revision in _pairs(versions)},
        segments=segments,
    )


def _readable(documents: Iterable[tuple[str, bytes]]) -> Iterator[Item]:
    for item_key, json in documents:
        try:
            yield item_from_json(item_key, json)
        except DocumentError as error:
            _LOG.error("%r can't be read and is left out: %s", item_key, error)


def _pairs(flat: list[bytes]) -> list[tuple[str, bytes]]:
    return [(key.decode(), value) for key, value in zip(flat[::2], flat[1::2], strict=True)]


def _conflict(write: Write, key: bytes, current: bytes) -> RevisionConflict:
    expected = requirements(write)[key.decode()]
    return RevisionConflict(key.decode(), str(expected or ""), current.decode())


def _history_entry(item_key: str, entry_id: bytes, fields: Mapping[bytes, bytes]) -> HistoryEntry:
    return HistoryEntry(
        revision=Revision.parse(entry_id.decode()),
        at=int(fields[b"at"]) / 1_000_000,
        actor=fields[b"actor"].decode(),
        reason=fields[b"reason"].decode(),
        before=item_from_json(item_key, fields[b"before"]) if fields[b"before"] else None,
        after=item_from_json(item_key, fields[b"after"]),
    )
