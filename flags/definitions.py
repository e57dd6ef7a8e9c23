"""Files of flags: the flags and segments that one defines, read from its document and written back.

Knows nothing of YAML or of disks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from flags import fields
from flags.documents import flag_document, parse_flag
from flags.model import Flag, Segment
from flags.segments import MAX_SEGMENTS, parse_segment, segment_document
from foundation.errors import DocumentError

MAX_FLAGS = 10_000


class Definitions(NamedTuple):
    """What a file of flags defines, by key."""

    flags: Mapping[str, Flag]
    segments: Mapping[str, Segment]


def parse_definitions(document: Any) -> Definitions:
    """Read a file of flags: `{flags: {key: flag, …}, segments: {key: segment, …}}`, or the bare `{key: flag, …}`.

    What one refers to by another's key may well be defined elsewhere: `flags.references` checks that.

    Raises:
        DocumentError: names the first field that is wrong.
    """
    content = fields.object_of(document, "")
    if "flags" not in content and "segments" not in content:
        content = {"flags": content}
    content = fields.fields(content, "", ("flags", "segments", "$schema"))
    flags = fields.object_of(content.get("flags", {}), "flags", limit=MAX_FLAGS)
    segments = fields.object_of(content.get("segments", {}), "segments", limit=MAX_SEGMENTS)
    return Definitions(
        {key: parse_flag(key, flag) for key, flag in flags.items()},
        {key: parse_segment(key, segment) for key, segment in segments.items()},
    )


def definitions_document(definitions: Definitions) -> dict[str, Any]:
    """Write flags and segments as `parse_definitions` reads them, by key."""
    document = {
        "flags": {key: flag_document(flag) for key, flag in sorted(definitions.flags.items())},
        "segments": {key: segment_document(segment) for key, segment in sorted(definitions.segments.items())},
    }
    return document if definitions.segments else {"flags": document["flags"]}


def parse_flags(document: Any) -> dict[str, Flag]:
    """Read a file that defines flags and no segments; raises DocumentError."""
    definitions = parse_definitions(document)
    if definitions.segments:
        raise DocumentError("segments", "stand in a file that is read for its flags only", expected="no segments")
    return dict(definitions.flags)
