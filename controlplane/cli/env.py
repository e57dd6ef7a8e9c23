"""`signalbox env`: list and create environments, compare two, copy flags from one to another, straight on the store.

What differs is said in lines that begin with `+`, `-` or `~`, so that it reads the same without colour.
"""

from __future__ import annotations

import click

from controlplane import environments
from controlplane.cli.common import (
    FAILED,
    OK,
    actor,
    json_option,
    print_json,
    print_table,
    reach,
    reason_option,
    when,
)
from controlplane.difference import difference_count, difference_lines
from controlplane.settings import Settings
from controlplane.shapes import Json
from controlplane.wiring import Wiring
from flags.environments import Environment
from foundation.clock import SYSTEM
from foundation.ids import new_id

WAIT = 2.0
"""Seconds that a copy waits for live instances to acknowledge it before it says how many have."""


def connect() -> Wiring:
    """Find the installation: the servers that SIGNALBOX_REDIS_URL names, else the `up` that runs in this folder."""
    return Wiring(Settings.discover())


@click.group()
def command() -> None:
    """Create environments, compare them, and copy flags between them.

    Example: signalbox env copy staging production useYamlMessaging --dry-run

    Exit codes: 0 done (of diff: equal), 1 failed or refused (of diff: they differ), 2 wrong usage, such as an
    environment that does not exist, 3 no store answers or takes writes.
    """


@command.command("list")
@json_option
def list_environments(*, as_json: bool) -> None:
    """List the environments.

    Example: signalbox env list
    """
    found = environments.listed(connect())
    if as_json:
        print_json(found)
        return
    rows = [(each["name"], when(each["created"]), each["by"], each["description"]) for each in found["environments"]]
    print_table(("ENVIRONMENT", "CREATED", "BY", "WHAT FOR"), rows)


@command.command("create")
@click.argument("name")
@click.option("--description", default="", metavar="TEXT", help="What it is for.")
@json_option
def create_environment(name: str, description: str, *, as_json: bool) -> None:
    """Create an environment, without any flags; a running server serves it at once.

    Example: signalbox env create staging --description "before production"
    """
    made = Environment(name, description, SYSTEM.now(), actor())
    shape = environments.create(connect(), made, operation=new_id("op"), request="")
    if as_json:
        print_json(shape)
    else:
        click.echo(f"created environment {name}")


@command.command("diff")
@click.argument("before", metavar="FROM")
@click.argument("after", metavar="TO")
@click.option("--archived", is_flag=True, help="Compare what is archived, too.")
@json_option
def compare(before: str, after: str, *, archived: bool, as_json: bool) -> None:
    """Show how the flags and segments of TO differ from those of FROM.

    A line `+` is in TO only, `-` in FROM only, `~` in both and not the same. Exits with 0 where they are equal and
    with 1 where they differ.

    Example: signalbox env diff staging production
    """
    wiring = connect()
    found = environments.compare(wiring.environment(before), wiring.environment(after), archived=archived)
    if as_json:
        print_json(found)
    else:
        _show(found)
    click.get_current_context().exit(OK if found["equal"] else FAILED)


@command.command("copy")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.argument("keys", metavar="[KEYS]...", nargs=-1)
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@reason_option
@json_option
def copy(source: str, target: str, keys: tuple[str, ...], reason: str, *, dry_run: bool, as_json: bool) -> None:
    """Make flags in TO what they are in FROM, in one write: those named, or all that are not archived.

    What else is in TO is left alone, and so is every hold; refused as a whole where a flag on hold would be enabled
    or raised. Segments and prerequisites that TO lacks go along. A segment is named as segment:KEY.

    Example: signalbox env copy staging production useYamlMessaging --reason "a week without errors" --dry-run
    """
    wiring = connect()
    here, there = wiring.environment(source), wiring.environment(target)
    if dry_run:
        done = environments.plan_copy(here, there, keys)
    else:
        done = environments.copy(here, there, keys, actor=actor(), reason=reason, wait=WAIT)
    if as_json:
        print_json(done)
        return
    if not done["changed"]:
        click.echo(f"nothing to change in {target}")
        return
    _show(done)
    if dry_run:
        click.echo(f"{target} was not changed: this was a dry run")
    else:
        click.echo(f"revision {done['revision']} · {reach(done['convergence'])}")


def _show(found: Json) -> None:
    for line in difference_lines(found["differences"]):
        click.echo(line)
    click.echo(difference_count(found["differences"]))
