"""An environment as a whole: where its streams are, and all of its flags at one revision for SDKs."""

from __future__ import annotations

from http import HTTPStatus

from flask import Response, jsonify, redirect, request

from controlplane.accounts import Role
from controlplane.api.blueprint import ENVIRONMENT, blueprint
from controlplane.auth import requires
from controlplane.context import connection, services
from controlplane.origins import stream_origin
from flags.snapshots import snapshot_document


@blueprint.get(ENVIRONMENT)
@requires(Role.VIEWER, sdk=True)
def get_environment(environment: str) -> Response:
    """Tell where the streams of an environment are."""
    found = connection(environment)
    base = f"{stream_origin(services().settings)}{request.path}"
    return jsonify(environment=found.environment, streams={kind: f"{base}/{kind}" for kind in ("changes", "events")})


@blueprint.get(f"{ENVIRONMENT}/snapshot")
@requires(Role.VIEWER, sdk=True)
def get_snapshot(environment: str) -> Response:
    """Read every flag at one revision, which is the ETag."""
    store = connection(environment).store
    # Who comes again mostly knows it all, which the revision tells in no time, however many flags there are.
    if request.if_none_match and request.if_none_match.contains_weak(current := str(store.revision())):
        return _tagged(Response(status=HTTPStatus.NOT_MODIFIED), current)
    snapshot = store.snapshot()
    return _tagged(jsonify(snapshot_document(snapshot)), str(snapshot.revision))


@blueprint.get(f"{ENVIRONMENT}/changes")
@requires(Role.VIEWER, sdk=True)
def changes(environment: str) -> Response:
    """Send SDKs on to the stream of changes, which another process group serves."""
    return _to_the_streams(environment)


@blueprint.get(f"{ENVIRONMENT}/events")
@requires(Role.VIEWER)
def events(environment: str) -> Response:
    """Send pages on to the stream of events, which another process group serves."""
    return _to_the_streams(environment)


def _tagged(response: Response, revision: str) -> Response:
    response.set_etag(revision)
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def _to_the_streams(environment: str) -> Response:
    connection(environment)
    answer = redirect(f"{stream_origin(services().settings)}{request.path}", code=307)
    assert isinstance(answer, Response)  # noqa: S101 - Flask's redirect is typed as the base class
    return answer
