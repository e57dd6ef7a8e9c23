"""The environments of an installation, as documents, and what is done between two of them.

Called by the API, the pages and the commands alike; knows no HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from controlplane import reading
from controlplane.difference import difference_shape
from controlplane.shapes import Json
from controlplane.wiring import Connection, Wiring
from flags import applying, copying
from flags.difference import ItemDifference, difference
from flags.environments import Environment, environment_name
from flags.model import Revision
from foundation.errors import DocumentError


def listed(wiring: Wiring) -> Json:
    """List the environments by name."""
    return {"environments": [asdict(environment) for environment in wiring.listed()]}


def create(wiring: Wiring, environment: Environment, *, operation: str, request: str) -> Json:
    """Make an environment, empty; answers with it as it is listed. Raises EnvironmentExists."""
    environment_name(environment.name, "name")
    wiring.environments.create(environment, operation=operation, request=request)
    return asdict(wiring.environments.find(environment.name) or environment)


def compare(before: Connection, after: Connection, *, archived: bool = False) -> Json:
    """Tell how a second environment differs from a first; what is archived counts as absent unless asked for."""
    old, new = before.store.snapshot(), after.store.snapshot()
    found = difference(copying.documents(old, archived=archived), copying.documents(new, archived=archived))
    return {
        "environment": before.environment,
        "revision": str(old.revision),
        "with": {"environment": after.environment, "revision": str(new.revision)},
        "equal": not found,
        "differences": difference_shape(found),
    }


def plan_copy(source: Connection, target: Connection, keys: Sequence[str] = ()) -> Json:
    """Tell what a copy would change in the target, and change nothing; raises as `copy` does."""
    _refuse_itself(source, target)
    planned = copying.plan(source.store, target.store, keys)
    return {**_copy_shape(source, target, planned.revision, planned.differences), "dry_run": True, "convergence": None}


def copy(  # noqa: PLR0913 - every part of a write has its name here, and all but two have a default
    source: Connection,
    target: Connection,
    keys: Sequence[str] = (),
    *,
    actor: str,
    reason: str,
    operation: str | None = None,
    request: str = "",
    expected: Revision | None = None,
    wait: float = 0.0,
) -> Json:
    """Copy items, or all, in one write, and tell what changed and how far it has got after up to `wait` seconds.

    An operation that was done before is answered with what it changed then.

    Raises:
        FlagNotFound, SegmentNotFound, FlagHeld, RevisionConflict, IdempotencyMismatch: see `flags.copying`.
        DocumentError: something would refer to what the target does not have, or the target is the source.
    """
    _refuse_itself(source, target)
    done = target.store.recall(operation, request) if operation else None
    if done:
        revision, found = done.revision, applying.changed_at(target.store, done.revision)
    else:
        planned, written = copying.copy(
            source.store,
            target.store,
            keys,
            actor=actor,
            reason=reason,
            operation=operation,
            request=request,
            expected=expected,
        )
        revision, found = written.revision, planned.differences
    told = reading.convergence(target, revision, tuple(item.key for item in found), wait=wait)
    return {**_copy_shape(source, target, revision, found), "dry_run": False, "convergence": told}


def _copy_shape(source: Connection, target: Connection, revision: Revision, found: list[ItemDifference]) -> Json:
    return {
        "environment": target.environment,
        "from": source.environment,
        "revision": str(revision),
        "changed": bool(found),
        "differences": difference_shape(found),
    }


def _refuse_itself(source: Connection, target: Connection) -> None:
    if source.environment == target.environment:
        raise DocumentError("from", "is the environment that is copied to", value=source.environment)
