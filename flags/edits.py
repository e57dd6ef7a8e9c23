"""What can be done to a flag: pure functions from a flag to the flag it becomes, and the rule of holds and archives.

A flag on hold may be described, tagged, lowered, disabled, archived and released, and nothing else, so that what it
serves stays the off variant as it was when it was killed. An archived flag takes no change but its restoration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from flags.documents import MAX_DESCRIPTION, flag_json
from flags.errors import FlagArchived, FlagHeld, FlagSplit
from flags.model import WEIGHT_TOTAL, Flag, Hold, Rollout
from foundation.errors import DocumentError

ALL = Rollout(WEIGHT_TOTAL)
"""What a flag without a rollout amounts to: everyone."""


def enable(flag: Flag) -> Flag:
    """Turn the flag on for whom its rules and percentages say; raises FlagHeld, FlagArchived."""
    return permitted(flag, replace(flag, enabled=True))


def disable(flag: Flag) -> Flag:
    """Serve everyone the off variant; raises FlagArchived."""
    return permitted(flag, replace(flag, enabled=False))


def kill(flag: Flag, hold: Hold) -> Flag:
    """Serve everyone the off variant, and keep it so until a person releases the flag; always possible.

    The hold's words are made to fit a flag document: a kill does not fail over the length of its reason.
    """
    words = Hold(_fitting(hold.by), _fitting(hold.reason), _fitting(hold.receipt))
    return replace(flag, enabled=False, hold=words)


def release(flag: Flag) -> Flag:
    """Take the hold off; the flag stays disabled until somebody enables it. Always possible."""
    return replace(flag, hold=None)


def set_percentage(flag: Flag, weight: int, domain: str | None = None) -> Flag:
    """Set how much of the traffic of one domain, or of those not listed, gets the on variant.

    Raises:
        FlagHeld: the flag is on hold, and this is more than before.
        FlagArchived: the flag is archived.
        FlagSplit: those not listed are split between variants, so no percentage of theirs can be set.
    """
    rollout = flag.rollout or ALL
    if domain is None:
        return set_percentages(flag, weight, rollout.domains)
    return permitted(flag, replace(flag, rollout=replace(rollout, domains={**rollout.domains, domain: weight})))


def set_percentages(flag: Flag, weight: int | None, domains: Mapping[str, int]) -> Flag:
    """Set every percentage at once, of which a flag with a split has those of domains only: its `weight` is None.

    Raises:
        FlagHeld, FlagArchived, FlagSplit: as for `set_percentage`.
        DocumentError: the flag has no split, and no weight was given.
    """
    split = flag.rollout.split if flag.rollout else ()
    if split and weight is not None:
        raise FlagSplit(flag.key)
    if not split and weight is None:
        raise DocumentError("default", "is missing", expected="the percentage of domains that are not listed")
    return permitted(flag, replace(flag, rollout=Rollout(weight or 0, domains, split)))


def archive(flag: Flag) -> Flag:
    """Put the flag away: disabled, and unknown to evaluation; raises FlagArchived where it is already."""
    return permitted(flag, replace(flag, enabled=False, archived=True))


def restore(flag: Flag) -> Flag:
    """Take the flag out of the archive, disabled."""
    return replace(flag, archived=False)


def permitted(before: Flag, after: Flag) -> Flag:
    """Answer with `after` if the flag may become that.

    Raises:
        FlagHeld: the flag is on hold, and would serve more than before, or something else.
        FlagArchived: the flag is archived, and would stay so.
    """
    if _kills_or_releases(before, after):
        return after
    if before.archived and after.archived:
        raise FlagArchived(f"flag {before.key!r} is archived: revert it first")
    if before.hold is not None and not _harmless(before, after):
        hold = before.hold
        raise FlagHeld(f"flag {before.key!r} is on hold by {hold.by} ({hold.reason}): release it first")
    return after


def _fitting(words: str) -> str:
    return words[:MAX_DESCRIPTION].encode(errors="replace").decode()


def _kills_or_releases(before: Flag, after: Flag) -> bool:
    """Tell whether nothing changes but the hold, and the flag is disabled."""
    if after.hold == before.hold:
        return False
    return flag_json(after) == flag_json(replace(before, enabled=False, hold=after.hold))


def _harmless(before: Flag, after: Flag) -> bool:
    """Tell whether nothing changes but words about the flag, and percentages that do not rise."""
    same = replace(
        before,
        enabled=before.enabled and after.enabled,
        description=after.description,
        tags=after.tags,
        owner=after.owner,
        temporary=after.temporary,
        expires=after.expires,
        metadata=after.metadata,
        rollout=after.rollout,
        archived=after.archived,
    )
    return flag_json(same) == flag_json(after) and not _raised(before.rollout or ALL, after.rollout or ALL)


def _raised(before: Rollout, after: Rollout) -> bool:
    domains = before.domains.keys() | after.domains.keys()
    return (
        after.split != before.split
        or after.weight > before.weight
        or any(
            after.domains.get(domain, after.weight) > before.domains.get(domain, before.weight) for domain in domains
        )
    )
