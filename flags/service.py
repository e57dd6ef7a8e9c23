"""What people and programs do with the flags of a store: find, create, change, apply, revert.

Every way in (command line, API, rollback) goes through here, so that holds and archives are minded everywhere. It
reads, edits with pure functions and writes with compare-and-set, and knows the store by its port only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from flags.documents import flag_document, flag_json, parse_flag
from flags.edits import permitted
from flags.errors import FlagExists, FlagNotFound, RevisionConflict
from flags.model import Flag, Revision, Snapshot
from flags.store import Edit, FlagStore, HistoryEntry, Write, Written
from foundation.errors import DocumentError
from foundation.ids import new_id

ATTEMPTS = 10
"""How often a change is made anew on what another writer left, before the conflict is the caller's."""

HISTORY = 1_000
"""How many writes `revert` looks back."""


class Found(NamedTuple):
    """A flag, and the revision of its last write, which a later change can name."""

    flag: Flag
    version: Revision


def find(store: FlagStore, key: str) -> Found:
    """Read one flag, archived or not; raises FlagNotFound."""
    return _found(store.snapshot(), key, store.environment)


def change(  # noqa: PLR0913 - every part of a write has its name here, and all but three have a default
    store: FlagStore,
    keys: Sequence[str],
    edit: Callable[[Flag], Flag],
    *,
    actor: str,
    reason: str = "",
    operation: str | None = None,
    request: str = "",
    expected: Revision | None = None,
) -> Written:
    """Edit one flag or several in one write.

    Where the caller names no revision, a conflict is met by editing anew what the other writer left. Where nothing
    changes, and neither an operation nor a revision is named, nothing is written.

    Raises:
        FlagNotFound, FlagHeld, FlagArchived: one of the flags can't be edited so; nothing was changed.
        RevisionConflict: a flag was written after `expected`.
        DocumentError: the edit made a flag that no document may hold.
    """

    def plan(snapshot: Snapshot) -> list[Edit]:
        edits = []
        for key in dict.fromkeys(keys):
            flag, version = _found(snapshot, key, store.environment)
            after = permitted(flag, edit(flag))
            if operation is not None or expected is not None or not _same(flag, after):
                edits.append(Edit(after, expected or version))
        return edits

    write = Write(operation or new_id("op"), (), actor, reason, request)
    return _write(store, plan, write, retry=expected is None)


def create(
    store: FlagStore,
    flag: Flag,
    *,
    actor: str,
    reason: str = "",
    operation: str | None = None,
    request: str = "",
) -> Written:
    """Write a new flag; raises FlagExists where its key is taken, by an archived flag too."""
    edits = _readable([Edit(replace(flag, hold=None), None)])
    try:
        return store.write(Write(operation or new_id("op"), edits, actor, reason, request))
    except RevisionConflict as error:
        raise FlagExists(flag.key, store.environment) from error


def apply(
    store: FlagStore, flags: Mapping[str, Flag], *, actor: str, reason: str = "", operation: str | None = None
) -> Written:
    """Make these flags so in one write, creating those that are missing and leaving all others alone.

    A hold is neither set nor taken off by this. Flags that are so already are not written.

    Raises:
        FlagHeld: one of them is on hold and would be enabled, raised or served otherwise; nothing was changed.
    """

    def plan(snapshot: Snapshot) -> list[Edit]:
        edits = (_applied(snapshot, flag) for flag in flags.values())
        return [edit for edit in edits if edit is not None]

    return _write(store, plan, Write(operation or new_id("op"), (), actor, reason), retry=True)


def revert(  # noqa: PLR0913 - as for `change`
    store: FlagStore,
    key: str,
    revision: Revision | None = None,
    *,
    actor: str,
    reason: str = "",
    operation: str | None = None,
    request: str = "",
    expected: Revision | None = None,
) -> Written:
    """Make a flag again what it was after `revision`, or, where none is named, before its last write.

    Raises:
        DocumentError: the flag's history does not reach there.
        FlagNotFound, FlagHeld, RevisionConflict: as for `change`.
    """
    target = _past(store.history(key, limit=HISTORY), revision)
    if target is None:
        find(store, key)
        raise DocumentError("revision", "is not in the flag's history", value=str(revision or "before the first write"))

    def edit(flag: Flag) -> Flag:
        return replace(target, hold=flag.hold)

    return change(
        store, [key], edit, actor=actor, reason=reason, operation=operation, request=request, expected=expected
    )


def _write(store: FlagStore, plan: Callable[[Snapshot], list[Edit]], write: Write, *, retry: bool) -> Written:
    for attempt in range(1, ATTEMPTS + 1):
        snapshot = store.snapshot()
        edits = plan(snapshot)
        if not edits:
            return Written(snapshot.revision, changed=False)
        try:
            return store.write(replace(write, edits=_readable(edits)))
        except RevisionConflict:
            if not retry or attempt == ATTEMPTS:
                raise
    raise AssertionError("unreachable: the last attempt returns or raises")


def _readable(edits: Sequence[Edit]) -> tuple[Edit, ...]:
    """Take each flag through its document: what can't be read back would make the whole environment unreadable."""
    return tuple(replace(edit, flag=parse_flag(edit.flag.key, flag_document(edit.flag))) for edit in edits)


def _found(snapshot: Snapshot, key: str, environment: str) -> Found:
    if key not in snapshot.flags:
        raise FlagNotFound(key, environment)
    return Found(snapshot.flags[key], snapshot.versions[key])


def _applied(snapshot: Snapshot, flag: Flag) -> Edit | None:
    before = snapshot.flags.get(flag.key)
    if before is None:
        return Edit(replace(flag, hold=None), None)
    after = permitted(before, replace(flag, hold=before.hold))
    return None if _same(before, after) else Edit(after, snapshot.versions[flag.key])


def _same(before: Flag, after: Flag) -> bool:
    """Compare as the store would: to Python, true equals 1."""
    return flag_json(before) == flag_json(after)


def _past(history: Sequence[HistoryEntry], revision: Revision | None) -> Flag | None:
    if revision is None:
        return history[0].before if history else None
    return next((entry.after for entry in history if entry.revision == revision), None)
