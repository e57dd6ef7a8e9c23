"""What both stores hold of a write: its checks, the digest of its body, and how long an operation is remembered."""

from __future__ import annotations

from collections.abc import Mapping

from flags.errors import IdempotencyMismatch
from flags.items import item_json
from flags.model import Revision
from flags.store import Write
from foundation.canonical import digest
from foundation.errors import DocumentError

OPERATION_SECONDS = 86_400
"""How long the same operation gets the first result again."""


def contents(write: Write) -> dict[str, str]:
    """Put a write's items into the form they are kept in, by item key.

    Raises:
        DocumentError: the write has no edits, no operation, or two edits of one item.
    """
    items = {edit.item.item_key: item_json(edit.item) for edit in write.edits}
    if not items or not write.operation:
        raise DocumentError("write", "has no edits" if not items else "has no operation id")
    if len(items) < len(write.edits):
        raise DocumentError("write", "edits an item twice", value=[edit.item.item_key for edit in write.edits])
    return items


def requirements(write: Write) -> dict[str, Revision | None]:
    """Tell at which revision a write wants each item: those it edits, and those it rests on."""
    return {**write.requires, **{edit.item.item_key: edit.expected for edit in write.edits}}


def mismatch(operation: str) -> IdempotencyMismatch:
    """Say that an operation id stands for something else already."""
    return IdempotencyMismatch(f"operation {operation!r} was used for another write")


def body_digest(write: Write, items: Mapping[str, str]) -> str:
    """Name what a write is to bring about, so that its operation id can't stand for anything else.

    The revisions that the writer expected are left out: a retry that read the items again after its own first write
    means the same thing.
    """
    if write.request:
        return write.request
    return digest({"edits": dict(items), "actor": write.actor, "reason": write.reason})
