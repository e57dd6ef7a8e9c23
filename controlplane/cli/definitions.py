"""`signalbox flags apply` and `signalbox flags diff`: an environment beside files of flags and segments.

What differs is said in lines that begin with `+`, `-` or `~`, so that it reads the same without colour. What is written
is what was shown, or nothing: a write that comes in between is a conflict.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, BinaryIO

import click

from controlplane import applying
from controlplane.cli.common import (
    FAILED,
    OK,
    actor,
    connect,
    environment_option,
    json_option,
    print_json,
    reach,
    reason_option,
)
from controlplane.cli.files import naming_files, read_definitions
from controlplane.difference import difference_count, difference_lines
from flags.model import Revision

WAIT = 2.0
"""Seconds that an apply waits for live instances to acknowledge it before it says how many have."""

_FILES = click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.File("rb"))


@click.command("apply")
@_FILES
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--prune", is_flag=True, help="Archive every flag and segment that the files do not name.")
@click.option("--yes", is_flag=True, help="Do not ask before writing.")
@environment_option
@reason_option
@json_option
def apply_files(  # noqa: PLR0913 - one for each option
    files: tuple[BinaryIO, ...],
    environment: str | None,
    reason: str,
    *,
    dry_run: bool,
    prune: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Make flags and segments what files say, in one write; - reads standard input.

    Shows first what differs, and asks where there is a terminal to ask at. What the files do not name is left alone,
    or archived with --prune, which needs --yes where nobody can be asked. No hold is set or taken off; refused as a
    whole where a flag on hold would be enabled, raised or served otherwise.

    Exit codes: 0 applied, or nothing to change, or a dry run whatever it shows; 1 refused, declined, or somebody else
    wrote meanwhile; 2 wrong usage; 3 no store answers or takes writes. To tell differences by exit code: flags diff.

    Example: signalbox flags apply flags.yaml segments.yaml --reason "from git 3f2a9c" --dry-run
    """
    ask = sys.stdin.isatty() and not as_json
    if prune and not (yes or ask or dry_run):
        raise click.UsageError("there is no terminal to confirm --prune at: give --yes")
    wanted, names = read_definitions(files)
    connection = connect(environment)
    with naming_files(names):
        planned = applying.plan(connection, wanted, prune=prune)
    if not as_json:
        _show(planned)
    if dry_run or not planned["changed"]:
        if as_json:
            print_json(planned)
        elif planned["changed"]:
            click.echo(f"{connection.environment} was not changed: this was a dry run")
        return
    if ask and not yes and not click.confirm(f"Apply this to environment {connection.environment!r}?", err=True):
        click.echo("nothing was changed", err=True)
        click.get_current_context().exit(FAILED)
    seen = Revision.parse(planned["revision"])
    with naming_files(names):
        done = applying.apply(connection, wanted, actor=actor(), reason=reason, prune=prune, expected=seen, wait=WAIT)
    if as_json:
        print_json(done)
    else:
        click.echo(f"revision {done['revision']} · {reach(done['convergence'])}")


@click.command("diff")
@_FILES
@click.option("--prune", is_flag=True, help="Show what the files do not name, too, as removed.")
@environment_option
@json_option
def diff_files(files: tuple[BinaryIO, ...], environment: str | None, *, prune: bool, as_json: bool) -> None:
    """Show how files differ from the environment; - reads standard input.

    A line + is in the files only, ~ in both and not the same, - in the environment only (with --prune). Holds are not
    compared: files neither set them nor take them off.

    Exit codes: 0 the environment is as the files say, 1 they differ, or a file can't be read (then nothing but an error
    is printed, on standard error), 2 wrong usage, 3 no store answers.

    Example: signalbox flags diff flags.yaml --prune
    """
    wanted, _ = read_definitions(files)
    found = applying.compare(connect(environment), wanted, prune=prune)
    if as_json:
        print_json(found)
    else:
        _show(found)
    click.get_current_context().exit(OK if found["equal"] else FAILED)


def _show(found: Mapping[str, Any]) -> None:
    for line in difference_lines(found["differences"]):
        click.echo(line)
    click.echo(difference_count(found["differences"]) if found["differences"] else "nothing to change")
