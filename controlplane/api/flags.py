"""Flags: list, read, create, change, archive, history, revert, release.

Every write answers with its revision, the flag as it is now (its version is the ETag) and how far the revision has got.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from flask import Response, jsonify, url_for

from controlplane import reading
from controlplane.accounts import Role
from controlplane.api.blueprint import ENVIRONMENT, blueprint
from controlplane.api.requests import Stamp, any_body, body, count, seen_version, stamp, wanted
from controlplane.auth import requires
from controlplane.context import connection, live_flags
from controlplane.shapes import Json
from flags import edits, fields, service
from flags.documents import MAX_DOMAINS, flag_document, parse_flag
from flags.errors import FlagSplit
from flags.model import Flag, Revision
from flags.percentages import percentage_of, weight_of
from flags.rules import split_document
from flags.store import FlagStore, Written
from foundation.errors import DocumentError
from rollout.release import release

FLAGS = f"{ENVIRONMENT}/flags"
FLAG = f"{FLAGS}/<path:key>"

REPLACED = (
    *("description", "variants", "offVariant", "onVariant", "prerequisites", "targets", "rules", "rollout"),
    *("stickiness", "salt", "tags", "owner", "lifetime", "expires", "metadata"),
)
"""Fields of the document that a change replaces as they stand; null or an empty text takes a field away."""
_CHANGE = (*REPLACED, "enabled", "percentage", "domains", "reason")
_KEPT_BY_US = ("hold", "archived")
"""Fields that have routes of their own."""


@blueprint.get(FLAGS)
@requires(Role.VIEWER)
def list_flags(environment: str) -> Response:
    """List the flags; `?archived=true` shows archived ones too, `?stale=true` only those that are stale."""
    found = reading.flags(connection(environment), archived=wanted("archived"), stale=wanted("stale"))
    return jsonify(found)


@blueprint.get(FLAG)
@requires(Role.VIEWER)
def get_flag(environment: str, key: str) -> Response:
    """Read one flag."""
    return _tagged(jsonify(flag := reading.flag(connection(environment), key)), flag)


@blueprint.post(FLAGS)
@requires(Role.OPERATOR)
def create_flag(environment: str) -> Response:
    """Create a flag from its document and its key; 409 where the key is taken."""
    content = dict(any_body())
    mark = stamp(content)
    content.pop("reason", None)
    key = fields.text(content.pop("key", ""), "key", limit=100, least=1)
    _refuse_ours(content)
    flag = parse_flag(key, content)
    response = _once(environment, key, mark, lambda store: service.create(store, flag, **asdict(mark)))
    response.status_code = HTTPStatus.CREATED
    response.headers["Location"] = url_for("api.get_flag", environment=environment, key=key)
    return response


@blueprint.patch(FLAG)
@requires(Role.OPERATOR)
def patch_flag(environment: str, key: str) -> Response:
    """Change what the body names: fields of the document, `enabled`, the default `percentage`, `domains` one by one.

    A field that is null goes back to what it is without being set. In `domains` a percentage sets a domain, null makes
    it follow the default again.
    """
    content = body(_CHANGE)
    return _change(environment, key, content, lambda flag: _patched(flag, content))


@blueprint.put(f"{FLAG}/percentages")
@requires(Role.OPERATOR)
def put_percentages(environment: str, key: str) -> Response:
    """Set every percentage at once: `default`, and `domains`; a domain that is not named follows the default.

    A flag with a split has no `default`: what its domains do not say, the split does.
    """
    content = body(("default", "domains", "reason"))
    default = weight_of(content["default"], "default") if "default" in content else None
    named = fields.object_of(content.get("domains", {}), "domains", limit=MAX_DOMAINS)
    domains = {fields.name(name, "domains"): weight_of(value, f"domains.{name}") for name, value in named.items()}
    return _change(environment, key, content, lambda flag: edits.set_percentages(flag, default, domains))


@blueprint.post(f"{FLAG}/enable")
@requires(Role.OPERATOR)
def enable_flag(environment: str, key: str) -> Response:
    """Enable a flag; 409 where it is on hold."""
    return _change(environment, key, body(("reason",)), edits.enable)


@blueprint.post(f"{FLAG}/disable")
@requires(Role.OPERATOR)
def disable_flag(environment: str, key: str) -> Response:
    """Disable a flag: everybody is served the off variant."""
    return _change(environment, key, body(("reason",)), edits.disable)


@blueprint.delete(FLAG)
@requires(Role.OPERATOR)
def archive_flag(environment: str, key: str) -> Response:
    """Archive a flag; its history stays, and a revert brings it back."""
    return _change(environment, key, body(("reason",)), edits.archive)


@blueprint.post(f"{FLAG}/release")
@requires(Role.OPERATOR)
def release_flag(environment: str, key: str) -> Response:
    """Take the hold of a kill off, and let the queues admit again what no other held flag bars. It stays disabled."""
    content = body(("reason",))
    mark, seen = stamp(content), seen_version()
    found = connection(environment)
    # Not by `_once`: a request that is repeated because its queues could not be reached has them to see to.
    written = release(found.store, found.queues, key, **asdict(mark), expected=seen)
    return _answer(environment, key, written)


@blueprint.post(f"{FLAG}/revert")
@requires(Role.OPERATOR)
def revert_flag(environment: str, key: str) -> Response:
    """Make a flag what it was after `revision`; without one, what it was before its last write."""
    content = body(("revision", "reason"))
    named = content.get("revision")
    revision = None if named is None else Revision.parse(fields.text(named, "revision", limit=50))
    mark = stamp(content)
    seen = seen_version()
    return _once(
        environment, key, mark, lambda store: service.revert(store, key, revision, **asdict(mark), expected=seen)
    )


@blueprint.post(f"{FLAG}/explain")
@requires(Role.VIEWER)
def explain_flag(environment: str, key: str) -> Response:
    """Evaluate a flag for a `context`, and tell every step on the way; nothing is counted or changed."""
    content = body(("context",))
    context = fields.object_of(content.get("context", {}), "context", limit=1_000)
    return jsonify(reading.explanation(connection(environment), key, context))


@blueprint.get(f"{FLAG}/history")
@requires(Role.VIEWER)
def flag_history(environment: str, key: str) -> Response:
    """List what was done to a flag, newest first; `?limit=` up to 1,000."""
    return jsonify(reading.history(connection(environment), key, limit=count("limit", 50, 1_000)))


def _change(environment: str, key: str, content: Mapping[str, Any], edit: Callable[[Flag], Flag]) -> Response:
    mark, seen = stamp(content), seen_version()
    return _once(
        environment, key, mark, lambda store: service.change(store, (key,), edit, **asdict(mark), expected=seen)
    )


def _once(environment: str, key: str, mark: Stamp, write: Callable[[FlagStore], Written]) -> Response:
    """Write, unless this very request was applied before: then answer as it was answered, whatever came in between."""
    store = connection(environment).store
    return _answer(environment, key, store.recall(mark.operation, mark.request) or write(store))


def _answer(environment: str, key: str, written: Written) -> Response:
    live_flags().note(environment, written.revision)
    document = reading.written(connection(environment), written.revision, key)
    return _tagged(jsonify(document), document["flag"])


def _tagged(response: Response, flag: Json) -> Response:
    response.set_etag(flag["version"])
    return response


def _patched(flag: Flag, content: Mapping[str, Any]) -> Flag:
    named = {name: content[name] for name in REPLACED if name in content}
    if "percentage" in content or "domains" in content:
        if "rollout" in content:
            raise DocumentError("rollout", "stands beside percentage or domains", expected="one or the other")
        named["rollout"] = _rollout(flag, content)
    document = flag_document(flag) | named
    set_fields = {name: value for name, value in document.items() if value is not None and value != ""}
    patched = parse_flag(flag.key, set_fields)
    if "enabled" not in content:
        return patched
    switch = edits.enable if fields.boolean(content["enabled"], "enabled") else edits.disable
    return switch(patched)


def _rollout(flag: Flag, content: Mapping[str, Any]) -> Json:
    rollout = flag.rollout or edits.ALL
    if rollout.split and "percentage" in content:
        raise FlagSplit(flag.key)
    domains: dict[str, Any] = {domain: percentage_of(weight) for domain, weight in rollout.domains.items()}
    for domain, percentage in fields.object_of(content.get("domains", {}), "domains").items():
        if percentage is None:
            domains.pop(domain, None)
        else:
            domains[domain] = percentage
    if rollout.split:
        return {"split": split_document(rollout.split), "domains": domains}
    return {"percentage": content.get("percentage", percentage_of(rollout.weight)), "domains": domains}


def _refuse_ours(content: Mapping[str, Any]) -> None:
    for name in _KEPT_BY_US:
        if name in content:
            raise DocumentError(name, "is not set by a client")
