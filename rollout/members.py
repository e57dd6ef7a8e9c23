"""Who consumes from the queues: an account of who is there that does not depend on the flags server.

After the flags server was away its registry is empty, while workers that it has yet to hear from are at their queues.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import closing, suppress

from flags.instances import LiveInstance
from foundation.errors import StoreRefused, StoreUnreachable
from rollout.run import Run

PROVEN = frozenset({"acknowledged", "replaced"})


def unproven(run: Run, live: Collection[LiveInstance]) -> dict[str, str]:
    """Name the consumers, each with its domain, that are at a queue, are not registered and never had the kill."""
    registered = {one.instance.id for one in live}
    instances = run.record["instances"]
    return {
        consumer: domain
        for consumer, domain in _consumers(run).items()
        if consumer not in registered and not (consumer in instances and instances[consumer]["state"] in PROVEN)
    }


def _consumers(run: Run) -> dict[str, str]:
    found: dict[str, str] = {}
    with suppress(StoreUnreachable, StoreRefused):  # the check of the queue server says so
        for domain in run.ports.queues.domains():
            with closing(run.ports.queues.queue(domain)) as queue:
                members = queue.state(scan=False).members
            found |= {member.consumer: domain for member in members if member.lease_left > 0}
    return found
