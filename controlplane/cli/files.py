"""Reading files of flags and segments for commands: YAML, or JSON by the file's name; `-` is standard input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO

from flags.definitions import Definitions, parse_definitions
from foundation.documents import read_json, read_yaml
from foundation.errors import DocumentError
from foundation.limits import DEFAULT

EXAMPLE = "flags: {useYamlMessaging: {enabled: true, rolloutPercentage: 0, fallback: json}}"


def read_definitions(files: Sequence[BinaryIO]) -> Definitions:
    """Read what files define together; raises DocumentError, which names the file, also where two define the same."""
    flags: dict[str, Any] = {}
    segments: dict[str, Any] = {}
    for file in files:
        found = _definitions(file)
        for kind, known, more in (("flags", flags, found.flags), ("segments", segments, found.segments)):
            for key in known.keys() & more.keys():
                raise DocumentError(f"{_name(file)}: {kind}.{key}", "is defined in another file too")
        flags.update(found.flags)
        segments.update(found.segments)
    return Definitions(flags, segments)


def read_document(file: BinaryIO, example: str = EXAMPLE) -> Any:
    """Read a file's one document; raises DocumentError, also where it is empty."""
    data = file.read(DEFAULT.max_bytes + 1)
    is_json = _name(file).endswith(".json")
    document = (read_json(data) if is_json else read_yaml(data)) if data.strip() else None
    if document is None:
        raise DocumentError("", "is empty: it names no flags", expected=example)
    return document


def _definitions(file: BinaryIO) -> Definitions:
    try:
        return parse_definitions(read_document(file))
    except DocumentError as error:
        where = f"{_name(file)}: {error.field}" if error.field else _name(file)
        raise DocumentError(where, error.problem, value=error.value, expected=error.expected) from error


def _name(file: BinaryIO) -> str:
    name = str(getattr(file, "name", "<stdin>"))
    return "standard input" if name == "<stdin>" else name
