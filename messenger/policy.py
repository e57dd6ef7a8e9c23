"""The format policy over feature flags: the one module of this floor that knows the flag client.

Knows nothing of codecs or queues; it turns three flags' values into a format.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from flags.client import FlagClient
from flags.instances import Instance
from flags.sources.redis import RedisSource
from messenger.formats import (
    ADAPTIVE,
    BATCHING_FLAG,
    COMPRESSION_FLAG,
    FIXED,
    GZIP,
    IDENTITY,
    JSON,
    SINGLE,
    YAML,
    YAML_FLAG,
    ZSTD,
    Format,
)

CONTENT_TYPES = {"yaml": YAML}
COMPRESSIONS = {"gzip": GZIP, "zstd": ZSTD}
BATCHINGS = {"batched": ADAPTIVE, "fixed": FIXED}
"""What the flags' values stand for; any other value is the off variant's meaning."""


class Flags(Protocol):
    """What is used of `flags.client.FlagClient`."""

    @property
    def lapsed(self) -> bool:
        """Whether it has been out of touch for longer than its lease."""

    @property
    def revision(self) -> object:
        """The revision of what it evaluates, as an object whose text is `epoch-rev`."""

    def get_string_value(self, flag_key: str, default_value: str, context: Mapping[str, Any] | None = None) -> str:
        """Evaluate a flag; never raises."""


@dataclass(frozen=True, slots=True)
class FlagPolicy:
    """Asks the flags for each message; a client that the control plane no longer counts as live gets the fallback."""

    client: Flags

    def choose(self, context: Mapping[str, Any]) -> Format:
        """Choose the format of one message; see `FormatPolicy`."""
        # Read before the flags are: a change that arrives in between then labels a frame with too old a revision, and
        # never an old format with the revision of the kill that forbids it.
        revision = str(self.client.revision)
        if self.client.lapsed:
            return _format(JSON, IDENTITY, SINGLE, revision)
        value = self.client.get_string_value
        return _format(
            CONTENT_TYPES.get(value(YAML_FLAG, "json", context), JSON),
            COMPRESSIONS.get(value(COMPRESSION_FLAG, "uncompressed", context), IDENTITY),
            BATCHINGS.get(value(BATCHING_FLAG, "individual", context), SINGLE),
            revision,
        )


@contextmanager
def open_flag_policy(url: str, environment: str, instance: Instance, overrides: str = "") -> Iterator[FlagPolicy]:
    """Follow an environment's flags on a Redis server, as a registered instance, for as long as it is open.

    Args:
        url: the flags server.
        environment: its name.
        instance: how this process is registered.
        overrides: path of a local override file; "" where there is none.
    """
    with FlagClient(RedisSource(url, environment), instance=instance, overrides=overrides or None) as client:
        yield FlagPolicy(client)


@lru_cache(maxsize=64)
def _format(content_type: str, compression: str, batching: str, revision: str) -> Format:
    return Format(content_type, compression, batching, revision)
