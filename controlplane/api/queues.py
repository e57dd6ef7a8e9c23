"""Queues: what stands where, dead letters and quarantine, and putting letters back."""

from __future__ import annotations

from flask import Response, jsonify

from controlplane import reading
from controlplane.accounts import Role
from controlplane.api.blueprint import ENVIRONMENT, blueprint
from controlplane.api.requests import body, count, wanted
from controlplane.auth import requires
from controlplane.context import connection
from flags import fields

QUEUES = f"{ENVIRONMENT}/queues"
LETTERS = f"{QUEUES}/<domain>/dead-letters"
MAX_REPLAY = 1_000


@blueprint.get(QUEUES)
@requires(Role.VIEWER)
def list_queues(environment: str) -> Response:
    """Count what stands in each queue; `?scan=false` takes the running counters instead of looking at every frame."""
    return jsonify(reading.queues(connection(environment), scan=wanted("scan", default=True)))


@blueprint.get(LETTERS)
@requires(Role.VIEWER)
def list_dead_letters(environment: str, domain: str) -> Response:
    """List what was given up, oldest first; `?quarantine=true` lists what was set aside instead."""
    limit, quarantine = count("limit", 100, 1_000), wanted("quarantine")
    return jsonify(reading.dead_letters(connection(environment), domain, limit=limit, quarantine=quarantine))


@blueprint.post(f"{LETTERS}/replay")
@requires(Role.OPERATOR)
def replay(environment: str, domain: str) -> Response:
    """Put letters back at the end of the queue, as if new; as JSON where their own format is not admitted."""
    content = body(("ids", "quarantine"), required=("ids",))
    quarantine = fields.boolean(content.get("quarantine", False), "quarantine")
    named = fields.list_of(content["ids"], "ids", limit=MAX_REPLAY, least=1)
    ids = [fields.text(each, f"ids[{index}]", limit=200, least=1) for index, each in enumerate(named)]
    return jsonify(reading.replay(connection(environment), domain, ids, quarantine=quarantine))
