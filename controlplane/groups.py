"""The two groups of web processes, as children that a keeper runs: the API with the pages, and the streams."""

from __future__ import annotations

import os
import sys
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from controlplane.errors import StartFailed
from controlplane.listening import Reservation
from controlplane.processes import Command, Keeper, StopSignal
from controlplane.settings import Settings

API_WORKER = "controlplane.gunicorn_worker.TimedThreadWorker"
API_THREADS = 8
API_CONNECTIONS = 5_000
"""Each SDK over HTTP keeps one open between its renewals; gunicorn's own bound, 1,000, would lock people out."""

STREAM_CONNECTIONS = 5_500
"""More than the streams that a process admits, so that a refusal and `/healthz` still get through."""

READY = 30.0
_POLL = 0.05


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of both groups, ours for as long as this object lives."""

    api: Reservation
    streams: Reservation


def start_web(
    keeper: Keeper, settings: Settings, ports: Ports, *, workers: int, logs: Path | None, stop: StopSignal
) -> None:
    """Start both groups and wait until they answer, or `stop` is set.

    The API group has `workers` processes. Output goes to the folder `logs`, or where ours goes.

    Raises:
        StartFailed: one of them does not come to life.
    """
    environ = _environ(settings)
    api = Command("api", _api(ports.api.address, workers), environ, log=_log(logs, "api"))
    streams = Command("streams", _streams(ports.streams.address), environ, log=_log(logs, "streams"))
    for child in (api, streams):
        keeper.add(child)
    for child, port in ((api, ports.api), (streams, ports.streams)):
        _wait_answering(child, f"http://{port.address}", stop)


def answers(url: str) -> bool:
    """Tell whether a GET is answered with success."""
    if urlsplit(url).scheme not in {"http", "https"}:
        return False
    try:
        with urllib.request.urlopen(url, timeout=2.0) as response:  # noqa: S310 - the scheme was just checked
            return bool(response.status == HTTPStatus.OK)
    except OSError:  # URLError is one
        return False


def _environ(settings: Settings) -> dict[str, str]:
    return {
        **os.environ,
        "SIGNALBOX_ENV": ",".join(settings.environments),
        "SIGNALBOX_REDIS_URL": settings.redis_url,
        "SIGNALBOX_QUEUE_URL": settings.queue_url,
        "SIGNALBOX_URL": settings.url,
        "SIGNALBOX_STREAM_URL": settings.stream_url,
        "SIGNALBOX_DATA_DIR": str(settings.data_dir.resolve()),
    }


def _api(bind: str, workers: int) -> list[str]:
    options = ["--worker-class", API_WORKER, "--workers", str(workers), "--threads", str(API_THREADS)]
    options += ["--worker-connections", str(API_CONNECTIONS)]
    return _gunicorn(bind, options, "controlplane.app:create_app()")


def _streams(bind: str) -> list[str]:
    options = ["--worker-class", "gevent", "--workers", "1", "--worker-connections", str(STREAM_CONNECTIONS)]
    # A connection that has carried a stream is of no further use, and would hold up the end of the process.
    options += ["--keep-alive", "0"]
    return _gunicorn(bind, options, "controlplane.streams:create_streams()")


def _wait_answering(child: Command, url: str, stop: StopSignal) -> None:
    deadline = time.monotonic() + READY
    while not answers(f"{url}/healthz"):
        where = f"; see {child.log}" if child.log else ""
        if not child.alive():
            raise StartFailed(f"{child.name} ended at once{where}")
        if time.monotonic() > deadline:
            raise StartFailed(f"{child.name} does not answer at {url} within {READY:.0f} s{where}")
        if stop.wait(_POLL):
            return


def _gunicorn(bind: str, options: Sequence[str], application: str) -> list[str]:
    common = [sys.executable, "-m", "gunicorn", "--config", "python:controlplane.gunicorn_conf", "--bind", bind]
    return [*common, *options, application]


def _log(folder: Path | None, name: str) -> Path | None:
    return folder / f"{name}.log" if folder else None
