"""Runs the whole example under one supervisor, on the servers that the environment names, until Ctrl-C.

SIGNALBOX_REDIS_URL=… SIGNALBOX_QUEUE_URL=… python -m examples.settlement
"""

from __future__ import annotations

import os
import sys

from examples.settlement import POOLS
from messenger.supervisor import WorkerPool, supervise
from messenger.worker import Site


def main() -> int:
    """Run every domain's workers."""
    missing = [name for name in ("SIGNALBOX_REDIS_URL", "SIGNALBOX_QUEUE_URL") if not os.environ.get(name)]
    if missing:
        print(f"settlement: {' and '.join(missing)} must say where the servers are", file=sys.stderr)
        return 2
    site = Site(
        os.environ.get("SIGNALBOX_ENV") or "demo",
        os.environ["SIGNALBOX_REDIS_URL"],
        os.environ["SIGNALBOX_QUEUE_URL"],
        os.environ.get("SIGNALBOX_OVERRIDES", ""),
    )
    pools = [WorkerPool(domain, count, "examples.settlement") for domain, count in POOLS.items()]
    return supervise(pools, site, supervisor="settlement")


if __name__ == "__main__":
    sys.exit(main())
