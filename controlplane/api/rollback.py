"""Emergency rollbacks: pull the lever, follow one as it goes, read receipts."""

from __future__ import annotations

from http import HTTPStatus

from flask import Response, jsonify, url_for

from controlplane import lever, reading
from controlplane.accounts import Role
from controlplane.api.blueprint import ENVIRONMENT, blueprint
from controlplane.api.requests import body, stamp
from controlplane.auth import requires
from controlplane.context import connection, services
from controlplane.origins import stream_origin
from flags import fields
from foundation.errors import DocumentError

ROLLBACK = f"{ENVIRONMENT}/rollback"
ALL = "all"
RESTART = ("unacknowledged", "all", "none")
QUEUES = ("transcode", "drain", "quarantine")
"""What may become of YAML that waits. Dropping it for good asks for a confirmation of its own, at a terminal."""


@blueprint.post(ROLLBACK)
@requires(Role.OPERATOR)
def start_rollback(environment: str) -> Response:
    """Start a rollback in a process of its own, or join one that runs; `confirm` repeats the environment's name.

    `flags` is a list of keys, or the word `all` for every flag tagged `messaging`. Where one of other flags runs, this
    one begins by itself when that has ended, and its `id` is null for now.
    """
    found = connection(environment)
    content = body(("flags", "reason", "confirm", "restart", "queues"), required=("reason", "confirm"))
    if content["confirm"] != found.environment:
        raise DocumentError("confirm", "is not the environment's name", value=content["confirm"])
    mark = stamp(content)
    fields.text(mark.reason, "reason", limit=2_000, least=1)
    named = content.get("flags", [])
    asked = lever.Pull(
        actor=mark.actor,
        reason=mark.reason,
        flags=() if named == ALL else _keys(named),
        every_messaging_flag=named == ALL,
        restart=_one_of(content.get("restart"), "restart", RESTART),
        queues=_one_of(content.get("queues"), "queues", QUEUES),
    )
    rollback_id = lever.join_or_pull(services().settings, found, asked)
    response = jsonify(
        id=rollback_id or None, events=f"{stream_origin(services().settings)}{_path(environment)}/events"
    )
    response.status_code = HTTPStatus.ACCEPTED
    response.headers["Location"] = (
        url_for("api.get_rollback", environment=environment, rollback_id=rollback_id)
        if rollback_id
        else url_for("api.list_rollbacks", environment=environment)
    )
    return response


@blueprint.get(ROLLBACK)
@requires(Role.VIEWER)
def list_rollbacks(environment: str) -> Response:
    """List the rollbacks, newest first; one that has not ended comes before all others."""
    return jsonify(rollbacks=reading.rollbacks(connection(environment)))


@blueprint.get(f"{ROLLBACK}/<rollback_id>")
@requires(Role.VIEWER)
def get_rollback(environment: str, rollback_id: str) -> Response:
    """Read one rollback: its state, its events so far, and its receipt once there is one."""
    return jsonify(reading.rollback(connection(environment), rollback_id))


def _path(environment: str) -> str:
    return f"/api/v1/environments/{environment}"


def _keys(named: object) -> tuple[str, ...]:
    listed = enumerate(fields.list_of(named, "flags", limit=100))
    return tuple(fields.text(key, f"flags[{index}]", limit=100, least=1) for index, key in listed)


def _one_of(value: object, name: str, words: tuple[str, ...]) -> str | None:
    if value is None or value in words:
        return value if isinstance(value, str) else None
    raise DocumentError(name, "is not a known word", value=value, expected=f"one of {', '.join(words)}")
