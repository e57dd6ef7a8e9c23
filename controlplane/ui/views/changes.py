"""Changing a flag where no script runs: plain forms, one address for each flag, the action by the button's name.

With scripts the pages call the API instead; both go through the same services. A refusal is said on the page itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import g, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from controlplane import auth
from controlplane.accounts import Role
from controlplane.api.requests import MAX_REASON
from controlplane.auth import requires
from controlplane.problems import status_of
from controlplane.ui.blueprint import ENVIRONMENT, blueprint
from controlplane.ui.views.flags import flag_page
from flags import edits, fields, service
from flags.errors import FlagsError, RevisionConflict
from flags.model import Flag, Revision
from flags.percentages import weight_of
from flags.store import Written
from foundation.errors import DocumentError, SignalboxError
from rollout.release import release

DOMAIN = "domain."
"""How the fields of domains begin."""


@blueprint.post(f"{ENVIRONMENT}/flags/<path:key>")
@requires(Role.OPERATOR)
def change_flag(key: str) -> AnyResponse:
    """Do what the pressed button says, and show the flag as it is then."""
    try:
        written = _act(request.form.get("action", ""), key)
    except RevisionConflict as error:
        return _refused(key, error, "somebody changed this flag in the meantime; the page shows it as it is now")
    except (FlagsError, DocumentError) as error:
        return _refused(key, error, str(error))
    return redirect(url_for("ui.flag", key=key, saved=str(written.revision)), 303)


def _refused(key: str, error: SignalboxError, why: str) -> AnyResponse:
    return flag_page(key, status=status_of(error), notices=[("danger", f"Not saved: {why}.")])


def _act(action: str, key: str) -> Written:
    match action:
        case "enable":
            return _change(key, edits.enable)
        case "disable":
            return _change(key, edits.disable)
        case "percentages":
            default, domains = _percentages()
            return _change(key, lambda flag: edits.set_percentages(flag, default, domains))
        case "release":
            return release(g.connection.store, g.connection.queues, key, **_stamp())
        case "revert":
            revision = Revision.parse(request.form.get("revision", ""))
            return service.revert(g.connection.store, key, revision, **_stamp())
    raise DocumentError("action", "is not one that this page offers", value=action)


def _change(key: str, edit: Callable[[Flag], Flag]) -> Written:
    return service.change(g.connection.store, (key,), edit, **_stamp())


def _stamp() -> dict[str, Any]:
    """Who, why, and the version that the form was made from."""
    version = request.form.get("version", "")
    return {
        "actor": auth.current().name,
        "reason": _reason(),
        "expected": Revision.parse(version) if version else None,
    }


def _reason() -> str:
    return fields.text(request.form.get("reason", ""), "reason", limit=MAX_REASON)


def _percentages() -> tuple[int | None, dict[str, int]]:
    """Read the default percentage, which the form of a flag with a split does not ask for, and those of domains."""
    given = {name.removeprefix(DOMAIN): text for name, text in request.form.items() if name.startswith(DOMAIN)}
    domains = {fields.name(domain, "domains"): _weight(text, domain) for domain, text in given.items() if text.strip()}
    return _weight(request.form["default"], "default") if "default" in request.form else None, domains


def _weight(text: str, field: str) -> int:
    try:
        return weight_of(float(text), field)
    except ValueError as error:
        raise DocumentError(field, "is not a number", value=text, expected="a percentage from 0 to 100") from error
