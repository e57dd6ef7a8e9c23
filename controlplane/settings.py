"""What the control plane is told from outside: environment variables, and the ready file of a running `signalbox up`.

Only entry points (the commands and gunicorn's applications) call `from_environment` or `discover`; everything below is
handed a `Settings`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self
from urllib.parse import SplitResult, urlsplit

from controlplane.errors import SettingsInvalid
from flags.environments import NAME, NAME_RULE
from flags.staleness import STALE_DAYS
from flags.usage import KEPT_DAYS

DEFAULT_ENVIRONMENT = "demo"
DEFAULT_DATA_DIR = Path(".signalbox")
READY_FILE = "ready.json"
OVERRIDES_FILE = "overrides.yaml"
"""Within the data folder of `up`: the override file of its demo workers; it need not exist."""
MAX_BODY = 1_048_576
"""Bytes of a request's body; more is refused before any of it is parsed."""
_REDIS_SCHEMES = ("redis://", "rediss://", "unix://", "redis+sentinel://")
OFREP_RATE = 200
MOST_OFREP_RATE = 1_000_000
_MOST_PROCESSES = 2**31


@dataclass(frozen=True, slots=True)
class Settings:
    """Where everything is.

    Args:
        environments: names that a server serves; a command works on the first.
        redis_url, queue_url: the flags server and the queue server; "" where unknown.
        url: address of the API and the pages, as a browser sees it; "" where unknown.
        stream_url: address of the streams; "" where they are served at `url`.
        overrides: a local file that decides flags for the workers started here; "" where there is none.
        data_dir: where `up` and receipts on disk live.
        ready_file: where `up` says that it is ready.
        ofrep_rate: requests a second over OFREP that a process takes from one token at one address.
        stale_days: how long a flag is not evaluated, or serves one variant alone, before it is called stale.
    """

    environments: tuple[str, ...] = (DEFAULT_ENVIRONMENT,)
    redis_url: str = field(default="", repr=False)
    queue_url: str = field(default="", repr=False)
    url: str = ""
    stream_url: str = ""
    overrides: str = ""
    data_dir: Path = DEFAULT_DATA_DIR
    ready_file: Path = DEFAULT_DATA_DIR / READY_FILE
    ofrep_rate: int = OFREP_RATE
    stale_days: int = STALE_DAYS

    @property
    def environment(self) -> str:
        """The environment that a command works on unless told otherwise."""
        return self.environments[0]

    @property
    def secure(self) -> bool:
        """Whether browsers reach the control plane over TLS."""
        return self.url.startswith("https://")

    @property
    def cookie_name(self) -> str:
        """Name of the session cookie: browsers share cookies between the ports of a host, so the port is part of it."""
        return f"signalbox_session_{urlsplit(self.url).port or 'default'}"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the variables that are named as the fields are: SIGNALBOX_REDIS_URL, SIGNALBOX_DATA_DIR and so on.

        SIGNALBOX_ENV may list several environments for a server, with commas between them.

        Raises:
            SettingsInvalid: a name or an address that can't be used.
        """
        read = os.environ if environ is None else environ
        data_dir = Path(read.get("SIGNALBOX_DATA_DIR") or DEFAULT_DATA_DIR)
        names = [name.strip() for name in read.get("SIGNALBOX_ENV", "").split(",") if name.strip()]
        return cls(
            environments=tuple(environment_name(name) for name in names) or (DEFAULT_ENVIRONMENT,),
            redis_url=_redis_address("SIGNALBOX_REDIS_URL", read),
            queue_url=_redis_address("SIGNALBOX_QUEUE_URL", read),
            url=_web_address("SIGNALBOX_URL", read.get("SIGNALBOX_URL", "")),
            stream_url=_web_address("SIGNALBOX_STREAM_URL", read.get("SIGNALBOX_STREAM_URL", "")),
            overrides=read.get("SIGNALBOX_OVERRIDES", ""),
            data_dir=data_dir,
            ready_file=Path(read.get("SIGNALBOX_READY_FILE") or data_dir / READY_FILE),
            ofrep_rate=_number("SIGNALBOX_OFREP_RATE", read, OFREP_RATE, MOST_OFREP_RATE),
            stale_days=_number("SIGNALBOX_STALE_DAYS", read, STALE_DAYS, KEPT_DAYS),
        )

    @classmethod
    def discover(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the environment variables; where they name no other Redis, add what the `up` of this folder is running.

        The two are never mixed: flags of one installation beside queues of another would be worse than none.
        """
        read = os.environ if environ is None else environ
        settings = cls.from_environment(read)
        if not settings.ready_file.exists():
            return settings
        ready = read_ready_file(settings.ready_file)
        if settings.redis_url not in {"", _text(ready, "redis_url")}:
            return settings
        named = "SIGNALBOX_ENV" in read
        return replace(
            settings,
            environments=settings.environments if named else (environment_name(_text(ready, "environment")),),
            redis_url=_text(ready, "redis_url"),
            queue_url=settings.queue_url or _text(ready, "queue_url"),
            url=settings.url or _text(ready, "url"),
            stream_url=settings.stream_url or _text(ready, "stream_url"),
            overrides=settings.overrides or _text(ready, "overrides"),
            data_dir=settings.data_dir
            if "SIGNALBOX_DATA_DIR" in read
            else Path(_text(ready, "data_dir") or settings.data_dir),
        )


def environment_name(name: str) -> str:
    """Check the name of an environment: it becomes part of every key.

    Raises:
        SettingsInvalid: it is empty, too long, or holds other characters than those named.
    """
    if not NAME.fullmatch(name):
        raise SettingsInvalid(f"{name[:70]!r} can't name an environment: {NAME_RULE}")
    return name


def read_ready_file(path: Path) -> dict[str, Any]:
    """Read what a running `up` wrote about itself.

    Raises:
        SettingsInvalid: the file can't be read or is not what `up` writes.
    """
    try:
        ready = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsInvalid(f"{path}: can't be read as a ready file: {error}") from error
    if not isinstance(ready, dict):
        raise SettingsInvalid(f"{path}: is not a ready file")
    return ready


def ended_up(environ: Mapping[str, str] | None = None) -> int | None:
    """Name the process of the `up` that commands go by, where that has ended and left its ready file behind.

    Only a failure should ask: from another container a process that runs looks as if it had ended.
    """
    settings = Settings.from_environment(environ)
    if settings.redis_url or not settings.ready_file.exists():
        return None
    pid = read_ready_file(settings.ready_file).get("pid")
    if not isinstance(pid, int) or not 0 < pid < _MOST_PROCESSES:
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return pid
    except PermissionError:  # it runs, and is somebody else's
        return None
    return None


def _text(ready: Mapping[str, Any], key: str) -> str:
    value = ready.get(key, "")
    if not isinstance(value, str):
        raise SettingsInvalid(f"ready file: {key} is not a text")
    return value


def _number(name: str, read: Mapping[str, str], default: int, most: int) -> int:
    value = read.get(name, "")
    if not value:
        return default
    if not (value.isascii() and value.isdigit() and len(value) < 10 and 1 <= int(value) <= most):
        raise SettingsInvalid(f"{name}={value[:70]}: expected a whole number from 1 to {most}")
    return int(value)


def _redis_address(name: str, read: Mapping[str, str]) -> str:
    value = read.get(name, "")
    if value and not value.startswith(_REDIS_SCHEMES):  # not shown: it may hold a password
        raise SettingsInvalid(f"{name}: expected an address that begins with one of {', '.join(_REDIS_SCHEMES)}")
    return value


def _web_address(name: str, value: str) -> str:
    if not value:
        return ""
    parts = urlsplit(value)
    beyond = parts.path.strip("/") or parts.query or parts.fragment or parts.username
    if parts.scheme not in {"http", "https"} or not parts.hostname or beyond or not _has_good_port(parts):
        raise SettingsInvalid(f"{name}={value}: expected an address such as http://127.0.0.1:8080")
    return value.rstrip("/")


def _has_good_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False
