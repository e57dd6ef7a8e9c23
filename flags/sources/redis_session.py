"""One connection's part in the update protocol: step after step, each a single round trip.

A step renews the lease, acknowledges what the client has applied, and waits for the next change, all in one piece of
writing. The log's entry ids are revisions; a change that is not the very next one, another epoch, or a log that ends
before the environment's revision make the session read a full snapshot. It neither reconnects nor decides when to end.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import redis

from flags.instances import Instance
from flags.items import item_from_json, parted
from flags.model import ZERO, Revision
from flags.source import Feed
from flags.store import Change
from flags.stores.keys import Keys
from flags.stores.redis import REVISION, read_snapshot
from flags.stores.redis_registry import ACKNOWLEDGE, LEAVE, acknowledgement
from foundation.errors import DocumentError
from foundation.redis import translation
from foundation.wire import Command, Wire

ENTRIES = 1_000
"""Changes taken in one step at most."""

_Entry = tuple[bytes, list[bytes]]


class Session:
    """The protocol over one connection.

    Args:
        held: a client that keeps to a single connection, and may wait for an answer for `heartbeat` and more.
        keys: the environment's.
        feed: where news goes.
        instance: as whom to renew and acknowledge; None only follows, and is no instance.
        lease: seconds that a renewal lasts.
        heartbeat: seconds that a step waits for a change.
    """

    def __init__(
        self, held: redis.Redis, keys: Keys, feed: Feed, instance: Instance | None, lease: float, heartbeat: float
    ) -> None:
        self._held = held
        self._wire = Wire(held)
        self._keys, self._feed, self._instance, self._lease = keys, feed, instance, lease
        self._meta, self._log = keys.named("meta"), keys.named("log")
        self._block = round(heartbeat * 1000)
        self._arguments: list[str | int] | None = None
        self._idle = False

    def open(self) -> None:
        """Get in step with the server: fence, compare, and read everything where changes alone would not do."""
        self._held.script_load(ACKNOWLEDGE.source)
        current = _revision(REVISION(self._held, [self._meta], [self._keys.prefix]))
        if self._feed.cursor == ZERO or not self._within_reach(current):
            self._read_all()

    def step(self) -> None:
        """Renew, acknowledge and wait for news, up to a heartbeat; apply what has come."""
        sent = time.monotonic()
        self._send()
        current = _revision(self._wire.receive()) if self._idle else self._feed.cursor
        behind = current != self._feed.cursor
        if self._instance is not None and self._renewed():
            self._feed.contact(sent)
        answer = self._wire.receive()
        if self._instance is None:
            self._feed.contact()
        self._idle = answer is None
        # A log that has nothing to tell though the revision is another one was trimmed, lost or restored.
        if not self._apply(answer[0][1]) if answer else behind:
            self._read_all()

    def leave(self) -> None:
        """Take the instance out of the registry."""
        if self._instance is not None:
            LEAVE(self._held, [self._meta], [self._keys.prefix, self._instance.id])

    def _send(self) -> None:
        cursor = self._feed.cursor
        commands: list[Command] = []
        if self._idle:
            # The run id can't change under a connection, unless something between us and the server hides it.
            commands.append(("EVALSHA", REVISION.sha, 1, self._meta, self._keys.prefix))
        if self._instance is not None:
            commands.append(("EVALSHA", ACKNOWLEDGE.sha, 1, self._meta, *self._renewal(self._instance, cursor)))
        commands.append(("XREAD", "COUNT", ENTRIES, "BLOCK", self._block, "STREAMS", self._log, str(cursor)))
        self._wire.send(*commands)

    def _renewal(self, instance: Instance, cursor: Revision) -> list[str | int]:
        if self._arguments is None or instance.overrides != self._feed.overrides:
            self._instance = replace(instance, overrides=self._feed.overrides)
            self._arguments = acknowledgement(self._keys, self._instance, cursor, self._lease)
        self._arguments[2:4] = cursor
        return self._arguments

    def _renewed(self) -> bool:
        try:
            self._wire.receive()
        except redis.ResponseError as error:
            refused = translation("renew the lease", error)
            if refused is None:
                raise
            # A server that is full or read-only still tells of changes, and they are followed while the lease runs out.
            self._feed.failed(refused)
            return False
        return True

    def _within_reach(self, current: Revision) -> bool:
        cursor = self._feed.cursor
        return current.epoch == cursor.epoch and current.rev >= cursor.rev

    def _apply(self, entries: list[_Entry]) -> bool:
        for entry_id, fields in entries:
            change = _change(entry_id, fields)
            if change is None or not self._feed.apply(change):
                return False
        return True

    def _read_all(self) -> None:
        self._feed.replace(read_snapshot(self._send_all, self._keys))

    def _send_all(self, commands: tuple[Command, ...]) -> list[Any]:
        self._wire.send(*commands)
        return [self._wire.receive() for _ in commands]


def _revision(answer: list[bytes]) -> Revision:
    return Revision(int(answer[0]), int(answer[1]))


def _change(entry_id: bytes, fields: list[bytes]) -> Change | None:
    """Read a log entry; None for one that stands for a snapshot, or that this release can't read."""
    if fields[0] == b"*":
        return None
    keys = [key.decode() for key in fields[::2]]
    try:
        items = parted(item_from_json(key, text) for key, text in zip(keys, fields[1::2], strict=True))
    except DocumentError:
        return None  # the snapshot read instead names the item in the log
    epoch, _, rev = entry_id.partition(b"-")
    return Change(Revision(int(epoch), int(rev)), *items)
