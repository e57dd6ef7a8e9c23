"""The page of instances: who is live, by domain, with the revision each has and what each writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, g

from controlplane import reading
from controlplane.accounts import Role
from controlplane.auth import requires
from controlplane.ui.blueprint import ENVIRONMENT, blueprint
from controlplane.ui.pages import page

NOTHING: Mapping[str, Any] = {"sent": {}, "rate": 0.0, "latency_p50": 0.0, "latency_p95": 0.0, "errors": 0}
"""The traffic of somebody who has reported none."""

BLANK = {
    "id": "",
    "slot": "",
    "host": "",
    "pid": "",
    "in_sync": True,
    "acknowledged": "0-0",
    "behind": 0,
    "traffic": NOTHING,
}
BLANK_GROUP = {"domain": "", "title": "", "instances": [], "traffic": NOTHING}
"""What scripts copy and fill for rows that the server has not written."""


@blueprint.get(f"{ENVIRONMENT}/instances")
@requires(Role.VIEWER)
def instances() -> Response:
    """Show every live instance; scripts keep the page true from then on."""
    live = reading.instances(g.connection)
    names = sorted({each["domain"] for each in live["instances"]})
    groups = [_group(name, live) for name in names]
    shown = {"groups": groups, "flows": live["flows"], "blank": BLANK, "blank_group": BLANK_GROUP}
    return page("instances.html", "instances", live=live, **shown)


def _group(domain: str, live: Mapping[str, Any]) -> dict[str, Any]:
    here = [{**each, "traffic": each["traffic"] or NOTHING} for each in live["instances"] if each["domain"] == domain]
    traffic = next((each for each in live["domains"] if each["domain"] == domain), NOTHING)
    return {"domain": domain, "title": domain or "clients", "instances": here, "traffic": traffic}
