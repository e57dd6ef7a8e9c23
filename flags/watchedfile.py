"""A small file that is looked at again and again: what the override file and the file source share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from foundation.documents import DEFAULT, read_json, read_yaml


class WatchedFile:
    """A YAML or JSON file (JSON where its name ends in `.json`) that may change, vanish and come back at any time.

    It compares contents and not times: two writes may well have one time stamp, and a file that is moved into place may
    have an old one.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._looked = False
        self._content: bytes | None = None

    @property
    def missing(self) -> bool:
        """Whether the file was not there at the last look."""
        return self._content is None

    def changed(self) -> bool:
        """Look at the file, and tell whether it differs from the last look; at the first look it does.

        Raises OSError where it is there and can't be read; the next look is a first one then.
        """
        looked, self._looked = self._looked, False
        content = self._read()
        changed = not looked or content != self._content
        self._looked, self._content = True, content
        return changed

    def document(self) -> Any:
        """Parse what the last look found; None where there was nothing. Raises DocumentError."""
        read = read_json if self.path.suffix == ".json" else read_yaml
        return read(self._content) if self._content and self._content.strip() else None

    def _read(self) -> bytes | None:
        try:
            with self.path.open("rb") as file:
                return file.read(DEFAULT.max_bytes + 1)
        except FileNotFoundError:
            return None
