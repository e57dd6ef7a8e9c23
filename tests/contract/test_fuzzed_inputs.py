"""Fuzzed input from outside: bodies for the API, texts in Redis, override files. What is sound goes on."""

import json
import logging
import random

import pytest

from flags.client import FlagClient
from flags.documents import flag_json, parse_flag
from flags.evaluation import ErrorCode
from flags.model import Snapshot
from flags.overrides import OverrideFile
from flags.sources.redis import RedisSource
from flags.stores.redis import RedisFlagStore
from flags.view import View
from foundation.errors import DocumentError
from foundation.redis import connect
from tests import fuzzing
from tests.apiclient import Api, services_in_memory, services_over
from tests.fuzzing import spoilt

SOUND = {"enabled": True, "variants": {"on": "yaml", "off": "json"}, "offVariant": "off"}


# ---- the API


def body(rng, number):
    """Make the body of a request: a fuzzed document as JSON text, and now and then a text that is none."""
    document = fuzzing.document(rng)
    if isinstance(document, dict):
        document = {"key": f"fuzz-{number}" if rng.random() < 0.9 else fuzzing.flag_key(rng), **document}
    try:
        text = json.dumps(document, default=str).encode(errors="surrogatepass")
    except (ValueError, TypeError, RecursionError):
        text = b"{}"
    return spoilt(text, rng) if rng.random() < 0.3 else text


def test_the_api_answers_every_fuzzed_flag_with_a_flag_or_the_field_that_is_wrong():
    api, rng = Api(services_in_memory()), random.Random(4)
    seen = {201: 0, 400: 0}
    for number in range(400):
        answer = api.call("POST", "flags", data=body(rng, number), content_type="application/json")
        assert answer.status_code in (201, 400, 409, 413), answer.text
        seen[answer.status_code] = seen.get(answer.status_code, 0) + 1
        if answer.status_code == 400:
            problem = answer.json
            assert problem["code"] == "DOCUMENT_INVALID"
            assert isinstance(problem["field"], str)
            assert len(answer.data) < 20_000
    assert min(seen[201], seen[400]) > 20
    assert api.get("flags").status_code == 200
    for view in api.get("flags").json["flags"]:
        assert api.get(f"flags/{view['key']}").json == view
        context = fuzzing.context(rng)
        context = context if isinstance(context, dict) and plain(context) else {}
        answer = api.post(f"flags/{view['key']}/explain", {"context": context})
        assert answer.status_code in (200, 400), answer.text


def plain(value):
    try:
        json.dumps(value, allow_nan=False).encode()
    except (ValueError, TypeError, RecursionError):
        return False
    return all(isinstance(key, str) for key in value)


def test_the_api_answers_every_fuzzed_change_with_a_flag_or_the_field_that_is_wrong():
    api, rng = Api(services_in_memory()), random.Random(5)
    api.post("flags", {"key": "k", **SOUND})
    for _ in range(300):
        document = fuzzing.document(rng)
        change = (
            {name: document[name] for name in list(document)[: rng.randrange(4)]} if isinstance(document, dict) else {}
        )
        if not plain(change):
            continue
        answer = api.call("PATCH", "flags/k", json=change)
        assert answer.status_code in (200, 400, 409), answer.text
        assert answer.status_code != 400 or isinstance(answer.json["field"], str)
    assert api.get("flags/k").status_code == 200


@pytest.mark.parametrize("revision", ["1-" + "9" * 5_000, "9" * 5_000, "-", "1-x", "\u0661-1", "1-1-1", " 1-1"])
def test_a_revision_that_is_none_is_refused_by_field(revision):
    api = Api(services_in_memory())
    api.post("flags", {"key": "k", **SOUND})
    answer = api.post("flags/k/revert", {"revision": revision})
    assert (answer.status_code, answer.json["field"]) == (400, "revision")


# ---- texts in Redis


def garbage(rng):
    """Make fields of the hash of flags that no writer of ours would write."""
    text = flag_json(parse_flag("x", fuzzing.FULL)).encode()
    fields = {f"spoilt-{number}".encode(): spoilt(text, rng) for number in range(60)}
    documents = (fuzzing.document(rng) for _ in range(100))
    fields |= {f"fuzz-{number}".encode(): text for number, text in enumerate(map(dumped, documents))}
    fields |= {
        b"segment:s" + bytes([number]): spoilt(b'{"if":[{"attribute":"a","operator":"exists"}]}', rng)
        for number in range(97, 122)
    }
    return fields | {
        b"a b": text,
        b"": text,
        b"\xff\xfe": text,
        b"segment:\xff": b"{}",
        b"segment:": b"{}",
        b"empty": b"",
        b"null": b"null",
        b"deep": b"[" * 100_000,
        b"half": b'{"enabled": true',
        b"itself": flag_json(
            parse_flag("x", {**SOUND, "prerequisites": [{"flag": "itself", "variants": ["on"]}]})
        ).encode(),
        b"gone": flag_json(
            parse_flag("x", {**SOUND, "prerequisites": [{"flag": "nowhere", "variants": ["on"]}]})
        ).encode(),
        b"huge": b'{"description": "' + b"x" * 3_000_000 + b'"}',
    }


def dumped(document):
    try:
        return json.dumps(document, default=str).encode(errors="surrogatepass")
    except (ValueError, TypeError, RecursionError):
        return b"{}"


@pytest.fixture
def littered(redis_url):
    """The URL of a Redis that holds a sound flag among garbage."""
    with connect(redis_url) as client:
        api = Api(services_over(redis_url))
        assert api.post("flags", {"key": "sound", **SOUND}).status_code == 201
        for field, text in garbage(random.Random(6)).items():
            client.hset("sb:{demo}:flags", field, text)
            client.hset("sb:{demo}:ver", field, "1-1")
    return redis_url


def test_garbage_in_the_store_is_left_out_and_logged_and_the_rest_served(littered, caplog):
    store = RedisFlagStore(littered, "demo")
    with caplog.at_level(logging.ERROR):
        snapshot = store.snapshot()
        view = View(snapshot)
        readable = dict(snapshot.flags.items())
        for key in [*snapshot.flags, "sound"]:
            view.find(key)
    assert "'half' can't be read and is left out" in caplog.text
    assert view.find("sound") is not None
    assert "sound" in readable
    assert not {"half", "a b", "", "null", "deep", "itself", "empty", "huge"} & readable.keys()
    assert set(view.keys()) <= readable.keys()
    assert isinstance(snapshot, Snapshot)
    store.close()


def test_a_client_of_a_littered_store_evaluates_what_is_sound(littered):
    with FlagClient(RedisSource(littered, "demo")) as client:
        assert client.get_string_value("sound", "?") == "yaml"
        detail = client.get_string_details("half", "?")
        assert (detail.value, detail.error_code) == ("?", ErrorCode.FLAG_NOT_FOUND)
        assert client.get_string_details("gone", "?").metadata == {"prerequisite": "nowhere"}


def test_the_api_over_a_littered_store_lists_changes_and_kills_what_is_sound(littered):
    api = Api(services_over(littered))
    listed = api.get("flags")
    assert listed.status_code == 200, listed.text
    assert "sound" in {view["key"] for view in listed.json["flags"]}
    assert (
        api.post(
            "flags", {"key": "fresh", **SOUND, "prerequisites": [{"flag": "sound", "variants": ["on"]}]}
        ).status_code
        == 201
    )
    assert api.post("flags/sound/disable", {"reason": "x"}).status_code == 200
    assert api.get("snapshot").status_code == 200


# ---- override files


def test_spoilt_override_files_change_nothing_and_sound_ones_count(tmp_path):
    rng, path = random.Random(7), tmp_path / "overrides.yaml"
    overrides = OverrideFile(path)
    refused = 0
    for _ in range(300):
        path.write_bytes(spoilt(b"useYamlMessaging: json\nenableCompression: 'off'\nb: {a: [1, null]}\n", rng))
        try:
            values = overrides.poll()
        except DocumentError:
            refused += 1
            continue
        view = View().overridden(values or {})
        assert all(view.find(key) for key in values or {})
    assert refused > 100
