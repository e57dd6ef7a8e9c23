"""What people see when a page can't be shown: a page too, in words, with the status that the API would answer."""

from __future__ import annotations

import contextlib

from flask import Response, current_app, g, redirect, request, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from controlplane.auth import current_or_none
from controlplane.errors import NotAuthenticated
from controlplane.problems import status_of
from controlplane.ui.blueprint import blueprint
from controlplane.ui.pages import bare_page, page
from foundation.errors import SignalboxError


@blueprint.errorhandler(NotAuthenticated)
def _ask_to_sign_in(_error: NotAuthenticated) -> AnyResponse:
    wanted = request.full_path.rstrip("?") if request.method == "GET" else ""
    return redirect(url_for("ui.sign_in", next=wanted if wanted != "/" else None))


@blueprint.errorhandler(SignalboxError)
def _of_error(error: SignalboxError) -> Response:
    return _problem(status_of(error), "This can't be shown", str(error))


@blueprint.errorhandler(HTTPException)
def _of_http(error: HTTPException) -> Response:
    return _problem(error.code or 500, error.name, error.description or "")


@blueprint.errorhandler(Exception)
def _of_fault(error: Exception) -> Response:
    current_app.logger.error("fault in %s %s", request.method, request.path, exc_info=error)
    detail = "A fault on our side; the server's log has it."
    return bare_page("problem.html", status=500, title="Something went wrong", detail=detail)


def _problem(status: int, title: str, detail: str) -> Response:
    # Within the frame one can go on from here; where it can't be had, for want of a store or a sign-in, without it.
    with contextlib.suppress(SignalboxError):
        if "connection" in g and current_or_none():
            return page("problem.html", status=status, title=title, detail=detail)
    return bare_page("problem.html", status=status, title=title, detail=detail)
