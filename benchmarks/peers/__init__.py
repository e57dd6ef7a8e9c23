"""The contestants of `evaluate.py`, a module each: ours, the ideal, and the SDKs that people would use instead.

A module has two functions. `prepare(flags)` writes the flags in the contestant's own format, off the clock.
`load(prepared)` makes what evaluates them, ready for use and offline; this is timed and weighed. Telemetry is off where
the SDK lets it be, and its logs are silent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Contestant:
    """What evaluates.

    Args:
        names: what the expressions may use.
        expressions: one evaluation by workload, context and all, as the SDK's documentation has it; it is compiled
            into the timed loop. Its variables are those of `workloads.VARIABLES`.
        close: lets go of threads and files.
    """

    names: dict[str, Any]
    expressions: dict[str, str]
    close: Callable[[], None] = lambda: None
