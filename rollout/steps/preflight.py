"""Preflight: which flags are meant, and who stands where before anything changes.

The store's probing write is the journal's first: a rollback that can't be remembered could not be finished by another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from flags.documents import MESSAGING_TAG
from flags.model import Flag, Snapshot
from messenger.formats import WORDS_OF_FLAG
from rollout.errors import NothingToRollBack
from rollout.members import unproven
from rollout.record import Note, Record, Request
from rollout.rollcall import enter, manned
from rollout.run import Run, named


def chosen(request: Request, flags: Mapping[str, Flag]) -> list[str]:
    """Name the flags that the request means; raises NothingToRollBack where one of them, or any, is missing."""
    if request.every_messaging_flag:
        # The three that choose formats are messaging flags whatever a document has left of their tags.
        keys = sorted(key for key, flag in flags.items() if MESSAGING_TAG in flag.tags or key in WORDS_OF_FLAG)
        if not keys:
            raise NothingToRollBack(f"no flag is tagged {MESSAGING_TAG!r} here; there is: {_all(flags)}")
        return keys
    missing = [key for key in request.flags if key not in flags]
    if missing or not request.flags:
        raise NothingToRollBack(f"no flag {named(missing) or 'is named'} here; there is: {_all(flags)}")
    return list(dict.fromkeys(request.flags))


def note_flags(record: Record, snapshot: Snapshot, keys: list[str]) -> None:
    """Write down how the flags stand before the kill; what an earlier attempt wrote stays."""
    for key in keys:
        flag, version = snapshot.flags[key], str(snapshot.versions[key])
        record["flags"].setdefault(key, {"wasEnabled": flag.enabled, "before": version, "after": version, "hold": {}})


def preflight(run: Run) -> Iterator[Note]:
    """See who is live, so that nobody who was there can get lost on the way."""
    live = run.ports.registry.live()
    enter(run.record, (one.instance for one in live))
    consuming = unproven(run, live).values()
    run.record["domains"] = sorted(manned(live).union(run.record["domains"], consuming))
    number = len(run.record["attempts"])
    attempt = f" (attempt {number} of {run.record['receipt']})" if number > 1 else ""
    count = len(live)
    yield Note(
        "done",
        f"the flags server takes writes; {count} instance{'' if count == 1 else 's'} live{attempt}",
        {"live": count, "domains": run.record["domains"], "flags": run.keys},
    )


def _all(flags: Mapping[str, Flag]) -> str:
    return named(sorted(flags), limit=20) or "no flag at all"
