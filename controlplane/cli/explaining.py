"""`signalbox flags explain`: which of a flag's questions decides for a context, and how, step by step."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import click

from controlplane import reading
from controlplane.cli.common import connect, environment_option, json_option, plain, print_json
from controlplane.cli.files import read_document
from controlplane.cli.words import explanation_lines
from flags import fields
from foundation.documents import read_json
from foundation.errors import DocumentError

EXAMPLE = '{"targetingKey": "user-1", "domain": "collections"}'


@click.command("explain")
@click.argument("key")
@click.option("--context", "text", metavar="JSON", help="The evaluation context, as an object.")
@click.option(
    "--context-file", "file", type=click.File("rb"), help="The same from a YAML or JSON file, or - for standard input."
)
@click.option(
    "-c", "pairs", metavar="NAME=TEXT", multiple=True, help="One attribute: a text, or with NAME:=JSON any other value."
)
@environment_option
@json_option
def explain_flag(
    key: str, text: str | None, file: BinaryIO | None, pairs: Sequence[str], environment: str | None, *, as_json: bool
) -> None:
    """Tell what a flag serves for a context, and why.

    Every step is one question, in the order in which evaluation asks; an arrow marks the one that decided. Buckets and
    thresholds are parts of 100,000. Of the three ways to give a context the later in this list wins, attribute by
    attribute: --context-file, --context, -c. Nothing is counted or changed, and override files of workers do not apply.

    Example: signalbox flags explain useYamlMessaging -c targetingKey=corr_1 -c domain=collections -c amount:=250
    """
    context: dict[str, Any] = {}
    if file is not None:
        context.update(_object(read_document(file, EXAMPLE)))
    if text is not None:
        context.update(_object(_json(text, "--context")))
    context.update(map(_pair, pairs))
    told = reading.explanation(connect(environment), key, context)
    if as_json:
        print_json(told)
        return
    for line in explanation_lines(key, told):
        click.echo(plain(line))


def _object(value: Any) -> Mapping[str, Any]:
    return fields.object_of(value, "context")


def _pair(given: str) -> tuple[str, Any]:
    """Read `name=text` or `name:=json`, whichever comes first."""
    name, equals, value = given.partition("=")
    if not equals or not name.removesuffix(":"):
        raise click.UsageError(f"-c takes NAME=TEXT or NAME:=JSON, not {given!r}")
    if not name.endswith(":"):
        return name, value
    attribute = name.removesuffix(":")
    hint = f"a JSON value; {attribute}={value} would be the text {json.dumps(value)}"
    return attribute, _json(value, attribute, hint)


def _json(text: str, field: str, expected: str = "") -> Any:
    try:
        return read_json(text)
    except DocumentError as error:
        raise DocumentError(field, error.problem, expected=expected) from error
