"""The event stream of OFREP: tells pages to evaluate again. It is served by the process group of the streams."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, request

from controlplane.accounts import Role
from controlplane.auth import requires
from controlplane.context import connection
from controlplane.ofrep.paths import EVENTS_IN
from controlplane.serving import hub_of, streamed

blueprint = Blueprint("ofrep_events", __name__)


@blueprint.get(EVENTS_IN)
@requires(Role.VIEWER, sdk=True, ticket=True)
def refetches(environment: str) -> Response:
    """Send `refetchEvaluation` after each change, and at once to who comes anew or has missed something."""
    found = connection(environment)
    return streamed(hub_of(current_app).refetches(found, request.headers.get("Last-Event-ID", "")))


@blueprint.after_request
def share(response: Response) -> Response:
    """Let pages of any origin read it; the ticket in the address is what lets them in."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response
