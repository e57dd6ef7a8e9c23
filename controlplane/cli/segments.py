"""`signalbox segments`: list, show, set and archive the segments that rules refer to, straight on the store."""

from __future__ import annotations

from dataclasses import replace
from typing import BinaryIO

import click

from controlplane import segments
from controlplane.cli.common import (
    actor,
    connect,
    environment_option,
    json_option,
    print_facts,
    print_json,
    print_table,
    reach,
    reason_option,
)
from controlplane.cli.files import read_document
from controlplane.cli.words import changed, clauses, segment_facts, segment_state
from controlplane.wiring import Connection
from flags import service
from flags.errors import SegmentExists
from flags.segments import parse_segment
from flags.store import Written

WAIT = 2.0
"""Seconds that a change waits for live instances to acknowledge it before it says how many have."""

EXAMPLE = "if: [{attribute: email, operator: ends_with, values: ['@example.com']}]"


@click.group()
def command() -> None:
    """List, read and change segments: sets of clauses that the rules of all flags can refer to.

    Example: signalbox segments show beta

    Exit codes: 0 done, 1 failed or refused, 2 wrong usage, 3 no store answers or takes writes.
    """


@command.command("list")
@click.option("--archived", is_flag=True, help="Show archived segments, too.")
@environment_option
@json_option
def list_segments(environment: str | None, *, archived: bool, as_json: bool) -> None:
    """List the segments, each with the flags that refer to it.

    Example: signalbox segments list
    """
    document = segments.listed(connect(environment), archived=archived)
    if as_json:
        print_json(document)
        return
    rows = [
        (each["key"], segment_state(each), clauses(each["if"]), ", ".join(each["flags"]), changed(each))
        for each in document["segments"]
    ]
    print_table(("SEGMENT", "STATE", "IF", "FLAGS", "CHANGED"), rows)


@command.command("show")
@click.argument("key")
@environment_option
@json_option
def show_segment(key: str, environment: str | None, *, as_json: bool) -> None:
    """Show one segment, its clauses and the flags that refer to it.

    Example: signalbox segments show beta
    """
    segment = segments.found(connect(environment), key)
    if as_json:
        print_json(segment)
    else:
        print_facts(key, segment_facts(segment))


@command.command("set")
@click.argument("key")
@click.argument("file", type=click.File("rb"))
@environment_option
@reason_option
@json_option
def set_segment(key: str, file: BinaryIO, environment: str | None, reason: str, *, as_json: bool) -> None:
    """Make a segment what a YAML or JSON file says, {description, if}; - reads standard input.

    Creates it where there is none, and takes it out of the archive.

    Example: signalbox segments set beta beta.yaml --reason "two more testers"
    """
    segment = parse_segment(key, read_document(file, EXAMPLE))
    connection = connect(environment)
    try:
        written = service.create(connection.store, segment, actor=actor(), reason=reason)
    except SegmentExists:
        written = service.change_segment(connection.store, key, lambda _: segment, actor=actor(), reason=reason)
    _report(connection, key, written, as_json=as_json)


@command.command("archive")
@click.argument("key")
@environment_option
@reason_option
@json_option
def archive_segment(key: str, environment: str | None, reason: str, *, as_json: bool) -> None:
    """Archive a segment; refused while a flag refers to it.

    Example: signalbox segments archive beta --reason "everybody has it"
    """
    connection = connect(environment)
    written = service.change_segment(
        connection.store, key, lambda segment: replace(segment, archived=True), actor=actor(), reason=reason
    )
    _report(connection, key, written, as_json=as_json)


def _report(connection: Connection, key: str, written: Written, *, as_json: bool) -> None:
    done = segments.written(connection, written.revision, key, wait=WAIT)
    if as_json:
        print_json({**done, "changed": written.changed})
        return
    if not written.changed:
        click.echo("nothing to change")
    segment = done["segment"]
    click.echo(f"{key}: {'archived' if segment['archived'] else clauses(segment['if'])}")
    click.echo(f"revision {done['revision']} · {reach(done['convergence'])}")
