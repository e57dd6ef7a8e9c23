"""`signalbox queues`: what stands in each queue, what it looks like, what was given up and why, and putting it back."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from controlplane import reading
from controlplane.cli.common import FAILED, connect, environment_option, json_option, plain, print_json, print_table
from controlplane.shapes import Json, delivery_shape
from controlplane.wiring import Connection
from foundation.errors import DocumentError


@click.group(invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """See queues, look into them, and replay dead letters.

    Without a further word this is `queues list`. Example: signalbox queues dead-letters collections

    Exit codes: 0 done, 1 failed or refused, 2 wrong usage, 3 no store answers or takes writes.
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_queues)


@command.command("list")
@environment_option
@json_option
def list_queues(environment: str | None = None, *, as_json: bool = False) -> None:
    """Count what stands in each queue, and say which formats it admits.

    Example: signalbox queues list
    """
    document = reading.queues(connect(environment))
    if as_json:
        print_json(document)
        return
    rows = [
        (
            queue["domain"],
            str(sum(queue["waiting"].values())),
            str(sum(queue["pending"].values())),
            _frames(queue),
            _admits(queue),
            str(queue["dead"]),
            str(queue["quarantined"]),
            str(queue["handled"]),
        )
        for queue in document["queues"]
    ]
    print_table(("DOMAIN", "WAITING", "PENDING", "FRAMES", "ADMITS", "DEAD", "QUARANTINE", "HANDLED"), rows)


@command.command("peek")
@click.argument("domain")
@click.option("--limit", type=click.IntRange(1, 1_000), default=10, show_default=True, help="How many frames to show.")
@environment_option
@json_option
def peek(domain: str, limit: int, environment: str | None, *, as_json: bool) -> None:
    """Look at the oldest frames of a queue without taking them.

    Example: signalbox queues peek collections --limit 3
    """
    queue = _known(connect(environment), domain).queues.queue(domain)
    frames = [delivery_shape(delivery) for delivery in queue.peek(limit)]
    if as_json:
        print_json({"domain": domain, "frames": frames})
        return
    for frame in frames:
        click.echo(
            f"{frame['entry']}  {frame['priority']}  {frame['content_type']}  {frame['content_encoding']}  "
            f"{frame['count']} messages  {frame['bytes']} bytes  from {frame['sender'] or 'unknown'}"
        )
        if frame["body"] is not None:
            click.echo(_indented(frame["body"]))


@command.command("dead-letters")
@click.argument("domain")
@click.option("--limit", type=click.IntRange(1, 1_000), default=100, show_default=True, help="How many to show.")
@click.option("--quarantine", is_flag=True, help="Show what was set aside instead.")
@environment_option
@json_option
def dead_letters(domain: str, limit: int, environment: str | None, *, quarantine: bool, as_json: bool) -> None:
    """Show what was given up, and why.

    Example: signalbox queues dead-letters collections
    """
    document = reading.dead_letters(_known(connect(environment), domain), domain, limit=limit, quarantine=quarantine)
    if as_json:
        print_json(document)
        return
    rows = [
        (letter["id"], _when(letter["at"]), letter["reason"], str(letter["deliveries"]), letter["detail"])
        for letter in document["letters"]
    ]
    print_table(("ID", "GIVEN UP", "REASON", "TRIES", "DETAIL"), rows)


@command.command("replay")
@click.argument("domain")
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Replay every letter instead of naming them.")
@click.option("--quarantine", is_flag=True, help="Replay what was set aside instead.")
@environment_option
@json_option
@click.pass_context
def replay(ctx: click.Context, /, domain: str, ids: tuple[str, ...], environment: str | None, **options: bool) -> None:
    """Put letters back at the end of their queue, as if new; as JSON where their own format is not admitted.

    Exits with 1 where a letter was not put back, and says why.

    Example: signalbox queues replay collections --all
    """
    if bool(ids) == options["everything"]:
        raise click.UsageError("name the letters, or say --all")
    connection, quarantine = _known(connect(environment), domain), options["quarantine"]
    before = _letters(connection, domain, quarantine=quarantine)
    ids = tuple(dict.fromkeys(before if options["everything"] else ids))
    answer = reading.replay(connection, domain, list(ids), quarantine=quarantine)
    if options["as_json"]:
        print_json(answer)
    else:
        click.echo(f"{answer['replayed']} of {len(ids)} put back into the queue of {domain}")
    if answer["left"]:
        after = _letters(connection, domain, quarantine=quarantine)
        for letter in ids:
            if letter not in before:
                click.echo(plain(f"{letter}: there is no such letter"), err=True)
            elif letter in after:
                click.echo(plain(f"{letter}: the queue admits it neither as it is nor as JSON"), err=True)
        ctx.exit(FAILED)


def _known(connection: Connection, domain: str) -> Connection:
    """Refuse a domain that has no queue: its name is more likely a slip than its queue is empty."""
    domains = connection.queues.domains()
    if domain not in domains:
        problem = f"has no queue in environment {connection.environment!r}"
        expected = f"one of {', '.join(domains)}" if domains else ""
        raise DocumentError("domain", problem, value=domain, expected=expected)
    return connection


def _letters(connection: Connection, domain: str, *, quarantine: bool) -> dict[str, None]:
    """Name every letter there is, oldest first."""
    found = reading.dead_letters(connection, domain, limit=100_000, quarantine=quarantine)
    return {letter["id"]: None for letter in found["letters"]}


def _frames(queue: Json) -> str:
    kinds = {kind.rpartition("/")[2]: count for kind, count in queue["frames_by_type"].items() if count}
    return ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items())) or "none"


def _admits(queue: Json) -> str:
    words = ", ".join(word.rpartition("/")[2] for word in queue["admits"])
    barred = ", ".join(word.rpartition("/")[2] for word in queue["barred"])
    return f"{words} (barred: {barred})" if barred else words


def _indented(body: str) -> str:
    return "\n".join(f"    {plain(line)}" for line in body.splitlines())


def _when(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
