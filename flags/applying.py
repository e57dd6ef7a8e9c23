"""Making an environment what definitions say: what that would change, the one write of it, and what a write did.

What is archived counts as gone here: who applies a file asks what is in force, and pruning archives. Holds belong to
the environment: none is set and none is taken off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from flags import service
from flags.definitions import Definitions
from flags.difference import ItemDifference, difference
from flags.errors import RevisionConflict
from flags.items import item_document
from flags.model import Flag, Item, Revision, Snapshot
from flags.store import FlagStore, HistoryEntry, Written

ATTEMPTS = 10
"""How often a plan is made anew on what another writer left."""

Pair = tuple[Item | None, Item]
"""An item before and after."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be written to an environment at this revision, and how it differs after it from before."""

    revision: Revision
    wanted: Definitions
    prune: bool
    differences: list[ItemDifference]


def compare(snapshot: Snapshot, wanted: Definitions, *, prune: bool = False) -> list[ItemDifference]:
    """Tell how an environment would differ once the definitions were applied, whether or not that is permitted.

    What they do not name is left out, or counted as gone with `prune`.
    """
    items: list[Item] = [*wanted.flags.values(), *wanted.segments.values()]
    pairs = [(snapshot.item(item.item_key), item) for item in items]
    return _differences([*map(_keeping_the_hold, pairs), *(_pruned(snapshot, wanted) if prune else ())])


def plan(store: FlagStore, wanted: Definitions, *, prune: bool = False) -> Plan:
    """Tell what `apply` would change, and change nothing.

    Raises:
        FlagHeld: a flag is on hold, and would be enabled, raised or served otherwise.
        DocumentError: something would refer to what is not there.
    """
    return plan_on(store.snapshot(), wanted, prune=prune)


def plan_on(snapshot: Snapshot, wanted: Definitions, *, prune: bool = False) -> Plan:
    """Tell what `apply` would change in an environment as it is here; raises as `plan` does."""
    service.planned(snapshot, wanted, prune=prune)
    return Plan(snapshot.revision, wanted, prune, compare(snapshot, wanted, prune=prune))


def apply(  # noqa: PLR0913 - as for `flags.service.change`
    store: FlagStore,
    make: Callable[[], Plan],
    *,
    actor: str,
    reason: str = "",
    operation: str | None = None,
    request: str = "",
    expected: Revision | None = None,
) -> tuple[Plan, Written]:
    """Make a plan and do exactly that, in one write; raises as `plan` does.

    Where the caller names no revision, a write that came in between is met by planning anew.

    Raises:
        RevisionConflict: the environment is not at the revision `expected` any more; nothing was changed.
    """
    for attempt in range(1, ATTEMPTS + 1):
        planned = make()
        if expected not in {None, planned.revision}:
            raise RevisionConflict(store.environment, str(expected), str(planned.revision))
        try:
            return planned, service.apply(
                store,
                planned.wanted,
                actor=actor,
                reason=reason,
                operation=operation,
                request=request,
                expected=planned.revision,
                prune=planned.prune,
            )
        except RevisionConflict:
            if expected is not None or attempt == ATTEMPTS:
                raise
    raise AssertionError("unreachable: the last attempt returns or raises")


def changed_at(store: FlagStore, revision: Revision) -> list[ItemDifference]:
    """Tell what the write of a revision changed, from the histories of all that was written then or later."""
    snapshot = store.snapshot()
    since = (
        key for key, version in snapshot.versions.items() if version.epoch != revision.epoch or version >= revision
    )
    entries = (_entry(store, key, revision) for key in since)
    return _differences([(entry.before, entry.after) for entry in entries if entry])


def _differences(pairs: Iterable[Pair]) -> list[ItemDifference]:
    before: dict[str, Mapping[str, Any]] = {}
    after: dict[str, Mapping[str, Any]] = {}
    for was, becomes in pairs:
        key = becomes.item_key
        if was is not None and (becomes.archived or not was.archived):
            before[key] = item_document(was)
        if was is None or was.archived or not becomes.archived:
            after[key] = item_document(becomes)
    return difference(before, after)


def _keeping_the_hold(pair: Pair) -> Pair:
    before, after = pair
    if isinstance(after, Flag):
        after = replace(after, hold=before.hold if isinstance(before, Flag) else None)
    return before, after


def _pruned(snapshot: Snapshot, wanted: Definitions) -> Iterator[Pair]:
    named = {item.item_key for items in wanted for item in items.values()}
    for key, item in snapshot.items().items():
        if key not in named and not item.archived:
            yield item, replace(item, archived=True)


def _entry(store: FlagStore, key: str, revision: Revision) -> HistoryEntry | None:
    return next((entry for entry in store.history(key, limit=service.HISTORY) if entry.revision == revision), None)
