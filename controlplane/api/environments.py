"""The environments of the installation: list and create them, compare two, and copy flags from one to another."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus

from flask import Response, jsonify, request, url_for

from controlplane import environments
from controlplane.accounts import Role
from controlplane.api.blueprint import ENVIRONMENT, ENVIRONMENTS, blueprint
from controlplane.api.requests import body, seen_version, stamp, wanted
from controlplane.auth import requires
from controlplane.context import connection, live_flags, services
from flags import fields
from flags.definitions import MAX_FLAGS
from flags.environments import MAX_DESCRIPTION, Environment, environment_name
from flags.model import Revision


@blueprint.get(ENVIRONMENTS)
@requires(Role.VIEWER)
def list_environments() -> Response:
    """List the environments by name."""
    return jsonify(environments.listed(services().wiring))


@blueprint.post(ENVIRONMENTS)
@requires(Role.ADMIN)
def create_environment() -> Response:
    """Create an environment, empty; 409 where its name is taken. Every process serves it from now on."""
    content = body(("name", "description"), required=("name",))
    mark = stamp(content)
    made = Environment(
        name=environment_name(content["name"], "name"),
        description=fields.text(content.get("description", ""), "description", limit=MAX_DESCRIPTION),
        created=services().clock.now(),
        by=mark.actor,
    )
    shape = environments.create(services().wiring, made, operation=mark.operation, request=mark.request)
    response = jsonify(shape)
    response.status_code = HTTPStatus.CREATED
    response.headers["Location"] = url_for("api.get_environment", environment=made.name)
    return response


@blueprint.get(f"{ENVIRONMENT}/diff")
@requires(Role.VIEWER)
def compare_environments(environment: str) -> Response:
    """Tell how the environment `?with=` differs from this one, field by field; `?archived=true` compares all."""
    other = connection(environment_name(request.args.get("with"), "with"))
    found = environments.compare(connection(environment), other, archived=wanted("archived"))
    response = jsonify(found)
    response.set_etag(found["revision"])
    return response


@blueprint.post(f"{ENVIRONMENT}/copy")
@requires(Role.OPERATOR)
def copy_flags(environment: str) -> Response:
    """Make flags what they are in the environment `from`, in one write: those named in `flags`, or all.

    `If-Match` names the revision of this environment that the caller has seen, such as the one a dry run told.
    """
    content = body(("from", "flags", "dry_run", "reason"), required=("from",))
    mark, seen = stamp(content), seen_version()
    source = connection(environment_name(content["from"], "from"))
    target = connection(environment)
    keys: list[str] = []
    if "flags" in content:
        named = fields.list_of(content["flags"], "flags", limit=MAX_FLAGS, least=1)
        keys = [fields.text(key, f"flags[{index}]", limit=200, least=1) for index, key in enumerate(named)]
    if fields.boolean(content.get("dry_run", False), "dry_run"):
        shape = environments.plan_copy(source, target, keys)
    else:
        shape = environments.copy(source, target, keys, **asdict(mark), expected=seen)
        live_flags().note(environment, Revision.parse(shape["revision"]))
    response = jsonify(shape)
    response.set_etag(shape["revision"])
    return response
