"""Instances, queues, rollbacks, health and the environment itself, over twins in memory and over Redis."""

import json
import sys

import pytest

from controlplane import lever
from controlplane.app import create_app
from flags.instances import Instance
from flags.model import Revision
from foundation.ids import new_id
from messenger.codecs import encode
from messenger.formats import JSON, YAML
from messenger.frame import Frame
from messenger.queue import DeadLetter, Settlement
from rollout.record import Request, StepEvent, opened
from tests.apiclient import Api, services_in_memory, services_over

FLAG = {"key": "useYamlMessaging", "enabled": True, "rolloutPercentage": 0, "fallback": "json"}


@pytest.fixture(params=["memory", "redis"])
def api(request, tmp_path):
    if request.param == "memory":
        return Api(services_in_memory(data_dir=tmp_path))
    return Api(services_over(request.getfixturevalue("redis_url"), data_dir=tmp_path))


def test_instances_say_what_they_have_proven_to_have(api):
    revision = Revision.parse(api.post("flags", FLAG).json["revision"])
    worker = Instance("c-1.a", "collections-1", "worker", "collections", "host", 42, 1.0, overrides=("x",))
    api.connection.registry.renew(worker, revision, 60)
    api.connection.registry.renew(Instance("b-1.a", "balance-1"), Revision(revision.epoch, revision.rev - 1), 60)
    document = api.get("instances", scope="viewer").json
    assert document["revision"] == str(revision)
    balance, collections = document["instances"]
    assert (balance["slot"], balance["in_sync"], balance["behind"]) == ("balance-1", False, 1)
    assert (collections["in_sync"], collections["behind"], collections["overrides"]) == (True, 0, ["x"])
    assert (collections["host"], collections["pid"], collections["domain"]) == ("host", 42, "collections")
    assert 59 < collections["lease_left"] < 62
    assert collections["traffic"] is None
    assert document["domains"] == []


def frame(body=b'{"a":1}', **fields):
    return Frame(**{"id": new_id("f"), "content_type": "application/json", "content_encoding": "identity", "count": 1,
                    "revision": "0-0", "body": body, "sender": "c-1", **fields})  # fmt: skip


def test_queues_say_what_stands_in_them(api):
    queue = api.connection.queues.queue("collections")
    queue.append([("high", frame()), ("normal", frame())])
    queue.join("c1", frozenset({"application/json", "identity"}), 60)
    for query in ("", "?scan=false"):
        (found,) = api.get(f"queues{query}", scope="viewer").json["queues"]
        assert found["domain"] == "collections"
        assert found["waiting"] == {"high": 1, "normal": 1, "low": 0}
        assert found["frames_by_type"] == {"application/json": 2}
        assert found["admits"] == ["application/json", "identity"]
        assert found["members"][0]["consumer"] == "c1"


def test_dead_letters_show_why_and_are_put_back(api):
    queue = api.connection.queues.queue("collections")
    queue.append([("normal", frame(b"\xffnot json"))])
    (delivery,) = queue.receive("c1", 1, 0)
    letter = DeadLetter("m_1", delivery.frame, "normal", "poison", "is not JSON", 1, 1_800_000_000.0)
    queue.settle("c1", [Settlement(delivery, letters=(letter,))])
    (shown,) = api.get("queues/collections/dead-letters", scope="viewer").json["letters"]
    assert (shown["id"], shown["reason"], shown["detail"], shown["body"]) == (
        "m_1",
        "poison",
        "is not JSON",
        "\ufffdnot json",
    )
    path = "queues/collections/dead-letters/replay"
    assert api.post(path, {"ids": ["m_1"]}, scope="viewer").status_code == 403
    assert api.post(path, {"ids": ["m_1", "unknown"]}, scope="operator").json == {"replayed": 1, "left": 1}
    assert api.get("queues/collections/dead-letters").json["letters"] == []
    assert queue.state().waiting["normal"] == 1


@pytest.mark.parametrize("shelf", ["dead", "quarantine"])
def test_yaml_is_put_back_as_json_while_a_rollback_bars_it_and_what_can_not_be_stays(api, shelf):
    queue = api.connection.queues.queue("collections")
    for name, body in (("good", encode(YAML, {"a": 1})), ("bad", b"{[")):
        queue.append([("normal", frame(body, content_type=YAML, id=f"f_{name}"))])
        (delivery,) = queue.receive("c1", 1, 0)
        reason = "quarantine" if shelf == "quarantine" else "handler"
        letter = DeadLetter(name, delivery.frame, "normal", reason, "set aside", 1, 1_800_000_000.0)
        queue.settle("c1", [Settlement(delivery, letters=(letter,))])
    api.connection.queues.bar_all(frozenset({YAML}))
    asked = {"ids": ["good", "bad"], "quarantine": shelf == "quarantine"}
    answer = api.post("queues/collections/dead-letters/replay", asked, scope="operator").json
    assert answer == {"replayed": 1, "left": 1}
    (delivery,) = queue.receive("c1", 10, 0)
    assert (delivery.frame.id, delivery.frame.content_type, delivery.frame.body) == ("f_good", JSON, b'{"a":1}')
    assert [letter.id for letter in queue.dead_letters(quarantine=shelf == "quarantine")] == ["bad"]


def begun(api, rollback_id="rb_1"):
    record = opened(rollback_id, "demo", Request("oncall", "slow", "host:1"), api.services.clock.now())
    note = {"wasEnabled": True, "before": "1-1", "after": "1-1", "hold": {}}
    record["flags"] = {"useYamlMessaging": note}
    journal = api.connection.journal
    return record, journal, journal.take(record)


def test_a_running_rollback_is_listed_with_its_events(api):
    record, journal, lead = begun(api)
    event = StepEvent("kill", "done", "killed", 0.1, {"receipt": "rb_1", "attempt": 1})
    journal.commit(lead, record, event)
    (listed,) = api.get("rollback", scope="viewer").json["rollbacks"]
    assert (listed["id"], listed["state"], listed["actor"], listed["reason"]) == ("rb_1", "running", "oncall", "slow")
    assert listed["started"] == api.services.clock.now()
    found = api.get("rollback/rb_1").json
    assert (found["state"], found["receipt"]) == ("running", None)
    assert [(each["step"], each["status"]) for each in found["events"]][-1] == ("kill", "done")
    assert found["events"][-1]["cursor"]


def test_an_ended_rollback_shows_its_receipt(api):
    record, journal, lead = begun(api)
    receipt = {**record, "ended": record["started"], "exit": 1, "failed": ["probe/balance"]}
    journal.finish(lead, receipt, StepEvent("receipt", "done", "signed", 0.2, {"receipt": "rb_1", "attempt": 1}))
    found = api.get("rollback/rb_1").json
    assert (found["state"], found["exit"], found["failed"]) == ("done", 1, ["probe/balance"])
    assert found["receipt"]["receipt"] == "rb_1"
    assert api.get("rollback/unknown").json["code"] == "RECEIPT_UNKNOWN"


def test_a_second_operator_joins_the_rollback_that_runs(api, monkeypatch):
    monkeypatch.setattr(lever, "arguments", lambda *_: pytest.fail("a second process was started"))
    api.post("flags", FLAG)
    begun(api)
    joined = api.post("rollback", {"reason": "me too", "confirm": "demo"}, scope="operator")
    assert (joined.status_code, joined.json["id"]) == (202, "rb_1")
    assert joined.json["events"].endswith("/api/v1/environments/demo/events")
    assert joined.headers["Location"].endswith("/rollback/rb_1")


def script(monkeypatch, source):
    """Have the lever start a script of ours in place of the rollback; answers with what it was asked."""
    asked = []

    def arguments(_environment, pull):
        asked.append(pull)
        return [sys.executable, "-c", source]

    monkeypatch.setattr(lever, "arguments", arguments)
    return asked


@pytest.mark.parametrize(
    ("event", "id_"),
    [
        ({"receipt": "rb_2"}, "rb_2"),
        ({"receipt": "rb_1", "following": "queued"}, None),
        ({"receipt": "rb_3", "following": "joined"}, "rb_3"),
    ],
)
def test_a_rollback_of_other_flags_is_not_joined(api, monkeypatch, event, id_):
    api.post("flags", FLAG)
    api.post("flags", {**FLAG, "key": "enableBatching", "fallback": "individual"})
    begun(api)
    asked = script(monkeypatch, f"print({json.dumps(json.dumps({'data': event}))}, flush=True)")
    pulled = api.post("rollback", {"reason": "me too", "confirm": "demo", "flags": ["enableBatching"]})
    assert (pulled.status_code, pulled.json["id"]) == (202, id_)
    assert pulled.headers["Location"].endswith(f"/rollback/{id_}" if id_ else "/rollback")
    assert api.post("rollback", {"reason": "me too", "confirm": "demo", "flags": "all"}).json["id"] == id_
    assert [each.every_messaging_flag for each in asked] == [False, True]


def test_the_lever_starts_a_process_and_answers_with_the_id_that_it_tells(api, monkeypatch):
    asked = script(monkeypatch, """print('{"step": "preflight", "data": {"receipt": "rb_7"}}', flush=True)""")
    body = {"reason": "slow", "confirm": "demo", "flags": "all", "restart": "all", "queues": "drain"}
    pulled = api.post("rollback", body, scope="operator")
    assert (pulled.status_code, pulled.json["id"]) == (202, "rb_7")
    assert asked == [lever.Pull("token:operator", "slow", (), True, "all", "drain")]


@pytest.mark.parametrize(("code", "status"), [(1, 500), (2, 400), (3, 503)])
def test_a_lever_that_does_not_move_says_why(api, monkeypatch, code, status):
    script(monkeypatch, f"import sys; print('stuck', file=sys.stderr); sys.exit({code})")
    refused = api.post("rollback", {"reason": "slow", "confirm": "demo"})
    assert refused.status_code == status
    assert "stuck" in refused.json["detail"] or code == 1


def test_the_environment_tells_where_its_streams_are():
    api = Api(services_in_memory(stream_url="http://localhost:8081"))
    streams = api.get("/api/v1/environments/demo", scope="sdk").json["streams"]
    assert streams["changes"] == "http://localhost:8081/api/v1/environments/demo/changes"
    moved = api.get("events?x=1", scope="viewer")
    assert (moved.status_code, moved.headers["Location"]) == (307, streams["events"])


def test_links_to_the_streams_keep_the_name_that_the_browser_knows_us_by():
    services = services_in_memory(stream_url="http://127.0.0.1:8081")
    object.__setattr__(services.settings, "url", "http://127.0.0.1:8080")
    api = Api(services)
    streams = api.get("/api/v1/environments/demo", headers={"Host": "localhost:8080"}).json["streams"]
    assert streams["changes"].startswith("http://localhost:8081/")


@pytest.mark.parametrize("host", ["evil; script-src *", "a b", "x\ty"])
def test_a_hostile_host_header_does_not_get_into_the_policy(host):
    answer = Api(services_in_memory(stream_url="http://localhost:8081")).get("/healthz", headers={"Host": host})
    assert "script-src" not in answer.headers.get("Content-Security-Policy", "")


def test_the_process_lives_while_its_stores_are_gone():
    api = Api(services_in_memory(redis_url="redis://127.0.0.1:1", queue_url="redis://127.0.0.1:1"))
    assert api.get("/healthz", scope=None).json == {"status": "alive"}
    ready = api.get("/readyz", scope=None)
    assert (ready.status_code, ready.json["status"]) == (503, "not ready")
    assert [check["status"] for check in ready.json["checks"]] == ["fail", "fail"]
    assert "127.0.0.1" not in ready.text


def test_a_process_whose_stores_answer_is_ready(redis_url):
    ready = Api(services_over(redis_url)).get("/readyz", scope=None)
    assert (ready.status_code, ready.json["status"]) == (200, "ready")


def test_the_application_is_made_from_environment_variables_alone(redis_url, monkeypatch):
    monkeypatch.setenv("SIGNALBOX_REDIS_URL", redis_url)
    monkeypatch.setenv("SIGNALBOX_QUEUE_URL", redis_url)
    monkeypatch.setenv("SIGNALBOX_ENV", "staging, production")
    app = create_app()
    assert app.test_client().get("/healthz").status_code == 200
    assert app.extensions["signalbox"].wiring.environment("production").environment == "production"
