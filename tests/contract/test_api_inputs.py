"""What hostile and mistaken clients send: a clear 4xx each time, and nothing changed."""

import json

import pytest

from controlplane.settings import MAX_BODY
from tests.apiclient import Api, services_in_memory

FLAG = {
    "key": "useYamlMessaging",
    "enabled": True,
    "variants": {"on": "yaml", "off": "json"},
    "offVariant": "off",
    "rollout": {"percentage": 0},
}


@pytest.fixture
def api():
    api = Api(services_in_memory())
    assert api.post("flags", FLAG).status_code == 201
    return api


@pytest.fixture
def unchanged(api):
    before = api.get("flags").json
    yield
    assert api.get("flags").json == before


def send(api, data, path="flags", method="POST", content_type="application/json", **options):
    return api.call(method, path, data=data, content_type=content_type, **options)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"key": "a", "key": "b"}', "appears twice"),
        (b'{"key": "a", "rollout": {"percentage": NaN}}', "NaN"),
        (b'{"key": "a", "rollout": {"percentage": 1e999}}', "number"),
        (b'{"key": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", "deep"),
        (b"[" * 60_000, "deep"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "UTF-8"),
        (b"[]", "object"),
        (b'"text"', "object"),
        (b'{"key": "\\ud800"}', ""),
        (b"1" * 10_000, ""),
    ],
)
def test_a_body_that_is_no_document_is_refused(api, unchanged, data, said):
    answer = send(api, data)
    assert (answer.status_code, answer.json["code"]) == (400, "DOCUMENT_INVALID"), answer.text
    assert said in answer.json["detail"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"offVariant": "none"}, "flags.new.offVariant"),
        ({"rollout": {"percentage": 101}}, "flags.new.rollout.percentage"),
        ({"rollout": {"percentage": -1}}, "flags.new.rollout.percentage"),
        ({"rollout": {"percentage": 0.0001}}, "flags.new.rollout.percentage"),
        ({"rollout": {"percentage": True}}, "flags.new.rollout.percentage"),
        ({"rollout": {"percentage": "50"}}, "flags.new.rollout.percentage"),
        ({"enabled": "yes"}, "flags.new.enabled"),
        ({"variants": {"on": 1}}, "flags.new.variants"),
        ({"surprise": 1}, "flags.new.surprise"),
        ({"key": ""}, "key"),
        ({"key": 7}, "key"),
        ({"key": "x" * 1_000_000}, "key"),
        ({"key": "../etc"}, "flags"),
        ({"key": "a\u202eb"}, "flags"),
        ({"reason": 5}, "reason"),
        ({"reason": "x" * 3_000}, "reason"),
        ({"description": "x" * 3_000}, "flags.new.description"),
    ],
)
def test_a_refused_document_names_the_field_and_what_would_be_right(api, unchanged, change, field):
    answer = api.post("flags", {**FLAG, "key": "new", **change})
    assert (answer.status_code, answer.json["code"], answer.json["field"]) == (400, "DOCUMENT_INVALID", field), (
        answer.text
    )
    assert len(answer.text) < 2_000


@pytest.mark.parametrize(
    ("path", "method", "body", "field"),
    [
        ("flags/useYamlMessaging", "PATCH", {"percentage": 101}, "flags.useYamlMessaging.rollout.percentage"),
        ("flags/useYamlMessaging", "PATCH", {"domains": {"a b": 1}}, "flags.useYamlMessaging.rollout.domains"),
        ("flags/useYamlMessaging", "PATCH", {"domains": [1]}, "domains"),
        ("flags/useYamlMessaging", "PATCH", {"enabled": 1}, "enabled"),
        ("flags/useYamlMessaging", "PATCH", {"what": 1}, "what"),
        ("flags/useYamlMessaging", "PATCH", {"rules": [{"serve": "on"}]}, "flags.useYamlMessaging.rules[0].if"),
        ("flags/useYamlMessaging/percentages", "PUT", {}, "default"),
        ("flags/useYamlMessaging/percentages", "PUT", {"default": 1, "domains": {"a": 101}}, "domains.a"),
        ("flags/useYamlMessaging/enable", "POST", {"percentage": 5}, "percentage"),
        ("flags/useYamlMessaging/revert", "POST", {"revision": "x"}, "revision"),
        ("flags/useYamlMessaging/revert", "POST", {"revision": 7}, "revision"),
        ("queues/collections/dead-letters/replay", "POST", {}, "ids"),
        ("queues/collections/dead-letters/replay", "POST", {"ids": []}, "ids"),
        ("queues/collections/dead-letters/replay", "POST", {"ids": [7]}, "ids[0]"),
        ("queues/collections/dead-letters/replay", "POST", {"ids": ["a"], "quarantine": 1}, "quarantine"),
        ("rollback", "POST", {"confirm": "demo"}, "reason"),
        ("rollback", "POST", {"confirm": "demo", "reason": ""}, "reason"),
        ("rollback", "POST", {"confirm": "prod", "reason": "x"}, "confirm"),
        ("rollback", "POST", {"confirm": "demo", "reason": "x", "restart": "maybe"}, "restart"),
        ("rollback", "POST", {"confirm": "demo", "reason": "x", "queues": ["purge"]}, "queues"),
        ("rollback", "POST", {"confirm": "demo", "reason": "x", "flags": 7}, "flags"),
        ("rollback", "POST", {"confirm": "demo", "reason": "x", "flags": [7]}, "flags[0]"),
        ("rollback", "POST", {"confirm": "demo", "reason": "x", "queues": "purge"}, "queues"),
    ],
)
def test_every_route_names_the_field_that_is_wrong(api, unchanged, path, method, body, field):
    answer = api.call(method, path, json=body)
    assert (answer.status_code, answer.json["code"]) == (400, "DOCUMENT_INVALID"), answer.text
    assert answer.json["field"].lstrip(".") == field


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "limit=" + "9" * 5_000, "limit=٣"])
def test_a_limit_out_of_range_is_refused(api, query):
    answer = api.get(f"flags/useYamlMessaging/history?{query}")
    assert (answer.status_code, answer.json["field"]) == (400, "limit")


def test_a_query_that_is_neither_true_nor_false_is_refused(api):
    assert api.get("flags?archived=perhaps").json["field"] == "archived"


def test_ten_megabytes_are_refused_before_they_are_read(api, unchanged):
    answer = send(api, b'{"description": "' + b"x" * 10_000_000 + b'"}')
    assert (answer.status_code, answer.json["code"]) == (413, "REQUEST_ENTITY_TOO_LARGE")


def test_a_body_of_unknown_length_is_capped_too(api, unchanged):
    import io

    stream = io.BytesIO(b" " * (MAX_BODY + 10))
    answer = api.call(
        "POST",
        "flags",
        input_stream=stream,
        content_type="application/json",
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert answer.status_code == 413


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/yaml", ""])
def test_only_json_is_taken(api, unchanged, content_type):
    answer = send(api, json.dumps({**FLAG, "key": "new"}), content_type=content_type)
    assert (answer.status_code, answer.json["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_json_with_a_charset_is_json(api):
    assert (
        send(api, json.dumps({**FLAG, "key": "new"}), content_type="application/json; charset=utf-8").status_code == 201
    )


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/nowhere", 404),
        ("GET", "/nowhere", 404),
        ("PUT", "flags", 405),
        ("DELETE", "instances", 405),
        ("GET", "rollback/none", 404),
        ("GET", "flags/%00", 404),
    ],
)
def test_what_is_not_there_is_said_in_json(api, method, path, status):
    answer = api.call(method, path)
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert set(answer.json) >= {"type", "title", "status", "code", "detail"}
    if status == 405:
        assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize(
    ("data", "field"), [(b'{"default": 0, "default": 1}', "default"), (b'{"domains": {}}', "default")]
)
def test_a_problem_names_its_field_plainly(api, unchanged, data, field):
    answer = send(api, data, "flags/useYamlMessaging/percentages", "PUT")
    assert (answer.status_code, answer.json["field"]) == (400, field)
