"""Snapshots and changes as JSON documents: as the API sends them to SDKs, and as a backup keeps them on disk.

What cannot be read is handled as the stores do: one flag of a later release must not keep all others from being killed.
Knows neither HTTP nor files.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from flags import fields
from flags.documents import flag_document, parse_flag
from flags.model import Revision, Snapshot
from flags.store import Change
from foundation.errors import DocumentError

logger = logging.getLogger(__name__)

Item = TypeVar("Item")


def snapshot_document(snapshot: Snapshot) -> dict[str, Any]:
    """Write everything at one revision, archived flags included: who holds a copy must learn that one was put away."""
    return {
        "revision": str(snapshot.revision),
        "flags": {key: flag_document(flag) for key, flag in sorted(snapshot.flags.items())},
        "versions": {key: str(version) for key, version in sorted(snapshot.versions.items())},
    }


def change_document(change: Change) -> dict[str, Any]:
    """Write what one revision changed: the flags as they are after it."""
    return {
        "revision": str(change.revision),
        "flags": {key: flag_document(flag) for key, flag in sorted(change.flags.items())},
    }


def read_snapshot(document: Any) -> Snapshot:
    """Read a snapshot; a flag that this release can't read is left out, and logged.

    Raises:
        DocumentError: it is not a snapshot.
    """
    content = fields.object_of(document, "")
    versions = fields.object_of(content.get("versions"), "versions")
    return Snapshot(
        revision=revision_of(content),
        flags=_readable(content, "flags", parse_flag),
        versions={key: _revision(version, f"versions.{key}") for key, version in versions.items()},
    )


def read_change(document: Any) -> Change:
    """Read a change.

    Raises:
        DocumentError: it is not one, or holds a flag that this release can't read: a snapshot has to do instead.
    """
    content = fields.object_of(document, "")
    changed = fields.object_of(content.get("flags"), "flags")
    return Change(revision_of(content), {key: parse_flag(key, flag) for key, flag in changed.items()})


def revision_of(content: Mapping[str, Any]) -> Revision:
    """Take the revision of a document; raises DocumentError."""
    return _revision(content.get("revision"), "revision")


def _revision(value: Any, field: str) -> Revision:
    return Revision.parse(fields.text(value, field, limit=40))


def _readable(content: Mapping[str, Any], name: str, parse: Callable[[str, Any], Item]) -> dict[str, Item]:
    read = {}
    for key, document in fields.object_of(content.get(name), name).items():
        try:
            read[key] = parse(key, document)
        except DocumentError as error:
            logger.error("%s.%s can't be read and is left out: %s", name, key, error)  # noqa: TRY400 - no fault of ours
    return read
