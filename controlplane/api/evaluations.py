"""Evaluations: how SDKs over HTTP report them, and what all reports say of a flag."""

from __future__ import annotations

from flask import Response, jsonify

from controlplane import usage
from controlplane.accounts import Role
from controlplane.api.blueprint import ENVIRONMENT, blueprint
from controlplane.api.flags import FLAG
from controlplane.api.instances import INSTANCES, instance_name
from controlplane.api.requests import body, count
from controlplane.auth import requires
from controlplane.context import connection
from flags.usage import KEPT_DAYS, parse_report

_REPORT = ("number", "counts")


@blueprint.post(f"{INSTANCES}/<instance_id>/evaluations")
@requires(Role.OPERATOR, sdk=True)
def report_evaluations(environment: str, instance_id: str) -> Response:
    """Add what an instance has evaluated; a report whose number is not above its last one was added before."""
    report = parse_report(body(_REPORT, required=_REPORT))
    connection(environment).counts.report(instance_name(instance_id, "id"), report)
    return Response(status=204)


@blueprint.get(f"{FLAG}/usage")
@requires(Role.VIEWER)
def flag_usage(environment: str, key: str) -> Response:
    """Count a flag's evaluations by day and variant; `?days=` up to 90."""
    return jsonify(usage.usage(connection(environment), key, count("days", usage.DAYS, KEPT_DAYS)))


@blueprint.get(f"{ENVIRONMENT}/undefined")
@requires(Role.VIEWER)
def undefined_flags(environment: str) -> Response:
    """List the keys that were asked for while there was no such flag, and still is none; `?days=` up to 90."""
    return jsonify(usage.undefined(connection(environment), count("days", usage.DAYS, KEPT_DAYS)))
