"""`signalbox flags usage`: how often a flag was evaluated, by day and variant."""

from __future__ import annotations

import click

from controlplane import usage
from controlplane.cli.common import connect, environment_option, json_option, print_json, print_table, when
from flags.usage import KEPT_DAYS


@click.command("usage")
@click.argument("key")
@click.option(
    "--days", type=click.IntRange(1, KEPT_DAYS), default=usage.DAYS, show_default=True, help="How many days to show."
)
@environment_option
@json_option
def flag_usage(key: str, days: int, environment: str | None, *, as_json: bool) -> None:
    """Count a flag's evaluations on each day (UTC) by variant; days without any are left out.

    DEFAULT counts the callers who got their own default value, since evaluation failed or the flag was archived.

    Example: signalbox flags usage useYamlMessaging --days 7
    """
    document = usage.usage(connect(environment), key, days)
    if as_json:
        print_json(document)
        return
    variants = sorted(document["total"]["variants"])
    rows = [
        (day["day"], *(f"{day['variants'].get(variant, 0):,}" for variant in variants), f"{day['defaults']:,}")
        for day in document["days"]
        if day["variants"] or day["defaults"]
    ]
    if not rows:
        click.echo(f"{key} was not evaluated in the last {days} days")
        return
    print_table(("DAY", *variants, "DEFAULT"), rows)
    click.echo(f"last evaluated {when(document['last_evaluated'])}")
