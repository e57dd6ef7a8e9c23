"""What both gunicorn groups have in common; what differs stands on the command lines of `controlplane.groups`.

gunicorn reads the names of this module as its settings.
"""

from __future__ import annotations

import os
import resource
import threading
import time
from typing import Any

errorlog = "-"
loglevel = "warning"
graceful_timeout = 5
keepalive = 15
timeout = 30
reuse_port = True
control_socket_disable = True
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108, PTH112 - gunicorn's heartbeat file
"""A disk that stalls must not make a worker look dead."""


OPEN_FILES = 65_536


def on_starting(server: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    """Let the process open as many connections as the system permits; each stream needs one."""
    current, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(current, min(most, OPEN_FILES)), most))


def post_worker_init(worker: Any) -> None:
    """Have the streams of a worker say goodbye as soon as it is told to end, while it still waits for them."""
    hub = getattr(worker.wsgi, "extensions", {}).get("hub")
    if hub is None:
        return

    def watch() -> None:
        while worker.alive:
            time.sleep(0.1)
        hub.close()

    threading.Thread(target=watch, name="goodbye", daemon=True).start()
