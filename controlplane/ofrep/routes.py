"""The routes of OFREP: one flag, every flag, and what a browser asks before it asks either.

Evaluation is from memory. Any origin may call: what lets a page in is the token that it sends, never a cookie of ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Flask, Response, current_app, json, request
from flask.blueprints import BlueprintSetupState
from werkzeug.exceptions import HTTPException

from controlplane import auth
from controlplane.accounts import Role
from controlplane.auth import public, requires
from controlplane.context import connection, live_flags, services
from controlplane.errors import ContextInvalid, RateLimited
from controlplane.liveflags import LiveFlags
from controlplane.ofrep import answers
from controlplane.ofrep.paths import EVALUATE, EVALUATE_IN, EVENTS_IN
from controlplane.ofrep.requests import context, seen_revision
from controlplane.origins import stream_origin
from controlplane.problems import CHALLENGE, FAULT, retry_after, status_of
from controlplane.ratelimit import RateLimit
from flags.evaluation import ErrorCode
from foundation.errors import DocumentError, SignalboxError

INACTIVITY = 120
"""Seconds after which a page that nobody looks at should close its event stream."""

PREFLIGHT_AGE = 7200
STATUS = {
    ErrorCode.FLAG_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.TARGETING_KEY_MISSING: HTTPStatus.BAD_REQUEST,
    ErrorCode.INVALID_CONTEXT: HTTPStatus.BAD_REQUEST,
    ErrorCode.GENERAL: HTTPStatus.BAD_REQUEST,
}
"""The status of a flag that could not be evaluated."""

blueprint = Blueprint("ofrep", __name__)
ONLY_POST: dict[str, Any] = {"methods": ["POST"], "provide_automatic_options": False}
_LIMIT = "ofrep limit"


@blueprint.record_once
def _count_calls(state: BlueprintSetupState) -> None:
    assert isinstance(state.app, Flask)  # noqa: S101 - tells the type checker that this is no other framework's
    found = services(state.app)
    state.app.extensions[_LIMIT] = RateLimit(found.clock, found.settings.ofrep_rate)


@blueprint.route(f"{EVALUATE}/<path:key>", **ONLY_POST)
@blueprint.route(f"{EVALUATE_IN}/<path:key>", **ONLY_POST)
@requires(Role.VIEWER, sdk=True)
def evaluate_flag(key: str, environment: str | None = None) -> Response:
    """Evaluate one flag; 404 for one that is not there, 400 where the context does not do."""
    _take_turn()
    live = _live(environment)
    answer = answers.of_flag(live.view(seen_revision()), key, context())
    _count_failures(live, [answer])
    code = answer.get("errorCode")
    return _json(answer, STATUS[code] if code else HTTPStatus.OK)


@blueprint.route(EVALUATE, **ONLY_POST)
@blueprint.route(EVALUATE_IN, **ONLY_POST)
@requires(Role.VIEWER, sdk=True)
def evaluate_all(environment: str | None = None) -> Response:
    """Evaluate every flag; the ETag is a digest of the answer, so 304 means that this very answer still holds."""
    _take_turn()
    live = _live(environment)
    flags = answers.of_all(live.view(seen_revision()), context())
    _count_failures(live, flags)
    response = _json({"flags": flags, "metadata": {}, **_event_streams(environment)}, HTTPStatus.OK)
    response.set_etag(hashlib.sha256(response.get_data()).hexdigest())
    etag, _ = response.get_etag()
    if etag and request.if_none_match.contains_weak(etag):  # a proxy that compresses weakens it
        unchanged = Response(status=HTTPStatus.NOT_MODIFIED)
        unchanged.set_etag(etag)
        return unchanged
    return response


@blueprint.route(f"{EVALUATE}/<path:key>", methods=["OPTIONS"])
@blueprint.route(f"{EVALUATE_IN}/<path:key>", methods=["OPTIONS"])
@blueprint.route(EVALUATE, methods=["OPTIONS"])
@blueprint.route(EVALUATE_IN, methods=["OPTIONS"])
@public
def preflight(**_: str) -> Response:
    """Tell a browser that pages of any origin may send what the clients send."""
    response = Response(status=HTTPStatus.NO_CONTENT)
    response.headers["Access-Control-Allow-Methods"] = "POST"
    response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type, If-None-Match, X-API-Key"
    response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_AGE)
    return response


@blueprint.after_request
def share(response: Response) -> Response:
    """Let pages of any origin read the answer; no cookie of theirs counts here."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Expose-Headers"] = "ETag, Retry-After"
    return response


@blueprint.errorhandler(SignalboxError)
def refused(error: SignalboxError) -> Response:
    """Say as the protocol says it what was wrong with a request, or what keeps us from answering."""
    status = min(status_of(error), HTTPStatus.INTERNAL_SERVER_ERROR)  # the protocol has one word for our own troubles
    response = _failed(status, _code_of(error), str(error))
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = CHALLENGE
    wait = retry_after(error)
    if wait is not None:
        response.headers["Retry-After"] = wait
    return response


@blueprint.errorhandler(HTTPException)
def refused_by_flask(error: HTTPException) -> Response:
    """Say the same of what Flask refused: a body that is too large."""
    return _failed(error.code or HTTPStatus.INTERNAL_SERVER_ERROR, ErrorCode.GENERAL, error.description or error.name)


@blueprint.errorhandler(Exception)
def failed(error: Exception) -> Response:
    """Admit a fault of ours."""
    current_app.logger.error("fault in %s %s", request.method, request.path, exc_info=error)
    return _failed(HTTPStatus.INTERNAL_SERVER_ERROR, ErrorCode.GENERAL, FAULT)


def _take_turn() -> None:
    limit = current_app.extensions[_LIMIT]
    assert isinstance(limit, RateLimit)  # noqa: S101 - tells the type checker what `_count_calls` put there
    wait = limit.take((auth.current().name, request.remote_addr))
    if wait:
        raise RateLimited(wait)


def _live(environment: str | None) -> LiveFlags:
    return live_flags().of(connection(_name(environment)))


def _count_failures(live: LiveFlags, answered: Iterable[answers.Json]) -> None:
    for answer in answered:
        if "errorCode" in answer:
            live.missed(answer["key"])


def _name(environment: str | None) -> str:
    return services().settings.environment if environment is None else environment


def _event_streams(environment: str | None) -> answers.Json:
    """Tell where changes are told of. The address has a ticket in it, since a browser sends no header there."""
    token = auth.token()
    if token is None:
        return {}
    path = EVENTS_IN.replace("<environment>", _name(environment))
    ticket = services().accounts.ticket(token, path)
    url = f"{stream_origin(services().settings)}{path}?{auth.TICKET}={ticket}"
    return {"eventStreams": [{"type": "sse", "url": url, "inactivityDelaySec": INACTIVITY}]}


def _failed(status: int, code: str, details: str) -> Response:
    return _json(answers.failure(code, details, (request.view_args or {}).get("key")), status)


def _code_of(error: SignalboxError) -> str:
    match error:
        case ContextInvalid():
            return ErrorCode.INVALID_CONTEXT
        case DocumentError():
            return "PARSE_ERROR"
    return ErrorCode.GENERAL


def _json(document: answers.Json, status: int) -> Response:
    return Response(json.dumps(document, separators=(",", ":")), status=status, mimetype="application/json")
