"""Coming in and going out, the theme, and the address without a page."""

from __future__ import annotations

import re
from typing import Any

from flask import Response, current_app, g, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from controlplane import auth
from controlplane.accounts import Role
from controlplane.auth import public, requires
from controlplane.context import connection, services
from controlplane.errors import NotAuthenticated, TooManyAttempts
from controlplane.ui.blueprint import blueprint
from controlplane.ui.pages import THEME_COOKIE, THEMES, bare_page

YEAR = 365 * 24 * 3600
_LOCAL = re.compile(r"/(?!/)[!-\[\]-~]*")
"""A slash, not two, and visible ASCII without the backslash, which browsers read as a slash."""


@blueprint.url_value_preprocessor
def _take_environment(_endpoint: str | None, values: dict[str, Any] | None) -> None:
    g.named = (values or {}).pop("environment", None)


@blueprint.before_request
def _connect() -> None:
    # After the door of the application: who has not signed in does not even learn which environments there are.
    if g.named is not None:
        g.connection = connection(g.named)
        g.environment = g.connection.environment


@blueprint.url_defaults
def _give_environment(endpoint: str, values: dict[str, Any]) -> None:
    if "environment" not in values and current_app.url_map.is_endpoint_expecting(endpoint, "environment"):
        values["environment"] = g.get("environment", services().settings.environment)


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


def _plain_redirect(target: str) -> Response:
    response = Response(status=303)
    response.headers["Location"] = target
    return response


def _local(target: str) -> str:
    """A path of ours, or the start; never an address elsewhere, nor what becomes one when control characters go."""
    return target if _LOCAL.fullmatch(target) else "/"
