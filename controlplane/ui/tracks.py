"""The line diagram of a flag: for each domain what was asked for, what is really seen, and who has proven to have it.

Takes the API's own documents and returns plain rows; `static/js/tracks.js` keeps them true while the page is open.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flags.model import Revision
from messenger.formats import WORDS_OF_FLAG


@dataclass(frozen=True, slots=True)
class Track:
    """One domain's row.

    Args:
        domain: its name.
        own: the percentage set for this domain; None where it follows the default.
        asked: the percentage in force here, own or default.
        seen: share of the messages sent by the domain that the on variant wrote, 0 to 1; None where none were counted.
        sent: messages that the share is taken from.
        workers: live instances of the domain.
        proven: how many of them have acknowledged the flag's last write and override nothing.
        missing: the slots of the others.
    """

    domain: str
    own: float | None
    asked: float
    seen: float | None
    sent: int
    workers: int
    proven: int
    missing: tuple[str, ...]


def tracks(flag: Mapping[str, Any], instances: Sequence[Mapping[str, Any]], queued: Iterable[str] = ()) -> list[Track]:
    """Build a row for each domain that the flag lists, a live instance works for, or has a queue; in order of name."""
    listed = flag["percentages"]["domains"]
    working = {each["domain"] for each in instances if each["domain"]}
    return [_track(domain, flag, instances) for domain in sorted({*listed, *working, *queued})]


def _track(domain: str, flag: Mapping[str, Any], instances: Sequence[Mapping[str, Any]]) -> Track:
    here = [each for each in instances if each["domain"] == domain]
    missing = tuple(each["slot"] for each in here if not _has(each, flag))
    own = flag["percentages"]["domains"].get(domain)
    seen, sent = _seen(flag["key"], here)
    asked = flag["percentages"]["default"] if own is None else own
    return Track(domain, own, asked, seen, sent, len(here), len(here) - len(missing), missing)


def _has(instance: Mapping[str, Any], flag: Mapping[str, Any]) -> bool:
    acknowledged, wanted = Revision.parse(instance["acknowledged"]), Revision.parse(flag["version"])
    reached = acknowledged.epoch == wanted.epoch and acknowledged.rev >= wanted.rev
    return reached and flag["key"] not in instance["overrides"]


def _seen(key: str, here: Sequence[Mapping[str, Any]]) -> tuple[float | None, int]:
    word = measure(key)
    sent = [each["traffic"]["sent"] for each in here if each.get("traffic")]
    total = sum(sum(counts.values()) for counts in sent)
    return (sum(counts.get(word, 0) for counts in sent) / total, total) if word and total else (None, total)


def measure(key: str) -> str:
    """Name the content type that shows this flag at work in the traffic; "" where traffic does not tell."""
    return next((word for word in WORDS_OF_FLAG.get(key, ()) if "/" in word), "")
