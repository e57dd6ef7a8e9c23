"""The queue server over Redis: opens the queues of one environment and bars words in all of them.

The queues themselves are in `streamqueue`.
"""

from __future__ import annotations

import threading
import weakref

from foundation.errors import DocumentError
from foundation.redis import connect
from messenger.envelope import is_domain
from messenger.queue import QueueLimits
from messenger.queues.environment import Bars, Environment
from messenger.queues.streamqueue import RedisQueue, Site

__all__ = ["RedisQueue", "RedisQueueServer"]


class RedisQueueServer:
    """The queues of one environment on a Redis server; safe to share between threads, not across a fork.

    Args:
        url: the queue server, in any form that `foundation.redis.connect` takes.
        environment: namespace of the queues.
        limits: bounds and windows, the same in every process that uses these queues.
        timeout: seconds to wait for an answer.
    """

    def __init__(self, url: str, environment: str, limits: QueueLimits | None = None, *, timeout: float = 1.0) -> None:
        self.environment = _checked("environment", environment)
        client = connect(url, timeout=timeout)
        shared = Environment(client, environment)
        self.site = Site(client, url, shared, limits or QueueLimits(), timeout)
        self._lock = threading.Lock()
        self._handles: weakref.WeakSet[RedisQueue] = weakref.WeakSet()

    def queue(self, domain: str) -> RedisQueue:
        """Open a domain's queue."""
        handle = RedisQueue(self.site, _checked("domain", domain))
        with self._lock:
            self._handles.add(handle)
        return handle

    def domains(self) -> list[str]:
        """Name the domains that have a queue, in order."""
        return list(self.site.environment.look().domains)

    def bars(self) -> str:
        """Name how far the environment's bars have got."""
        return self.site.environment.look().generation

    def bar_all(self, words: frozenset[str]) -> None:
        """Bar words in every queue that exists and in those yet to come."""
        self._tell(self.site.environment.bar(words), frozenset())

    def release_all(self, words: frozenset[str], bars: str = "") -> bool:
        """Release words in every queue, unless the bars are not as they were seen."""
        released = self.site.environment.release(words, bars)
        if released is None:
            return False
        self._tell(released, words)
        return True

    def close(self) -> None:
        """Close every handle that was opened here, and the connections."""
        with self._lock:
            handles = list(self._handles)
        for handle in handles:
            handle.close()
        self.site.client.close()

    def _tell(self, bars: Bars, released: frozenset[str]) -> None:
        # The environment was changed first, and then the list of queues was read: a queue that is being opened
        # meanwhile is either on that list or finds the change when it opens.
        for domain in bars.domains:
            RedisQueue(self.site, domain).take_over(bars, released)


def _checked(field: str, name: str) -> str:
    if not is_domain(name):
        raise DocumentError(
            field, "can't name a queue", value=name, expected="1 to 100 letters, digits, '.', '_' or '-'"
        )
    return name
