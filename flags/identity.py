"""Who a client is, where the caller leaves it open: the record under which this process is registered."""

from __future__ import annotations

import os
import socket
from dataclasses import replace

from flags.instances import Instance
from foundation.ids import new_id


def plain_client(now: float) -> Instance:
    """Describe this process as a plain client: its slot is its host and process id."""
    host, pid = socket.gethostname(), os.getpid()
    slot = f"{host}-{pid}"
    return Instance(id=_unique(slot), slot=slot, host=host, pid=pid, started=now)


def after_fork(parent: Instance, now: float) -> Instance:
    """Describe a fork of a described process: the same slot, and an id of its own."""
    return replace(parent, id=_unique(parent.slot), pid=os.getpid(), started=now)


def _unique(slot: str) -> str:
    return f"{slot}.{new_id()[-8:]}"
