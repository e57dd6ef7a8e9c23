"""The page of the environments: which there are, making one, and how another differs from this one."""

from __future__ import annotations

from flask import Response, g, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from controlplane import auth, environments
from controlplane.accounts import Role
from controlplane.auth import requires
from controlplane.context import connection, services
from controlplane.problems import status_of
from controlplane.ui.blueprint import ENVIRONMENT, blueprint
from controlplane.ui.pages import page
from flags import fields
from flags.environments import MAX_DESCRIPTION, Environment
from flags.errors import EnvironmentExists
from foundation.errors import DocumentError
from foundation.ids import new_id


@blueprint.get(f"{ENVIRONMENT}/environments", endpoint="environments")
@requires(Role.VIEWER)
def show_environments() -> Response:
    """List the environments, and show how this one differs from the one that was asked for."""
    other = request.args.get("beside", "")
    compared = environments.compare(g.connection, connection(other)) if other else None
    return _environments_page(compared=compared)


@blueprint.post(f"{ENVIRONMENT}/environments")
@requires(Role.ADMIN)
def create_environment() -> AnyResponse:
    """Make an environment, and show what it lacks."""
    name, description = request.form.get("name", "").strip(), request.form.get("description", "").strip()
    try:
        fields.text(description, "description", limit=MAX_DESCRIPTION)
        made = Environment(name, description, services().clock.now(), auth.current().name)
        environments.create(services().wiring, made, operation=new_id("ui"), request="")
    except (EnvironmentExists, DocumentError) as error:
        given = {"name": name, "description": description, "problem": str(error)}
        return _environments_page(status=status_of(error), given=given)
    return redirect(url_for("ui.environments", beside=name), 303)


def _environments_page(status: int = 200, **values: object) -> Response:
    listed = environments.listed(services().wiring)["environments"]
    may_create = auth.current().may(Role.ADMIN)
    shown = {"given": {}, "compared": None, **values}
    return page("environments.html", "environments", status=status, listed=listed, may_create=may_create, **shown)
