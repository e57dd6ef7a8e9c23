"""The two streams, through the WSGI application: what a reader is sent, in which order, and how a stream ends."""

import json
import threading

import pytest

from controlplane.broadcast import LIFE
from controlplane.serving import hub_of
from controlplane.streams import create_streams
from controlplane.wiring import Connection
from flags import edits, service
from flags.documents import parse_flag
from flags.instances import Instance
from rollout.record import Request, StepEvent, opened
from tests.apiclient import Api, services_in_memory, services_over

FLAG = {"enabled": True, "rolloutPercentage": 0, "fallback": "json"}


@pytest.fixture(params=["memory", "redis"])
def api(request):
    if request.param == "memory":
        services = services_in_memory()
    else:
        services = services_over(request.getfixturevalue("redis_url"))
    api = Api(services, create_streams)
    yield api
    hub_of(api.app).close()


def opened_stream(api, kind="changes", **options):
    options.setdefault("scope", "viewer")
    answer = api.get(kind, **options)
    assert answer.status_code == 200, answer.text
    assert answer.mimetype == "text/event-stream"
    return answer


def events(answer):
    """Read events off a stream as (id, event, data)."""
    for chunk in answer.iter_encoded():
        found = dict(line.split(": ", 1) for line in chunk.decode().strip().split("\n"))
        if "event" in found:
            yield found.get("id"), found["event"], json.loads(found["data"])


def create(api, key="useYamlMessaging"):
    return service.create(api.connection.store, parse_flag(key, FLAG), actor="test").revision


def disable(api, key="useYamlMessaging"):
    return service.change(api.connection.store, (key,), edits.disable, actor="test").revision


def test_a_stream_of_changes_begins_with_everything(api):
    revision = create(api)
    stream = events(opened_stream(api, scope="sdk"))
    identity, event, data = next(stream)
    assert (identity, event, data["revision"]) == (str(revision), "snapshot", str(revision))
    assert data["flags"]["useYamlMessaging"]["enabled"] is True


def test_each_change_follows_with_its_revision(api):
    create(api)
    stream = events(opened_stream(api))
    next(stream)
    revision = disable(api)
    identity, event, data = next(stream)
    assert (identity, data["revision"]) == (str(revision), str(revision))
    assert event in {"change", "snapshot"}
    assert data["flags"]["useYamlMessaging"]["enabled"] is False


def test_who_comes_back_gets_only_what_was_missed(redis_url):
    api = Api(services_over(redis_url), create_streams)
    first = create(api)
    live = events(opened_stream(api))
    next(live)
    missed = [
        disable(api),
        service.change(api.connection.store, ("useYamlMessaging",), edits.enable, actor="t").revision,
    ]
    assert [next(live)[0], next(live)[0]] == [str(revision) for revision in missed]
    back = events(opened_stream(api, headers={"Last-Event-ID": str(first)}))
    assert [next(back)[:2], next(back)[:2]] == [(str(revision), "change") for revision in missed]
    current = events(opened_stream(api, headers={"Last-Event-ID": str(missed[-1])}))
    assert next(current)[1:] == ("heartbeat", {"revision": str(missed[-1]), "in_step": True})
    hub_of(api.app).close()


@pytest.mark.parametrize("last", ["", "nonsense", "1-1", "9-9"])
def test_who_names_a_revision_that_is_not_remembered_gets_everything(api, last):
    create(api)
    assert next(events(opened_stream(api, headers={"Last-Event-ID": last})))[1] == "snapshot"


def test_a_page_is_told_of_traffic_revisions_and_convergence(api):
    revision = create(api)
    api.connection.registry.renew(Instance("c-1.a", "collections-1", "worker", "collections"), revision, 60)
    stream = events(opened_stream(api, "events"))
    seen = {}
    for _, event, data in stream:
        if not seen:
            revision = disable(api)
        seen[event] = data
        if "convergence" in seen and seen["convergence"]["revision"] == str(revision) and "traffic" in seen:
            break
    assert [each["slot"] for each in seen["traffic"]["instances"]] == ["collections-1"]
    assert seen["flags"] == {"revision": str(revision)}
    assert (seen["convergence"]["reached"], seen["convergence"]["missing"]) == (False, ["collections-1"])
    api.connection.registry.renew(Instance("c-1.a", "collections-1"), revision, 60)
    reached = next(data for _, event, data in stream if event == "convergence" and data["reached"])
    assert (reached["acknowledged"], reached["live"]) == (1, 1)


def test_a_page_follows_the_steps_of_a_rollback(api):
    create(api)
    stream = events(opened_stream(api, "events"))
    record = opened("rb_1", "demo", Request("oncall", "slow", "host:1"), api.services.clock.now())
    lead = api.connection.journal.take(record)
    step = StepEvent("kill", "done", "killed", 0.1, {"receipt": "rb_1", "attempt": 1})
    api.connection.journal.commit(lead, record, step)
    told = next(data for _, event, data in stream if event == "rollback" and data["step"] == "kill")
    assert (told["id"], told["detail"], told["data"]["receipt"]) == ("rb_1", "killed", "rb_1")


def test_one_reader_serves_every_stream_and_leaving_gives_the_place_back(api):
    create(api)
    api.app = create_streams(api.services, limit=2)
    first, second = opened_stream(api), opened_stream(api, "events")
    refused = api.get("changes", scope="viewer")
    assert (refused.status_code, refused.json["code"]) == (503, "STREAMS_FULL")
    assert int(refused.headers["Retry-After"]) > 0
    assert api.get("/healthz").status_code == 200
    first.close()
    third = opened_stream(api)
    readers = [thread.name for thread in threading.enumerate() if thread.name in {"changes", "happenings"}]
    assert readers.count("changes") <= 2
    for stream in (second, third):
        stream.close()
    hub_of(api.app).close()


def test_a_request_for_the_head_alone_takes_no_place(api):
    create(api)
    api.app = create_streams(api.services, limit=1)
    for _ in range(3):
        api.call("HEAD", "changes", scope="viewer").close()
    opened_stream(api).close()
    hub_of(api.app).close()


def test_closing_says_goodbye(api):
    create(api)
    stream = events(opened_stream(api))
    next(stream)
    hub_of(api.app).close()
    assert next(stream)[1:] == ("goodbye", {"why": "closing"})
    assert list(stream) == []


def test_an_old_stream_has_to_show_again_that_it_may(api):
    create(api)
    stream = events(opened_stream(api))
    next(stream)
    api.services.clock.advance(LIFE + 1)
    assert next(stream)[1:] == ("goodbye", {"why": "aged"})


def test_only_our_pages_may_read_a_stream_with_the_cookie(api):
    create(api)
    ours = opened_stream(api, headers={"Origin": "http://localhost"})
    assert ours.headers["Access-Control-Allow-Origin"] == "http://localhost"
    assert ours.headers["Access-Control-Allow-Credentials"] == "true"
    theirs = opened_stream(api, headers={"Origin": "http://evil.example"})
    assert "Access-Control-Allow-Origin" not in theirs.headers
    assert "Origin" in theirs.headers["Vary"]
    refused = api.get("events", scope=None, headers={"Origin": "http://localhost"})
    assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (401, "http://localhost")


def test_streams_wait_for_the_store_and_then_say_that_it_does_not_answer(monkeypatch):
    monkeypatch.setattr("controlplane.hub.FIRST_SNAPSHOT", 0.01)
    api = Api(services_in_memory(redis_url="redis://127.0.0.1:1"), create_streams)
    monkeypatch.setattr(api.connection, "source", lambda: Connection.source(api.connection))
    answer = api.get("changes", scope="viewer")
    assert (answer.status_code, answer.json["code"]) == (503, "STORE_UNREACHABLE")
    hub_of(api.app).close()


def test_following_is_begun_again_after_a_fault(monkeypatch, caplog):
    api = Api(services_in_memory(), create_streams)
    source, runs = api.connection.source(), []

    class Faulty:
        heartbeat = 0.01
        close = source.close

        def run(self, *args):
            runs.append(args)
            if len(runs) == 1:
                raise ValueError("what nobody thought of")
            source.run(*args)

    monkeypatch.setattr(api.connection, "source", Faulty)
    revision = create(api)
    assert next(events(opened_stream(api)))[0] == str(revision)
    assert "what nobody thought of" in caplog.text
    hub_of(api.app).close()


def test_a_reader_that_is_too_slow_is_let_go_and_the_others_go_on(api):
    create(api)
    slow, quick = opened_stream(api), events(opened_stream(api))
    channel = hub_of(api.app)._view(api.connection).feed.channel
    assert next(quick)[1] == "snapshot"
    for number in range(300):
        channel.publish(b"event: change\ndata: %d\n\n" % number)
        assert next(quick)[2] == number
    assert list(events(slow))[-1][1:] == ("goodbye", {"why": "slow"})
