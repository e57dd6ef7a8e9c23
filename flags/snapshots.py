"""Snapshots and changes as JSON documents: as the API sends them to SDKs, and as a backup keeps them on disk.

What cannot be read is handled as the stores do: one item of a later release must not keep all others from being killed.
Knows neither HTTP nor files.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import orjson

from flags import fields
from flags.documents import parse_flag
from flags.model import Flag, Revision, Snapshot
from flags.segments import parse_segment, segment_document
from flags.store import Change
from flags.stored import StoredFlags, flag_documents
from foundation.errors import DocumentError

logger = logging.getLogger(__name__)

Read = TypeVar("Read")


def snapshot_document(snapshot: Snapshot) -> dict[str, Any]:
    """Write all items at one revision, archived ones included: who holds a copy must learn that one was put away.

    `versions` are by item key, under which a segment is called `segment:<key>`.
    """
    return {
        "revision": str(snapshot.revision),
        **_items(snapshot),
        "versions": {key: str(version) for key, version in sorted(snapshot.versions.items())},
    }


def change_document(change: Change) -> dict[str, Any]:
    """Write what one revision changed: the items as they are after it."""
    return {"revision": str(change.revision), **_items(change)}


def read_snapshot(document: Any) -> Snapshot:
    """Read a snapshot; an item that this release can't read is left out, and logged.

    Raises:
        DocumentError: it is not a snapshot.
    """
    content = fields.object_of(document, "")
    versions = fields.object_of(content.get("versions"), "versions")
    return Snapshot(
        revision_of(content),
        StoredFlags(_texts(content)),
        {key: _revision(version, f"versions.{key}") for key, version in versions.items()},
        _readable(content, "segments", parse_segment),
    )


def _texts(content: Mapping[str, Any]) -> dict[str, Flag | bytes]:
    flags = fields.object_of(content.get("flags"), "flags")
    return {key: orjson.dumps(flag, option=orjson.OPT_SORT_KEYS) for key, flag in flags.items()}


def read_change(document: Any) -> Change:
    """Read a change.

    Raises:
        DocumentError: it is not one, or holds an item that this release can't read: a snapshot has to do instead.
    """
    content = fields.object_of(document, "")
    return Change(revision_of(content), _read(content, "flags", parse_flag), _read(content, "segments", parse_segment))


def revision_of(document: Any) -> Revision:
    """Take the revision of a document; raises DocumentError."""
    return _revision(fields.object_of(document, "").get("revision"), "revision")


def _revision(value: Any, field: str) -> Revision:
    return Revision.parse(fields.text(value, field, limit=40))


def _items(held: Snapshot | Change) -> dict[str, Any]:
    return {
        "flags": flag_documents(held.flags),
        "segments": {key: segment_document(segment) for key, segment in sorted(held.segments.items())},
    }


def _read(content: Mapping[str, Any], name: str, parse: Callable[[str, Any], Read]) -> dict[str, Read]:
    return {key: parse(key, document) for key, document in fields.object_of(content.get(name, {}), name).items()}


def _readable(content: Mapping[str, Any], name: str, parse: Callable[[str, Any], Read]) -> dict[str, Read]:
    read = {}
    for key, document in fields.object_of(content.get(name, {}), name).items():
        try:
            read[key] = parse(key, document)
        except DocumentError as error:
            logger.error("%s.%s can't be read and is left out: %s", name, key, error)  # noqa: TRY400 - no fault of ours
    return read
