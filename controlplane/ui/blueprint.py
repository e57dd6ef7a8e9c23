"""The blueprint that the pages hang their routes on, with what every template may use."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint

from controlplane.ui import words
from controlplane.ui.runs import outcome

blueprint = Blueprint("ui", __name__, static_folder="static", template_folder="templates", static_url_path="/static")

ENVIRONMENT = "/environments/<environment>"
"""Pages stand under the environment that they show, as in the API."""


@blueprint.app_template_filter("isoformat")
def _isoformat(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


for _filter in (*words.FILTERS, outcome):
    blueprint.add_app_template_filter(_filter)
