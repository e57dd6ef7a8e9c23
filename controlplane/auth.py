"""The door: every route says who may pass, and a route that says nothing lets nobody through.

The rule is looked up by the endpoint that will really run, never by the path, so no spelling of a path gets round it.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import Flask, Response, current_app, g, request

from controlplane.accounts import SESSION_LIFE, Principal, Role
from controlplane.context import services
from controlplane.errors import Forbidden, NotAuthenticated
from controlplane.origins import is_same_origin

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER, CSRF_FIELD = "X-CSRF-Token", "csrf_token"
KEY_HEADER = "X-API-Key"
"""Another place for a token: clients of OFREP may send it there."""
TICKET = "ticket"
"""The query parameter that holds a ticket."""

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Access:
    """Who may use a route: at least `role` (None: everybody), and tokens of scope sdk where `sdk` says so.

    Where `ticket` says so, a ticket in the address stands for the token that it was issued for.
    """

    role: Role | None
    sdk: bool = False
    ticket: bool = False

    def admits(self, principal: Principal) -> bool:
        """Tell whether this one may pass."""
        return self.role is None or principal.may(self.role) or (self.sdk and principal.role is None)


PUBLIC = Access(None)


def public(view: View) -> View:
    """Declare a route that needs no sign-in."""
    return _declare(view, PUBLIC)


def requires(role: Role, *, sdk: bool = False, ticket: bool = False) -> Callable[[View], View]:
    """Declare the role that a route needs; `sdk` lets tokens of that scope in as well, `ticket` tickets of tokens.

    Stands directly below the route's decorator: what the route runs must carry the rule.
    """
    return lambda view: _declare(view, Access(role, sdk, ticket))


def access_of(app: Flask, endpoint: str) -> Access | None:
    """Read the rule of an endpoint; None where it has none, and then nobody passes."""
    if endpoint.endswith(".static"):
        return PUBLIC
    found = getattr(app.view_functions[endpoint], "access", None)
    return found if isinstance(found, Access) else None


def guard() -> None:
    """Let the request through, or raise NotAuthenticated or Forbidden; runs before every view."""
    if request.endpoint is None:  # no such route or method: Flask answers with 404 or 405
        return
    access = access_of(current_app, request.endpoint)
    if access is None:
        raise Forbidden("this route has no rule that says who may use it")
    unsafe = request.method not in SAFE_METHODS
    if unsafe and not _brings_token() and not is_same_origin(services().settings):
        raise Forbidden("the request comes from another site")
    if access.role is None:
        return
    if access.ticket and TICKET in request.args and not _brings_token():
        g.principal = services().accounts.by_ticket(request.args[TICKET], request.path)
    principal = current()
    if not access.admits(principal):
        raise Forbidden(f"this needs the role {access.role.name.lower()}, and {principal.name} does not have it")
    if unsafe and principal.csrf and not _csrf_matches(principal.csrf):
        raise Forbidden(f"the CSRF token is missing or wrong: send it as {CSRF_HEADER} or in the field {CSRF_FIELD}")


def current() -> Principal:
    """Who is asking; raises NotAuthenticated where nobody signed in. A token that is sent outranks the cookie."""
    if "principal" not in g:
        g.principal = _identify()
    principal: Principal = g.principal
    return principal


def token() -> str | None:
    """The token that came with the request, good or not; None where none did.

    Raises:
        NotAuthenticated: the header Authorization holds something else.
    """
    header = request.headers.get("Authorization")
    if header is None:
        return request.headers.get(KEY_HEADER)
    scheme, _, text = header.partition(" ")
    if scheme.lower() != "bearer":
        raise NotAuthenticated("expected the header Authorization: Bearer sb_…")
    return text.strip()


def current_or_none() -> Principal | None:
    """Who is asking, or None: for pages that show either."""
    try:
        return current()
    except NotAuthenticated:
        return None


def sign_in(response: Response, name: str, password: str) -> Response:
    """Check a password and give the browser a new session; raises NotAuthenticated or TooManyAttempts."""
    cookie, secure = services().settings.cookie_name, services().settings.secure
    session_id = services().accounts.sign_in(
        name, password, request.remote_addr or "unknown", replaces=request.cookies.get(cookie, "")
    )
    response.set_cookie(cookie, session_id, max_age=int(SESSION_LIFE), secure=secure, httponly=True, samesite="Lax")
    return response


def sign_out(response: Response) -> Response:
    """End the browser's session."""
    cookie, secure = services().settings.cookie_name, services().settings.secure
    services().accounts.sign_out(request.cookies.get(cookie, ""))
    response.delete_cookie(cookie, secure=secure, httponly=True, samesite="Lax")
    return response


def _identify() -> Principal:
    sent = token()
    if sent is not None:
        return services().accounts.by_token(sent)
    session_id = request.cookies.get(services().settings.cookie_name)
    if not session_id:
        raise NotAuthenticated("sign in, or send a token: Authorization: Bearer sb_…")
    return services().accounts.by_session(session_id)


def _brings_token() -> bool:
    return "Authorization" in request.headers or KEY_HEADER in request.headers


def _csrf_matches(expected: str) -> bool:
    sent = request.headers.get(CSRF_HEADER) or request.form.get(CSRF_FIELD, "")
    return hmac.compare_digest(sent.encode(), expected.encode())


def _declare(view: View, access: Access) -> View:
    view.access = access  # type: ignore[attr-defined]
    return view
