"""The blueprint that the API's modules hang their routes on."""

from __future__ import annotations

from flask import Blueprint

blueprint = Blueprint("api", __name__)
ENVIRONMENTS = "/api/v1/environments"
ENVIRONMENT = f"{ENVIRONMENTS}/<environment>"
