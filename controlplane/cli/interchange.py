"""`signalbox flags export` and `signalbox flags import`: flags as files, of this product's form and of others'.

What a form has no words for is said on standard error, field by field: nothing is changed in silence.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import IO, Any, BinaryIO

import click

from controlplane import applying
from controlplane.cli.common import (
    FAILED,
    OK,
    actor,
    connect,
    environment_option,
    json_option,
    plain,
    print_json,
    reach,
    reason_option,
)
from controlplane.difference import difference_count, difference_lines
from flags.definitions import Definitions, definitions_document
from flags.errors import FlagNotFound
from flags.interchange.findings import Exported, Finding, Imported, Loss
from flags.model import SEGMENT_ITEM, Revision, Snapshot
from flags.references import references
from foundation.documents import read_json, read_yaml, write_yaml
from foundation.limits import Limits

WAIT = 2.0
"""Seconds that an import waits for live instances to acknowledge it before it says how many have."""

LIMITS = Limits(max_bytes=16 * 1_048_576, max_depth=300, max_nodes=1_000_000)
"""What is read of a file of another product; its rules stand in one another."""

HASH = (
    "splits: keys keep their assignment in flagd whose `fractional` is version 2, and not in version 3, which hashes "
    "CBOR (see docs/reference/flagd.md)"
)


@click.command("export")
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@click.option("--format", "form", type=click.Choice(["yaml", "json", "flagd"]), default="yaml", show_default=True)
@click.option("-o", "--output", type=click.File("w", encoding="utf-8", atomic=True), help="Write to this file.")
@environment_option
@json_option
def export_flags(
    keys: tuple[str, ...], form: str, output: IO[str] | None, environment: str | None, *, as_json: bool
) -> None:
    """Write flags and the segments they need, all or those named, as `flags apply` or flagd reads them.

    With flagd's form, what it has no words for is listed on standard error, and a flag that can't be said exactly is
    left out. With --json the output is one object: document and findings.

    Exit codes: 0 everything was written, 1 a flag was left out, or there is no such flag, 2 wrong usage, 3 no store
    answers.

    Example: signalbox flags export --format flagd -o flags.flagd.json
    """
    connection = connect(environment)
    snapshot = connection.store.snapshot()
    definitions = _chosen(snapshot, keys, connection.environment)
    exported = _export(form, definitions, Definitions(snapshot.flags, snapshot.segments))
    if as_json:
        text = json.dumps(
            {"document": exported.document, "findings": _shape(exported.findings)}, indent=2, ensure_ascii=False
        )
    elif form == "yaml":
        text = write_yaml(exported.document)
    else:
        text = json.dumps(exported.document, indent=2, ensure_ascii=False)
    click.echo(text.rstrip("\n"), file=output)
    if not as_json:
        _tell(exported.findings)
        if form == "flagd" and '"fractional"' in text:
            click.echo(HASH, err=True)
    left_out = definitions.flags.keys() - exported.document["flags"].keys()
    click.get_current_context().exit(FAILED if left_out else OK)


@click.command("import")
@click.argument("file", type=click.File("rb", lazy=True))
@click.option("--format", "form", type=click.Choice(["flagd", "unleash"]), required=True, help="Whose file it is.")
@click.option("--from", "source", metavar="NAME", help="Unleash's environment, where the file holds several.")
@click.option("--dry-run", is_flag=True, help="Show what would change and what does not map, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask before writing.")
@environment_option
@reason_option
@json_option
def import_flags(  # noqa: PLR0913 - one for each option
    file: BinaryIO,
    form: str,
    source: str | None,
    environment: str | None,
    reason: str,
    *,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Make flags and segments of another product's file, in one write; - reads standard input.

    Shows first what did not map, field by field, and what would change; asks where there is a terminal to ask at.
    Flags that the file does not hold are left alone.

    Exit codes: 0 imported, or nothing to change, or a dry run; 1 refused, declined, or somebody else wrote meanwhile;
    2 wrong usage; 3 no store answers or takes writes.

    Example: signalbox flags import --format unleash export.json --dry-run
    """
    if source and form != "unleash":
        raise click.UsageError("--from names an environment of Unleash")
    imported = _import(form, _read(file), source)
    connection = connect(environment)
    planned = applying.plan(connection, imported.definitions)
    findings = _shape(imported.findings)
    if not as_json:
        _tell(imported.findings)
        _show(planned)
    if dry_run or not planned["changed"]:
        if as_json:
            print_json({**planned, "findings": findings})
        elif planned["changed"]:
            click.echo(f"{connection.environment} was not changed: this was a dry run")
        return
    ask = sys.stdin.isatty() and not as_json
    if ask and not yes and not click.confirm(f"Import this into environment {connection.environment!r}?", err=True):
        click.echo("nothing was changed", err=True)
        click.get_current_context().exit(FAILED)
    seen = Revision.parse(planned["revision"])
    said = reason or f"imported from {form}"
    done = applying.apply(connection, imported.definitions, actor=actor(), reason=said, expected=seen, wait=WAIT)
    if as_json:
        print_json({**done, "findings": findings})
    else:
        click.echo(f"revision {done['revision']} · {reach(done['convergence'])}")


def _chosen(snapshot: Snapshot, keys: Iterable[str], environment: str) -> Definitions:
    """Take the flags named, or all that are not archived, with the segments they refer to, or all."""
    for key in keys:
        if key not in snapshot.flags:
            raise FlagNotFound(key, environment)
    segments = {key: segment for key, segment in snapshot.segments.items() if not segment.archived}
    if not keys:
        return Definitions({key: flag for key, flag in snapshot.flags.items() if not flag.archived}, segments)
    needed = {named for key in keys for named in references(snapshot.flags[key])}
    used = {key: segment for key, segment in segments.items() if SEGMENT_ITEM + key in needed}
    return Definitions({key: snapshot.flags[key] for key in dict.fromkeys(keys)}, used)


def _export(form: str, definitions: Definitions, everything: Definitions) -> Exported:
    if form != "flagd":
        return Exported(definitions_document(definitions), ())
    from flags.interchange.flagd_export import export_flagd  # noqa: PLC0415 - other commands need none of it

    return export_flagd(everything, sorted(definitions.flags))


def _import(form: str, document: Any, source: str | None) -> Imported:
    if form == "flagd":
        from flags.interchange.flagd_import import import_flagd  # noqa: PLC0415 - other commands need none of it

        return import_flagd(document)
    from flags.interchange.unleash import import_unleash  # noqa: PLC0415 - the same

    return import_unleash(document, source)


def _read(file: BinaryIO) -> Any:
    data = file.read(LIMITS.max_bytes + 1)
    is_yaml = str(getattr(file, "name", "")).endswith((".yaml", ".yml"))
    return read_yaml(data, LIMITS) if is_yaml else read_json(data, LIMITS)


def _shape(findings: Iterable[Finding]) -> list[dict[str, str]]:
    return [{"field": each.field, "loss": each.loss.value, "reason": each.reason} for each in findings]


def _tell(findings: tuple[Finding, ...]) -> None:
    for finding in sorted(findings, key=lambda each: each.loss is Loss.DIFFERS):
        click.echo(plain(str(finding)), err=True)


def _show(planned: Mapping[str, Any]) -> None:
    for line in difference_lines(planned["differences"]):
        click.echo(line)
    click.echo(difference_count(planned["differences"]) if planned["differences"] else "nothing to change")
