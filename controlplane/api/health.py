"""`/healthz`: this process lives. `/readyz`: it can do its work, for the stores behind it answer."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, Response, jsonify

from controlplane.auth import public
from controlplane.context import services
from controlplane.health import reachability
from foundation.health import run_checks

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@public
def healthz() -> Response:
    """Answer: whoever reads this knows that the process lives."""
    return jsonify(status="alive")


@blueprint.get("/readyz")
@public
def readyz() -> Response:
    """Ask the stores; 503 where one of them does not answer. Says no more than that to strangers."""
    results = run_checks(reachability(services().settings))
    ready = all(result.status != "fail" for result in results)
    response = jsonify(
        status="ready" if ready else "not ready",
        checks=[
            {"name": result.name, "status": result.status, "seconds": round(result.seconds, 3)} for result in results
        ],
    )
    response.status_code = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
    return response
