"""The pages of queues, and of what each has given up or set aside."""

from __future__ import annotations

from flask import Response, g, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from controlplane import reading
from controlplane.accounts import Role
from controlplane.auth import requires
from controlplane.problems import status_of
from controlplane.ui.blueprint import ENVIRONMENT, blueprint
from controlplane.ui.pages import page
from foundation.errors import SignalboxError

SHELVES = ("dead", "quarantine")
"""Where letters lie: given up, or set aside by a rollback."""


@blueprint.get(f"{ENVIRONMENT}/queues")
@requires(Role.VIEWER)
def queues() -> Response:
    """Show what stands in every queue, from the running counters: the page asks again and again."""
    return page("queues.html", "queues", queues=reading.queues(g.connection, scan=False)["queues"])


@blueprint.get(f"{ENVIRONMENT}/queues/<domain>/dead-letters")
@requires(Role.VIEWER)
def dead_letters(domain: str) -> Response:
    """Show what was given up in one queue, or what was set aside."""
    return _letters_page(domain)


@blueprint.post(f"{ENVIRONMENT}/queues/<domain>/dead-letters")
@requires(Role.OPERATOR)
def replay_letters(domain: str) -> AnyResponse:
    """Put the chosen letters back where no script runs."""
    shelf = _shelf(request.form.get("shelf"))
    ids = request.form.getlist("ids")
    if not ids:
        return _letters_page(domain, 400, "Choose the letters to replay first.")
    try:
        answer = reading.replay(g.connection, domain, ids, quarantine=shelf == "quarantine")
    except SignalboxError as error:
        return _letters_page(domain, status_of(error), f"Not replayed: {error}")
    if answer["left"]:
        said = f"{answer['replayed']} put back into the queue; left: {answer['left']} (not admitted, or no such letter)"
        return _letters_page(domain, 409, said)
    return redirect(url_for("ui.dead_letters", domain=domain, shelf=shelf), 303)


def _letters_page(domain: str, status: int = 200, refusal: str = "") -> Response:
    shelf = _shelf(request.values.get("shelf"))
    found = reading.dead_letters(g.connection, domain, quarantine=shelf == "quarantine")
    notices = [("danger", refusal)] if refusal else ()
    return page(
        "letters.html", "queues", status=status, notices=notices, domain=domain, shelf=shelf, letters=found["letters"]
    )


def _shelf(named: str | None) -> str:
    return named if named in SHELVES else SHELVES[0]
