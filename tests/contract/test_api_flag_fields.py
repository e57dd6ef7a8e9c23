"""Every field of a flag through the API: set, read back, taken away; percentages beside splits; explanations."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings

import flags
from controlplane.api.flags import REPLACED
from controlplane.shapes import flag_shape
from flags import service
from flags.definitions import parse_definitions
from flags.documents import parse_flag
from flags.edits import kill
from flags.model import Hold, Revision
from foundation.ids import new_id
from tests.apiclient import Api, services_in_memory, services_over
from tests.flag_documents import LAW, SEGMENTS, full_documents

KEY = "flags/k"
FLAG = {"key": "k", "enabled": True, "variants": {"on": "yaml", "off": "json"}, "offVariant": "off"}
SPLIT = [{"variant": "on", "percentage": 20}, {"variant": "off", "percentage": 80}]
SEGMENT = {"if": [{"attribute": "plan", "operator": "exists"}]}
OURS = ("hold", "archived")


@pytest.fixture(params=["memory", "redis"])
def api(request):
    if request.param == "memory":
        return Api(services_in_memory())
    return Api(services_over(request.getfixturevalue("redis_url")))


@pytest.fixture
def split(api):
    assert api.post("flags", {**FLAG, "rollout": {"split": SPLIT}}).status_code == 201


def patch(api, body, path=KEY):
    return api.call("PATCH", path, json=body)


def test_a_patch_takes_every_field_of_the_schema_but_those_that_have_routes_of_their_own():
    schema = json.loads((Path(flags.__file__).parent / "schema/flags.schema.json").read_text())
    known = [each.get("properties", {}) for each in schema["$defs"].values()]
    (full,) = (properties for properties in known if "prerequisites" in properties)
    assert {*REPLACED, "enabled"} == set(full) - set(OURS)


@pytest.fixture(scope="module")
def world():
    """An environment that holds the segments and the flags that made-up documents refer to."""
    api = Api(services_in_memory())
    needed = {"enabled": True, "variants": {"on": 1, "off": 0}, "offVariant": "off"}
    document = {"flags": dict.fromkeys(("other", "another"), needed), "segments": dict.fromkeys(SEGMENTS, SEGMENT)}
    service.apply(api.connection.store, parse_definitions(document), actor="test")
    return api


def fitting(document):
    """A made-up document as a client may send it, with prerequisites that the world can meet."""
    document = {name: value for name, value in document.items() if name not in OURS}
    needed = [{**each, "variants": ["on"]} for each in document.get("prerequisites", ())]
    return {**document, "prerequisites": needed}


@settings(LAW, max_examples=60)
@given(full_documents().map(fitting), full_documents().map(fitting))
def test_what_is_patched_is_read_back_field_by_field(world, before, after):
    key = new_id("k")
    created = world.post("flags", {"key": key, **before})
    assert created.status_code == 201, created.text
    patched = patch(world, {**dict.fromkeys(REPLACED), **after}, f"flags/{key}")
    assert patched.status_code == 200, patched.text
    wanted = parse_flag(key, after)
    shape = json.loads(json.dumps(flag_shape(wanted, Revision(1, 1), None)))
    for shown in (patched.json["flag"], world.get(f"flags/{key}").json):
        for field in (*REPLACED, "enabled", "percentages"):
            assert shown[field] == shape[field], field
    assert service.find(world.connection.store, key).flag == wanted


def test_what_a_read_shows_as_not_set_may_be_sent_back(api):
    shown = api.post("flags", FLAG).json["flag"]
    again = patch(api, {name: shown[name] for name in REPLACED})
    assert again.status_code == 200, again.text
    assert {**again.json["flag"], "version": 0, "changed": 0} == {**shown, "version": 0, "changed": 0}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"variants": None}, "flags.k.variants"),
        ({"expires": "2027-01-31"}, "flags.k.expires"),
        ({"lifetime": "temporary", "expires": "tomorrow"}, "flags.k.expires"),
        ({"targets": {"x": ["k"]}}, "flags.k.targets.x"),
        ({"prerequisites": [{"flag": "none", "variants": ["on"]}]}, "flags.k.prerequisites[0].flag"),
        ({"prerequisites": [{"flag": "k", "variants": ["on"]}]}, "flags.k.prerequisites[0].flag"),
        ({"rules": [{"if": [{"segment": "none"}], "serve": "on"}]}, "flags.k.rules[0].if[0].segment"),
        ({"rollout": {"split": [{"variant": "on", "percentage": 99}]}}, "flags.k.rollout.split"),
        ({"rollout": {"percentage": 5}, "percentage": 6}, "rollout"),
        ({"rollout": {"percentage": 5}, "domains": {}}, "rollout"),
        ({"owner": 1}, "flags.k.owner"),
        ({"stale": True}, "stale"),
    ],
)
def test_a_field_that_is_wrong_is_named_and_nothing_is_changed(api, body, field):
    before = api.post("flags", FLAG).json["flag"]
    refused = patch(api, body)
    assert (refused.status_code, refused.json["code"], refused.json["field"]) == (400, "DOCUMENT_INVALID", field)
    assert api.get(KEY).json == before


def test_a_circle_of_prerequisites_is_refused(api):
    needs = {"variants": ["on"]}
    api.post("flags", FLAG)
    api.post("flags", {**FLAG, "key": "b", "prerequisites": [{"flag": "k", **needs}]})
    refused = patch(api, {"prerequisites": [{"flag": "b", **needs}]})
    assert (refused.status_code, refused.json["field"]) == (400, "flags.k.prerequisites")
    assert "lead back to the flag itself" in refused.json["detail"]


def test_a_split_takes_no_default_percentage_and_keeps_its_domains_own(api, split):
    for refused in (
        patch(api, {"percentage": 5}),
        patch(api, {"percentage": 5, "domains": {"balance": 1}}),
        api.call("PUT", f"{KEY}/percentages", json={"default": 5}),
    ):
        assert (refused.status_code, refused.json["code"]) == (409, "FLAG_SPLIT")
        assert "put another rollout in the place of the split" in refused.json["detail"]
    assert patch(api, {"domains": {"balance": 50}}).json["flag"]["percentages"] == {
        "default": 20,
        "domains": {"balance": 50},
    }
    put = api.call("PUT", f"{KEY}/percentages", json={"domains": {"collections": 7}})
    assert put.json["flag"]["rollout"] == {"split": SPLIT, "domains": {"collections": 7}}
    assert patch(api, {"rollout": {"percentage": 5}}).json["flag"]["percentages"] == {"default": 5, "domains": {}}


def test_a_split_is_disabled_killed_and_put_away_like_any_other(api, split):
    assert api.post(f"{KEY}/disable").json["flag"]["enabled"] is False
    assert api.post(f"{KEY}/enable").json["flag"]["enabled"] is True
    service.change(api.connection.store, ["k"], lambda flag: kill(flag, Hold("x", "y")), actor="x")
    assert api.get(KEY).json["enabled"] is False
    assert api.call("DELETE", KEY).json["flag"]["archived"] is True


def test_without_a_split_percentages_need_their_default(api):
    api.post("flags", FLAG)
    refused = api.call("PUT", f"{KEY}/percentages", json={"domains": {}})
    assert (refused.status_code, refused.json["field"], refused.json["problem"]) == (400, "default", "is missing")


def test_an_explanation_tells_every_step_and_the_revision_it_was_made_at(api):
    rule = {"if": [{"attribute": "country", "operator": "in", "values": ["MT"]}], "serve": "off"}
    created = api.post("flags", {**FLAG, "rules": [rule], "rollout": {"percentage": 50}}).json
    told = api.post(f"{KEY}/explain", {"context": {"targetingKey": "user-1", "country": "DE"}}, scope="viewer").json
    assert told["revision"] == created["revision"]
    assert (told["variant"], told["reason"]) == (("on", "SPLIT") if told["value"] == "yaml" else ("off", "SPLIT"))
    assert [(step["question"], step["decided"]) for step in told["steps"]] == [
        ("enabled", False),
        ("rule", False),
        ("rollout", True),
    ]
    assert (told["steps"][1]["rule"], told["steps"][1]["clauses"]) == (0, [False])
    last = told["steps"][2]
    assert last["threshold"] == 50_000
    assert (last["bucket"] < 50_000) is (told["variant"] == "on")
    missing = api.post(f"{KEY}/explain", {"context": {"country": "DE"}}).json
    assert (missing["value"], missing["reason"], missing["error_code"]) == (None, "ERROR", "TARGETING_KEY_MISSING")
    assert api.get(KEY).json["version"] == created["flag"]["version"]


@pytest.mark.parametrize(
    ("body", "field"), [({"context": []}, "context"), ({"context": None}, "context"), ({"key": "x"}, "key")]
)
def test_a_context_that_is_none_is_refused(api, body, field):
    api.post("flags", FLAG)
    refused = api.post(f"{KEY}/explain", body)
    assert (refused.status_code, refused.json["field"]) == (400, field)
    unknown = api.post("flags/none/explain", {})
    assert (unknown.status_code, unknown.json["code"]) == (404, "FLAG_NOT_FOUND")
