"""The disk backup: the last snapshot in a file, for a start while the server is away.

The file is one line that names format, checksum and size, and then the snapshot as JSON. What is not exactly as it was
written, or was written for another environment, is refused whole. It is replaced in one step, and never in the way: a
disk that is full or read-only costs a line in the log.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

import orjson

from flags import fields
from flags.model import Snapshot
from flags.snapshots import read_snapshot, snapshot_document
from foundation.errors import DocumentError

logger = logging.getLogger(__name__)

FORMAT = "signalbox-backup-1"
MAX_BYTES = 64 * 1024 * 1024
PAUSE = 5.0
"""Seconds between two writes at least; what changes meanwhile is written together."""


class Backup:
    """Keeps one client's flags in a file.

    Args:
        path: of the file; its folder has to be there. Processes of one environment may share it.
        environment: whose flags.
        monotonic: tells the time for the pause between writes.
    """

    def __init__(self, path: str | Path, environment: str, monotonic: Callable[[], float]) -> None:
        self._path = Path(path)
        self._environment = environment
        self._monotonic = monotonic
        self._kept: Snapshot | None = None
        self._due = -PAUSE
        self._complaint = ""

    def load(self) -> Snapshot | None:
        """Read what was kept; None where there is nothing, or nothing that can be trusted, which is logged."""
        try:
            self._kept = self._read()
        except FileNotFoundError:
            logger.info("there is no backup of the flags at %s yet", self._path)
        except (DocumentError, OSError, orjson.JSONDecodeError) as error:
            logger.error("the backup %s is refused and not used: %s", self._path, error)  # noqa: TRY400 - no fault
        return self._kept

    def keep(self, snapshot: Snapshot, *, now: bool = False) -> None:
        """Write a snapshot where it is another one than the file's and the last write is long enough ago, or `now`.

        A failure is logged once, and tried again with the next call that is due.
        """
        if snapshot is self._kept or not (now or self._monotonic() >= self._due):
            return
        self._due = self._monotonic() + PAUSE
        try:
            self._write(snapshot)
        except (DocumentError, OSError) as error:
            # An error of the system names a temporary file, which is another one each time.
            complaint = (error.strerror if isinstance(error, OSError) else None) or str(error)
            if complaint != self._complaint:
                logger.error("the backup %s can't be written: %s", self._path, complaint)  # noqa: TRY400 - no fault
            self._complaint = complaint
        else:
            self._kept, self._complaint = snapshot, ""

    def _write(self, snapshot: Snapshot) -> None:
        body = orjson.dumps({"environment": self._environment, **snapshot_document(snapshot)})
        content = _header(body) + body
        if len(content) > MAX_BYTES:
            raise DocumentError("backup", f"would be larger than {MAX_BYTES:,} bytes")
        if not self._holds(content):
            _replace(self._path, content)

    def _holds(self, content: bytes) -> bool:
        """Whether another process of ours has written the same: of many on one host, one writes each snapshot."""
        with contextlib.suppress(OSError):
            return _contents(self._path) == content
        return False

    def _read(self) -> Snapshot:
        header, newline, body = _contents(self._path).partition(b"\n")
        if not newline or header + newline != _header(body):
            raise DocumentError("backup", "is no backup, or was cut off or changed since it was written")
        document = fields.object_of(orjson.loads(body), "backup")
        found = document.get("environment")
        if found != self._environment:
            raise DocumentError("backup", "is of another environment", value=found, expected=self._environment)
        return read_snapshot(document)


def _header(body: bytes) -> bytes:
    return f"{FORMAT} sha256:{hashlib.sha256(body).hexdigest()} {len(body)}\n".encode()


def _contents(path: Path) -> bytes:
    """Read a plain file of at most MAX_BYTES; anything that could make the reader wait is refused."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - it is open already
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DocumentError("backup", "is not a plain file")
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise DocumentError("backup", "is too large", expected=f"at most {MAX_BYTES:,} bytes")
    return content


def _replace(path: Path, content: bytes) -> None:
    """Put a file in place of another in one step, readable by its owner alone."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # made with mode 0600
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - it is open already
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
