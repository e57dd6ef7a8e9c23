"""`signalbox serve`: both groups of web processes in the foreground, over a Redis that is already there."""

from __future__ import annotations

import secrets
from dataclasses import replace

import click

from controlplane.accounts import Accounts, Role
from controlplane.app import services_from
from controlplane.errors import NotConnected
from controlplane.groups import Ports, start_web
from controlplane.listening import reserve
from controlplane.processes import Keeper, StopSignal
from controlplane.settings import Settings
from foundation.clock import SYSTEM

FIRST_USER = "admin"
ACTOR = "signalbox serve"


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(1, 65_535), default=8080, show_default=True, help="Of the API and the pages."
)
@click.option("--stream-port", type=click.IntRange(1, 65_535), default=8081, show_default=True, help="Of the streams.")
@click.option("--workers", type=click.IntRange(1, 64), default=2, show_default=True, help="API processes.")
def command(host: str, port: int, stream_port: int, workers: int) -> None:
    """Run the API, the pages and the streams against the servers that SIGNALBOX_REDIS_URL and SIGNALBOX_QUEUE_URL name.

    Every environment of the installation is served; those that SIGNALBOX_ENV lists, with commas, are made where they
    are missing. Behind a proxy, SIGNALBOX_URL and SIGNALBOX_STREAM_URL say what browsers see. The first start against
    an empty server makes the user admin and prints the password once.

    Example: SIGNALBOX_REDIS_URL=redis://flags/0 SIGNALBOX_QUEUE_URL=redis://queues/0 signalbox serve --port 80
    """
    settings = Settings.from_environment()
    if not (settings.redis_url and settings.queue_url):
        raise NotConnected("set SIGNALBOX_REDIS_URL and SIGNALBOX_QUEUE_URL, or run everything with `signalbox up`")
    stop = StopSignal()
    ports = Ports(reserve(host, port), reserve(host, stream_port))
    settings = replace(
        settings,
        url=settings.url or f"http://{ports.api.address}",
        stream_url=settings.stream_url or settings.url or f"http://{ports.streams.address}",
    )
    services = services_from(settings)
    services.wiring.register(ACTOR)
    _welcome(services.accounts)
    keeper = Keeper(SYSTEM, lambda line: click.echo(line, err=True))
    try:
        start_web(keeper, settings, ports, workers=workers, logs=None, stop=stop)
        if not stop.is_set():
            names = ", ".join(environment.name for environment in services.wiring.listed())
            click.echo(f"Signalbox serves {names} at {settings.url}")
        keeper.run(stop)
    finally:
        keeper.stop()


def _welcome(accounts: Accounts) -> None:
    if not accounts.has_user(FIRST_USER):
        password = secrets.token_urlsafe(12)
        accounts.add_user(FIRST_USER, password, Role.ADMIN)
        click.echo(f"made the user {FIRST_USER} with the password {password} (it is not shown again)")
