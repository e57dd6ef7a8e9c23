"""The health checks of a rollback: do both servers take writes, has every domain a live worker, does it answer a probe.

Each check bounds its own time and says what to do. What they find goes into the receipt.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import closing
from functools import partial

from flags.instances import LiveInstance
from foundation.health import Answer, Check
from foundation.ids import new_id
from messenger.envelope import Envelope, Metadata
from messenger.formats import FALLBACK
from messenger.handlers import PROBE
from messenger.packing import pack
from rollout.record import time_text
from rollout.rollcall import manned
from rollout.run import Run

STORE_TIMEOUT = 5.0
PROBE_TIMEOUT = 10.0
"""Seconds in which a worker has to answer a probe; it goes with high priority, before what waits."""

POLL = 0.02
SENDER = "signalbox"


def checks(run: Run, live: Sequence[LiveInstance]) -> list[Check]:
    """Gather the checks: both servers, a worker and a probe for each domain, and the installation's own."""
    staffed = manned(live)
    return [
        Check("flags server", STORE_TIMEOUT, partial(_flags_server, run)),
        Check("queue server", STORE_TIMEOUT, partial(_queue_server, run)),
        *(Check(f"worker/{domain}", 1.0, partial(_worker, domain, staffed)) for domain in run.record["domains"]),
        *(Check(f"probe/{domain}", PROBE_TIMEOUT + 2.0, partial(_probe, run, domain)) for domain in sorted(staffed)),
        *run.ports.checks,
    ]


def control_plane(url: str, timeout: float = 2.0) -> Check:
    """Ask the control plane how it is; a rollback is as safe without it, so its absence is a warning."""
    return Check("control plane", 2 * timeout + 1.0, partial(_control_plane, url, timeout))


def _flags_server(run: Run) -> Answer:
    run.ports.journal.renew(run.lead)
    return Answer("pass", "takes writes")


def _queue_server(run: Run) -> Answer:
    run.ports.queues.bar_all(run.words)
    return Answer("pass", "takes writes")


def _worker(domain: str, staffed: set[str]) -> Answer:
    if domain in staffed:
        return Answer("pass", "a worker is live")
    return Answer("fail", "had a live worker when the rollback began, and has none now", "start its workers")


def _probe(run: Run, domain: str) -> Answer:
    clock = run.ports.clock
    envelope = Envelope(
        type=PROBE,
        message_id=new_id("probe"),
        correlation_id=run.record["receipt"],
        timestamp=time_text(clock.now()),
        payload={"receipt": run.record["receipt"]},
        metadata=Metadata(SENDER, domain, "high", ttl=int(PROBE_TIMEOUT * 1000)),
    )
    with closing(run.ports.queues.queue(domain)) as queue:
        after = f"{int((queue.now() - 1.0) * 1000)}-0"  # cursors of results count in ms of the queue's clock
        started = clock.monotonic()
        queue.append([("high", pack([envelope], FALLBACK, frame_id=envelope.message_id, sender=SENDER))])
        while clock.monotonic() - started < PROBE_TIMEOUT:
            results = queue.results(after)
            if any(message_id == envelope.message_id for _, message_id, _ in results):
                return Answer("pass", f"a worker answered a JSON message in {clock.monotonic() - started:.3f} s")
            after = results[-1][0] if results else after
            run.ports.pause(POLL)
    return Answer("fail", f"no worker answered within {PROBE_TIMEOUT:g} s", f"look at the workers of {domain}")


def _control_plane(url: str, timeout: float) -> Answer:
    remedy = "the workers do without it; start it again when there is time"
    if not url.startswith(("http://", "https://")):
        return Answer("warn", f"{url} is no web address", "correct SIGNALBOX_URL")
    try:
        # Without the proxies of the environment: the control plane is ours, and near.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{url}/healthz", timeout=timeout) as response:
            return Answer("pass", f"{url} answers {response.status}")
    except urllib.error.HTTPError as error:
        error.close()
        return Answer("warn", f"{url} answers {error.code}", remedy)
    except (OSError, http.client.HTTPException) as error:
        return Answer("warn", f"{url} does not answer: {error}", remedy)
