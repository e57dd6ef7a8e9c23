"""Reading what a client of OFREP sent: the evaluation context, and the revision that it was told of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import request

from controlplane.errors import ContextInvalid
from controlplane.settings import MAX_BODY
from flags.model import ZERO, Revision
from foundation.documents import Limits, read_json
from foundation.errors import DocumentError

LIMITS = Limits(max_bytes=MAX_BODY)
TOLD_OF = "flagConfigEtag"
"""The query parameter in which a client hands back what the event stream told it."""


def context() -> Mapping[str, Any]:
    """Read the evaluation context from the body; empty where there is none.

    Raises:
        DocumentError: the body is not a JSON object, or is too large, too deep or too long.
        ContextInvalid: its context is not an object, or the targeting key in it no text.
    """
    data = request.get_data(cache=False)
    body = read_json(data, LIMITS) if data else {}
    if not isinstance(body, Mapping):
        raise DocumentError("", "is not an object", value=body, expected='{"context": {"targetingKey": "…"}}')
    found = body.get("context", {})
    if not isinstance(found, Mapping):
        raise ContextInvalid("the context is not an object")
    if not isinstance(found.get("targetingKey", ""), str):
        raise ContextInvalid("targetingKey is not text")
    return found


def seen_revision() -> Revision:
    """Read the revision that the event stream told the client of; ZERO where it names none that we can read."""
    try:
        return Revision.parse(request.args.get(TOLD_OF, ""))
    except DocumentError:
        return ZERO
