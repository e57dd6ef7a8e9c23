"""Sending what was counted: one report after the other, the same one again until it has arrived.

Whatever goes wrong is logged once, until it goes well again; what could not be sent waits, and is no larger for waiting
longer. Knows neither threads nor where reports go.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable

from flags.counts import Collector, Outcomes, Report
from foundation.errors import SignalboxError

logger = logging.getLogger(__name__)

INTERVAL = 10.0
"""Seconds between two reports, on average."""


def pause() -> float:
    """Draw how long to wait before the next report, so that a fleet that was started together does not keep step."""
    return random.uniform(0.5, 1.5) * INTERVAL  # noqa: S311 - no secret


class Reporter:
    """Reports what one client evaluates.

    Args:
        send: adds a report, once however often it is sent; raises where that is not certain.
    """

    def __init__(self, send: Callable[[Report], None]) -> None:
        self.collector = Collector()
        self._send = send
        self._failed = False

    def report(self, live: Outcomes) -> None:
        """Collect from the outcomes in use and from those retired, and send what there is; never raises."""
        self.collector.collect(live)
        try:
            while (report := self.collector.next()) is not None:
                self._send(report)
                self.collector.arrived()
                self._failed = False
        except SignalboxError as error:
            self._complain(f"evaluations were not reported, and will be later: {error}")
        except Exception:
            logger.exception("reporting evaluations failed; it is tried again")

    def _complain(self, complaint: str) -> None:
        if not self._failed:
            logger.warning(complaint)
        self._failed = True
