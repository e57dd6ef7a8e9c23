"""What a frame can be written as, which flag decides which part of it, and the port that is asked for each message.

The words here are what queues admit and what instances say they can decode.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

JSON, YAML = "application/json", "application/yaml"
IDENTITY, GZIP, ZSTD = "identity", "gzip", "zstd"
SINGLE, ADAPTIVE, FIXED = "individual", "batched", "fixed"
BATCH = "batch"
"""The word for frames of more than one message; a queue that does not admit it takes one message a frame."""

YAML_FLAG, COMPRESSION_FLAG, BATCHING_FLAG = "useYamlMessaging", "enableCompression", "enableBatching"

WORDS_OF_FLAG: Mapping[str, frozenset[str]] = {
    YAML_FLAG: frozenset({YAML}),
    COMPRESSION_FLAG: frozenset({GZIP, ZSTD}),
    BATCHING_FLAG: frozenset({BATCH}),
}
"""The words that a queue stops admitting when the flag is killed."""

ALL_WORDS = frozenset({JSON, YAML, IDENTITY, GZIP, ZSTD, BATCH})
"""Everything this build can decode."""

FALLBACK_WORDS = frozenset({JSON, IDENTITY})
"""What every queue always admits."""


@dataclass(frozen=True, slots=True)
class Format:
    """How a message is to be written.

    Args:
        content_type: JSON or YAML.
        compression: IDENTITY, or GZIP or ZSTD for frames of more than 1,000 bytes.
        batching: SINGLE, ADAPTIVE (whatever waits goes at once) or FIXED (10 messages or 100 ms).
        revision: the flags' revision that chose it, as text.
    """

    content_type: str = JSON
    compression: str = IDENTITY
    batching: str = SINGLE
    revision: str = "0-0"


FALLBACK = Format()
"""What is used when nothing else may be: JSON, uncompressed, one by one."""


class FormatPolicy(Protocol):
    """Chooses the format of each message; implemented over the flags by `messenger.policy`."""

    def choose(self, context: Mapping[str, Any]) -> Format:
        """Choose for one message; never raises and never blocks.

        The context holds targetingKey (the correlation id), domain (the sender's), targetDomain, messageType,
        priority and instanceId.
        """


@dataclass(frozen=True, slots=True)
class FixedPolicy:
    """A policy that always chooses the same format: for tests, benchmarks and tools."""

    format: Format = FALLBACK

    def choose(self, context: Mapping[str, Any]) -> Format:  # noqa: ARG002 - the port's signature
        """Answer with the one format."""
        return self.format
