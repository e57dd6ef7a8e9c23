"""Reading what a client sent: its JSON body, the revision it has seen, and the name of its operation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import request
from werkzeug.exceptions import UnsupportedMediaType

from controlplane import auth
from controlplane.errors import RequestInvalid
from controlplane.settings import MAX_BODY
from flags import fields
from flags.model import Revision
from foundation.canonical import digest
from foundation.documents import Limits, read_json
from foundation.errors import DocumentError, shorten
from foundation.ids import new_id

LIMITS = Limits(max_bytes=MAX_BODY)
MAX_REASON = 2_000
_OPERATION = re.compile(r"[!-~]{1,200}")


@dataclass(frozen=True, slots=True)
class Stamp:
    """How a write goes into the history: who, why, and the operation and request that make a repeat harmless."""

    actor: str
    reason: str
    operation: str
    request: str


def body(known: tuple[str, ...], *, required: tuple[str, ...] = ()) -> Mapping[str, Any]:
    """Read the body: a JSON object of known fields; no body at all is an empty object.

    Raises:
        DocumentError: it is not, or holds a field that this route does not know.
        UnsupportedMediaType: it says that it is something else than JSON.
    """
    return fields.fields(any_body(), "", known, required)


def any_body() -> Mapping[str, Any]:
    """Read the body: a JSON object of any fields; raises as `body` does."""
    data = request.get_data(cache=False)
    if not data:
        return {}
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("send JSON, with the header Content-Type: application/json")
    return fields.object_of(read_json(data, LIMITS), "")


def stamp(content: Mapping[str, Any], prefix: str = "op") -> Stamp:
    """Read who writes and why, and the header Idempotency-Key; without one the operation gets a name of its own."""
    reason = fields.text(content.get("reason", ""), "reason", limit=MAX_REASON)
    operation = request.headers.get("Idempotency-Key")
    if operation is not None and not _OPERATION.fullmatch(operation):
        raise RequestInvalid("Idempotency-Key: expected 1 to 200 visible ASCII characters")
    asked = digest({"method": request.method, "path": request.path, "body": dict(content)})
    return Stamp(auth.current().name, reason, operation or new_id(prefix), asked)


def seen_version() -> Revision | None:
    """Read the header If-Match: the version of the flag that the client has seen; None where it does not say.

    A weak tag counts like the strong one: proxies that compress an answer weaken its tag, and it names the version yet.

    Raises:
        RequestInvalid: it names no version or several.
    """
    tags = request.if_match
    if "If-Match" not in request.headers or tags.star_tag:
        return None
    named = tags.as_set(include_weak=True)
    try:
        (only,) = named
        return Revision.parse(only)
    except (ValueError, DocumentError) as error:
        held = shorten(request.headers["If-Match"])
        raise RequestInvalid(f'If-Match: expected one ETag, as in "1700000000000000-42", found {held}') from error


def count(name: str, default: int, most: int) -> int:
    """Read a query parameter that is a whole number from 1 to `most`; raises DocumentError."""
    text = request.args.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:10]) <= most):
        raise DocumentError(name, "is out of range", value=text, expected=f"a whole number from 1 to {most}")
    return int(text)


def wanted(name: str, *, default: bool = False) -> bool:
    """Read a query parameter that is true or false; raises DocumentError."""
    text = request.args.get(name)
    if text not in {None, "true", "false"}:
        raise DocumentError(name, "is neither true nor false", value=text)
    return default if text is None else text == "true"
