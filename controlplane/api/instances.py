"""The live instances, with what each has acknowledged and its traffic of the last seconds."""

from __future__ import annotations

from flask import Response, jsonify

from controlplane import reading
from controlplane.accounts import Role
from controlplane.api.blueprint import ENVIRONMENT, blueprint
from controlplane.auth import requires
from controlplane.context import connection


@blueprint.get(f"{ENVIRONMENT}/instances")
@requires(Role.VIEWER)
def list_instances(environment: str) -> Response:
    """List the live instances, and the traffic of each domain."""
    return jsonify(reading.instances(connection(environment)))
