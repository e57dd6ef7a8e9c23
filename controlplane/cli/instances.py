"""`signalbox instances`: who is live, which revision each has proven to have, and what each sends."""

from __future__ import annotations

import click

from controlplane import reading
from controlplane.cli.common import connect, environment_option, json_option, nothing_known, print_json, print_table
from controlplane.shapes import Json
from flags.model import ZERO


@click.command()
@environment_option
@json_option
def command(environment: str | None, *, as_json: bool) -> None:
    """See who is live and which revision each has applied, with its traffic of the last 10 seconds.

    Named flows of the last minute, such as the example's settlements, follow with their time from end to end.

    Example: signalbox instances
    """
    connection = connect(environment)
    document = reading.instances(connection)
    if as_json:
        print_json(document)
        return
    if document["revision"] == str(ZERO) and not document["instances"]:
        click.echo(nothing_known(connection.environment), err=True)
    rows = [
        (each["slot"], each["domain"], _revision(each), _mix(each["traffic"]), _rate(each["traffic"]), str(each["pid"]))
        for each in document["instances"]
    ]
    print_table(("SLOT", "DOMAIN", "REVISION", "SENT", "MSG/S", "PID"), rows)
    behind = sum(not each["in_sync"] for each in document["instances"])
    click.echo(f"revision {document['revision']} · {len(rows) - behind} of {len(rows)} in sync")
    for flow in document["flows"]:
        click.echo(
            f"flow {flow['name']}: {flow['count']} in the last minute, "
            f"p50 {flow['latency_p50']:.0f} ms, p95 {flow['latency_p95']:.0f} ms from end to end"
        )


def _revision(instance: Json) -> str:
    rev = instance["acknowledged"].rpartition("-")[2]
    state = "in sync" if instance["in_sync"] else f"{instance['behind']} behind"
    return f"{rev} {state}" + (f", overrides {', '.join(instance['overrides'])}" if instance["overrides"] else "")


def _mix(traffic: Json | None) -> str:
    sent = {kind.rpartition("/")[2]: count for kind, count in (traffic["sent"] if traffic else {}).items() if count}
    total = sum(sent.values())
    return ", ".join(f"{kind} {100 * count / total:.0f}%" for kind, count in sorted(sent.items())) or "nothing"


def _rate(traffic: Json | None) -> str:
    return f"{traffic['rate']:.1f}" if traffic else "0.0"
