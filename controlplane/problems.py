"""Errors as HTTP shows them: RFC 9457 problem details, one status for each stable code.

Floors below know no HTTP; this is the one place where a code meets a status.
"""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, current_app, json, request
from werkzeug.exceptions import HTTPException

from foundation.errors import DocumentError, SignalboxError, StoreRefused, shorten

STATUS = {
    "DOCUMENT_INVALID": 400,
    "REQUEST_INVALID": 400,
    "CONTEXT_INVALID": 400,
    "ENVELOPE_INVALID": 400,
    "NOT_AUTHENTICATED": 401,
    "FORBIDDEN": 403,
    "FLAG_NOT_FOUND": 404,
    "SEGMENT_NOT_FOUND": 404,
    "ENVIRONMENT_NOT_FOUND": 404,
    "RECEIPT_UNKNOWN": 404,
    "FLAG_EXISTS": 409,
    "SEGMENT_EXISTS": 409,
    "ENVIRONMENT_EXISTS": 409,
    "FLAG_HELD": 409,
    "FLAG_SPLIT": 409,
    "FLAG_ARCHIVED": 409,
    "FORMAT_REFUSED": 409,
    "ATTEMPT_SUPERSEDED": 409,
    "KILL_UNDONE": 409,
    "NOTHING_TO_ROLL_BACK": 409,
    "REVISION_CONFLICT": 412,
    "BODY_TOO_LARGE": 413,
    "POISON_FRAME": 422,
    "CODEC_UNKNOWN": 422,
    "DECODE_FAILED": 422,
    "ENCODE_FAILED": 422,
    "IDEMPOTENCY_MISMATCH": 422,
    "SIGNATURE_INVALID": 422,
    "TOO_MANY_ATTEMPTS": 429,
    "RATE_LIMITED": 429,
    "STORE_UNREACHABLE": 503,
    "STORE_REFUSED": 503,
    "QUEUE_FULL": 503,
    "STREAMS_FULL": 503,
    "MESSENGER_CLOSED": 503,
    "NOT_CONNECTED": 503,
    "SERVER_UNAVAILABLE": 503,
    "WRITE_UNCONFIRMED": 504,
}
"""The status of each code; a code that is not here is a fault of ours, 500."""

MEDIA_TYPE = "application/problem+json"
CHALLENGE = 'Bearer realm="signalbox"'
FAULT = "a fault on our side; the server's log has it"
RETRY_SOON = 1.0
"""Seconds after which a store that did not answer is worth another try."""


def register(app: Flask) -> None:
    """Answer every error of an application as problem details, the ones of Flask and of the unforeseen kind too."""
    app.register_error_handler(SignalboxError, of_error)
    app.register_error_handler(HTTPException, _of_http)
    app.register_error_handler(Exception, _of_fault)


def of_error(error: SignalboxError) -> Response:
    """Show an error that was raised on purpose."""
    status = status_of(error)
    response = problem(status, error.code, str(error), **_members(error))
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = CHALLENGE
    wait = retry_after(error)
    if wait is not None:
        response.headers["Retry-After"] = wait
    return response


def retry_after(error: SignalboxError) -> str | None:
    """Tell after how many seconds it is worth trying again, as the header says it; None where it never is."""
    seconds = getattr(error, "retry_after", RETRY_SOON if error.code == "STORE_UNREACHABLE" else None)
    return None if seconds is None else str(max(1, math.ceil(seconds)))


def status_of(error: SignalboxError) -> int:
    """The status that an error is answered with."""
    if isinstance(error, StoreRefused) and error.reason == "OOM":
        return HTTPStatus.INSUFFICIENT_STORAGE
    return STATUS.get(error.code, HTTPStatus.INTERNAL_SERVER_ERROR)


def problem(status: int, code: str, detail: str, **members: Any) -> Response:
    """Make a problem document: RFC 9457's members, the stable `code`, and what is special to this kind."""
    body = {
        "type": f"urn:signalbox:problem:{code.lower().replace('_', '-')}",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "code": code,
        "detail": detail,
        **members,
    }
    return Response(json.dumps(body) + "\n", status=status, mimetype=MEDIA_TYPE)


def _members(error: SignalboxError) -> dict[str, Any]:
    match error:
        case DocumentError():
            found = {} if error.value is ... else {"value": shorten(error.value)}
            return {"field": error.field, "problem": error.problem, **found, "expected": error.expected}
        case StoreRefused():
            return {"reason": error.reason}
    return {}


def _of_http(error: HTTPException) -> Response:
    status = HTTPStatus(error.code or 500)
    if status < HTTPStatus.BAD_REQUEST:  # a redirect to the canonical path
        return Response(status=status, headers=error.get_headers())
    response = problem(status, status.name, error.description or status.phrase)
    for name, value in error.get_headers():
        if name.lower() not in {"content-type", "content-length"}:  # Allow, Retry-After
            response.headers[name] = value
    return response


def _of_fault(error: Exception) -> Response:
    current_app.logger.error("fault in %s %s", request.method, request.path, exc_info=error)
    return problem(500, "INTERNAL_SERVER_ERROR", FAULT)
