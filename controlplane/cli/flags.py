"""`signalbox flags`: list, read and change flags, straight on the store; what works on files stands beside this.

A change says which revision it made and how many live instances have it by now.
"""

from __future__ import annotations

from collections.abc import Callable

import click

from controlplane import reading
from controlplane.cli.common import (
    actor,
    connect,
    environment_option,
    json_option,
    nothing_known,
    plain,
    print_facts,
    print_json,
    print_table,
    reach,
    reason_option,
    when,
)
from controlplane.cli.definitions import apply_files, diff_files
from controlplane.cli.explaining import explain_flag
from controlplane.cli.interchange import export_flags, import_flags
from controlplane.cli.usage import flag_usage
from controlplane.cli.words import changed, flag_facts, lifetime, percentages, stale, state
from controlplane.wiring import Connection
from flags import edits, service
from flags.model import ZERO, Flag, Revision
from flags.percentages import weight_of
from flags.store import Written
from foundation.documents import write_yaml
from foundation.errors import DocumentError
from rollout.release import release

WAIT = 2.0
"""Seconds that a change waits for live instances to acknowledge it before it says how many have."""


def _weight(_ctx: click.Context, _param: click.Parameter, value: float) -> int:
    """Turn a percentage into its weight; anything else is wrong usage."""
    try:
        return weight_of(value, "percentage")
    except DocumentError as error:
        raise click.BadParameter(str(error)) from error


@click.group()
def command() -> None:
    """List, read and change flags.

    Example: signalbox flags set useYamlMessaging --domain collections --percentage 50 --reason "pilot"

    Exit codes: 0 done, 1 failed or refused, 2 wrong usage, 3 no store answers or takes writes.
    """


@command.command("list")
@click.option("--archived", is_flag=True, help="Show archived flags, too.")
@click.option("--stale", "only_stale", is_flag=True, help="Show only flags that are stale.")
@environment_option
@json_option
def list_flags(environment: str | None, *, archived: bool, only_stale: bool, as_json: bool) -> None:
    """List the flags.

    Example: signalbox flags list
    """
    document = reading.flags(connect(environment), archived=archived, stale=only_stale)
    if as_json:
        print_json(document)
        return
    if document["revision"] == str(ZERO):
        click.echo(nothing_known(document["environment"]), err=True)
    rows = [
        (
            *(flag["key"], state(flag), percentages(flag), flag["owner"], ", ".join(flag["tags"])),
            *(lifetime(flag), stale(flag), changed(flag)),
        )
        for flag in document["flags"]
    ]
    print_table(("FLAG", "STATE", "PERCENTAGE", "OWNER", "TAGS", "LIFETIME", "STALE", "CHANGED"), rows)


@command.command("show")
@click.argument("key")
@environment_option
@json_option
def show_flag(key: str, environment: str | None, *, as_json: bool) -> None:
    """Say all about one flag: what it serves to whom, whose it is, how long it is meant to live.

    Example: signalbox flags show useYamlMessaging
    """
    flag = reading.flag(connect(environment), key)
    if as_json:
        print_json(flag)
    else:
        print_facts(key, flag_facts(flag))


@command.command("get")
@click.argument("key")
@environment_option
@json_option
def get_flag(key: str, environment: str | None, *, as_json: bool) -> None:
    """Print one flag as YAML, or with --json as the API shows it.

    Example: signalbox flags get useYamlMessaging
    """
    flag = reading.flag(connect(environment), key)
    if as_json:
        print_json(flag)
    else:
        click.echo(write_yaml(flag), nl=False)


@command.command("set")
@click.argument("key")
@click.option(
    "--percentage", "weight", type=float, callback=_weight, required=True, help="0 to 100, at most 3 decimals."
)
@click.option("--domain", help="The domain to set; without it the default of all that are not listed.")
@environment_option
@reason_option
@json_option
def set_flag(key: str, weight: int, domain: str | None, environment: str | None, reason: str, *, as_json: bool) -> None:
    """Set how much of the traffic of a domain gets the on variant.

    Example: signalbox flags set useYamlMessaging --domain collections --percentage 50
    """
    connection = connect(environment)
    _change(connection, key, lambda flag: edits.set_percentage(flag, weight, domain), reason, as_json=as_json)
    domains = sorted({one.instance.domain for one in connection.registry.live() if one.instance.domain})
    if domain and domain not in domains:
        known = f"there are workers of {', '.join(domains)}" if domains else "there is no worker at all"
        click.echo(plain(f"warning: no live worker is of domain {domain!r}: {known}"), err=True)


@command.command("enable")
@click.argument("key")
@environment_option
@reason_option
@json_option
def enable_flag(key: str, environment: str | None, reason: str, *, as_json: bool) -> None:
    """Enable a flag; refused while it is on hold.

    Example: signalbox flags enable useYamlMessaging
    """
    _change(connect(environment), key, edits.enable, reason, as_json=as_json)


@command.command("disable")
@click.argument("key")
@environment_option
@reason_option
@json_option
def disable_flag(key: str, environment: str | None, reason: str, *, as_json: bool) -> None:
    """Disable a flag: everybody is served the off variant.

    Example: signalbox flags disable useYamlMessaging --reason "latency went up"
    """
    _change(connect(environment), key, edits.disable, reason, as_json=as_json)


@command.command("release")
@click.argument("key")
@environment_option
@reason_option
@json_option
def release_flag(key: str, environment: str | None, reason: str, *, as_json: bool) -> None:
    """Take the hold of a rollback off a flag; it stays disabled until somebody enables it.

    Example: signalbox flags release useYamlMessaging --reason "fixed in 1.4.2"
    """
    connection = connect(environment)
    written = release(connection.store, connection.queues, key, actor(), reason)
    if not written.changed and not as_json:
        click.echo(f"{key} is not on hold: nothing to release")
    _report(connection, written, (key,), as_json=as_json)


@command.command("archive")
@click.argument("key")
@environment_option
@reason_option
@json_option
def archive_flag(key: str, environment: str | None, reason: str, *, as_json: bool) -> None:
    """Archive a flag: callers are served their own defaults; revert brings it back.

    Refused while another flag has it as a prerequisite.

    Example: signalbox flags archive useYamlMessaging --reason "everybody has it"
    """
    _change(connect(environment), key, edits.archive, reason, as_json=as_json)


@command.command("revert")
@click.argument("key")
@click.option("--revision", metavar="REVISION", help="One of the flag's history; else as before its last write.")
@environment_option
@reason_option
@json_option
def revert_flag(key: str, revision: str | None, environment: str | None, reason: str, *, as_json: bool) -> None:
    """Make a flag again what it was after a revision; refused where that would get round a hold.

    Example: signalbox flags revert useYamlMessaging --revision 1795454480429377-4 --reason "as it was on Monday"
    """
    connection = connect(environment)
    past = None if revision is None else Revision.parse(revision)
    written = service.revert(connection.store, key, past, actor=actor(), reason=reason)
    _told(connection, written, key, as_json=as_json)


@command.command("history")
@click.argument("key")
@click.option("--limit", type=click.IntRange(1, 1_000), default=50, show_default=True, help="How many writes to show.")
@environment_option
@json_option
def flag_history(key: str, limit: int, environment: str | None, *, as_json: bool) -> None:
    """Show what was done to a flag, newest first.

    Example: signalbox flags history useYamlMessaging
    """
    document = reading.history(connect(environment), key, limit=limit)
    if as_json:
        print_json(document)
        return
    rows = [
        (entry["revision"], when(entry["at"]), entry["actor"], entry["summary"], entry["reason"])
        for entry in document["entries"]
    ]
    print_table(("REVISION", "WHEN", "WHO", "WHAT", "WHY"), rows)


def _change(connection: Connection, key: str, edit: Callable[[Flag], Flag], reason: str, *, as_json: bool) -> None:
    written = service.change(connection.store, (key,), edit, actor=actor(), reason=reason)
    _told(connection, written, key, as_json=as_json)


def _told(connection: Connection, written: Written, key: str, *, as_json: bool) -> None:
    if not written.changed and not as_json:
        click.echo("nothing to change")
    _report(connection, written, (key,), as_json=as_json)


def _report(connection: Connection, written: Written, keys: tuple[str, ...], *, as_json: bool) -> None:
    revision = written.revision
    convergence = reading.convergence(connection, revision, keys, wait=WAIT)
    flags = [reading.flag(connection, key) for key in keys]
    if as_json:
        changed = written.changed
        print_json({"revision": str(revision), "changed": changed, "flags": flags, "convergence": convergence})
        return
    for flag in flags:
        click.echo(f"{flag['key']}: {state(flag)}, {percentages(flag)}")
    click.echo(f"revision {revision} · {reach(convergence)}")


command.add_command(apply_files)
command.add_command(diff_files)
command.add_command(export_flags)
command.add_command(import_flags)
command.add_command(explain_flag)
command.add_command(flag_usage)
