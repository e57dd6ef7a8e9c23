"""The nouns and the port of evaluation counts: how often, and when last, each flag served each variant.

Adapters stand in `flags/stores/`. What a client has counted is in `flags.counts`; what it says of a flag in
`flags.staleness`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Protocol

from flags import fields
from flags.counts import MAX_ENTRIES, NO_VARIANT, Report
from flags.documents import KEY
from flags.evaluation import OVERRIDE
from flags.model import Flag
from foundation.errors import DocumentError

KEPT_DAYS = 90
DAY = 86_400.0
MAX_UNDEFINED = 1_000
"""Keys of flags that do not exist, counted in one day at most."""

MAX_COUNTED = 100_000
"""Flags and variants counted in one day at most."""

MAX_COUNT = 10**12

Days = Mapping[date, Mapping[str, int]]
"""Evaluations by day (UTC) and variant; NO_VARIANT stands for callers who got their default."""


@dataclass(frozen=True, slots=True)
class Served:
    """When flags last served what. All times are seconds since 1970 by the store's clock.

    Args:
        now: when this was read.
        since: when the environment's first report came; None before that, where nothing can be said.
        last: by flag and variant, when it was last reported to have been served.
    """

    now: float
    since: float | None = None
    last: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def evaluated(self, key: str) -> float | None:
        """Tell when a flag was last asked for; None where it never was."""
        return max(self.last.get(key, {}).values(), default=None)


class EvaluationCounts(Protocol):
    """The evaluation counts of one environment, kept for KEPT_DAYS.

    Every method raises StoreUnreachable when the store does not answer in time. Counts belong to the day on which they
    are reported.
    """

    environment: str

    def report(self, instance_id: str, report: Report) -> None:
        """Add what an instance counted, at once or not at all; one that was added in the last hour is not added again.

        Raises:
            StoreRefused: the store will not take writes.
        """

    def served(self, flag: Flag | None = None) -> Served:
        """Tell when every flag, or this one alone, last served each variant."""

    def usage(self, key: str, days: int) -> Days:
        """Count the evaluations of a flag on each of the last days, today included, oldest first."""

    def undefined(self, days: int) -> Mapping[str, int]:
        """Count how often keys were asked for in the last days while there was no flag of that key."""


def report_document(report: Report) -> dict[str, Any]:
    """Put a report into the form in which it travels."""
    counts: dict[str, dict[str, int]] = {}
    for (key, variant), count in report.counts.items():
        counts.setdefault(key, {})[variant] = count
    return {"number": report.number, "counts": counts}


def parse_report(content: Mapping[str, Any]) -> Report:
    """Read a report that came from outside; raises DocumentError."""
    number = _count(content["number"], "number")
    counts: dict[tuple[str, str], int] = {}
    for key, variants in fields.object_of(content["counts"], "counts", limit=MAX_ENTRIES).items():
        if not KEY.fullmatch(key):
            raise DocumentError("counts", "holds what is no key of a flag", value=key)
        field_name = f"counts.{key}"
        for variant, count in fields.object_of(variants, field_name, limit=MAX_ENTRIES).items():
            name = fields.name(variant, field_name) if variant != NO_VARIANT else variant
            counts[key, name] = _count(count, f"{field_name}.{variant}")
    if len(counts) > MAX_ENTRIES:
        raise DocumentError("counts", f"has {len(counts):,} entries", expected=f"at most {MAX_ENTRIES:,}")
    return Report(number, counts)


def possible(flag: Flag) -> tuple[str, ...]:
    """List what an evaluation of a flag may be counted under."""
    return (*flag.variants, OVERRIDE, NO_VARIANT)


def day_number(now: float) -> int:
    """Number the days since 1970, UTC."""
    return int(now // DAY)


def day_date(number: int) -> date:
    """Give the date of a numbered day."""
    return datetime.fromtimestamp(number * DAY, UTC).date()


def _count(value: Any, field_name: str) -> int:
    if type(value) is not int or not 0 < value <= MAX_COUNT:
        raise DocumentError(field_name, "is no count", value=value, expected=f"a whole number from 1 to {MAX_COUNT:,}")
    return value
