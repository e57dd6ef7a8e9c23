"""The line diagram of a flag: for each domain what was asked for, what is really seen, and who has proven to have it.

Takes the API's own documents and returns plain rows; the scripts keep them true while the page is open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        asked: the percentage asked for here, own or default.
        seen: share of the messages sent by the domain that the flag's on variant wrote, 0 to 1; None where there are
            none, or where traffic does not show this flag.
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


def tracks(flag: Mapping[str, Any], live: Mapping[str, Any]) -> list[Track]:
    """Build a row for each domain that the flag lists, that a live instance works for, or that sends; by name."""
    working = {each["domain"] for each in live["instances"]}
    sending = {each["domain"] for each in live["domains"]}
    names = {*flag["percentages"]["domains"], *working, *sending} - {""}
    return [_track(domain, flag, live) for domain in sorted(names)]


def measure(key: str) -> frozenset[str]:
    """Name the words of a message's format that show this flag at work; none where traffic does not tell."""
    return WORDS_OF_FLAG.get(key, frozenset())


def _track(domain: str, flag: Mapping[str, Any], live: Mapping[str, Any]) -> Track:
    here = [each for each in live["instances"] if each["domain"] == domain]
    missing = tuple(each["slot"] for each in here if not _proven(each, flag))
    default, domains = flag["percentages"]["default"], flag["percentages"]["domains"]
    seen, sent = _seen(measure(flag["key"]), domain, live["domains"])
    own = domains.get(domain)
    return Track(
        domain=domain,
        own=own,
        asked=default if own is None else own,
        seen=seen,
        sent=sent,
        workers=len(here),
        proven=len(here) - len(missing),
        missing=missing,
    )


def _proven(instance: Mapping[str, Any], flag: Mapping[str, Any]) -> bool:
    acknowledged, wanted = Revision.parse(instance["acknowledged"]), Revision.parse(flag["version"])
    reached = acknowledged.epoch == wanted.epoch and acknowledged.rev >= wanted.rev
    return reached and flag["key"] not in instance["overrides"]


def _seen(words: frozenset[str], domain: str, domains: Sequence[Mapping[str, Any]]) -> tuple[float | None, int]:
    sent: Mapping[str, int] = next((each["sent_by_variant"] for each in domains if each["domain"] == domain), {})
    total = sum(sent.values())
    if not (words and total):
        return None, total
    return sum(count for variant, count in sent.items() if words.intersection(variant.split("+"))) / total, total
