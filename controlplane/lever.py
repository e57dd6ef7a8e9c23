"""Pulls the lever from the web: starts the very command that a person at a terminal would, detached from this process.

The rollback must outlive the web application that it may be about to find ill. Knows nothing of what the steps do.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controlplane.errors import RequestInvalid, StartFailed
from controlplane.settings import Settings
from controlplane.wiring import Connection
from foundation.errors import StoreUnreachable
from foundation.ids import new_id
from messenger.formats import YAML_FLAG
from rollout.record import Request
from rollout.steps.preflight import chosen

FIRST_WORD = 8.0
"""Seconds within which a rollback has told the id of its receipt."""
_POLL = 0.05
DEFAULT = (YAML_FLAG,)
"""What the command takes back where no flag is named."""


@dataclass(frozen=True, slots=True)
class Pull:
    """What is asked of a rollback; what is None is left at the command's default."""

    actor: str
    reason: str
    flags: tuple[str, ...] = ()
    every_messaging_flag: bool = False
    restart: str | None = None
    queues: str | None = None


def join_or_pull(settings: Settings, connection: Connection, asked: Pull) -> str:
    """Join the rollback that is at work where it takes back all that is asked for; else pull; see there."""
    running = connection.journal.running()
    if running is not None and running.lease_left > 0:
        request = Request(asked.actor, flags=asked.flags or DEFAULT, every_messaging_flag=asked.every_messaging_flag)
        if set(chosen(request, connection.store.snapshot().flags)) <= running.record["flags"].keys():
            return running.lead.receipt
    return pull(settings, connection.environment, asked)


def pull(settings: Settings, environment: str, asked: Pull) -> str:
    """Start a rollback, or join the one that was left unfinished; answers with the id of its receipt.

    The answer is "" where another rollback, of other flags, has to end first: this one is pulled, and begins by itself.

    Raises:
        StoreUnreachable, RequestInvalid, StartFailed: what the command's exit code says.
    """
    folder = settings.data_dir / "rollbacks"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = folder / f"{new_id('run')}.jsonl"
    with log.open("wb") as output, log.with_suffix(".err").open("wb") as complaints:
        process = subprocess.Popen(
            arguments(environment, asked),
            env=_environ(settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=complaints,
            start_new_session=True,
        )
    threading.Thread(target=process.wait, name=f"rollback-{process.pid}", daemon=True).start()
    return _first_word(process, log)


def arguments(environment: str, asked: Pull) -> list[str]:
    """The command line of a rollback."""
    line = [sys.executable, "-m", "controlplane.cli", "rollback", "--yes", "--json", f"--env={environment}"]
    line += [f"--actor={asked.actor}", f"--reason={asked.reason}"]
    line += ["--all"] if asked.every_messaging_flag else [f"--flag={key}" for key in asked.flags]
    line += [f"--restart={asked.restart}"] if asked.restart else []
    line += [f"--queues={asked.queues}"] if asked.queues else []
    return line


def _environ(settings: Settings) -> Mapping[str, str]:
    return {
        **os.environ,
        "SIGNALBOX_REDIS_URL": settings.redis_url,
        "SIGNALBOX_QUEUE_URL": settings.queue_url,
        "SIGNALBOX_DATA_DIR": str(settings.data_dir.resolve()),
        "SIGNALBOX_URL": settings.url,
    }


def _first_word(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + FIRST_WORD
    while time.monotonic() < deadline:
        ended = process.poll()
        found = _receipt_of(log.read_bytes().splitlines())
        if found is not None:
            return found
        if ended is not None:
            raise _refusal(ended, log.with_suffix(".err"))
        time.sleep(_POLL)
    raise StartFailed(f"the rollback (process {process.pid}) says nothing; see {log}")


def _receipt_of(lines: Sequence[bytes]) -> str | None:
    """Find the id in what was told so far; "" where that is of a rollback that has to end first."""
    for line in lines:
        try:
            event: Any = json.loads(line)
        except ValueError:  # half a line, so far
            continue
        if isinstance(event, dict) and isinstance(event.get("data"), dict) and event["data"].get("receipt"):
            return "" if event["data"].get("following") == "queued" else str(event["data"]["receipt"])
    return None


def _refusal(code: int, complaints: Path) -> Exception:
    said = complaints.read_text("utf-8", "replace").strip()
    match code:
        case 2:
            return RequestInvalid(said)
        case 3:
            return StoreUnreachable(said)
    return StartFailed(f"the rollback ended with exit code {code}; see {complaints}")
