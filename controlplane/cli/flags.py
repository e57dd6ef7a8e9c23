"""`signalbox flags`: list, read and change flags, straight on the store.

A change says which revision it made and how many live instances have it by now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, BinaryIO

import click

from controlplane import reading
from controlplane.cli.common import (
    actor,
    connect,
    environment_option,
    json_option,
    nothing_known,
    plain,
    print_json,
    print_table,
    reach,
    reason_option,
    when,
)
from controlplane.cli.usage import flag_usage
from controlplane.shapes import Json, summary
from controlplane.wiring import Connection
from flags import edits, service
from flags.definitions import parse_flags
from flags.documents import flag_json
from flags.model import ZERO, Flag, Snapshot
from flags.percentages import weight_of
from flags.store import Written
from foundation.documents import read_json, read_yaml, write_yaml
from foundation.errors import DocumentError
from rollout.release import release

WAIT = 2.0
"""Seconds that a change waits for live instances to acknowledge it before it says how many have."""

MAX_FILE = 1_048_576
EXAMPLE = "flags: {useYamlMessaging: {enabled: true, rolloutPercentage: 0, fallback: json}}"


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
@click.option("--archived", is_flag=True, help="Show flags that were put away, too.")
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
    rows = [(flag["key"], _state(flag), _percentages(flag), _changed(flag)) for flag in document["flags"]]
    print_table(("FLAG", "STATE", "PERCENTAGE", "CHANGED"), rows)


@command.command("get")
@click.argument("key")
@environment_option
@json_option
def get_flag(key: str, environment: str | None, *, as_json: bool) -> None:
    """Show one flag.

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


@command.command("apply")
@click.argument("file", type=click.File("rb"))
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@environment_option
@reason_option
@json_option
def apply_file(file: BinaryIO, environment: str | None, reason: str, *, dry_run: bool, as_json: bool) -> None:
    """Make flags what a YAML or JSON file says, in one write; - reads standard input. Other flags are left alone.

    Refused as a whole where a flag on hold would be enabled or raised.

    Example: signalbox flags apply flags.yaml --reason "from git 3f2a9c" --dry-run
    """
    wanted = parse_flags(_read(file))
    connection = connect(environment)
    planned = _plan(connection.store.snapshot(), wanted)
    if dry_run and as_json:
        print_json({"changes": planned})
    elif not as_json:
        click.echo("\n".join(f"{key}: {what}" for key, what in planned.items()) or "nothing to change")
    if not dry_run:
        written = service.apply(connection.store, wanted, actor=actor(), reason=reason)
        _report(connection, written, tuple(planned), as_json=as_json)


command.add_command(flag_usage)


def _change(connection: Connection, key: str, edit: Callable[[Flag], Flag], reason: str, *, as_json: bool) -> None:
    written = service.change(connection.store, (key,), edit, actor=actor(), reason=reason)
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
        click.echo(f"{flag['key']}: {_state(flag)}, {_percentages(flag)}")
    click.echo(f"revision {revision} · {reach(convergence)}")


def _plan(snapshot: Snapshot, wanted: Mapping[str, Flag]) -> dict[str, str]:
    planned = {}
    for key, flag in wanted.items():
        before = snapshot.flags.get(key)
        after = replace(flag, hold=before.hold if before else None)
        if before is None or flag_json(before) != flag_json(after):
            planned[key] = summary(before, edits.permitted(before, after) if before else after)
    return planned


def _read(file: BinaryIO) -> Any:
    data = file.read(MAX_FILE + 1)
    is_json = str(getattr(file, "name", "")).endswith(".json")
    document = (read_json(data) if is_json else read_yaml(data)) if data.strip() else None
    if document is None:
        raise DocumentError("", "is empty: it names no flags", expected=EXAMPLE)
    return document


def _state(flag: Json) -> str:
    if flag["hold"]:
        return f"on hold by {flag['hold']['by']}"
    if flag["archived"]:
        return "archived"
    return "enabled" if flag["enabled"] else "disabled"


def _percentages(flag: Json) -> str:
    figures = flag["percentages"]
    listed = [f"{domain} {percentage}%" for domain, percentage in figures["domains"].items()]
    return ", ".join([f"{figures['default']}%", *listed])


def _changed(flag: Json) -> str:
    changed = flag["changed"]
    return f"{when(changed['at'])} by {changed['by']}" if changed else ""
