"""The folder that `signalbox up` lives in: its lock, its two servers, its logs, and its credentials.

Everything that must survive a restart is in here; sockets are in a short folder elsewhere.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from controlplane.accounts import SDK, Accounts, Role, new_token
from controlplane.errors import StartFailed
from foundation.embedded import EmbeddedRedis, runtime_folder

FLAGS_SERVER: Mapping[str, str] = {
    "appendonly": "yes",
    "appendfsync": "always",
    "maxmemory-policy": "noeviction",
    "save": "",
}
QUEUE_SERVER: Mapping[str, str] = {
    "appendonly": "yes",
    "appendfsync": "everysec",
    "maxmemory": "512mb",
    "maxmemory-policy": "noeviction",
    "save": "",
}
"""Every flag write is on disk before it is acknowledged; queues may lose a second to a power cut, and can fill up."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """How one comes in."""

    username: str
    password: str
    admin_token: str
    sdk_token: str


class Installation:
    """The folder, taken by this process until `close`.

    Raises StartFailed where the folder can't be used, or another `up` has it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.logs = self.folder / "logs"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.logs.mkdir(mode=0o700, exist_ok=True)
            self._lock = os.open(self.folder / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StartFailed(f"the folder {folder} can't be used: {error.strerror or error}") from error
        self._take()

    def servers(self) -> tuple[EmbeddedRedis, EmbeddedRedis]:
        """The private servers of the flags and of the queues, not started yet."""
        sockets = runtime_folder(self.folder)
        return (
            EmbeddedRedis(self.folder, sockets, "flags", FLAGS_SERVER, dies_with_owner=True),
            EmbeddedRedis(self.folder, sockets, "queues", QUEUE_SERVER, dies_with_owner=True),
        )

    def credentials(self) -> Credentials:
        """Read the credentials; made up on the first start."""
        path = self.folder / "credentials.json"
        if path.exists():
            return Credentials(**json.loads(path.read_text("utf-8")))
        made = Credentials("admin", secrets.token_urlsafe(12), new_token("admin"), new_token(SDK))
        write_private(path, asdict(made))
        return made

    def close(self) -> None:
        """Let the folder go."""
        os.close(self._lock)

    def _take(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(self._lock, 20, 0).decode("ascii", "replace").strip()
            os.close(self._lock)
            raise StartFailed(f"another `signalbox up` (process {owner}) runs in {self.folder}") from error
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, str(os.getpid()).encode(), 0)


def admit(accounts: Accounts, credentials: Credentials) -> None:
    """See that the credentials of the folder open the door, whatever became of the server's memory."""
    if not accounts.has_user(credentials.username):
        accounts.add_user(credentials.username, credentials.password, Role.ADMIN)
    accounts.admit_token(credentials.admin_token, "up-admin")
    accounts.admit_token(credentials.sdk_token, "up-sdk")


def write_private(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file that only its owner can read, all of it or none; raises StartFailed."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(content, file, indent=2)
            file.write("\n")
        temporary.replace(path)
    except OSError as error:
        raise StartFailed(f"{path} can't be written: {error.strerror or error}") from error
