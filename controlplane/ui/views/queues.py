"""The pages of queues and of their dead letters."""

from __future__ import annotations

from flask import Response, g, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from controlplane import reading
from controlplane.accounts import Role
from controlplane.auth import requires
from controlplane.ui.blueprint import ENVIRONMENT, blueprint
from controlplane.ui.pages import page


@blueprint.get(f"{ENVIRONMENT}/queues")
@requires(Role.VIEWER)
def queues() -> Response:
    """Show what stands in every queue."""
    return page("queues.html", "queues", queues=reading.queues(g.connection)["queues"])


@blueprint.get(f"{ENVIRONMENT}/queues/<domain>/dead-letters")
@requires(Role.VIEWER)
def dead_letters(domain: str) -> Response:
    """Show what was given up in one queue."""
    return page("letters.html", "queues", domain=domain, letters=reading.dead_letters(g.connection, domain)["letters"])


@blueprint.post(f"{ENVIRONMENT}/queues/<domain>/dead-letters")
@requires(Role.OPERATOR)
def replay_letters(domain: str) -> AnyResponse:
    """Put the chosen letters back where no script runs."""
    ids = request.form.getlist("ids")
    if ids:
        reading.replay(g.connection, domain, ids)
    return redirect(url_for("ui.dead_letters", domain=domain), 303)
