"""What both stores hold of a write: its checks, the digest of its body, and how long an operation is remembered."""

from __future__ import annotations

from collections.abc import Mapping

from flags.documents import flag_json
from flags.errors import IdempotencyMismatch
from flags.store import Write
from foundation.canonical import digest
from foundation.errors import DocumentError

OPERATION_SECONDS = 86_400
"""How long the same operation gets the first result again."""


def contents(write: Write) -> dict[str, str]:
    """Put a write's flags into the form they are kept in, by key.

    Raises:
        DocumentError: the write has no edits, no operation, or two edits of one flag.
    """
    flags = {edit.flag.key: flag_json(edit.flag) for edit in write.edits}
    if not flags or not write.operation:
        raise DocumentError("write", "has no edits" if not flags else "has no operation id")
    if len(flags) < len(write.edits):
        raise DocumentError("write", "edits a flag twice", value=[edit.flag.key for edit in write.edits])
    return flags


def mismatch(operation: str) -> IdempotencyMismatch:
    """Say that an operation id stands for something else already."""
    return IdempotencyMismatch(f"operation {operation!r} was used for another write")


def body_digest(write: Write, flags: Mapping[str, str]) -> str:
    """Name what a write is to bring about, so that its operation id can't stand for anything else.

    The revisions that the writer expected are left out: a retry that read the flags again after its own first write
    means the same thing.
    """
    if write.request:
        return write.request
    return digest({"edits": dict(flags), "actor": write.actor, "reason": write.reason})
