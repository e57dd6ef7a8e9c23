"""Makes the application of the streams: `…/changes` for SDKs and `…/events` for pages, as server-sent events.

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
from controlplane.broadcast import Stream
from controlplane.context import Services, connection, services
from controlplane.hub import Hub
from controlplane.origins import page_origin
from controlplane.settings import Settings

LIMIT = 5_000
"""Streams that one process admits."""

WRITE_TIMEOUT = 10.0
"""Seconds for which a reader may leave its connection clogged."""

blueprint = Blueprint("streams", __name__)
blueprint.add_url_rule("/healthz", view_func=healthz)


def create_streams(built: Services | None = None, *, limit: int = LIMIT) -> Flask:
    """Make the application of the streams; without services, from the environment variables (gunicorn)."""
    found = built or services_from(Settings.from_environment())
    app = bare_app(found)
    app.extensions["hub"] = Hub(found.clock, limit)
    app.register_blueprint(blueprint)
    return app


def hub_of(app: Flask) -> Hub:
    """Find what an application streams from."""
    hub = app.extensions["hub"]
    assert isinstance(hub, Hub)  # noqa: S101 - tells the type checker what `create_streams` put there
    return hub


@blueprint.get(f"{ENVIRONMENT}/changes")
@requires(Role.VIEWER, sdk=True)
def changes(environment: str) -> Response:
    """Stream the flags: a snapshot, then each change; `Last-Event-ID` names the revision to go on from."""
    found = connection(environment)
    return _streamed(hub_of(current_app).changes(found, request.headers.get("Last-Event-ID", "")))


@blueprint.get(f"{ENVIRONMENT}/events")
@requires(Role.VIEWER)
def events(environment: str) -> Response:
    """Stream what happens: `traffic` each second, `flags`, `convergence` and `rollback` as they come."""
    return _streamed(hub_of(current_app).events(connection(environment)))


@blueprint.after_app_request
def share_with_pages(response: Response) -> Response:
    """Let our own pages, which stand on another port, read the answer with the session's cookie; nobody else."""
    origin = request.headers.get("Origin")
    response.vary.add("Origin")
    if origin and origin == page_origin(services().settings):
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Credentials"] = "true"
    return response


def _streamed(stream: Stream) -> Response:
    connected = request.environ.get("gunicorn.socket")
    if connected is not None:
        connected.settimeout(WRITE_TIMEOUT)
    response = Response(stream, mimetype="text/event-stream")
    response.headers["X-Accel-Buffering"] = "no"
    return response
