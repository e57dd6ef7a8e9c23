"""The live instances, with what each has acknowledged; and how SDKs over HTTP renew, acknowledge and leave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, jsonify

from controlplane import reading
from controlplane.accounts import Role
from controlplane.api.blueprint import ENVIRONMENT, blueprint
from controlplane.api.requests import body
from controlplane.auth import requires
from controlplane.context import connection
from flags import fields
from flags.definitions import MAX_FLAGS
from flags.documents import flag_key
from flags.instances import Instance
from flags.model import Revision
from foundation.errors import DocumentError

INSTANCES = f"{ENVIRONMENT}/instances"
LEASES = (0.1, 300.0)
"""Seconds: the shortest and the longest lease that is given. A process that dies counts as live until it ends."""

MAX_NAME = 200
MAX_CAPABILITIES = 100
_TEXTS = ("slot", "kind", "domain", "host", "supervisor")
_NUMBERS = ("pid", "started")
_KNOWN = (*_TEXTS, *_NUMBERS, "capabilities", "overrides", "acknowledged", "lease")


@blueprint.get(INSTANCES)
@requires(Role.VIEWER)
def list_instances(environment: str) -> Response:
    """List the live instances, and the traffic of each domain."""
    return jsonify(reading.instances(connection(environment)))


@blueprint.put(f"{INSTANCES}/<instance_id>")
@requires(Role.OPERATOR, sdk=True)
def renew_instance(environment: str, instance_id: str) -> Response:
    """Renew an instance's lease, and record the revision that it has applied, in one step."""
    content = body(_KNOWN, required=("slot", "acknowledged", "lease"))
    acknowledged = Revision.parse(fields.text(content["acknowledged"], "acknowledged", limit=40))
    found = connection(environment)
    found.registry.renew(_instance(instance_id, content), acknowledged, _lease(content["lease"]))
    return Response(status=204)


@blueprint.delete(f"{INSTANCES}/<instance_id>")
@requires(Role.OPERATOR, sdk=True)
def remove_instance(environment: str, instance_id: str) -> Response:
    """Take an instance out at once; one that is not there may leave too."""
    connection(environment).registry.leave(instance_name(instance_id, "id"))
    return Response(status=204)


def instance_name(value: Any, field: str, *, least: int = 1) -> str:
    """Take a text that is shown on pages and in terminals: short, and without control characters."""
    text = fields.text(value, field, limit=MAX_NAME, least=least)
    if not text.isprintable():
        raise DocumentError(field, "holds control characters", value=text, expected="plain text")
    return text


def _instance(instance_id: str, content: Mapping[str, Any]) -> Instance:
    texts = {name: instance_name(content[name], name, least=0) for name in _TEXTS if name in content}
    words = fields.list_of(content.get("capabilities", []), "capabilities", limit=MAX_CAPABILITIES)
    overrides = fields.list_of(content.get("overrides", []), "overrides", limit=MAX_FLAGS)
    return Instance(
        id=instance_name(instance_id, "id"),
        **{**texts, "slot": instance_name(content["slot"], "slot")},
        pid=int(fields.number(content.get("pid", 0), "pid")),
        started=float(fields.number(content.get("started", 0), "started")),
        capabilities=tuple(instance_name(word, f"capabilities[{index}]") for index, word in enumerate(words)),
        overrides=tuple(flag_key(key, f"overrides[{index}]") for index, key in enumerate(overrides)),
    )


def _lease(value: Any) -> float:
    shortest, longest = LEASES
    seconds = fields.number(value, "lease")
    if not shortest <= seconds <= longest:
        raise DocumentError("lease", "is out of range", value=value, expected=f"{shortest} to {longest} seconds")
    return float(seconds)
