"""The instance registry over Redis: leases by the server's clock, and a waiter that sleeps until the last one is there.

The scripts beside this module own the layout. An instance that is fed by `flags.sources.redis` acknowledges through the
same script on a connection of its own.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

import orjson
import redis

from flags.instances import LEASE_MARGIN, Instance, LiveInstance
from flags.model import ZERO, Revision
from flags.stores.keys import Keys
from foundation.redis import Line, Script, connect, held, translated

ACKNOWLEDGE = Script("flags.stores", "fence.lua", "instances.lua", "acknowledge.lua")
LEAVE = Script("flags.stores", "fence.lua", "instances.lua", "leave.lua")
_AWAIT = Script("flags.stores", "fence.lua", "instances.lua", "await.lua")
_LIVE = Script("flags.stores", "fence.lua", "instances.lua", "live.lua")

_LONGEST_SLEEP = 0.5
"""Seconds that a waiter sleeps at most before it looks again; below every client's time-out."""

_FIELDS = frozenset(field.name for field in fields(Instance))
_LISTS = ("capabilities", "overrides")


class RedisInstanceRegistry:
    """The instances of one environment, in Redis.

    Args:
        server: a URL, or a client made by `foundation.redis.connect`.
        environment: its name.
        timeout: seconds within which the server has to answer; used with a URL.
    """

    def __init__(self, server: redis.Redis | str, environment: str, *, timeout: float = 1.0) -> None:
        self.environment = environment
        self._keys = Keys(environment)
        self._client = connect(server, timeout=timeout) if isinstance(server, str) else server

    def renew(self, instance: Instance, acknowledged: Revision, lease: float) -> None:
        """Register or renew an instance for `lease` seconds and record what it has applied, in one step."""
        arguments = acknowledgement(self._keys, instance, acknowledged, lease)
        with translated("renew a lease"):
            ACKNOWLEDGE(self._client, [self._keys.named("meta")], arguments)

    def leave(self, instance_id: str) -> None:
        """Take an instance out at once; unknown ids are ignored."""
        with translated("leave the registry"):
            LEAVE(self._client, [self._keys.named("meta")], [self._keys.prefix, instance_id])

    def live(self) -> list[LiveInstance]:
        """List the instances whose lease has not run out, by slot and id; those past it are evicted."""
        with translated("list the instances"):
            return _live(_LIVE(self._client, [self._keys.named("meta")], [self._keys.prefix]))

    def wait_acknowledged(self, revision: Revision, timeout: float) -> list[LiveInstance]:
        """Wait until every live instance has acknowledged `revision` or time is up; answers with who is live then."""
        give_up = time.monotonic() + timeout
        arguments = [self._keys.prefix, revision.epoch, revision.rev]
        with translated("wait for acknowledgements"), held(self._client) as line:
            missing, *rest = _AWAIT(line, [self._keys.named("meta")], arguments)
            while missing:
                left = give_up - time.monotonic()
                if left <= 0:
                    return _live(_LIVE(line, [self._keys.named("meta")], [self._keys.prefix]))
                next_end, last = rest
                # A lease that runs out wakes nobody: the waiter is back by then to evict it.
                sleep = min(left, _LONGEST_SLEEP, max(next_end, 0) / 1000)
                missing, *rest = self._sleep(line, round(sleep * 1000) + 1, last, arguments)
        return _live(rest[0])

    def _sleep(self, line: Line, milliseconds: int, last: bytes, arguments: Sequence[Any]) -> Any:
        """Sleep until somebody who was last wakes all waiters, or time is up; answers with what is seen then."""
        meta, reached = self._keys.named("meta"), self._keys.named("reached")
        sleep = ("XREAD", "BLOCK", milliseconds, "STREAMS", reached, last)
        try:
            # The server looks as soon as it is woken: nothing is sent there and back in between.
            return line.execute_commands(sleep, ("EVALSHA", _AWAIT.sha, 1, meta, *arguments))[1]
        except redis.exceptions.NoScriptError:
            return _AWAIT(line, [meta], arguments)

    def request_restart(self, slots: Sequence[str]) -> dict[str, int]:
        """Raise the restart generation of each slot; answers with the new generations."""
        with translated("ask for a restart"), self._client.pipeline() as pipeline:
            for slot in slots:
                pipeline.hincrby(self._keys.named("restart"), slot, 1)
            return dict(zip(slots, pipeline.execute(), strict=True))

    def restart_generations(self) -> dict[str, int]:
        """Read the restart generation of every slot that was ever asked to restart."""
        with translated("read restart generations"):
            generations: Any = self._client.hgetall(self._keys.named("restart"))
        return {slot.decode(): int(generation) for slot, generation in generations.items()}

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()


def acknowledgement(keys: Keys, instance: Instance, acknowledged: Revision, lease: float) -> list[str | int]:
    """Put together the arguments of the ACKNOWLEDGE script."""
    milliseconds = round((lease + LEASE_MARGIN) * 1000)
    record = json.dumps(asdict(instance), separators=(",", ":"))
    return [keys.prefix, instance.id, acknowledged.epoch, acknowledged.rev, milliseconds, record]


def _live(roster: Any) -> list[LiveInstance]:
    now, epoch, leases, records, revs = roster
    described, acknowledged = dict(_pairs(records)), dict(_pairs(revs))
    live = [
        LiveInstance(
            instance=_instance(instance_id.decode(), described.get(instance_id, b"")),
            acknowledged=Revision(int(epoch), int(acknowledged[instance_id])) if instance_id in acknowledged else ZERO,
            lease_left=(int(ends) - int(now)) / 1000,
        )
        for instance_id, ends in _pairs(leases)
    ]
    return sorted(live, key=lambda one: (one.instance.slot, one.instance.id))


@functools.lru_cache(maxsize=4096)  # the same few hundred records are read again and again
def _instance(instance_id: str, text: bytes) -> Instance:
    """Read what an instance says of itself; one whose words make no sense to this release still counts by its id."""
    try:
        content = orjson.loads(text)
        known: dict[str, Any] = {name: value for name, value in content.items() if name in _FIELDS}
        lists = {name: tuple(known[name]) for name in _LISTS if name in known}
        return Instance(**{**known, **lists, "id": instance_id, "slot": str(content["slot"])})
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError):
        return Instance(instance_id, slot=instance_id)


def _pairs(flat: list[bytes]) -> list[tuple[bytes, bytes]]:
    return list(zip(flat[::2], flat[1::2], strict=True))
