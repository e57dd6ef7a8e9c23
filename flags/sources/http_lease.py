"""A client's lease over HTTP: one PUT a heartbeat renews it and acknowledges what has been applied.

In a thread of its own, so that acknowledging never holds up following. It speaks only when the follower has news, so a
client that is out of step with the server lets its lease run out, and sends together what came while it was speaking.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import asdict, replace

from flags.errors import SourceRefused, SourceUnavailable
from flags.instances import Instance
from flags.source import Feed
from flags.sources.http_line import ControlPlane
from flags.sources.pauses import after_refusal, jitter

logger = logging.getLogger(__name__)

LONGEST_PAUSE = 2.0


class Lease:
    """Keeps one instance in the registry.

    Args:
        there: the control plane.
        feed: knows what has been applied and which flags are overridden, and is told of renewals.
        instance: as whom.
        seconds: that a renewal lasts.
    """

    def __init__(self, there: ControlPlane, feed: Feed, instance: Instance, seconds: float) -> None:
        self._line, self._url = there.line(), there.url("instances", instance.id)
        self._feed, self._instance, self._seconds = feed, instance, seconds
        self._news, self._over = threading.Event(), threading.Event()
        self._failures = 0
        self._known = False
        self._thread = threading.Thread(target=self._run, name="signalbox-lease", daemon=True)

    def start(self) -> None:
        """Begin; nothing is sent before the first news."""
        self._thread.start()

    def news(self) -> None:
        """Have the lease renewed, and what is applied by now acknowledged, as soon as may be."""
        self._news.set()

    def end(self, timeout: float) -> None:
        """Leave the registry; waits up to `timeout` seconds."""
        self._over.set()
        self._news.set()
        self._thread.join(timeout)

    def abandon(self) -> None:
        """Let go of the parent's connection, in a forked child."""
        self._line.abandon()

    def _run(self) -> None:
        while True:
            self._news.wait()
            self._news.clear()
            if self._over.is_set():
                break
            pause = self._renew()
            if pause:
                self._over.wait(pause)
                self._news.set()
        self._leave()
        self._line.close()

    def _renew(self) -> float:
        """Send one renewal; answers how long to wait before the next try, 0 where it went well."""
        record = asdict(replace(self._instance, overrides=self._feed.overrides))
        del record["id"]
        sent = time.monotonic()
        try:
            self._known = True  # though no answer comes: the server may have heard
            body = {**record, "acknowledged": str(self._feed.cursor), "lease": self._seconds}
            self._line.call("PUT", self._url, body=body)
        except (SourceRefused, SourceUnavailable) as error:
            self._failures += 1
            self._feed.failed(error)
            if self._failures == 1:
                logger.warning("the lease of instance %s was not renewed: %s", self._instance.id, error)
            if isinstance(error, SourceRefused):
                return after_refusal()
            return max(error.retry_after, jitter(self._failures, LONGEST_PAUSE))
        self._failures = 0
        self._feed.renewed(sent)
        return 0.0

    def _leave(self) -> None:
        if not self._known:
            return
        try:
            self._line.call("DELETE", self._url)
        except (SourceRefused, SourceUnavailable) as error:
            logger.info("instance %s did not take leave, and lapses: %s", self._instance.id, error)
