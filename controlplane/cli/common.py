"""What every command shares: its options, the connection it works on, its name in the history, and its exit codes.

Loads neither Flask nor Redis; a command pays only for the stores it opens.
"""

from __future__ import annotations

import getpass
import json
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from controlplane.errors import EnvironmentNotFound, NotConnected, SettingsInvalid
from controlplane.settings import Settings, ended_up
from controlplane.wiring import Connection
from foundation.errors import SignalboxError, StoreRefused, StoreUnreachable

OK, FAILED, USAGE, UNREACHABLE = 0, 1, 2, 3

_EXIT_CODES: tuple[tuple[type[SignalboxError], int], ...] = (
    (StoreUnreachable, UNREACHABLE),
    (StoreRefused, UNREACHABLE),
    (NotConnected, UNREACHABLE),
    (SettingsInvalid, USAGE),
    (EnvironmentNotFound, USAGE),
)

F = TypeVar("F", bound=Callable[..., Any])


class ErrorsToExitCodes(click.Group):
    """A group whose commands may raise any SignalboxError: one line on standard error, and its exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, or say what went wrong and leave."""
        try:
            return super().invoke(ctx)
        except SignalboxError as error:
            complain(_explained(error))
            ctx.exit(exit_code(error))


def exit_code(error: SignalboxError) -> int:
    """Tell the exit code of an error: 3 where no store answers or takes writes, 2 for wrong usage, else 1."""
    return next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), FAILED)


def complain(error: SignalboxError) -> None:
    """Print an error on standard error with its stable code."""
    click.echo(f"signalbox: {plain(str(error))} [{error.code}]", err=True)


def _explained(error: SignalboxError) -> SignalboxError:
    """Put it down to the `up` of this folder where that was killed: its servers have gone with it."""
    pid = ended_up() if isinstance(error, StoreUnreachable) else None
    if pid is None:
        return error
    return StoreUnreachable(f"`signalbox up` (process {pid}) is not running any more: start it again ({error})")


def connect(environment: str | None = None) -> Connection:
    """Find the stores: SIGNALBOX_REDIS_URL and SIGNALBOX_QUEUE_URL, else the `up` that runs in this folder."""
    return Connection(Settings.discover(), environment)


def actor() -> str:
    """Name who runs this command, as the history shows it: login@host."""
    try:
        login = getpass.getuser()
    except (KeyError, OSError):  # a container's user without an entry in passwd
        login = "unknown"
    return f"{login}@{socket.gethostname()}"


def environment_option(function: F) -> F:
    """Add `--env`: the environment to work on."""
    option = click.option(
        "--env", "environment", metavar="NAME", help="Environment; else SIGNALBOX_ENV, else that of `up`."
    )
    return option(function)


def json_option(function: F) -> F:
    """Add `--json`: one JSON document on standard output instead of text."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")(function)


def reason_option(function: F) -> F:
    """Add `--reason`: why, for the history."""
    return click.option("--reason", default="", metavar="TEXT", help="Why; kept in the history.")(function)


def print_json(value: Any) -> None:
    """Print one JSON document, indented, keys in the order given."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def print_table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows in columns under a header; nothing but the header where there are none."""
    lines = [header, *(tuple(plain(cell) for cell in row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def print_facts(title: str, facts: Sequence[tuple[str, str]]) -> None:
    """Print pairs of a name and words under a title, the words in a column of their own."""
    click.echo(plain(title))
    width = max((len(name) for name, _ in facts), default=0)
    for name, words in facts:
        click.echo(f"  {plain(name).ljust(width)}  {plain(words)}")


def reach(convergence: Mapping[str, Any]) -> str:
    """Say how far a revision has got, and who has not got it yet."""
    live, missing = convergence["live"], convergence["missing"]
    if not live:
        return "no live worker to tell"
    said = f"{convergence['acknowledged']} of {live} workers have it"
    return f"{said}; waiting for {', '.join(missing[:5])}{' …' if len(missing) > 5 else ''}" if missing else said


def when(at: float) -> str:
    """Say a time (seconds since 1970) in UTC; nothing for 0, which stands for one that nobody knows."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S") if at else ""


def nothing_known(environment: str) -> str:
    """Say that an environment was never written: its name may be a slip, or it may be new."""
    return f"nothing is known of environment {environment!r}"


def plain(text: str) -> str:
    """Take out of a text what would move the cursor or colour the terminal: others may have written it."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
