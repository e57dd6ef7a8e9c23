"""Ties the life of a child process to its parent's, so that a parent killed by SIGKILL leaves nobody behind."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
"""Loaded beforehand: between fork and exec nothing may be imported."""


def dies_with_parent(by: signal.Signals = signal.SIGTERM) -> Callable[[], None]:
    """Make a function for a forked child to call first: the kernel sends it `by` when its parent ends.

    It is the end of the *thread* that forked which counts, so fork from a thread that lives as long as the process.
    Linux only; elsewhere the function does nothing.
    """
    parent = os.getpid()

    def tie() -> None:
        if _LIBC is None:
            return
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(by), 0, 0, 0)
        if os.getppid() != parent:  # it ended before the kernel knew
            os._exit(1)

    return tie
