"""A supervisor for end-to-end tests: `python -m tests.e2e.fleet JSON`, and how a test starts one."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


def main():
    from messenger.settings import MessengerSettings
    from messenger.supervisor import WorkerPool, supervise
    from messenger.worker import Site

    plan = json.loads(sys.argv[1])
    pools = [WorkerPool(*pool) for pool in plan["pools"]]
    settings = MessengerSettings(**plan["settings"])
    return supervise(pools, Site(**plan["site"]), supervisor=plan["supervisor"], settings=settings)


@contextmanager
def running(site, pools, *, supervisor="", environ=None, **settings):
    """Run a supervisor with its workers; whatever happens, none is left behind."""
    plan = {"site": site, "pools": pools, "supervisor": supervisor, "settings": settings}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.fleet", json.dumps(plan)], cwd=ROOT, env={**os.environ, **(environ or {})}
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


if __name__ == "__main__":
    sys.exit(main())
