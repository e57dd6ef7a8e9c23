"""The flag store over Redis: one script reads, one script writes, and nothing is ever repeated without being asked.

The scripts beside this module own the layout; this module owns what is sent, how long it is waited for, and when a
write is sent again: only with the same operation id, after an answer that was lost, within the time-out.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import redis

from flags.errors import RevisionConflict, WriteUnconfirmed
from flags.items import item_from_json, parted
from flags.model import SEGMENT_ITEM, Flag, Item, Revision, Snapshot
from flags.store import HistoryEntry, Write, Written
from flags.stored import StoredFlags, StoredRevisions
from flags.stores.keys import Keys
from flags.stores.redis_registry import RedisInstanceRegistry
from flags.stores.writing import OPERATION_SECONDS, body_digest, contents, mismatch, requirements
from foundation.errors import DocumentError, StoreUnreachable
from foundation.redis import Script, connect, held, translated
from foundation.wire import Command

__all__ = ["RedisFlagStore", "RedisInstanceRegistry", "read_snapshot"]

LOG_ENTRIES = 10_000
LOG_ITEMS = 1_000
"""Most items in one entry of the log; a larger write makes subscribers read everything."""

READINGS = 10
"""Attempts at reading everything at one revision."""

ATTEMPTS = 3
PAUSE = 0.05
"""Seconds between two attempts at a write; all of them together start within the client's time-out."""

REPLICA_WAIT = 0.5
"""Seconds that a write waits for a replica, where there are any."""

_LOG = logging.getLogger(__name__)
_WRITE = Script("flags.stores", "fence.lua", "write.lua")
REVISION = Script("flags.stores", "fence.lua", "revision.lua")
"""Answers with the epoch and the rev of an environment, after the fence."""


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
            return read_snapshot(self._send_all, self._keys)

    def revision(self) -> Revision:
        """Tell at which revision a snapshot would be, without reading it."""
        with translated("read the revision"):
            epoch, rev = REVISION(self._client, [self._keys.named("meta")], [self._keys.prefix])
        return Revision(int(epoch), int(rev))

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

    def _send_all(self, commands: tuple[Command, ...]) -> list[Any]:
        with self._client.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
            return pipeline.execute()

    def _send(self, write: Write, keys: list[str], arguments: list[str | int]) -> Written:
        # WAIT speaks of the connection's own writes, so both commands take the same one.
        with held(self._client) as line:
            outcome, *answer = _WRITE(line, keys, arguments)
            if outcome == b"conflict":
                raise _conflict(write, *answer)
            if outcome == b"mismatch":
                raise mismatch(write.operation)
            revision, replicas = Revision.parse(answer[0].decode()), answer[1]
            if replicas and not line.execute_command("WAIT", 1, int(REPLICA_WAIT * 1000)):
                raise WriteUnconfirmed(
                    f"applied as revision {revision}, and none of {replicas} replicas has confirmed it "
                    f"within {REPLICA_WAIT:g} s"
                )
        return Written(revision, repeated=outcome == b"repeated")


def read_snapshot(send: Callable[[tuple[Command, ...]], Sequence[Any]], keys: Keys) -> Snapshot:
    """Read every item at one revision, given what sends commands in one piece and answers with what comes back.

    It is not one script, since Lua looks every text up among those it holds, and texts as alike as flags are make that
    slow: a script would keep the server from all other work for half a second over 10,000 flags. Nor is it a
    transaction, which a full server refuses. A server takes up in one go what arrives in one piece, and should a write
    come in between all the same, the revision tells. A segment that can't be read is left out, and logged.

    Raises:
        StoreUnreachable: every attempt met another writer.
    """
    revision: Command = ("EVAL", REVISION.source, 1, keys.named("meta"), keys.prefix)
    commands = (revision, ("HGETALL", keys.named("flags")), ("HGETALL", keys.named("ver")), revision)
    for _ in range(READINGS):
        before, items, versions, after = send(commands)
        if before == after:
            return _snapshot(Revision(int(before[0]), int(before[1])), items, versions)
    raise StoreUnreachable(f"read the flags: they were written again during each of {READINGS} readings")


def _snapshot(revision: Revision, items: Any, versions: Any) -> Snapshot:
    flags: dict[str, Flag | bytes] = {}
    segments: dict[str, bytes] = {}
    for item_key, text in _pairs(items):
        (segments if item_key.startswith(SEGMENT_ITEM) else flags)[item_key] = text
    return Snapshot(
        revision, StoredFlags(flags), StoredRevisions(dict(_pairs(versions))), parted(_readable(segments))[1]
    )


def _readable(documents: Mapping[str, bytes]) -> Iterator[Item]:
    for item_key, json in documents.items():
        try:
            yield item_from_json(item_key, json)
        except DocumentError as error:
            _LOG.error("%r can't be read and is left out: %s", item_key, error)


def _pairs(answer: Any) -> Iterator[tuple[str, bytes]]:
    """Pair keys with values, as redis-py answers and as the server does; keys that are no text come out as bad ones."""
    pairs = answer.items() if isinstance(answer, dict) else zip(answer[::2], answer[1::2], strict=True)
    return ((key.decode(errors="replace"), value) for key, value in pairs)


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
