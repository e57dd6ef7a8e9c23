"""The environments of an installation in Redis: one hash beside all environments, and a script that adds to it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import redis

from flags.environments import Environment, environment_name
from flags.errors import EnvironmentExists
from flags.stores.writing import mismatch
from foundation.redis import Script, connect, translated

KEY = "sb:environments"
_CREATE = Script("flags.stores", "environment.lua")


class RedisEnvironmentStore:
    """Every environment, in Redis.

    Args:
        server: a URL, or a client made by `foundation.redis.connect`.
        timeout: seconds within which the server has to answer; used with a URL.
    """

    def __init__(self, server: redis.Redis | str, *, timeout: float = 1.0) -> None:
        self._client = connect(server, timeout=timeout) if isinstance(server, str) else server

    def all(self) -> list[Environment]:
        """List the environments by name."""
        with translated("list the environments"):
            kept: Any = self._client.hgetall(KEY)
        return sorted(map(_environment, kept.values()), key=lambda environment: environment.name)

    def find(self, name: str) -> Environment | None:
        """Read one; None where there is no such environment."""
        with translated("read an environment"):
            text: Any = self._client.hget(KEY, name)
        return _environment(text) if text is not None else None

    def create(self, environment: Environment, *, operation: str, request: str) -> bool:
        """Add an environment; raises EnvironmentExists, IdempotencyMismatch or StoreRefused."""
        name = environment_name(environment.name)
        document = json.dumps({**asdict(environment), "operation": operation, "request": request})
        with translated("create an environment"):
            (outcome,) = _CREATE(self._client, [KEY], [name, document, operation, request])
        if outcome == b"mismatch":
            raise mismatch(operation)
        if outcome == b"exists":
            raise EnvironmentExists(name)
        return bool(outcome == b"created")

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()


def _environment(text: bytes) -> Environment:
    kept = json.loads(text)
    return Environment(kept["name"], kept["description"], kept["created"], kept["by"])
