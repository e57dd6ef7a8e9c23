"""Applying a whole set of flags and segments over the API, over twins in memory and over Redis."""

import pytest

from flags import service
from flags.edits import kill
from flags.model import Hold
from tests.apiclient import Api, services_in_memory, services_over

FLAG = {"enabled": True, "variants": {"on": "yaml", "off": "json"}, "offVariant": "off"}
IN_BETA = {**FLAG, "rules": [{"if": [{"segment": "beta"}], "serve": "on"}]}
NEEDS_B = [{"flag": "b", "variants": ["on"]}]
BETA = {"if": [{"attribute": "plan", "operator": "in", "values": ["beta"]}]}


@pytest.fixture(params=["memory", "redis"])
def api(request):
    if request.param == "memory":
        return Api(services_in_memory())
    return Api(services_over(request.getfixturevalue("redis_url")))


def apply(api, body, **options):
    return api.post("apply", body, **options)


def changes(answer):
    assert answer.status_code == 200, answer.text
    return [(item["key"], item["change"]) for item in answer.json["differences"]]


def flags_of(api):
    return [flag["key"] for flag in api.get("flags").json["flags"]]


def test_flags_and_their_segments_are_made_in_one_write(api):
    answer = apply(api, {"flags": {"a": IN_BETA, "b": FLAG}, "segments": {"beta": BETA}, "reason": "git 3f2a9c"})
    assert changes(answer) == [("a", "added"), ("b", "added"), ("segment:beta", "added")]
    assert (answer.json["changed"], answer.json["dry_run"], answer.json["convergence"]["live"]) == (True, False, 0)
    assert answer.headers["ETag"] == f'"{answer.json["revision"]}"'
    versions = {api.get(path).json["version"] for path in ("flags/a", "flags/b", "segments/beta")}
    assert versions == {answer.json["revision"]}
    assert api.get("flags/a").json["changed"]["reason"] == "git 3f2a9c"


def test_what_is_so_already_is_not_written(api):
    first = apply(api, {"flags": {"a": FLAG}})
    again = apply(api, {"flags": {"a": FLAG}})
    assert (again.json["changed"], again.json["differences"]) == (False, [])
    assert again.json["revision"] == first.json["revision"]


def test_a_dry_run_tells_each_field_and_changes_nothing_and_its_tag_applies_exactly_that(api):
    apply(api, {"flags": {"a": FLAG}})
    wanted = {"flags": {"a": {**FLAG, "enabled": False}}}
    told = apply(api, {**wanted, "dry_run": True})
    assert told.json["differences"] == [
        {"key": "a", "change": "changed", "fields": [{"path": "enabled", "before": True, "after": False}]}
    ]
    assert told.json["dry_run"] is True
    assert api.get("flags/a").json["enabled"] is True
    tag = {"If-Match": told.headers["ETag"]}
    api.post("flags", {**FLAG, "key": "b"})
    for body in (wanted, {**wanted, "dry_run": True}):
        refused = apply(api, body, headers=tag)
        assert (refused.status_code, refused.json["code"]) == (412, "REVISION_CONFLICT")
    told = apply(api, {**wanted, "dry_run": True})
    assert apply(api, wanted, headers={"If-Match": told.headers["ETag"]}).json["changed"] is True


def test_others_are_left_alone_and_pruned_only_when_asked(api):
    apply(api, {"flags": {"a": FLAG, "b": FLAG}, "segments": {"beta": BETA}})
    assert changes(apply(api, {"flags": {"a": FLAG}})) == []
    pruned = apply(api, {"flags": {"a": FLAG}, "prune": True})
    assert changes(pruned) == [("b", "removed"), ("segment:beta", "removed")]
    assert flags_of(api) == ["a"]
    assert api.get("flags/b").json["archived"] is True
    assert changes(apply(api, {"flags": {"a": FLAG}, "prune": True})) == []
    assert changes(apply(api, {"flags": {"b": FLAG}})) == [("b", "added")]


def test_what_is_still_referred_to_is_not_pruned(api):
    apply(api, {"flags": {"a": IN_BETA}, "segments": {"beta": BETA}})
    refused = apply(api, {"flags": {"a": IN_BETA}, "prune": True})
    assert (refused.status_code, refused.json["field"]) == (400, "flags.a.rules[0].if[0].segment")
    assert api.get("segments/beta").json["archived"] is False


def test_a_flag_on_hold_is_not_enabled_and_nothing_else_is_applied_either(api):
    apply(api, {"flags": {"a": FLAG}})
    service.change(api.connection.store, ["a"], lambda flag: kill(flag, Hold("oncall", "slow")), actor="oncall")
    for body in ({}, {"dry_run": True}):
        refused = apply(api, {"flags": {"a": FLAG, "b": FLAG}, **body})
        assert (refused.status_code, refused.json["code"]) == (409, "FLAG_HELD")
    assert flags_of(api) == ["a"]
    assert changes(apply(api, {"flags": {"a": {**FLAG, "enabled": False, "owner": "x"}}})) == [("a", "changed")]
    assert api.get("flags/a").json["hold"]["by"] == "oncall"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "flags"),
        ({"prune": True}, "flags"),
        ({"flags": [], "prune": True}, "flags"),
        ({"flags": {"a": {**FLAG, "offVariant": "x"}}}, "flags.a.offVariant"),
        ({"flags": {"a": FLAG}, "segments": {"beta": {"if": 1}}}, "segments.beta.if"),
        ({"flags": {"a": IN_BETA}}, "flags.a.rules[0].if[0].segment"),
        (
            {"flags": {"a": {**FLAG, "prerequisites": NEEDS_B}}},
            "flags.a.prerequisites[0].flag",
        ),
        ({"flags": {}, "prune": "yes"}, "prune"),
        ({"flags": {}, "dry_run": 1}, "dry_run"),
        ({"flags": {}, "force": True}, "force"),
    ],
)
def test_what_is_wrong_is_told_by_its_field_and_nothing_is_applied(api, body, field):
    api.post("flags", {**FLAG, "key": "kept"})
    refused = apply(api, body)
    assert (refused.status_code, refused.json["code"], refused.json["field"]) == (400, "DOCUMENT_INVALID", field)
    assert flags_of(api) == ["kept"]


def test_an_apply_that_is_sent_again_is_answered_as_it_was_and_not_done_again(api):
    body, key = {"flags": {"a": FLAG}, "prune": True}, {"Idempotency-Key": "op-1"}
    api.post("flags", {**FLAG, "key": "old"})
    first = apply(api, body, headers=key)
    api.call("PATCH", "flags/a", json={"enabled": False})
    again = apply(api, body, headers=key)
    assert again.json["revision"] == first.json["revision"]
    assert again.json["differences"] == first.json["differences"]
    assert changes(again) == [("a", "added"), ("old", "removed")]
    assert api.get("flags/a").json["enabled"] is False
    other = apply(api, {"flags": {"b": FLAG}}, headers=key)
    assert (other.status_code, other.json["code"]) == (422, "IDEMPOTENCY_MISMATCH")
