"""The segments API, over twins in memory and over Redis."""

import pytest

from tests.apiclient import Api, services_in_memory, services_over

BETA = {"if": [{"attribute": "plan", "operator": "in", "values": ["beta"]}]}
STAFF = [{"attribute": "email", "operator": "ends_with", "values": ["@example.com"], "negate": True}]
FLAG = {
    "key": "a",
    "enabled": True,
    "variants": {"on": "yaml", "off": "json"},
    "offVariant": "off",
    "rules": [{"if": [{"segment": "beta"}], "serve": "on"}],
}


@pytest.fixture(params=["memory", "redis"])
def api(request):
    if request.param == "memory":
        return Api(services_in_memory())
    return Api(services_over(request.getfixturevalue("redis_url")))


@pytest.fixture
def segment(api):
    created = api.post("segments", {"key": "beta", **BETA, "reason": "pilot"}, scope="operator")
    assert created.status_code == 201, created.text
    return created.json["segment"]


def code(answer):
    return answer.status_code, answer.json["code"]


def test_a_created_segment_is_listed_with_the_flags_that_refer_to_it(api, segment):
    created = api.post("segments", {"key": "staff", "description": "ours", "if": STAFF})
    assert created.headers["Location"].endswith("/segments/staff")
    assert created.headers["ETag"] == f'"{created.json["segment"]["version"]}"'
    api.post("flags", FLAG)
    listed = api.get("segments", scope="viewer").json
    assert [(each["key"], each["flags"], each["archived"]) for each in listed["segments"]] == [
        ("beta", ["a"], False),
        ("staff", [], False),
    ]
    assert (listed["segments"][0]["if"], listed["segments"][1]["if"]) == (BETA["if"], STAFF)
    changed = api.get("segments/beta").json["changed"]
    assert (changed["by"], changed["reason"]) == ("token:operator", "pilot")


def test_a_key_that_is_taken_and_one_that_is_unknown_are_told(api, segment):
    assert code(api.post("segments", {"key": "beta", **BETA})) == (409, "SEGMENT_EXISTS")
    for answer in (
        api.get("segments/none"),
        api.call("PATCH", "segments/none", json={"description": "x"}),
        api.call("DELETE", "segments/none"),
        api.get("segments/none/history"),
    ):
        assert code(answer) == (404, "SEGMENT_NOT_FOUND")


def test_a_patch_changes_what_it_names_and_a_put_all(api, segment):
    patched = api.call("PATCH", "segments/beta", json={"description": "testers", "reason": "said"})
    assert patched.json["segment"]["description"] == "testers"
    assert patched.json["segment"]["if"] == BETA["if"]
    put = api.call("PUT", "segments/beta", json={"if": STAFF})
    assert (put.json["segment"]["description"], put.json["segment"]["if"]) == ("", STAFF)
    entries = api.get("segments/beta/history").json["entries"]
    assert [entry["summary"] for entry in entries] == [
        "description changed, clauses changed",
        "description changed",
        "created",
    ]


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "segments.beta.if"),
        ({"if": []}, "segments.beta.if"),
        ({"if": [{"segment": "other"}]}, "segments.beta.if[0].segment"),
        ({"if": [{"attribute": "a", "operator": "is", "values": [1]}]}, "segments.beta.if[0].operator"),
        ({**BETA, "archived": True}, "archived"),
        ({**BETA, "serve": "on"}, "serve"),
    ],
)
def test_a_document_that_is_wrong_is_told_where(api, segment, document, field):
    answer = api.call("PUT", "segments/beta", json=document)
    assert (*code(answer), answer.json["field"]) == (400, "DOCUMENT_INVALID", field)
    assert api.get("segments/beta").json["version"] == segment["version"]


def test_a_segment_is_put_away_only_once_no_flag_refers_to_it_and_a_put_brings_it_back(api, segment):
    api.post("flags", FLAG)
    refused = api.call("DELETE", "segments/beta")
    assert (*code(refused), refused.json["field"]) == (400, "DOCUMENT_INVALID", "flags.a.rules[0].if[0].segment")
    api.call("DELETE", "flags/a")
    assert api.call("DELETE", "segments/beta", json={"reason": "over"}).json["segment"]["archived"] is True
    assert api.get("segments").json["segments"] == []
    assert [each["key"] for each in api.get("segments?archived=true").json["segments"]] == ["beta"]
    assert api.call("PATCH", "segments/beta", json={"description": "x"}).json["segment"]["archived"] is True
    assert api.call("PUT", "segments/beta", json=BETA).json["segment"]["archived"] is False


def test_a_stale_if_match_changes_nothing_and_a_repeated_operation_is_done_once(api, segment):
    tag, key = {"If-Match": api.get("segments/beta").headers["ETag"]}, {"Idempotency-Key": "op-1"}
    first = api.call("PATCH", "segments/beta", json={"description": "x"}, headers={**tag, **key})
    again = api.call("PATCH", "segments/beta", json={"description": "x"}, headers={**tag, **key})
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json["revision"] == again.json["revision"]
    stale = api.call("PATCH", "segments/beta", json={"description": "y"}, headers=tag)
    assert code(stale) == (412, "REVISION_CONFLICT")
    other = api.call("PATCH", "segments/beta", json={"description": "z"}, headers=key)
    assert code(other) == (422, "IDEMPOTENCY_MISMATCH")
    assert api.get("segments/beta").json["description"] == "x"
