"""Makes the application of the streams: `…/changes` for SDKs, `…/events` for pages, and OFREP's, as server-sent events.

It runs in a process group of its own, under gevent, so that thousands of open streams never stand in the API's way. A
process admits so many and no more: past the worker's own limit of connections not even `/healthz` would be reached.
"""

from __future__ import annotations

from flask import Blueprint, Flask, Response, current_app, request

from controlplane.accounts import Role
from controlplane.api.blueprint import ENVIRONMENT
from controlplane.api.health import healthz
from controlplane.app import bare_app, services_from
from controlplane.auth import requires
from controlplane.context import Services, connection, services
from controlplane.hub import Hub
from controlplane.ofrep.events import blueprint as ofrep_events
from controlplane.origins import page_origin
from controlplane.serving import hub_of, streamed
from controlplane.settings import Settings

LIMIT = 5_000
"""Streams that one process admits."""

blueprint = Blueprint("streams", __name__)
blueprint.add_url_rule("/healthz", view_func=healthz)


def create_streams(built: Services | None = None, *, limit: int = LIMIT) -> Flask:
    """Make the application of the streams; without services, from the environment variables (gunicorn)."""
    found = built or services_from(Settings.from_environment())
    app = bare_app(found)
    app.extensions["hub"] = Hub(found.clock, limit)
    app.register_blueprint(blueprint)
    app.register_blueprint(ofrep_events)
    return app


@blueprint.get(f"{ENVIRONMENT}/changes")
@requires(Role.VIEWER, sdk=True)
def changes(environment: str) -> Response:
    """Stream the flags: a snapshot, then each change; `Last-Event-ID` names the revision to go on from."""
    found = connection(environment)
    return streamed(hub_of(current_app).changes(found, request.headers.get("Last-Event-ID", "")))


@blueprint.get(f"{ENVIRONMENT}/events")
@requires(Role.VIEWER)
def events(environment: str) -> Response:
    """Stream what happens: `traffic` each second, `flags`, `convergence` and `rollback` as they come."""
    return streamed(hub_of(current_app).events(connection(environment)))


@blueprint.after_app_request
def share_with_pages(response: Response) -> Response:
    """Let our own pages, which stand on another port, read the answer with the session's cookie; nobody else."""
    origin = request.headers.get("Origin")
    response.vary.add("Origin")
    if origin and origin == page_origin(services().settings):
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Credentials"] = "true"
    return response
