"""The pages of flags: the list, one flag with its line diagram, its history, its settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response, abort, g, request

from controlplane import reading, segments
from controlplane.accounts import Role
from controlplane.auth import requires
from controlplane.ui.blueprint import ENVIRONMENT, blueprint
from controlplane.ui.pages import page
from controlplane.ui.tracks import measure, tracks
from controlplane.ui.words import names, plural, short
from flags.difference import field_differences
from flags.model import Revision
from foundation.documents import write_yaml

DERIVED = frozenset({"key", "version", "changed", "percentages", "hold", "archived", "last_evaluated", "stale"})
"""What the API adds to a flag's document, or what is not set by one; a file that is applied has none of it."""

TABS = ("targeting", "history", "settings")
FILTERS = ("q", "tag", "owner", "stale")
"""What the list is narrowed down by: words, a tag, an owner, whether a flag should be looked at."""


@blueprint.get(f"{ENVIRONMENT}/flags")
@requires(Role.VIEWER)
def flags() -> Response:
    """List the flags that match a search and the filters, archived ones last."""
    wanted = {name: request.args.get(name, "").strip() for name in FILTERS}
    found = [flag for flag in reading.flags(g.connection, archived=True)["flags"] if _matches(flag, wanted)]
    narrowed = {name: value for name, value in wanted.items() if value and name != "q"}
    shown = sorted(found, key=lambda flag: flag["archived"])
    return page("flags.html", "flags", flags=shown, query=wanted["q"], narrowed=narrowed)


@blueprint.get(f"{ENVIRONMENT}/flags/<path:key>")
@requires(Role.VIEWER)
def flag(key: str) -> Response:
    """Show one flag."""
    tab = request.args.get("tab", TABS[0])
    if tab not in TABS:
        abort(404)
    return flag_page(key, tab, notices=_saved(key))


def flag_page(key: str, tab: str = TABS[0], *, status: int = 200, notices: Sequence[tuple[str, str]] = ()) -> Response:
    """Render a flag's page; what came of a change stands in `notices` as pairs of tone and words."""
    found = reading.flag(g.connection, key)
    live = reading.instances(g.connection)
    special = {"targeting": _targeting, "history": _history, "settings": _settings}[tab]
    values = {"flag": found, "live": live, "notices": notices, **special(found, live)}
    return show_flag(key, tab, values, status=status)


def show_flag(key: str, tab: str, values: Mapping[str, Any], *, status: int = 200) -> Response:
    """Render a flag's page with what is special to one of its tabs."""
    found = values.get("flag") or reading.flag(g.connection, key)
    return page("flag.html", "flags", status=status, **{**values, "flag": found, "tab": tab})


def _saved(key: str) -> list[tuple[str, str]]:
    """Say how far a change has got that a form of this page has just made."""
    if "saved" not in request.args:
        return []
    revision = Revision.parse(request.args["saved"])
    told = reading.convergence(g.connection, revision, (key,))
    far = f"{told['acknowledged']} of {plural(told['live'], 'worker')} have it"
    missing = f", waiting for {names(told['missing'])}" if told["missing"] else ""
    return [("clear" if told["reached"] else "caution", f"Saved as revision {short(str(revision))} · {far}{missing}.")]


def _targeting(found: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any]:
    words = measure(found["key"])
    return {
        "tracks": tracks(found, live),
        "measure": words,
        "measured": bool(words),
        "segments": segments.documents(g.connection) if found["rules"] else {},
    }


def _history(found: Mapping[str, Any], _live: Mapping[str, Any]) -> dict[str, Any]:
    entries = reading.history(g.connection, found["key"])["entries"]
    return {"history": [_with_differences(entry) for entry in entries]}


def _with_differences(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {**entry, "differences": field_differences(entry["before"], entry["after"])}


def _settings(found: Mapping[str, Any], _live: Mapping[str, Any]) -> dict[str, Any]:
    document = {name: value for name, value in found.items() if name not in DERIVED and value not in (None, "", [], {})}
    if found["lifetime"] != "temporary":
        del document["lifetime"]
    return {"document": write_yaml({"flags": {found["key"]: document}})}


def _matches(flag: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    text = " ".join([flag["key"], flag["description"], flag["owner"], *flag["tags"]]).lower()
    return (
        all(word in text for word in wanted["q"].lower().split())
        and (not wanted["tag"] or wanted["tag"] in flag["tags"])
        and (not wanted["owner"] or wanted["owner"] == flag["owner"])
        and (not wanted["stale"] or flag["stale"] is not None)
    )
