"""Whether a revision has arrived everywhere: the pure half of the barrier, over what a registry says is live.

Knows no store and no clock: who counts as live was decided by the registry.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from flags.instances import LiveInstance
from flags.model import Revision


@dataclass(frozen=True, slots=True)
class Convergence:
    """How far a revision has got.

    Args:
        reached: every live instance has it, and none overrides a flag concerned.
        acknowledged: the live instances that have it.
        missing: those that have not.
        overriding: those, of either kind, where a local override file decides a flag concerned.
    """

    reached: bool
    acknowledged: tuple[LiveInstance, ...]
    missing: tuple[LiveInstance, ...]
    overriding: tuple[LiveInstance, ...]


def converged(revision: Revision, live: Iterable[LiveInstance], flags: Collection[str]) -> Convergence:
    """Judge whether every live instance has applied `revision` and follows it for the flags of these keys."""
    instances = tuple(live)
    acknowledged = tuple(one for one in instances if has(one.acknowledged, revision))
    missing = tuple(one for one in instances if not has(one.acknowledged, revision))
    overriding = tuple(one for one in instances if not set(one.instance.overrides).isdisjoint(flags))
    return Convergence(not missing and not overriding, acknowledged, missing, overriding)


def has(acknowledged: Revision, revision: Revision) -> bool:
    """Tell whether who acknowledged the one revision has the other: the same epoch, and at least its rev."""
    return acknowledged.epoch == revision.epoch and acknowledged.rev >= revision.rev
