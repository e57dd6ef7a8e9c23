"""The local override file: the break-glass lever that works when Redis itself is gone.

A YAML or JSON object of flag keys and the value to serve for each, such as `useYamlMessaging: json`. It outranks all
that the store says, and works for flags that the store does not know. The file may come, change and go at any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flags import fields
from flags.definitions import MAX_FLAGS
from flags.documents import flag_key
from flags.watchedfile import WatchedFile


def parse_overrides(document: Any) -> dict[str, Any]:
    """Read flag keys and their values; nothing at all is no override.

    Raises:
        DocumentError: names the first key or value that is wrong.
    """
    if document is None:
        return {}
    content = fields.object_of(document, "overrides", limit=MAX_FLAGS)
    return {flag_key(key, "overrides"): fields.json_value(value, f"overrides.{key}") for key, value in content.items()}


class OverrideFile:
    """An override file on disk, looked at whenever `poll` is called."""

    def __init__(self, path: str | Path) -> None:
        self._file = WatchedFile(path)

    def poll(self) -> Mapping[str, Any] | None:
        """Answer with the overrides where the file changed since the last look, else with None.

        A file that is not there overrides nothing.

        Raises:
            DocumentError, OSError: the file is not as it should be, or can't be read. The same content raises once.
        """
        return parse_overrides(self._file.document()) if self._file.changed() else None
