"""Whether a flag is stale: past its day, asked for by nobody, or settled on one variant for good. Pure.

What was not measured is not held against a flag: before counts have been kept for long enough nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import StrEnum

from flags.counts import NO_VARIANT
from flags.model import Flag
from flags.usage import DAY, Served

STALE_DAYS = 30


class StaleReason(StrEnum):
    """Why a flag should be looked at, and perhaps be taken out of the code."""

    EXPIRED = "expired"
    NOT_EVALUATED = "not_evaluated"
    SAME_VARIANT = "same_variant"


@dataclass(frozen=True, slots=True)
class Stale:
    """The mark of a stale flag: why, since when (seconds since 1970), and for SAME_VARIANT which one it serves."""

    reason: StaleReason
    since: float
    variant: str | None = None


def stale(
    flag: Flag, served: Served, changed: float | None, *, days: int = STALE_DAYS, needed: bool = False
) -> Stale | None:
    """Tell whether and why a flag is stale; None for one that is in order, or archived.

    Args:
        flag: the flag.
        served: what its environment's flags served, and when; its `now` is taken for today.
        changed: when the flag was last written; None where that is too long ago to be known.
        days: how long it has to have been as it is, except to be expired.
        needed: whether another flag has it as a prerequisite: that asks for it, and is not counted.
    """
    if flag.archived:
        return None
    if (expired := _expired(flag)) is not None and expired <= served.now:
        return Stale(StaleReason.EXPIRED, expired)
    if served.since is None:
        return None
    long_ago = served.now - days * DAY
    settled = max(served.since, changed or 0.0)
    evaluated = served.evaluated(flag.key)
    asked = settled if evaluated is None else evaluated
    if asked <= long_ago:
        return None if needed else Stale(StaleReason.NOT_EVALUATED, asked)
    same = _same(flag, served, settled, long_ago)
    return same if same is not None and same.since <= long_ago else None


def needed_by_others(flags: Iterable[Flag]) -> frozenset[str]:
    """Name the flags that others have as prerequisites."""
    return frozenset(each.flag for flag in flags if not flag.archived for each in flag.prerequisites)


def _expired(flag: Flag) -> float | None:
    """Tell when the day is over by which the flag should be gone."""
    if not (flag.temporary and flag.expires):
        return None
    return datetime.combine(date.fromisoformat(flag.expires), time(), UTC).timestamp() + DAY


def _same(flag: Flag, served: Served, settled: float, long_ago: float) -> Stale | None:
    """Tell which variant alone was served of late, and since when no other one was."""
    last = {variant: at for variant, at in served.last.get(flag.key, {}).items() if variant != NO_VARIANT}
    late = [variant for variant, at in last.items() if at > long_ago]
    if len(late) != 1:
        return None
    others = max((at for variant, at in last.items() if variant not in late), default=0.0)
    return Stale(StaleReason.SAME_VARIANT, max(settled, others), late[0])
