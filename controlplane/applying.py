"""Applying definitions to an environment, and comparing it with them, as documents: for the API and the commands alike.

Knows no HTTP and no terminal.
"""

from __future__ import annotations

from controlplane import reading
from controlplane.difference import difference_shape
from controlplane.shapes import Json
from controlplane.wiring import Connection
from flags import applying
from flags.definitions import Definitions
from flags.difference import ItemDifference
from flags.errors import RevisionConflict
from flags.model import Revision


def compare(connection: Connection, wanted: Definitions, *, prune: bool = False) -> Json:
    """Tell how definitions differ from an environment, whatever stands in the way of applying them."""
    snapshot = connection.store.snapshot()
    found = applying.compare(snapshot, wanted, prune=prune)
    return {
        "environment": connection.environment,
        "revision": str(snapshot.revision),
        "equal": not found,
        "differences": difference_shape(found),
    }


def plan(connection: Connection, wanted: Definitions, *, prune: bool = False, expected: Revision | None = None) -> Json:
    """Tell what `apply` would change, and change nothing; raises as it does."""
    planned = applying.plan(connection.store, wanted, prune=prune)
    if expected not in {None, planned.revision}:
        raise RevisionConflict(connection.environment, str(expected), str(planned.revision))
    return {**_shape(connection, planned.revision, planned.differences), "dry_run": True, "convergence": None}


def apply(  # noqa: PLR0913 - every part of a write has its name here, and all but two have a default
    connection: Connection,
    wanted: Definitions,
    *,
    actor: str,
    reason: str,
    prune: bool = False,
    operation: str | None = None,
    request: str = "",
    expected: Revision | None = None,
    wait: float = 0.0,
) -> Json:
    """Make flags and segments what is wanted, in one write, and tell what changed and how far it has got.

    What is not named is left alone, or archived with `prune`. An operation that was done before is answered with what
    it changed then.

    Raises:
        FlagHeld: a flag is on hold, and would be enabled, raised or served otherwise; nothing was changed.
        RevisionConflict: the environment is not at the revision `expected`.
        IdempotencyMismatch: the operation was used for something else.
        DocumentError: something would refer to what is not there.
    """
    store = connection.store
    done = store.recall(operation, request) if operation else None
    if done:
        revision, found = done.revision, applying.changed_at(store, done.revision)
    else:
        planned, written = applying.apply(
            store,
            lambda: applying.plan(store, wanted, prune=prune),
            actor=actor,
            reason=reason,
            operation=operation,
            request=request,
            expected=expected,
        )
        revision, found = written.revision, planned.differences
    told = reading.convergence(connection, revision, tuple(item.key for item in found), wait=wait)
    return {**_shape(connection, revision, found), "dry_run": False, "convergence": told}


def _shape(connection: Connection, revision: Revision, found: list[ItemDifference]) -> Json:
    return {
        "environment": connection.environment,
        "revision": str(revision),
        "changed": bool(found),
        "differences": difference_shape(found),
    }
