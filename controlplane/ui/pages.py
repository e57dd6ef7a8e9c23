"""Renders a page in its frame: navigation, environment, who is signed in, how the workers stand.

The one place that calls `render_template`; views hand it what is special to their page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response, g, make_response, render_template, request

from controlplane import reading
from controlplane.accounts import Principal, Role
from controlplane.auth import current
from controlplane.context import services
from controlplane.origins import stream_origin
from controlplane.ui.words import names, plural

THEMES = ("system", "light", "dark")
THEME_COOKIE = "signalbox_theme"


@dataclass(frozen=True, slots=True)
class Place:
    """A page in the navigation; `name` is what the page calls itself, `count` a figure beside it."""

    name: str
    title: str
    endpoint: str
    count: int | None = None


def page(template: str, here: str = "", *, status: int = 200, **values: Any) -> Response:
    """Render a page that somebody signed in looks at."""
    live = values.pop("live", None) or reading.instances(g.connection)
    places = (
        Place("flags", "Flags", "ui.flags"),
        Place("instances", "Instances", "ui.instances", len(live["instances"])),
        Place("queues", "Queues", "ui.queues"),
        Place("environments", "Environments", "ui.environments"),
    )
    environments = [environment.name for environment in services().wiring.listed()]
    shell = {"revision": live["revision"], "unmeasured": live["unmeasured"], **_standing(live["instances"])}
    frame = {"here": here, "places": places, "shell": shell, "environments": environments}
    return _render(template, status, current(), {**frame, **values})


def bare_page(template: str, *, status: int = 200, **values: Any) -> Response:
    """Render a page outside the frame: signing in, or a fault of which nothing more can be told."""
    return _render(template, status, None, values)


def _render(template: str, status: int, principal: Principal | None, values: Mapping[str, Any]) -> Response:
    settings = services().settings
    environment = g.get("environment", settings.environment)
    api = f"/api/v1/environments/{environment}"
    common = {
        "environment": environment,
        "environments": (environment,),
        "production": environment.startswith("prod"),
        "user": principal and {"name": principal.name, "role": principal.role.name.lower() if principal.role else ""},
        "may_write": bool(principal and principal.may(Role.OPERATOR)),
        "csrf": principal.csrf if principal else "",
        "api": api,
        "stream": f"{stream_origin(settings)}{api}/events",
        "now": services().clock.now(),
        "notices": (),
        **_themes(),
    }
    return make_response(render_template(template, **{**common, **values}), status)


def _themes() -> Mapping[str, str]:
    theme = request.cookies.get(THEME_COOKIE, "")
    theme = theme if theme in THEMES else THEMES[0]
    return {"theme": theme, "next_theme": THEMES[(THEMES.index(theme) + 1) % len(THEMES)]}


def _standing(instances: Sequence[Mapping[str, Any]]) -> Mapping[str, str]:
    behind = [each["slot"] for each in instances if not each["in_sync"]]
    if not instances:
        return {"tone": "caution", "words": "no live worker", "title": ""}
    noun = "worker" if all(each["kind"] == "worker" for each in instances) else "instance"
    return {
        "tone": "caution" if behind else "clear",
        "words": f"{len(instances) - len(behind)} of {plural(len(instances), noun)} in sync",
        "title": f"behind: {names(behind, 8)}" if behind else "",
    }
