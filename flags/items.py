"""Items as stores keep them: a flag or a segment, under its item key, as canonical JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from flags.documents import flag_document, flag_from_json, flag_json, parse_flag
from flags.model import SEGMENT_ITEM, Flag, Item, Segment
from flags.segments import parse_segment, segment_document
from foundation.canonical import canonical_json
from foundation.errors import DocumentError


def item_json(item: Item) -> str:
    """Write an item as canonical JSON: equal items give equal text."""
    return flag_json(item) if isinstance(item, Flag) else canonical_json(segment_document(item)).decode()


def item_from_json(item_key: str, text: str | bytes) -> Item:
    """Read an item as `item_json` wrote it; raises DocumentError."""
    if not item_key.startswith(SEGMENT_ITEM):
        return flag_from_json(item_key, text)
    key = item_key.removeprefix(SEGMENT_ITEM)
    try:
        return parse_segment(key, orjson.loads(text))
    except orjson.JSONDecodeError as error:
        raise DocumentError(f"segments.{key}", f"is not JSON: {error}") from error


def item_document(item: Item) -> dict[str, Any]:
    """Write an item as people read it."""
    return flag_document(item) if isinstance(item, Flag) else segment_document(item)


def reread(item: Item) -> Item:
    """Take an item through its document: what can't be read back would make the whole environment unreadable."""
    if isinstance(item, Flag):
        return parse_flag(item.key, flag_document(item))
    return parse_segment(item.key, segment_document(item))


def parted(items: Iterable[Item]) -> tuple[dict[str, Flag], dict[str, Segment]]:
    """Part flags from segments, each by its key."""
    flags, segments = {}, {}
    for item in items:
        if isinstance(item, Flag):
            flags[item.key] = item
        else:
            segments[item.key] = item
    return flags, segments
