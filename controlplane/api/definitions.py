"""Applying a whole set of flags and segments, such as a file in a repository holds, to an environment in one write."""

from __future__ import annotations

from dataclasses import asdict

from flask import Response, jsonify

from controlplane import applying
from controlplane.accounts import Role
from controlplane.api.blueprint import ENVIRONMENT, blueprint
from controlplane.api.requests import body, seen_version, stamp
from controlplane.auth import requires
from controlplane.context import connection, live_flags
from flags import fields
from flags.definitions import parse_definitions
from flags.model import Revision
from foundation.errors import DocumentError

_DEFINITIONS = ("flags", "segments")


@blueprint.post(f"{ENVIRONMENT}/apply")
@requires(Role.OPERATOR)
def apply_definitions(environment: str) -> Response:
    """Make `flags` and `segments` what they are in the body, all or none; `prune` archives what it does not name.

    `If-Match` names the revision of the environment that the caller has seen, such as the one a `dry_run` told.
    """
    content = body((*_DEFINITIONS, "prune", "dry_run", "reason"))
    mark, seen = stamp(content), seen_version()
    defined = {name: content[name] for name in _DEFINITIONS if name in content}
    if not defined:
        raise DocumentError("flags", "is missing", expected="flags, segments, or both")
    wanted = parse_definitions(defined)
    prune = fields.boolean(content.get("prune", False), "prune")
    found = connection(environment)
    if fields.boolean(content.get("dry_run", False), "dry_run"):
        shape = applying.plan(found, wanted, prune=prune, expected=seen)
    else:
        shape = applying.apply(found, wanted, **asdict(mark), prune=prune, expected=seen)
        live_flags().note(environment, Revision.parse(shape["revision"]))
    response = jsonify(shape)
    response.set_etag(shape["revision"])
    return response
