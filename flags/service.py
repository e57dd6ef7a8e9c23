"""What people and programs do with the items of a store: find, create, change, apply, prune, revert.

Every way in (command line, API, rollback) goes through here, so that holds and archives are minded everywhere. It
reads, edits with pure functions and writes with compare-and-set, and knows the store by its port only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from flags.definitions import Definitions
from flags.edits import archive, permitted
from flags.errors import FlagExists, FlagNotFound, RevisionConflict, SegmentExists, SegmentNotFound
from flags.items import item_json, reread
from flags.model import Flag, Item, Revision, Segment, Snapshot
from flags.references import check_references, references
from flags.store import ENVIRONMENT, Edit, FlagStore, HistoryEntry, Write, Written
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
        DocumentError: the edit made a flag that no document may hold, or that refers to what is not there.
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
    item: Item,
    *,
    actor: str,
    reason: str = "",
    operation: str | None = None,
    request: str = "",
) -> Written:
    """Write a new flag or segment; raises FlagExists or SegmentExists where its key is taken, archived or not."""
    item = replace(item, hold=None) if isinstance(item, Flag) else item
    write = Write(operation or new_id("op"), (), actor, reason, request)
    try:
        return _write(store, lambda _: [Edit(item, None)], write, retry=False)
    except RevisionConflict as error:
        if error.key != item.item_key:
            raise
        taken = FlagExists if isinstance(item, Flag) else SegmentExists
        raise taken(item.key, store.environment) from error


def change_segment(  # noqa: PLR0913 - as for `change`
    store: FlagStore,
    key: str,
    edit: Callable[[Segment], Segment],
    *,
    actor: str,
    reason: str = "",
    operation: str | None = None,
    request: str = "",
    expected: Revision | None = None,
) -> Written:
    """Edit one segment in one write, as `change` does flags.

    Raises:
        SegmentNotFound: there is none of that key.
        RevisionConflict: it was written after `expected`.
        DocumentError: the edit archives it, and a flag still refers to it; or made one that no document may hold.
    """

    def plan(snapshot: Snapshot) -> list[Edit]:
        before = snapshot.segments.get(key)
        if before is None:
            raise SegmentNotFound(key, store.environment)
        after = edit(before)
        if operation is None and expected is None and _same(before, after):
            return []
        return [Edit(after, expected or snapshot.versions[after.item_key])]

    write = Write(operation or new_id("op"), (), actor, reason, request)
    return _write(store, plan, write, retry=expected is None)


def apply(  # noqa: PLR0913 - as for `change`
    store: FlagStore,
    definitions: Definitions | Mapping[str, Flag],
    *,
    actor: str,
    reason: str = "",
    operation: str | None = None,
    request: str = "",
    expected: Revision | None = None,
    prune: bool = False,
) -> Written:
    """Make these flags and segments so in one write, creating those that are missing.

    All others are left alone, or archived where `prune` is asked for. A hold is neither set nor taken off by this.
    What is so already is not written. Where `expected` is named, the environment has to be at that revision.

    Raises:
        RevisionConflict: the environment is at another revision than `expected`.
        FlagHeld: one of the flags is on hold and would be enabled, raised or served otherwise; nothing was changed.
        DocumentError: something refers to what is not there, or what would be pruned is still referred to.
    """
    wanted = definitions if isinstance(definitions, Definitions) else Definitions(definitions, {})

    def plan(snapshot: Snapshot) -> list[Edit]:
        if expected is not None and snapshot.revision != expected:
            raise RevisionConflict("the environment", str(expected), str(snapshot.revision))
        return planned(snapshot, wanted, prune=prune)

    return _write(store, plan, Write(operation or new_id("op"), (), actor, reason, request), retry=expected is None)


def planned(snapshot: Snapshot, wanted: Definitions, *, prune: bool = False) -> list[Edit]:
    """Tell what `apply` would write to an environment as it is; raises as it does."""
    items = [*wanted.flags.values(), *wanted.segments.values(), *(_pruned(snapshot, wanted) if prune else ())]
    edits = [edit for edit in (_applied(snapshot, item) for item in items) if edit is not None]
    _requirements(snapshot, edits)
    return edits


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
    if not isinstance(target, Flag):
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
        edits = [replace(edit, item=reread(edit.item)) for edit in plan(snapshot)]
        if not edits:
            return Written(snapshot.revision, changed=False)
        requires = _requirements(snapshot, edits)
        try:
            return store.write(replace(write, edits=tuple(edits), requires=requires))
        except RevisionConflict as error:
            # What the write only rests on is no business of a caller who named the revision of what it edits.
            if attempt == ATTEMPTS or not (retry or error.key in requires):
                raise
    raise AssertionError("unreachable: the last attempt returns or raises")


def _requirements(snapshot: Snapshot, edits: Sequence[Edit]) -> dict[str, Revision]:
    """Check what edited items refer to and what refers to them; answers with what that rests on, beside the edits.

    An edit that leaves all of this as it was is not checked: a kill must not fail over a reference.
    """
    edited = {edit.item.item_key: edit.item for edit in edits}
    concerned = [key for key, item in edited.items() if _refers_otherwise(snapshot.item(key), item)]
    if not concerned:
        return {}
    relied = check_references({**snapshot.items(), **edited}, concerned)
    requires = {key: snapshot.versions[key] for key in sorted(relied - edited.keys())}
    if any(_reaches_others(snapshot.item(key), edited[key]) for key in concerned):
        requires[ENVIRONMENT] = snapshot.revision
    return requires


def _refers_otherwise(before: Item | None, after: Item) -> bool:
    """Tell whether an edit changes what an item refers to, or what others may find in it."""
    if before is None or before.archived != after.archived:
        return before is not None or bool(references(after))
    if isinstance(before, Segment) or isinstance(after, Segment):
        return False
    named = before.prerequisites != after.prerequisites or references(before) != references(after)
    return named or before.variants.keys() != after.variants.keys()


def _reaches_others(before: Item | None, after: Item) -> bool:
    """Tell whether an edit may break what refers to the item, which another writer may be about to make.

    Such a write takes something away, or makes chains longer that lead through the item. Who only refers to items is
    safe in naming these.
    """
    if before is None:
        return False
    if isinstance(before, Segment) or isinstance(after, Segment):
        return after.archived
    lengthens = bool(after.prerequisites) and after.prerequisites != before.prerequisites
    return after.archived or lengthens or not before.variants.keys() <= after.variants.keys()


def _found(snapshot: Snapshot, key: str, environment: str) -> Found:
    if key not in snapshot.flags:
        raise FlagNotFound(key, environment)
    return Found(snapshot.flags[key], snapshot.versions[key])


def _applied(snapshot: Snapshot, item: Item) -> Edit | None:
    before = snapshot.item(item.item_key)
    if isinstance(item, Flag):
        item = (
            permitted(before, replace(item, hold=before.hold)) if isinstance(before, Flag) else replace(item, hold=None)
        )
    if before is None:
        return Edit(item, None)
    return None if _same(before, item) else Edit(item, snapshot.versions[item.item_key])


def _pruned(snapshot: Snapshot, wanted: Definitions) -> Iterator[Item]:
    for key, flag in snapshot.flags.items():
        if key not in wanted.flags and not flag.archived:
            yield archive(flag)
    for key, segment in snapshot.segments.items():
        if key not in wanted.segments and not segment.archived:
            yield replace(segment, archived=True)


def _same(before: Item, after: Item) -> bool:
    """Compare as the store would: to Python, true equals 1."""
    return item_json(before) == item_json(after)


def _past(history: Sequence[HistoryEntry], revision: Revision | None) -> Item | None:
    if revision is None:
        return history[0].before if history else None
    return next((entry.after for entry in history if entry.revision == revision), None)
