"""The pages of the emergency rollback: the lever, a run as it goes, receipts."""

from __future__ import annotations

from flask import Response, abort, g, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from controlplane import auth, lever, reading
from controlplane.accounts import Role
from controlplane.api.requests import MAX_REASON
from controlplane.api.rollback import ALL, QUEUES, RESTART
from controlplane.auth import requires
from controlplane.context import services
from controlplane.problems import status_of
from controlplane.ui.blueprint import ENVIRONMENT, blueprint
from controlplane.ui.pages import page
from controlplane.ui.runs import steps
from flags import fields
from foundation.errors import DocumentError, SignalboxError
from messenger.formats import YAML_FLAG
from rollout.receipt import to_bytes


@blueprint.get(f"{ENVIRONMENT}/rollback")
@requires(Role.VIEWER)
def rollbacks() -> Response:
    """Show the lever and the receipts."""
    return _lever_page()


@blueprint.post(f"{ENVIRONMENT}/rollback")
@requires(Role.OPERATOR)
def pull() -> AnyResponse:
    """Pull the lever where no script runs."""
    form = request.form
    if form.get("confirm") != g.environment or not form.get("reason", "").strip():
        return _lever_page(400, f"Not pulled: a reason, and the word {g.environment} typed out, are needed.")
    try:
        asked = lever.Pull(
            actor=auth.current().name,
            reason=fields.text(form["reason"], "reason", limit=MAX_REASON),
            every_messaging_flag=form.get("target") == ALL,
            restart=_chosen("restart", RESTART),
            queues=_chosen("queues", QUEUES),
        )
        found = lever.join_or_pull(services().settings, g.connection, asked)
    except SignalboxError as error:
        return _lever_page(status_of(error), f"Not pulled: {error}")
    return redirect(url_for("ui.rollback", rollback_id=found) if found else url_for("ui.rollbacks"), 303)


@blueprint.get(f"{ENVIRONMENT}/rollback/<rollback_id>")
@requires(Role.VIEWER)
def rollback(rollback_id: str) -> Response:
    """Show one rollback, running or done."""
    run = reading.rollback(g.connection, rollback_id)
    return page(
        "rollback.html",
        "rollback",
        run=run,
        receipt=run["receipt"],
        steps=steps(run["events"], running=run["state"] == "running"),
    )


@blueprint.get(f"{ENVIRONMENT}/rollback/<rollback_id>/receipt.json")
@requires(Role.VIEWER)
def receipt(rollback_id: str) -> Response:
    """Hand out the receipt exactly as it was signed."""
    document = reading.rollback(g.connection, rollback_id)["receipt"]
    if document is None:
        abort(404, "There is no receipt before the rollback has ended.")
    return Response(to_bytes(document), mimetype="application/json")


def _chosen(name: str, words: tuple[str, ...]) -> str:
    word = request.form.get(name, words[0])
    if word not in words:
        raise DocumentError(name, "is not a choice of this page", value=word, expected=f"one of {', '.join(words)}")
    return word


def _lever_page(status: int = 200, refusal: str = "") -> Response:
    listed = reading.rollbacks(g.connection)
    unfinished, receipts = ([each for each in listed if (each["state"] == "done") is done] for done in (False, True))
    return page(
        "rollbacks.html",
        "rollback",
        status=status,
        notices=[("danger", refusal)] if refusal else (),
        open=unfinished,
        receipts=receipts,
        tagged=[flag["key"] for flag in reading.flags(g.connection)["flags"] if "messaging" in flag["tags"]],
        default_flag=YAML_FLAG,
    )
