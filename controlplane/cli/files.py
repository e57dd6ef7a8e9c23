"""Reading files of flags and segments for commands: YAML, or JSON by the file's name; `-` is standard input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

from flags.definitions import Definitions, parse_definitions
from foundation.documents import read_json, read_yaml
from foundation.errors import DocumentError
from foundation.limits import DEFAULT

EXAMPLE = "flags: {useYamlMessaging: {enabled: true, rolloutPercentage: 0, fallback: json}}"


def read_definitions(files: Sequence[BinaryIO]) -> tuple[Definitions, Mapping[str, str]]:
    """Read what files define together, and by field (`flags.<key>`) the name of the file that defines it.

    Raises DocumentError, which names the file, also where two define the same.
    """
    flags: dict[str, Any] = {}
    segments: dict[str, Any] = {}
    names: dict[str, str] = {}
    for file in files:
        found = _definitions(file)
        for kind, known, more in (("flags", flags, found.flags), ("segments", segments, found.segments)):
            for key in known.keys() & more.keys():
                raise DocumentError(f"{_name(file)}: {kind}.{key}", "is defined in another file too")
            known.update(more)
            names.update({f"{kind}.{key}": _name(file) for key in more})
    return Definitions(flags, segments), names


@contextmanager
def naming_files(names: Mapping[str, str]) -> Iterator[None]:
    """Have a DocumentError about a field that a file defines name that file; `names` as from `read_definitions`."""
    try:
        yield
    except DocumentError as error:
        defined = [field for field in names if f"{error.field}.".startswith(f"{field}.")]
        if not defined:
            raise
        raise _named(names[max(defined, key=len)], error) from error


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
        raise _named(_name(file), error) from error


def _named(name: str, error: DocumentError) -> DocumentError:
    where = f"{name}: {error.field}" if error.field else name
    return DocumentError(where, error.problem, value=error.value, expected=error.expected)


def _name(file: BinaryIO) -> str:
    name = str(getattr(file, "name", "<stdin>"))
    return "standard input" if name == "<stdin>" else name
