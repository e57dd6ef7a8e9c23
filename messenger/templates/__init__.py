"""The messages that the domains send each other: for each type a JSON Schema of its payload and an example.

They are data beside this module, `<domain>/<type>.schema.json` and `<domain>/<type>.yaml`; `shared` holds what every
domain may send. A type without a template is its sender's and receiver's own affair.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from messenger.envelope import Envelope
from messenger.templates.checks import Check, compile_check

_SCHEMA, _EXAMPLE = ".schema.json", ".yaml"


@dataclass(frozen=True, slots=True)
class Template:
    """One type of message.

    Args:
        domain: who sends it; `shared` for anyone.
        type: as in the envelope.
        schema: JSON Schema (draft 2020-12) of its payload.
        example: a whole message as YAML, as a person would write it.
    """

    domain: str
    type: str
    schema: Mapping[str, Any]
    example: str


@cache
def templates() -> Mapping[str, Template]:
    """Every template by its type, in the order of domains and types."""
    domains = sorted((place for place in resources.files(__name__).iterdir() if place.is_dir()), key=_name)
    found = [_load(domain, file) for domain in domains for file in sorted(domain.iterdir(), key=_name)]
    return {template.type: template for template in found if template is not None}


def validate(envelope: Envelope) -> None:
    """Check a message's payload against the template of its type, where it has one.

    Raises:
        EnvelopeInvalid: it breaks the schema; `field` names where, the deepest place of the most telling problem.
    """
    holds = _checks().get(envelope.type)
    if holds is None or holds(envelope.payload):
        return
    from messenger.templates.verdict import judge  # noqa: PLC0415 - jsonschema costs a worker 80 ms and 8 MB

    judge(envelope.type, envelope.payload)


def _name(place: Traversable) -> str:
    return place.name


def _load(domain: Traversable, file: Traversable) -> Template | None:
    if not file.name.endswith(_SCHEMA):
        return None
    stem = file.name.removesuffix(_SCHEMA)
    example = domain.joinpath(stem + _EXAMPLE).read_text("utf-8")
    return Template(domain.name, stem.upper().replace("-", "_"), json.loads(file.read_bytes()), example)


@cache
def _checks() -> Mapping[str, Check]:
    return {template.type: compile_check(template.schema) for template in templates().values()}
