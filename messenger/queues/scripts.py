"""The Lua scripts of a queue, each with the functions that it shares with others; `keys.lua` lists their keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from foundation.errors import StoreRefused
from foundation.redis import Script, translated
from messenger.errors import QueueFull


def _script(*names: str) -> Script:
    return Script(__package__, "keys.lua", *names)


ENVIRONMENT = Script(__package__, "environment.lua")

ADMISSION = _script("admission.lua")
APPEND = _script("append.lua")
RECEIVE = _script("receive.lua")
CLAIM = _script("claim.lua")
HOLD = _script("hold.lua")
SEEN = _script("seen.lua")
SETTLE = _script("frames.lua", "settle.lua")
REPLAY = _script("frames.lua", "replay.lua")
DISCARD = _script("discard.lua")
PEEK = _script("peek.lua")
REWRITE = _script("frames.lua", "rewrite.lua")
SWAP = _script("frames.lua", "swap.lua")
CLEAR = _script("frames.lua", "clear.lua")
STATE = _script("state.lua")
SCAN = _script("scan.lua")


@contextmanager
def adding(purpose: str) -> Iterator[None]:
    """Translate errors of a script that adds frames: a server without memory means that the queue is full."""
    try:
        with translated(purpose):
            yield
    except StoreRefused as error:
        if error.reason == "OOM":
            raise QueueFull(f"{purpose}: its server is out of memory") from error
        raise
