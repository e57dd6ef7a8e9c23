"""Clearing YAML out of a domain's queue in Redis: what the messenger's queue tools are told, and what they answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass

from messenger.errors import EncodeFailed, PoisonFrame
from messenger.formats import JSON, YAML
from messenger.frame import Frame
from messenger.packing import recode
from messenger.queues import clearing
from messenger.queues.streamqueue import RedisQueue
from messenger.queues.streams import RedisQueueServer
from messenger.queues.transcode import transcode

WORDS = frozenset({YAML})


@dataclass(frozen=True, slots=True)
class QueueClearing:
    """Clears the queues of one server; see the port, `rollout.ports.Clearing`."""

    server: RedisQueueServer

    def transcode(self, domain: str, operation: str) -> Mapping[str, int]:
        """Rewrite YAML frames as JSON in place."""
        with self._queue(domain) as queue:
            done = transcode(queue, as_json, operation=operation)
        return {"transcoded": done.rewritten, "quarantined": done.quarantined}

    def quarantine(self, domain: str, operation: str) -> Mapping[str, int]:
        """Set YAML frames aside."""
        with self._queue(domain) as queue:
            detail = f"set aside by rollback {operation}"
            return {"quarantined": clearing.quarantine(queue, WORDS, operation=operation, detail=detail)}

    def purge(self, domain: str, operation: str) -> Mapping[str, int]:
        """Drop YAML frames for good."""
        with self._queue(domain) as queue:
            return {"purged": clearing.purge(queue, WORDS, operation=operation)}

    @contextmanager
    def _queue(self, domain: str) -> Iterator[RedisQueue]:
        with closing(self.server.queue(domain)) as queue:
            yield queue


def as_json(frame: Frame) -> Frame | None:
    """Write a YAML frame as JSON; None for any other. Raises PoisonFrame where that can't be done."""
    return plain(frame) if frame.content_type == YAML else None


def plain(frame: Frame) -> Frame:
    """Write a frame as uncompressed JSON. Raises PoisonFrame where that can't be done."""
    try:
        return recode(frame, JSON)
    except EncodeFailed as error:
        raise PoisonFrame(f"JSON can't carry it: {error}") from error
