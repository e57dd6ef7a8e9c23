"""A source of flags that is a file: for tests, for machines without a network, and for trying things out.

It has no registry: nobody is told what it has applied, and nothing lapses.
"""

from __future__ import annotations

import errno
import math
import threading
from pathlib import Path

from flags.definitions import parse_definitions
from flags.instances import Instance
from flags.model import Revision, Snapshot
from flags.references import check_references
from flags.source import Feed
from flags.watchedfile import WatchedFile
from foundation.clock import SYSTEM, Clock
from foundation.errors import DocumentError

INTERVAL = 0.25
"""Seconds between two looks at the file."""


class FileSource:
    """Serves the flags of a YAML or JSON file, and follows its changes.

    While the file is missing or broken the client keeps the flags it has, and becomes STALE. Each content gets the time
    at which it was read for an epoch.

    Args:
        path: the file, in the form of `flags.definitions.parse_definitions`.
        clock: tells the time for the epochs.
    """

    environment = ""
    heartbeat = 1.0
    lease = math.inf

    def __init__(self, path: str | Path, *, clock: Clock = SYSTEM) -> None:
        self._path = path
        self._clock = clock

    def run(self, feed: Feed, instance: Instance | None, stop: threading.Event) -> None:  # noqa: ARG002 - nobody is told
        """Feed the client from the file until `stop` is set."""
        file = WatchedFile(self._path)
        problem: Exception | None = None
        while not stop.is_set():
            try:
                if file.changed():
                    feed.replace(self._snapshot(file))
                    problem = None
            except (DocumentError, OSError) as error:
                problem = error
            if problem is None:
                feed.contact()
            else:
                feed.failed(problem)
            stop.wait(INTERVAL)

    def close(self) -> None:
        """Do nothing: `run` waits for nothing but `stop`."""

    def _snapshot(self, file: WatchedFile) -> Snapshot:
        if file.missing:
            raise FileNotFoundError(errno.ENOENT, "there is no file of flags", str(file.path))
        flags, segments = parse_definitions(file.document())
        revision = Revision(int(self._clock.now() * 1_000_000), 1)
        items = Snapshot(flags=flags, segments=segments).items()
        check_references(items, items)
        return Snapshot(revision, flags, dict.fromkeys(items, revision), segments)
