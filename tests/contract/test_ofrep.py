"""OFREP as it goes over the wire: what each status says, and that 304 is only said where it is true."""

import json
import re
from urllib.parse import parse_qs, urlsplit

import pytest

from controlplane.account_stores import MemoryAccountStore
from controlplane.context import live_flags
from controlplane.ratelimit import BURST
from controlplane.serving import hub_of
from controlplane.streams import create_streams
from controlplane.tickets import WINDOW
from flags import edits, service
from flags.documents import parse_flag
from foundation.errors import StoreUnreachable
from tests.apiclient import Api, services_in_memory, services_over
from tests.support import eventually

EVALUATE = "/ofrep/v1/evaluate/flags"
FLAGS = {
    "on-or-off": {"variants": {"on": True, "off": False}},
    "text": {"variants": {"on": "yaml", "off": "json"}},
    "whole": {"variants": {"on": 7, "off": 0}},
    "parts": {"variants": {"on": 1, "off": 0.5}},
    "object": {"variants": {"on": {"a": [1, None]}, "off": {}}},
    "list": {"variants": {"on": [1, 2], "off": []}},
    "ns/flag": {"variants": {"on": "nested", "off": "flat"}},
    "half": {"variants": {"on": "yes", "off": "no"}, "rollout": {"percentage": 50}},
}


def flag(key, **fields):
    return parse_flag(key, {"enabled": True, "offVariant": "off", **FLAGS.get(key, FLAGS["text"]), **fields})


@pytest.fixture(params=["memory", "redis"])
def api(request):
    if request.param == "memory":
        api = Api(services_in_memory(stream_url="http://localhost:8081"))
    else:
        api = Api(services_over(request.getfixturevalue("redis_url"), stream_url="http://localhost:8081"))
    for key in FLAGS:
        service.create(api.connection.store, flag(key), actor="test")
    yield api
    live_flags(api.app).close()


def evaluate(api, key, targeting_key="user-1", **options):
    options.setdefault("scope", "sdk")
    body = {"context": {"targetingKey": targeting_key}} if targeting_key else {}
    return api.post(f"{EVALUATE}/{key}", body, **options)


def evaluate_all(api, targeting_key="user-1", **options):
    options.setdefault("scope", "sdk")
    return api.post(EVALUATE, {"context": {"targetingKey": targeting_key}}, **options)


def event_stream(answer):
    (stream,) = answer.json["eventStreams"]
    return stream


# One flag


@pytest.mark.parametrize(
    ("key", "written"),
    [
        ("on-or-off", "true"),
        ("text", '"yaml"'),
        ("whole", "7"),
        ("parts", "1.0"),
        ("object", '{"a":[1,null]}'),
        ("list", "[1,2]"),
        ("ns/flag", '"nested"'),
        ("ns%2Fflag", '"nested"'),
    ],
)
def test_a_flag_of_every_type_is_answered_with_its_variant_and_reason(api, key, written):
    answer = evaluate(api, key)
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    expected = {"key": key.replace("%2F", "/"), "reason": "STATIC", "variant": "on", "metadata": {}}
    assert answer.json == {**expected, "value": json.loads(written)}
    assert f'"value":{written}' in answer.text


@pytest.mark.parametrize("key", ["missing", "ns/missing", "ns%2Fmissing", "ns//flag", "on-or-off/", "ünknown", "a b"])
def test_a_flag_that_is_not_there_is_404_in_json_whatever_its_key(api, key):
    answer = evaluate(api, key)
    assert (answer.status_code, answer.mimetype) == (404, "application/json")
    assert answer.json["errorCode"] == "FLAG_NOT_FOUND"
    assert answer.json["key"] == key.replace("%2F", "/")
    assert answer.json["metadata"] == {}


def test_an_archived_flag_is_not_there(api):
    service.change(api.connection.store, ("text",), edits.archive, actor="test")
    eventually(lambda: evaluate(api, "text").status_code == 404)
    assert "text" not in [found["key"] for found in evaluate_all(api).json["flags"]]


def test_a_disabled_flag_serves_its_off_variant(api):
    service.change(api.connection.store, ("text",), edits.disable, actor="test")
    answer = eventually(lambda: (found := evaluate(api, "text").json)["value"] == "json" and found)
    assert (answer["variant"], answer["reason"]) == ("off", "DISABLED")


def test_a_flag_that_splits_needs_a_targeting_key(api):
    answer = evaluate(api, "half", targeting_key=None)
    assert (answer.status_code, answer.json["errorCode"]) == (400, "TARGETING_KEY_MISSING")
    assert "targetingKey" in answer.json["errorDetails"]
    assert (answer.json["key"], answer.json["metadata"]) == ("half", {})
    assert "value" not in answer.json
    assert evaluate(api, "half").json["reason"] == "SPLIT"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "PARSE_ERROR"),
        (b"[]", "PARSE_ERROR"),
        (b"\xff", "PARSE_ERROR"),
        (b'{"context": {}, "context": {}}', "PARSE_ERROR"),
        (b"[" * 100_000, "PARSE_ERROR"),
        (b'{"context": []}', "INVALID_CONTEXT"),
        (b'{"context": null}', "INVALID_CONTEXT"),
        (b'{"context": {"targetingKey": 7}}', "INVALID_CONTEXT"),
    ],
)
@pytest.mark.parametrize("path", [EVALUATE, f"{EVALUATE}/text"])
def test_a_body_that_will_not_do_is_400_with_the_reason(api, path, body, code):
    answer = api.call("POST", path, data=body, content_type="application/json", scope="sdk")
    assert (answer.status_code, answer.json["errorCode"]) == (400, code)
    assert answer.json["errorDetails"]
    assert answer.json["metadata"] == {}


def test_a_body_that_is_too_large_is_refused_before_it_is_parsed(api):
    body = b'{"context": {"targetingKey": "%s"}}' % (b"x" * 1_100_000)
    answer = api.call("POST", EVALUATE, data=body, content_type="application/json", scope="sdk")
    assert (answer.status_code, answer.json["errorCode"]) == (413, "GENERAL")


def test_no_body_is_an_empty_context(api):
    answer = api.call("POST", f"{EVALUATE}/text", scope="sdk")
    assert (answer.status_code, answer.json["value"]) == (200, "yaml")


# Who may


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer sb_sdk_x_y"}, {"X-API-Key": "sb_sdk_x_y"}])
def test_without_a_good_token_the_answer_is_401_in_json(api, headers):
    answer = evaluate(api, "text", scope=None, headers=headers)
    assert (answer.status_code, answer.mimetype) == (401, "application/json")
    assert (answer.json["errorCode"], answer.json["metadata"]) == ("GENERAL", {})
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_token_may_come_in_either_header(api):
    for headers in ({"Authorization": f"Bearer {api.tokens['sdk']}"}, {"X-API-Key": api.tokens["sdk"]}):
        assert evaluate(api, "text", scope=None, headers=headers).status_code == 200


@pytest.mark.parametrize("scope", ["sdk", "viewer", "operator", "admin"])
def test_every_scope_may_evaluate(api, scope):
    assert evaluate(api, "text", scope=scope).status_code == 200


def test_a_session_from_another_site_is_403_in_json(api):
    answer = evaluate(api, "text", scope=None, headers={"Origin": "https://elsewhere.example"})
    assert (answer.status_code, answer.json["errorCode"]) == (403, "GENERAL")


def test_who_was_let_in_before_is_served_while_the_store_is_gone(monkeypatch):
    api = Api(services_in_memory())
    service.create(api.connection.store, flag("text"), actor="test")
    assert evaluate(api, "text").status_code == 200

    def gone(*_):
        raise StoreUnreachable("no answer")

    monkeypatch.setattr(MemoryAccountStore, "token", gone)
    api.services.clock.advance(60)
    assert evaluate(api, "text").json["value"] == "yaml"
    stranger = evaluate(api, "text", scope="viewer")
    assert (stranger.status_code, stranger.json["errorCode"]) == (500, "GENERAL")
    api.services.clock.advance(3600)
    assert evaluate(api, "text").status_code == 500
    live_flags(api.app).close()


# Every flag


def test_all_flags_come_at_once_those_that_failed_among_them(api):
    answer = api.post(EVALUATE, {}, scope="sdk")
    assert answer.status_code == 200
    flags = {found["key"]: found for found in answer.json["flags"]}
    assert set(flags) == set(FLAGS)
    assert flags["half"] == {
        "key": "half",
        "errorCode": "TARGETING_KEY_MISSING",
        "errorDetails": flags["half"]["errorDetails"],
        "metadata": {},
    }
    assert flags["parts"]["value"] == 1.0
    assert '"value":null' not in answer.text


def test_what_has_not_changed_is_304(api):
    first = evaluate_all(api)
    assert re.fullmatch(r'"[0-9a-f]{64}"', first.headers["ETag"])
    for tag in (first.headers["ETag"], f"W/{first.headers['ETag']}", f'"other", {first.headers["ETag"]}'):
        again = evaluate_all(api, headers={"If-None-Match": tag})
        assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert evaluate_all(api, headers={"If-None-Match": '"other"'}).status_code == 200


def test_another_context_or_a_change_is_never_304(api):
    tag = {"If-None-Match": evaluate_all(api).headers["ETag"]}
    key = next(f"u{number}" for number in range(100) if evaluate(api, "half", f"u{number}").json != here(api))
    assert evaluate_all(api, key, headers=tag).status_code == 200
    service.change(api.connection.store, ("text",), edits.disable, actor="test")
    eventually(lambda: evaluate_all(api, headers=tag).status_code == 200)


def here(api):
    return evaluate(api, "half").json


def test_a_change_that_changes_nothing_for_this_context_is_304(api):
    tag = {"If-None-Match": evaluate_all(api).headers["ETag"]}
    written = service.change(api.connection.store, ("text",), described, actor="test")
    told = evaluate_all(api, headers=tag, query_string={"flagConfigEtag": str(written.revision)})
    assert told.status_code == 304


def described(found):
    return parse_flag(found.key, {**FLAGS["text"], "enabled": True, "offVariant": "off", "description": "new"})


def test_what_this_server_wrote_it_evaluates_from_then_on(api):
    assert evaluate(api, "text").json["value"] == "yaml"
    for path, value in [("disable", "json"), ("enable", "yaml")] * 10:
        assert api.post(f"flags/text/{path}").status_code == 200
        assert evaluate(api, "text").json["value"] == value


def test_who_was_told_of_a_revision_is_not_answered_with_what_was_before(api):
    for edit, value in [(edits.disable, "json"), (edits.enable, "yaml")] * 10:
        written = service.change(api.connection.store, ("text",), edit, actor="elsewhere")
        told = evaluate_all(api, query_string={"flagConfigEtag": str(written.revision)})
        assert next(found["value"] for found in told.json["flags"] if found["key"] == "text") == value


@pytest.mark.parametrize("told", ["nonsense", "1-1", ""])
def test_a_revision_that_is_gone_or_is_none_is_no_reason_not_to_answer(api, monkeypatch, told):
    monkeypatch.setattr("controlplane.liveflags.CATCH_UP", 0.01)
    assert evaluate_all(api, query_string={"flagConfigEtag": told}).status_code == 200


def test_a_revision_that_does_not_come_is_an_error_and_no_old_answer(api, monkeypatch):
    monkeypatch.setattr("controlplane.liveflags.CATCH_UP", 0.01)
    revision = api.connection.store.snapshot().revision
    ahead = f"{revision.epoch}-{revision.rev + 1}"
    answer = evaluate_all(api, query_string={"flagConfigEtag": ahead})
    assert (answer.status_code, answer.json["errorCode"]) == (500, "GENERAL")
    assert int(answer.headers["Retry-After"]) >= 1


def test_flags_that_were_never_read_are_an_error_in_json(monkeypatch):
    monkeypatch.setattr("controlplane.liveflags.FIRST_SNAPSHOT", 0.01)
    api = Api(services_in_memory())
    monkeypatch.setattr(api.connection, "source", Silent)
    answer = evaluate(api, "text")
    assert (answer.status_code, answer.json["errorCode"], answer.json["key"]) == (500, "GENERAL", "text")


class Silent:
    heartbeat, lease = 1.0, float("inf")

    def run(self, feed, instance, stop):
        stop.wait()

    def close(self):
        pass


def test_a_fault_of_ours_is_500_in_json(api, monkeypatch):
    monkeypatch.setattr("controlplane.ofrep.answers.of_flag", lambda *_: 1 / 0)
    api.app.testing = False
    answer = evaluate(api, "text")
    assert (answer.status_code, answer.json["errorCode"], answer.json["metadata"]) == (500, "GENERAL", {})
    assert "division" not in answer.text


# Environments


def test_every_environment_is_served_below_its_own_address(api):
    answer = api.post("/api/v1/environments/demo/ofrep/v1/evaluate/flags/text", {}, scope="sdk")
    assert (answer.status_code, answer.json["value"]) == (200, "yaml")
    answer = api.post("/api/v1/environments/demo/ofrep/v1/evaluate/flags", {}, scope="sdk")
    assert len(answer.json["flags"]) == len(FLAGS)


def test_an_environment_that_is_not_there_is_404_in_the_protocols_words(api):
    answer = api.post("/api/v1/environments/other/ofrep/v1/evaluate/flags", {}, scope="sdk")
    assert (answer.status_code, answer.json["errorCode"]) == (404, "GENERAL")


# Other origins


def test_a_page_of_any_origin_may_ask_and_read(api):
    origin = {"Origin": "https://app.example"}
    asked = {**origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    for path in (EVALUATE, f"{EVALUATE}/ns/flag", f"/api/v1/environments/demo{EVALUATE}"):
        preflight = api.call("OPTIONS", path, scope=None, headers=asked)
        assert preflight.status_code == 204
        assert preflight.headers["Access-Control-Allow-Origin"] == "*"
        assert preflight.headers["Access-Control-Allow-Methods"] == "POST"
        allowed = preflight.headers["Access-Control-Allow-Headers"].lower().split(", ")
        assert {"authorization", "content-type", "if-none-match", "x-api-key"} <= set(allowed)
    for answer in (evaluate_all(api, headers=origin), evaluate(api, "text", scope=None, headers=origin)):
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Access-Control-Expose-Headers"] == "ETag, Retry-After"
        assert "Access-Control-Allow-Credentials" not in answer.headers


# Too often


def test_who_comes_too_often_is_told_when_to_come_back(redis_url):
    api = Api(services_over(redis_url, ofrep_rate=2))
    service.create(api.connection.store, flag("text"), actor="test")
    for _ in range(int(2 * BURST)):
        assert evaluate(api, "text").status_code == 200
    refused = evaluate(api, "text")
    assert (refused.status_code, refused.json["errorCode"], refused.json["metadata"]) == (429, "GENERAL", {})
    assert refused.headers["Retry-After"] == "1"
    assert evaluate_all(api).status_code == 429
    assert evaluate(api, "text", scope="viewer").status_code == 200
    api.services.clock.advance(int(refused.headers["Retry-After"]))
    assert evaluate(api, "text").status_code == 200
    live_flags(api.app).close()


# The event stream


def test_the_answer_names_an_event_stream_that_needs_no_header(api):
    stream = event_stream(evaluate_all(api))
    assert (stream["type"], stream["inactivityDelaySec"]) == ("sse", 120)
    url = urlsplit(stream["url"])
    assert (url.scheme, url.netloc, url.path) == ("http", "localhost:8081", "/api/v1/environments/demo/ofrep/v1/events")
    assert api.tokens["sdk"] not in stream["url"]
    _, _, _, secret = api.tokens["sdk"].split("_")
    assert secret not in stream["url"]


@pytest.fixture
def streams(api):
    streams = Api(api.services, create_streams)
    streams.tokens = api.tokens
    yield streams
    hub_of(streams.app).close()


def events(answer):
    for chunk in answer.iter_encoded():
        found = dict(line.split(": ", 1) for line in chunk.decode().strip().split("\n"))
        if "data" in found:
            yield found["event"], json.loads(found["data"]), found.get("id")


def opened(api, streams, **headers):
    url = urlsplit(event_stream(evaluate_all(api))["url"])
    return streams.get(f"{url.path}?{url.query}", scope=None, headers=headers)


def test_a_stream_says_at_once_and_after_each_change_to_evaluate_again(api, streams):
    revision = str(api.connection.store.snapshot().revision)
    answer = opened(api, streams, Origin="https://app.example")
    assert (answer.status_code, answer.mimetype) == (200, "text/event-stream")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    told = events(answer)
    assert next(told) == ("message", {"type": "refetchEvaluation", "etag": revision}, revision)
    written = str(service.change(api.connection.store, ("text",), edits.disable, actor="test").revision)
    assert next(told) == ("message", {"type": "refetchEvaluation", "etag": written}, written)


def test_who_comes_back_having_missed_nothing_is_told_nothing(api, streams):
    revision = str(api.connection.store.snapshot().revision)
    next(events(opened(api, streams)))
    back = events(opened(api, streams, **{"Last-Event-ID": revision}))
    written = str(service.change(api.connection.store, ("text",), edits.disable, actor="test").revision)
    assert next(back)[2] == written
    missed = events(opened(api, streams, **{"Last-Event-ID": revision}))
    assert next(missed)[2] == written


def test_a_ticket_opens_its_own_stream_and_nothing_else(api, streams):
    query = urlsplit(event_stream(evaluate_all(api))["url"]).query
    for path in ("changes", "events"):
        assert streams.get(f"{path}?{query}", scope=None).status_code == 401
    assert api.get(f"snapshot?{query}", scope=None).status_code == 401
    assert api.post(f"{EVALUATE}?{query}", {}, scope=None).status_code == 401


@pytest.mark.parametrize(
    "forged",
    [
        lambda token_id, expires, seal: f"{token_id}.{expires}.{seal[:-1]}{'0' if seal[-1] != '0' else '1'}",
        lambda token_id, expires, seal: f"{token_id}.{int(expires) + 1}.{seal}",
        lambda token_id, expires, seal: f"other.{expires}.{seal}",
        lambda token_id, expires, seal: f"{token_id}.{expires}",
        lambda token_id, expires, seal: f"{token_id}.{expires}.ü",
        lambda token_id, expires, seal: "",
    ],
)
def test_a_forged_ticket_opens_nothing(api, streams, forged):
    url = urlsplit(event_stream(evaluate_all(api))["url"])
    (ticket,) = parse_qs(url.query)["ticket"]
    answer = streams.get(url.path, scope=None, query_string={"ticket": forged(*ticket.split("."))})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (401, "*")


def test_a_ticket_expires_and_a_new_one_makes_another_answer(api, streams):
    first = evaluate_all(api)
    url = urlsplit(event_stream(first)["url"])
    api.services.clock.advance(2 * WINDOW)
    assert streams.get(f"{url.path}?{url.query}", scope=None).status_code == 401
    again = evaluate_all(api, headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 200
    fresh = urlsplit(event_stream(again)["url"])
    assert streams.get(f"{fresh.path}?{fresh.query}", scope=None).status_code == 200
