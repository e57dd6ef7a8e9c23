"""Coming in and going out, the theme, the address without a page, and what people see when a page can't be shown."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app, g, redirect, request, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from controlplane import auth
from controlplane.accounts import Role
from controlplane.auth import public, requires
from controlplane.context import connection, services
from controlplane.errors import NotAuthenticated, TooManyAttempts
from controlplane.problems import status_of
from controlplane.ui.blueprint import blueprint
from controlplane.ui.pages import THEME_COOKIE, THEMES, bare_page
from foundation.errors import SignalboxError

YEAR = 365 * 24 * 3600


@blueprint.url_value_preprocessor
def _take_environment(_endpoint: str | None, values: dict[str, Any] | None) -> None:
    if values and "environment" in values:
        g.connection = connection(values.pop("environment"))
        g.environment = g.connection.environment


@blueprint.url_defaults
def _give_environment(endpoint: str, values: dict[str, Any]) -> None:
    if "environment" not in values and _in_environment(endpoint):
        values["environment"] = g.get("environment", services().settings.environment)


def _in_environment(endpoint: str) -> bool:
    return endpoint not in {"ui.index", "ui.static", "ui.sign_in", "ui.enter", "ui.sign_out", "ui.set_theme"}


@blueprint.get("/")
@requires(Role.VIEWER)
def index() -> AnyResponse:
    """Go to the flags."""
    return redirect(url_for("ui.flags"))


@blueprint.get("/sign-in")
@public
def sign_in() -> Response:
    """Ask who it is."""
    return bare_page("sign_in.html", next=_local(request.args.get("next", "")), username="")


@blueprint.post("/sign-in")
@public
def enter() -> AnyResponse:
    """Check name and password, and go where the visitor wanted to go."""
    name, target = request.form.get("username", ""), _local(request.form.get("next", ""))
    try:
        return auth.sign_in(_plain_redirect(target), name, request.form.get("password", ""))
    except NotAuthenticated:
        problem, status = "The name or the password is wrong.", 401
    except TooManyAttempts as error:
        problem, status = f"Too many attempts. Try again in {error.retry_after:.0f} s.", 429
    return bare_page("sign_in.html", status=status, next=target, username=name, problem=problem)


@blueprint.post("/sign-out")
@requires(Role.VIEWER)
def sign_out() -> AnyResponse:
    """End the session."""
    return auth.sign_out(_plain_redirect(url_for("ui.sign_in")))


@blueprint.post("/theme")
@public
def set_theme() -> AnyResponse:
    """Keep the chosen theme in a cookie of its own."""
    theme = request.form.get("theme", "")
    response = _plain_redirect(_local(request.form.get("next", "")))
    response.set_cookie(THEME_COOKIE, theme if theme in THEMES else THEMES[0], max_age=YEAR, samesite="Lax")
    return response


@blueprint.errorhandler(NotAuthenticated)
def _ask_to_sign_in(_error: NotAuthenticated) -> AnyResponse:
    wanted = request.full_path.rstrip("?") if request.method == "GET" else ""
    return redirect(url_for("ui.sign_in", next=wanted if wanted != "/" else None))


@blueprint.errorhandler(SignalboxError)
def _show_error(error: SignalboxError) -> Response:
    return bare_page("problem.html", status=status_of(error), title="This page can't be shown", detail=str(error))


@blueprint.errorhandler(HTTPException)
def _show_http(error: HTTPException) -> Response:
    return bare_page("problem.html", status=error.code or 500, title=error.name, detail=error.description or "")


@blueprint.errorhandler(Exception)
def _show_fault(error: Exception) -> Response:
    current_app.logger.error("fault in %s %s", request.method, request.path, exc_info=error)
    return bare_page(
        "problem.html", status=500, title="Something went wrong", detail="A fault on our side; the server's log has it."
    )


def _plain_redirect(target: str) -> Response:
    response = Response(status=303)
    response.headers["Location"] = target
    return response


def _local(target: str) -> str:
    """A path of ours, or the start; never an address elsewhere."""
    return target if target.startswith("/") and not target.startswith(("//", "/\\")) else "/"
