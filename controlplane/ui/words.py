"""How figures, times and rules are said on pages: pure functions, registered as template filters.

The same words as `static/js/words.js`, which keeps them true while a page is open. Knows no Flask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from controlplane.shapes import STALE_WORDS

OPERATORS = {
    "in": "is one of",
    "not_in": "is none of",
    "equals": "is",
    "starts_with": "starts with",
    "ends_with": "ends with",
    "contains": "contains",
    "matches": "matches",
    "gt": "is over",
    "gte": "is at least",
    "lt": "is under",
    "lte": "is at most",
    "semver_eq": "is the version",
    "semver_gt": "is a version after",
    "semver_gte": "is a version from",
    "semver_lt": "is a version before",
    "semver_lte": "is a version up to",
    "exists": "exists",
}
"""How a rule's comparison is said between the attribute and the values."""

_PLAIN_VERBS = {"starts": "start", "ends": "end", "contains": "contain", "matches": "match", "exists": "exist"}


def percent(value: float) -> str:
    """Say a percentage as it was set: exact, without needless zeros."""
    return f"{round(value, 3):g} %"


def share(value: float) -> str:
    """Say a measured share (0 to 1) with one decimal."""
    return f"{value * 100:.0f} %" if value in {0, 1} else f"{value * 100:.1f} %"


def count(value: float) -> str:
    """Say a whole number with its thousands set apart."""
    return f"{round(value):,}"


def plural(value: float, noun: str) -> str:
    """Say how many of a thing: `1 worker`, `2 workers`."""
    return f"{count(value)} {noun}{'' if value == 1 else 's'}"


def rate(value: float) -> str:
    """Say a rate: one decimal under 100, none above."""
    return count(value) if value >= 100 else f"{value:.1f}"


def milliseconds(value: float) -> str:
    """Say a latency in ms with three figures; a dash for 0, which stands for nothing measured."""
    if not value:
        return "–"  # noqa: RUF001 - a dash, and meant as one
    if value >= 100:
        return count(value)
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def duration(seconds: float) -> str:
    """Say how long something took."""
    if seconds < 0.9995:
        return f"{max(0.0, seconds) * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {seconds % 60:.0f} s"
    return age(seconds)


def age(seconds: float) -> str:
    """Say a time span coarsely, for "… ago"."""
    if seconds < 60:
        return f"{max(0, int(seconds))} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min"
    if seconds < 86400:
        return f"{int(seconds // 3600)} h"
    return plural(int(seconds // 86400), "day")


def ago(seconds: float) -> str:
    """Say how long ago."""
    return "just now" if seconds < 5 else f"{age(seconds)} ago"


def moment(at: float) -> str:
    """Say a time (seconds since 1970) in full, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def short(revision: str) -> str:
    """Give the part of a revision that people say; the epoch only tells one history from another."""
    return revision.rpartition("-")[2]


def names(values: Sequence[str], limit: int = 3) -> str:
    """List names, the first few of many."""
    if len(values) > limit:
        return f"{', '.join(values[:limit])} and {len(values) - limit} more"
    return f"{', '.join(values[:-1])} and {values[-1]}" if len(values) > 1 else "".join(values)


def operator(name: str, negate: bool = False) -> str:
    """Say a clause's operator in words, turned round where the clause is."""
    said = OPERATORS.get(name, name)
    if not negate:
        return said
    if name == "not_in":
        return OPERATORS["in"]
    verb, _, rest = said.partition(" ")
    return f"is not {rest}".strip() if verb == "is" else f"does not {_PLAIN_VERBS.get(verb, verb)} {rest}".strip()


def stale(mark: Mapping[str, Any]) -> str:
    """Say why a flag should be looked at."""
    said = STALE_WORDS.get(mark["reason"], str(mark["reason"]))
    return f"{said}: {mark['variant']}" if mark["variant"] else said


def lifetime(flag: Mapping[str, Any]) -> str:
    """Say how long a flag is meant to live."""
    if flag["lifetime"] != "temporary":
        return "permanent"
    return f"temporary, until {flag['expires']}" if flag["expires"] else "temporary"


def codec(word: str) -> str:
    """Say a word of a format: content types by their usual name, others as they are."""
    return word.removeprefix("application/").upper() if "/" in word else word


def json_text(value: Any) -> str:
    """Show a JSON value on one line; strings without their quotes."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


FILTERS = (
    percent,
    share,
    count,
    plural,
    rate,
    milliseconds,
    duration,
    age,
    ago,
    moment,
    short,
    names,
    operator,
    stale,
    lifetime,
    codec,
    json_text,
)
"""What templates may use, under the functions' own names."""
