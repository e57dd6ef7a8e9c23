"""The playground of a flag: a context goes in, and out comes each step to what the flag serves; without scripts too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flask import Response, g, request

from controlplane import reading, segments
from controlplane.accounts import Role
from controlplane.auth import requires
from controlplane.problems import status_of
from controlplane.ui.blueprint import ENVIRONMENT, blueprint
from controlplane.ui.playground import example
from controlplane.ui.views.flags import show_flag
from flags import fields
from foundation.documents import read_json
from foundation.errors import DocumentError

PLAYGROUND = f"{ENVIRONMENT}/flags/<path:key>/explain"


@blueprint.get(PLAYGROUND)
@requires(Role.VIEWER)
def playground(key: str) -> Response:
    """Show a form with a context that names what the flag asks about."""
    found = reading.flag(g.connection, key)
    context = example(found, segments.documents(g.connection))
    return _show(key, text=json.dumps(context, indent=2, ensure_ascii=False))


@blueprint.post(PLAYGROUND, endpoint="explain")
@requires(Role.VIEWER)
def explain_flag(key: str) -> Response:
    """Evaluate the flag for the context in the form, and show the steps; nothing is counted or changed."""
    text = request.form.get("context", "")
    try:
        context = fields.object_of(read_json(text) if text.strip() else {}, "context")
    except DocumentError as error:
        return _show(key, text=text, problem=str(error), status=status_of(error))
    return _show(key, text=text, told=reading.explanation(g.connection, key, context))


def _show(key: str, *, status: int = 200, **values: Any) -> Response:
    shown: Mapping[str, Any] = {"told": None, "problem": "", **values}
    return show_flag(key, "playground", shown, status=status)
