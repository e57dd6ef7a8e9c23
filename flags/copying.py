"""Copying flags from one environment to another: what goes along, what it changes there, and the one write of it.

An environment's holds are its own: none is copied, and none is taken off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flags.applying import Plan, apply, plan_on
from flags.definitions import Definitions
from flags.errors import FlagNotFound, SegmentNotFound
from flags.items import item_document, parted
from flags.model import SEGMENT_ITEM, Item, Revision, Snapshot
from flags.references import references
from flags.store import FlagStore, Written


def documents(snapshot: Snapshot, *, archived: bool = False) -> dict[str, Mapping[str, Any]]:
    """Write what an environment holds as documents by item key, to be compared; archived items where asked for."""
    items: tuple[Item, ...] = (*snapshot.flags.values(), *snapshot.segments.values())
    return {item.item_key: item_document(item) for item in items if archived or not item.archived}


def plan(source: FlagStore, target: FlagStore, keys: Sequence[str] = ()) -> Plan:
    """Tell what copying these items, by item key, would change; without keys, all that the source has not archived.

    With an item goes what it refers to, where the target lacks that: segments, and flags that are prerequisites.

    Raises:
        FlagNotFound, SegmentNotFound: the source has no such item.
        FlagHeld: one of the flags is on hold in the target, and would be enabled, raised or served otherwise.
        DocumentError: something would refer to what the target does not have.
    """
    ours, theirs = source.snapshot(), target.snapshot()
    return plan_on(theirs, Definitions(*parted(_chosen(ours, theirs, keys, source.environment))))


def copy(  # noqa: PLR0913 - as for `flags.service.change`
    source: FlagStore,
    target: FlagStore,
    keys: Sequence[str] = (),
    *,
    actor: str,
    reason: str = "",
    operation: str | None = None,
    request: str = "",
    expected: Revision | None = None,
) -> tuple[Plan, Written]:
    """Do what `plan` tells in one write; raises as it does.

    Where the caller names no revision, a write that came in between is met by planning anew.

    Raises:
        RevisionConflict: the target is not at the revision `expected` any more; nothing was changed.
    """
    return apply(
        target,
        lambda: plan(source, target, keys),
        actor=actor,
        reason=reason,
        operation=operation,
        request=request,
        expected=expected,
    )


def _chosen(source: Snapshot, target: Snapshot, keys: Sequence[str], environment: str) -> list[Item]:
    if not keys:
        items: tuple[Item, ...] = (*source.flags.values(), *source.segments.values())
        return [item for item in items if not item.archived]
    chosen: dict[str, Item] = {}
    waiting = [_named(source, key, environment) for key in reversed(keys)]
    while waiting:
        item = waiting.pop()
        if item.item_key not in chosen:
            chosen[item.item_key] = item
            waiting += _missing(source, target, item)
    return list(chosen.values())


def _named(source: Snapshot, key: str, environment: str) -> Item:
    item = source.item(key)
    if item is None and key.startswith(SEGMENT_ITEM):
        raise SegmentNotFound(key.removeprefix(SEGMENT_ITEM), environment)
    if item is None:
        raise FlagNotFound(key, environment)
    return item


def _missing(source: Snapshot, target: Snapshot, item: Item) -> list[Item]:
    """Find what an item refers to and the target lacks; what the source lacks too is for the write to refuse."""
    missing = []
    for key in references(item):
        ours, theirs = source.item(key), target.item(key)
        if ours is not None and (theirs is None or theirs.archived):
            missing.append(ours)
    return missing
