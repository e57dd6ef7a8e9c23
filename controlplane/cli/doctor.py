"""`signalbox doctor`: looks at everything the product stands on, and says what to do about what is not well."""

from __future__ import annotations

import importlib.metadata
import platform
from dataclasses import asdict
from functools import partial

import click

from controlplane import health
from controlplane.cli.common import FAILED, OK, json_option, print_json, print_table
from controlplane.groups import answers
from controlplane.settings import Settings
from foundation.embedded import find_server
from foundation.errors import ServerUnavailable
from foundation.health import Answer, Check, run_checks

NEEDED = ("redis", "hiredis", "orjson", "PyYAML", "cryptography", "Flask", "gunicorn", "gevent")
WEB_TIMEOUT = 3.0


@click.command()
@json_option
@click.pass_context
def command(ctx: click.Context, *, as_json: bool) -> None:
    """Check versions, servers and settings, and say what to do. Exits with 1 where something fails; warnings do not.

    Example: signalbox doctor
    """
    settings = Settings.discover()
    known = Check("addresses", 1.0, partial(_addresses, settings))
    results = run_checks([*_here(), known, *health.reachability(settings), *health.setup(settings), *_web(settings)])
    if as_json:
        print_json({"checks": [asdict(result) for result in results]})
    else:
        rows = [(result.status, result.name, result.detail) for result in results]
        print_table(("", "CHECK", "FOUND"), rows)
        for result in results:
            if result.remedy:
                click.echo(f"{result.name}: {result.remedy}")
    ctx.exit(FAILED if any(result.status == "fail" for result in results) else OK)


def _here() -> list[Check]:
    return [Check("python", 1.0, _python), Check("packages", 5.0, _packages), Check("embedded server", 15.0, _embedded)]


def _addresses(settings: Settings) -> Answer:
    missing = [name for name in ("redis_url", "queue_url") if not getattr(settings, name)]
    if missing:
        variables = " and ".join(f"SIGNALBOX_{name.upper()}" for name in missing)
        return Answer(
            "warn", f"no {settings.ready_file} here", f"set {variables}, or start `signalbox up` in this folder"
        )
    return Answer("pass", f"environment {settings.environment}")


def _python() -> Answer:
    return Answer("pass", f"Python {platform.python_version()} on {platform.system()} {platform.machine()}")


def _packages() -> Answer:
    versions = {name: _version(name) for name in ("signalbox", *NEEDED)}
    missing = [name for name, version in versions.items() if not version]
    if missing:
        return Answer(
            "warn", f"not installed: {', '.join(missing)}", "pip install 'signalbox[server]' for the server parts"
        )
    return Answer("pass", ", ".join(f"{name} {version}" for name, version in versions.items()))


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _embedded() -> Answer:
    try:
        found = find_server()
    except ServerUnavailable as error:
        return Answer("warn", "`signalbox up` finds no Redis program", str(error))
    return Answer("pass", f"{found.path} {'.'.join(map(str, found.version))}")


def _web(settings: Settings) -> list[Check]:
    named = {"control plane": settings.url, "streams": settings.stream_url}
    return [Check(name, WEB_TIMEOUT, partial(_answering, url)) for name, url in named.items() if url]


def _answering(url: str) -> Answer:
    if answers(f"{url}/healthz"):
        return Answer("pass", f"{url} answers")
    return Answer("fail", f"{url} does not answer", "start it with `signalbox up` or `signalbox serve`")
