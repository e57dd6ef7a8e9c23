"""Segments: list, read, create, change, archive, history.

Every write answers with its revision, the segment as it is now (its version is the ETag), and how far that has got.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from http import HTTPStatus
from typing import Any

from flask import Response, jsonify, url_for

from controlplane import segments
from controlplane.accounts import Role
from controlplane.api.blueprint import ENVIRONMENT, blueprint
from controlplane.api.requests import Stamp, any_body, body, count, seen_version, stamp, wanted
from controlplane.auth import requires
from controlplane.context import connection, live_flags
from controlplane.shapes import Json
from flags import fields, service
from flags.model import Segment
from flags.segments import parse_segment, segment_document
from flags.store import FlagStore, Written

SEGMENTS = f"{ENVIRONMENT}/segments"
SEGMENT = f"{SEGMENTS}/<key>"

_DOCUMENT = ("description", "if")
"""Fields of the document that a client sets; archiving has a route of its own."""


@blueprint.get(SEGMENTS)
@requires(Role.VIEWER)
def list_segments(environment: str) -> Response:
    """List the segments, each with the flags that refer to it; `?archived=true` shows archived ones too."""
    return jsonify(segments.listed(connection(environment), archived=wanted("archived")))


@blueprint.get(SEGMENT)
@requires(Role.VIEWER)
def get_segment(environment: str, key: str) -> Response:
    """Read one segment."""
    return _tagged(jsonify(segment := segments.found(connection(environment), key)), segment)


@blueprint.post(SEGMENTS)
@requires(Role.OPERATOR)
def create_segment(environment: str) -> Response:
    """Create a segment from its document and its key; 409 where the key is taken."""
    content = dict(any_body())
    mark = stamp(content)
    content.pop("reason", None)
    key = fields.text(content.pop("key", ""), "key", limit=100, least=1)
    segment = _segment(key, content)
    response = _once(environment, key, mark, lambda store: service.create(store, segment, **asdict(mark)))
    response.status_code = HTTPStatus.CREATED
    response.headers["Location"] = url_for("api.get_segment", environment=environment, key=key)
    return response


@blueprint.put(SEGMENT)
@requires(Role.OPERATOR)
def put_segment(environment: str, key: str) -> Response:
    """Put a document in the place of a segment's; one that was archived is taken out again by this."""
    content = body((*_DOCUMENT, "reason"))
    segment = _segment(key, {name: content[name] for name in _DOCUMENT if name in content})
    return _change(environment, key, content, lambda _before: segment)


@blueprint.patch(SEGMENT)
@requires(Role.OPERATOR)
def patch_segment(environment: str, key: str) -> Response:
    """Change what the body names: the description, or all clauses."""
    content = body((*_DOCUMENT, "reason"))
    named = {name: content[name] for name in _DOCUMENT if name in content}
    return _change(environment, key, content, lambda before: parse_segment(key, segment_document(before) | named))


@blueprint.delete(SEGMENT)
@requires(Role.OPERATOR)
def archive_segment(environment: str, key: str) -> Response:
    """Archive a segment; refused while a flag refers to it."""
    return _change(environment, key, body(("reason",)), lambda before: replace(before, archived=True))


@blueprint.get(f"{SEGMENT}/history")
@requires(Role.VIEWER)
def segment_history(environment: str, key: str) -> Response:
    """List what was done to a segment, newest first; `?limit=` up to 1,000."""
    return jsonify(segments.history(connection(environment), key, limit=count("limit", 50, 1_000)))


def _segment(key: str, content: Mapping[str, Any]) -> Segment:
    return parse_segment(key, fields.fields(content, "", _DOCUMENT))


def _change(environment: str, key: str, content: Mapping[str, Any], edit: Callable[[Segment], Segment]) -> Response:
    mark, seen = stamp(content), seen_version()
    return _once(
        environment, key, mark, lambda store: service.change_segment(store, key, edit, **asdict(mark), expected=seen)
    )


def _once(environment: str, key: str, mark: Stamp, write: Callable[[FlagStore], Written]) -> Response:
    """Write, unless this very request was applied before: then answer as it was answered, whatever came in between."""
    store = connection(environment).store
    done = store.recall(mark.operation, mark.request) or write(store)
    live_flags().note(environment, done.revision)
    document = segments.written(connection(environment), done.revision, key)
    return _tagged(jsonify(document), document["segment"])


def _tagged(response: Response, segment: Json) -> Response:
    response.set_etag(segment["version"])
    return response
