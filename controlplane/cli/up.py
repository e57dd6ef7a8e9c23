"""`signalbox up`: the whole product on this machine, as children of one process that nothing outlives."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from controlplane import demo
from controlplane.account_stores import RedisAccountStore
from controlplane.accounts import Accounts
from controlplane.errors import StartFailed
from controlplane.groups import Ports, start_web
from controlplane.installation import Credentials, Installation, admit, write_private
from controlplane.listening import reserve, reserve_from
from controlplane.processes import Keeper, StopSignal
from controlplane.settings import DEFAULT_DATA_DIR, DEFAULT_ENVIRONMENT, OVERRIDES_FILE, READY_FILE, Settings
from controlplane.wiring import Connection, Wiring
from foundation.clock import SYSTEM
from foundation.redis import connect

HOST, PORT = "127.0.0.1", 8080
API_WORKERS = 1
"""One API process is enough for one machine's people, and leaves the memory to the workers."""


@click.command()
@click.option("--port", type=click.IntRange(1, 65_535), help=f"Port of the pages; else {PORT}, or the next free one.")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    default=DEFAULT_DATA_DIR,
    show_default=True,
    envvar="SIGNALBOX_DATA_DIR",
    help="Where flags, queues, logs and credentials are kept.",
)
@click.option("--no-demo", is_flag=True, help="Run no example workers and no example traffic.")
@click.option(
    "--ready-file", type=click.Path(path_type=Path), help="Write addresses and logins here when all is ready."
)
def command(port: int | None, data_dir: Path, ready_file: Path | None, *, no_demo: bool) -> None:
    """Run the whole product on this machine until Ctrl-C.

    That is two private Redis servers, the web, the streams, and example workers with a trickle of traffic. Flags are
    kept in the data folder and survive a restart. What dies is started again.

    Example: signalbox up --port 9000
    """
    stop = StopSignal()
    installation = Installation(data_dir)
    keeper = Keeper(SYSTEM, click.echo)
    ready_files = [installation.folder / READY_FILE, *([ready_file] if ready_file else [])]
    try:
        _check(ready_files)
        _forget(ready_files)
        ports = _ports(port)
        settings = _start(keeper, installation, ports, stop)
        gateway = None if no_demo else demo.start(keeper, settings, installation.logs, click.echo)
        if gateway:
            demo.wait_live(Connection(settings).registry, stop, click.echo)
        if not stop.is_set():
            _announce(settings, installation.credentials(), ready_files, data_dir)
        keeper.run(stop)
        click.echo("stopping")
    finally:
        keeper.stop()
        _forget(ready_files)
        installation.close()
    click.echo("stopped")


def _ports(port: int | None) -> Ports:
    api = reserve(HOST, port) if port else reserve_from(HOST, PORT)
    if not port and api.port != PORT:
        click.echo(f"port {PORT} is busy: taking {api.port}")
    return Ports(api, reserve_from(HOST, api.port + 1))


def _start(keeper: Keeper, installation: Installation, ports: Ports, stop: StopSignal) -> Settings:
    flags, queues = installation.servers()
    for server in (flags, queues):
        click.echo(f"starting the {server.name} server")
        keeper.add(server)
    settings = Settings(
        environments=(DEFAULT_ENVIRONMENT,),
        redis_url=flags.url,
        queue_url=queues.url,
        url=f"http://{ports.api.address}",
        stream_url=f"http://{ports.streams.address}",
        data_dir=installation.folder,
        overrides=str(installation.folder.resolve() / OVERRIDES_FILE),
    )
    admit(Accounts(RedisAccountStore(connect(settings.redis_url)), SYSTEM), installation.credentials())
    Wiring(settings).register(demo.ACTOR)
    demo.create_flags(Connection(settings).store)
    click.echo("starting the web")
    start_web(keeper, settings, ports, workers=API_WORKERS, logs=installation.logs, stop=stop)
    return settings


def _announce(settings: Settings, credentials: Credentials, ready_files: Sequence[Path], data_dir: Path) -> None:
    ready = {
        "url": settings.url,
        "stream_url": settings.stream_url,
        "environment": settings.environment,
        **asdict(credentials),
        "redis_url": settings.redis_url,
        "queue_url": settings.queue_url,
        "data_dir": str(settings.data_dir),
        "overrides": settings.overrides,
        "pid": os.getpid(),
    }
    for path in ready_files:
        write_private(path, ready)
    click.echo(
        f"\nSignalbox is ready\n"
        f"  pages    {settings.url}\n"
        f"  sign in  {credentials.username} / {credentials.password}\n"
        f"  next     {_signalbox(data_dir)} flags set useYamlMessaging --domain collections --percentage 50\n"
        f"  stop     Ctrl-C\n"
    )


def _signalbox(data_dir: Path) -> str:
    """Spell our own command so that it can be typed in this very folder."""
    found = shutil.which("signalbox")
    ours = Path(sys.executable).with_name("signalbox")
    name = "signalbox" if found and Path(found).resolve() == ours.resolve() else os.path.relpath(ours)
    return name if data_dir == DEFAULT_DATA_DIR else f"SIGNALBOX_DATA_DIR={shlex.quote(str(data_dir))} {name}"


def _check(ready_files: Sequence[Path]) -> None:
    for path in ready_files:
        if path.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
            raise StartFailed(f"{path} can't be written as a ready file")


def _forget(ready_files: Sequence[Path]) -> None:
    for path in ready_files:
        path.unlink(missing_ok=True)
