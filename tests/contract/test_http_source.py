"""What is special to the HTTP source: redirects, refusals, polling in place of streams, goodbyes, TLS, and bounds."""

import json
import logging
import ssl
import threading
import time
from dataclasses import replace

import pytest

from controlplane import broadcast
from controlplane.app import create_app
from controlplane.streams import create_streams, hub_of
from flags import edits, service
from flags.client import ClientSettings, FlagClient, Status
from flags.documents import parse_flag
from flags.errors import SourceRefused, SourceUnavailable
from flags.model import Snapshot
from flags.segments import parse_segment
from flags.sources import http, http_line, http_session, pauses
from flags.sources.http import HttpSource
from flags.store import Edit, Write
from flags.stores.redis import RedisFlagStore, RedisInstanceRegistry
from foundation.errors import DocumentError
from foundation.ids import new_id
from tests.apiclient import Api, services_over
from tests.certificates import self_signed
from tests.control_planes import HOST, ControlPlane, Served
from tests.support import eventually

HEARTBEAT = 0.2
SEGMENT = {"if": [{"attribute": "country", "operator": "in", "values": ["SE"]}]}
FLAG = {"enabled": True, "variants": {"on": "yaml", "off": "json"}, "offVariant": "off"}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("controlplane.broadcast.SILENCE", HEARTBEAT / 2)
    monkeypatch.setattr(pauses, "REFUSED_PAUSE", 0.2)
    monkeypatch.setattr(http_session, "SETTLED", 0.3)


@pytest.fixture
def store(redis_url):
    with_store = RedisFlagStore(redis_url, "demo")
    service.create(with_store, parse_flag("k", FLAG), actor="test")
    yield with_store
    with_store.close()


@pytest.fixture
def registry(redis_url):
    opened = RedisInstanceRegistry(redis_url, "demo")
    yield opened
    opened.close()


@pytest.fixture
def make_plane(redis_url, store):
    planes = []

    def make(**parts):
        planes.append(ControlPlane(redis_url, **parts))
        return planes[-1]

    yield make
    for plane in planes:
        plane.close()


@pytest.fixture
def plane(make_plane):
    return make_plane()


@pytest.fixture
def start():
    clients = []

    def begin(url, token, *, start_timeout=5.0, environment="demo", **parts):
        source = HttpSource(url, environment, token, heartbeat=HEARTBEAT, lease=1.0, timeout=0.5)
        clients.append(FlagClient(source, settings=ClientSettings(start_timeout), **parts))
        clients[-1].start()
        return clients[-1]

    yield begin
    for client in clients:
        client.close()


def turn(store):
    enabled = store.snapshot().flags["k"].enabled
    return service.change(store, ["k"], edits.disable if enabled else edits.enable, actor="test").revision


def proven(registry, revision):
    eventually(registry.live)
    (live,) = registry.wait_acknowledged(revision, 5)
    return live.acknowledged == revision


def answer(status, headers=(), body=b""):
    """Make an application that answers everything so."""

    def application(environ, start_response):
        start_response(status, [("Content-Length", str(len(body))), *headers])
        return [body]

    return application


# Streaming.


def test_heartbeats_are_expected_as_often_as_they_are_sent(monkeypatch):
    monkeypatch.undo()
    assert broadcast.SILENCE == http.HEARTBEAT


def test_a_client_comes_in_by_one_reading_and_stays_on_one_stream(plane, store, registry, start):
    client = start(plane.url, plane.token)
    for _ in range(10):
        assert proven(registry, turn(store))
    assert plane.counted("GET", "/snapshot") == 1
    assert plane.counted("GET", "/changes") == 1
    assert client.snapshot == replace(store.snapshot(), versions={})


def test_segments_come_along(plane, store, start):
    client = start(plane.url, plane.token)
    store.write(Write(new_id("op"), (Edit(parse_segment("beta", SEGMENT), None),), "test"))
    eventually(lambda: client.snapshot == replace(store.snapshot(), versions={}))
    assert set(client.snapshot.segments) == {"beta"}
    assert start(plane.url, plane.token).snapshot == replace(store.snapshot(), versions={})


def test_streams_at_an_address_of_their_own_are_found_by_redirect(redis_url, store, registry, start):
    api = Api(services_over(redis_url))
    streams = create_streams(api.services)
    there = Served(streams)
    settings = services_over(redis_url, stream_url=there.url)
    app, asked = create_app(settings), []

    def application(environ, start_response):
        asked.append(environ["PATH_INFO"])
        return app(environ, start_response)

    here = Served(application)
    client = start(here.url, api.tokens["sdk"])
    assert proven(registry, turn(store))
    eventually(lambda: len(hub_of(streams)._views))
    assert client.error is None
    assert sum(path.endswith("/snapshot") for path in asked) == 1
    client.close()
    hub_of(streams).close()
    for served in (here, there):
        served.close()


def test_a_goodbye_sends_the_client_elsewhere_at_once_and_no_change_is_lost(plane, make_plane, store, registry, start):
    client = start(plane.url, plane.token)
    assert proven(registry, turn(store))
    time.sleep(http_session.SETTLED)
    old, plane.streams = plane.streams, create_streams(plane.services)
    began = time.monotonic()
    hub_of(old).close()
    eventually(lambda: plane.counted("GET", "/changes") == 2, interval=0.002)
    assert time.monotonic() - began < 0.25
    assert proven(registry, turn(store))
    assert plane.counted("GET", "/snapshot") == 1
    assert client.status is Status.READY


def test_goodbyes_without_end_do_not_make_a_client_hammer(plane, start):
    client = start(plane.url, plane.token)
    hub_of(plane.streams).close()
    time.sleep(1.0)
    assert plane.counted("GET", "/changes") < 20
    assert client.status is Status.READY


def test_a_stream_that_lags_behind_the_store_is_not_followed_back(plane, store, start, monkeypatch):
    client = start(plane.url, plane.token)
    eventually(lambda: plane.counted("GET", "/changes") == 1)
    older = store.snapshot()
    current = turn(store)
    eventually(lambda: client.revision == current)
    seen = []
    monkeypatch.setattr(client._feed, "replace", lambda snapshot: seen.append(snapshot.revision))
    feed = hub_of(plane.streams)._view(plane.services.wiring.environment("demo")).feed
    feed.replace(Snapshot(older.revision, older.flags, older.versions, older.segments))
    time.sleep(3 * HEARTBEAT)
    assert client.revision == current
    assert seen == []


def test_a_change_that_can_t_be_read_is_made_up_for_by_a_snapshot(plane, store, start, caplog):
    client = start(plane.url, plane.token)
    eventually(lambda: plane.counted("GET", "/changes") == 1)
    before = plane.counted("GET", "/snapshot")
    feed = hub_of(plane.streams)._view(plane.services.wiring.environment("demo")).feed
    eventually(feed.channel.__len__)
    revision = client.revision
    content = {"revision": f"{revision.epoch}-{revision.rev + 1}", "flags": {"k": {"enabled": "perhaps"}}}
    feed.channel.publish(broadcast.encode("change", content))
    eventually(lambda: plane.counted("GET", "/snapshot") > before)
    assert "can't be read" in caplog.text


# In place of streams.


@pytest.mark.parametrize(
    "instead",
    [
        answer("503 Service Unavailable", [("Retry-After", "1")]),
        answer("500 Internal Server Error"),
        answer("404 Not Found"),
        answer("200 OK", [("Content-Type", "text/html")], b"<html>a portal</html>"),
        answer("307 Temporary Redirect", [("Location", "http://127.0.0.1:1/changes")]),
    ],
    ids=["full", "broken", "unknown", "stripped", "lost"],
)
def test_where_streaming_fails_the_client_polls_and_goes_back_when_it_can(plane, store, registry, start, instead):
    plane.instead["/changes"] = instead
    client = start(plane.url, plane.token)
    for _ in range(2):
        assert proven(registry, turn(store))
    eventually(lambda: plane.counted("GET", "/snapshot") > 3)
    assert (client.status, client.lapsed) == (Status.READY, False)
    plane.instead.clear()
    time.sleep(1.0)  # the pause that was asked for
    eventually(lambda: len(hub_of(plane.streams)._views) and plane.counted("GET", "/changes") >= 2)
    readings = plane.counted("GET", "/snapshot")
    for _ in range(3):
        assert proven(registry, turn(store))
    assert plane.counted("GET", "/snapshot") <= readings + 1


def test_a_stream_that_something_holds_back_is_given_up_for_polling(plane, store, registry, start, monkeypatch):
    monkeypatch.setattr(http_session, "FIRST_EVENT", 0.3)
    released = threading.Event()

    def withheld(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        yield b""
        released.wait(20)

    plane.instead["/changes"] = withheld
    client = start(plane.url, plane.token)
    for _ in range(3):
        assert proven(registry, turn(store))
        assert client.status is Status.READY
    released.set()


def test_what_has_not_changed_is_not_sent_again_to_who_polls(plane, start, redis_url):
    plane.instead["/changes"] = answer("503 Service Unavailable", [("Retry-After", "60")])
    sizes = []
    app = plane.api.app

    def counted(environ, start_response):
        def note(status, headers, *rest):
            sizes.append(status[:3])
            return start_response(status, headers, *rest)

        return app(environ, note)

    plane.instead["/snapshot"] = counted
    start(plane.url, plane.token)
    eventually(lambda: len(sizes) >= 4)
    assert sizes[0] == "200"
    assert set(sizes[1:]) == {"304"}
    assert plane.counted("GET", "/changes") == 1


# Refusals.


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"token": "sb_sdk_nobody_knows"}, "401"),
        ({"environment": "elsewhere"}, "404"),
    ],
)
def test_a_client_that_is_refused_says_why_and_asks_seldom(plane, start, caplog, parts, said, monkeypatch):
    monkeypatch.setattr(pauses, "REFUSED_PAUSE", 60.0)
    with caplog.at_level(logging.INFO):
        client = start(plane.url, **{"token": plane.token, "start_timeout": 0.3, **parts})
        eventually(lambda: client.status is Status.ERROR)
        time.sleep(0.3)
    assert isinstance(client.error, SourceRefused)
    lines = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(lines) == 1
    assert said in lines[0].getMessage()
    assert plane.token not in caplog.text
    assert len(plane.asked) == 1
    assert client.get_string_value("k", "default") == "default"


def test_a_client_that_may_follow_and_not_speak_follows(plane, store, start, registry, caplog):
    client = start(plane.url, plane.api.tokens["viewer"])
    revision = turn(store)
    eventually(lambda: client.revision == revision)
    assert client.status is Status.READY
    assert client.lapsed
    assert registry.live() == []
    eventually(lambda: "was not renewed" in caplog.text)
    assert caplog.text.count("was not renewed") == 1


def test_a_token_is_never_sent_on_without_tls_where_it_came_with_it():
    with pytest.raises(SourceRefused, match="must not go"):
        http_line._redirected("https://flags.example.com/a", "http://streams.example.com/a")
    for target in ("https://streams.example.com/b", "/b"):
        assert http_line._redirected("https://flags.example.com/a", target).startswith("https://")


def test_an_address_that_redirects_everything_is_named_in_the_error(start, caplog):
    served = Served(answer("301 Moved Permanently", [("Location", "https://flags.example.com/")]))
    client = start(served.url, "sb_sdk_x", start_timeout=0.3)
    eventually(lambda: client.status is Status.ERROR)
    assert "points to 'https://flags.example.com/'" in str(client.error)
    served.close()


@pytest.mark.parametrize(
    ("url", "environment", "token"),
    [
        ("flags.example.com", "demo", "t"),
        ("ftp://flags.example.com", "demo", "t"),
        ("http://user:secret@flags.example.com", "demo", "t"),
        ("http://flags.example.com/prefix", "demo", "t"),
        ("http://flags.example.com:99999", "demo", "t"),
        ("http://flags.example.com", "a}b", "t"),
        ("http://flags.example.com", "demo", ""),
        ("http://flags.example.com", "demo", "a\r\nHost: b"),
    ],
)
def test_what_no_retry_will_mend_is_refused_before_anything_runs(url, environment, token):
    with pytest.raises(DocumentError) as refused:
        HttpSource(url, environment, token)
    assert "secret" not in str(refused.value)
    assert "Host" not in str(refused.value)


def test_an_outage_however_long_costs_a_line_or_two_in_the_log(plane, start, store, caplog):
    with caplog.at_level(logging.INFO, logger="flags.sources"):
        client = start(plane.url, plane.token)
        eventually(lambda: client.status is Status.READY and not client.lapsed)
        for _ in range(2):
            caplog.clear()
            gone = answer("500 Internal Server Error")
            plane.instead.update({"/changes": gone, "/snapshot": gone, client.instance.id: gone})
            hub_of(plane.streams).close()
            eventually(lambda: client.status is Status.STALE and client.lapsed)
            time.sleep(1.0)
            assert 1 <= len(caplog.records) <= 4, caplog.text
            plane.streams = create_streams(plane.services)
            plane.instead.clear()
            eventually(lambda: client.status is Status.READY and not client.lapsed)
            eventually(lambda: len(hub_of(plane.streams)._views))


# Bounds and rubbish.


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"{}", b'{"revision": "x", "flags": {}, "versions": {}}', b'{"revision": 1}', b"\xff" * 100],
)
def test_rubbish_is_no_snapshot(start, body):
    served = Served(answer("200 OK", [("Content-Type", "application/json")], body))
    client = start(served.url, "sb_sdk_x", start_timeout=0.3)
    eventually(lambda: client.status is Status.ERROR)
    assert isinstance(client.error, SourceUnavailable)
    served.close()


def test_an_answer_past_the_bound_is_not_read_to_its_end(plane, start, monkeypatch):
    monkeypatch.setattr(http_line, "MAX_BODY", 100)
    client = start(plane.url, plane.token, start_timeout=0.3)
    eventually(lambda: client.status is Status.ERROR)
    assert "larger than 100 bytes" in str(client.error)


def test_an_answer_that_drips_in_is_given_up(start, monkeypatch):
    monkeypatch.setattr(http_line, "CALL", 0.5)

    def dripping(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/json")])
        for _ in range(100):
            yield b" "
            time.sleep(0.05)

    served = Served(dripping)
    client = start(served.url, "sb_sdk_x", start_timeout=0.1)
    eventually(lambda: client.status is Status.ERROR, 3)
    served.close()


def test_bytes_without_events_are_no_sign_of_life(plane, start, registry):
    def dripping(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        yield b'event: heartbeat\ndata: {"revision": "0-0"}\n\n'
        for _ in range(200):
            yield b"data: x\n"
            time.sleep(0.05)

    client = start(plane.url, plane.token)
    eventually(registry.live)
    plane.instead["/changes"] = dripping
    hub_of(plane.streams).close()
    eventually(lambda: plane.counted("GET", "/changes") >= 3, 5)
    eventually(lambda: client.status is Status.READY)


# TLS.


def test_a_certificate_that_nobody_vouches_for_is_refused(redis_url, store, tmp_path, make_plane, start):
    certificate, key = self_signed(tmp_path, HOST)
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificate, key)
    plane = make_plane(tls=served)
    client = start(plane.url, plane.token, start_timeout=0.3)
    eventually(lambda: client.status is Status.ERROR)
    assert "CERTIFICATE_VERIFY_FAILED" in str(client.error)
    assert plane.asked == []


def test_over_tls_all_is_as_without(store, registry, tmp_path, make_plane, start, monkeypatch):
    certificate, key = self_signed(tmp_path, HOST)
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificate, key)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    plane = make_plane(tls=served)
    client = start(plane.url, plane.token)
    for _ in range(3):
        assert proven(registry, turn(store))
    assert plane.counted("GET", "/changes") == 1
    began = time.monotonic()
    client.close()
    assert time.monotonic() - began < 1
    assert registry.live() == []


def test_a_token_that_would_travel_in_the_clear_is_warned_of(caplog):
    HttpSource("http://flags.invalid", "demo", "t")._there()
    assert "unencrypted" in caplog.text
    caplog.clear()
    HttpSource("http://127.0.0.1:1", "demo", "t")._there()
    assert caplog.text == ""


def test_records_name_no_token(caplog):
    there = http_line.ControlPlane("http://127.0.0.1:1", "demo", "sb_sdk_secret", 1.0)
    assert "secret" not in json.dumps(repr(there))
