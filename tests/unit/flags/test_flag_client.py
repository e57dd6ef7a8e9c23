"""The client around evaluation: starting, statuses, overrides, closing, with a source that does as it is told."""

import logging
import math

import pytest

from flags.client import ClientSettings, FlagClient, Status
from flags.errors import FlagsError
from flags.evaluation import ErrorCode, Reason
from flags.instances import Instance
from flags.model import ZERO, Revision
from flags.sources.http import HttpSource
from flags.sources.redis import RedisSource
from flags.store import Change
from foundation.clock import ManualClock
from foundation.errors import DocumentError
from tests.flag_sources import PuppetSource, flag, snapshot
from tests.support import eventually

AT_ONCE = ClientSettings(start_timeout=0.0)


@pytest.fixture
def make():
    """Make clients that are closed at the end."""
    clients = []

    def make_client(source, **parts):
        clients.append(FlagClient(source, clock=parts.pop("clock", ManualClock()), **parts))
        return clients[-1]

    yield make_client
    for client in clients:
        client.close()


# Starting.


def test_a_client_starts_with_the_first_flags_and_is_a_context_manager():
    source = PuppetSource(snapshot(flag()))
    with FlagClient(source) as client:
        assert client.status is Status.READY
        assert client.revision == Revision(1, 1)
        assert client.snapshot == source.first
        assert client.get_string_value("k", "json") == "yaml"
    assert source.closed.is_set()
    assert client.get_string_value("k", "json") == "yaml"


def test_a_source_that_gives_nothing_does_not_hold_up_the_start(make):
    client = make(PuppetSource(), settings=ClientSettings(start_timeout=0.05))
    assert not client.start()
    assert (client.status, client.age, client.revision) == (Status.INITIALIZING, math.inf, ZERO)
    assert client.snapshot.flags == {}
    detail = client.get_string_details("k", "json")
    assert (detail.value, detail.reason, detail.error_code) == ("json", Reason.ERROR, ErrorCode.PROVIDER_NOT_READY)


def test_a_client_evaluates_before_it_is_started_too(make):
    assert make(PuppetSource()).get_boolean_value("k", True) is True


def test_a_closed_client_is_not_started_again(make):
    client = make(PuppetSource())
    client.close()
    client.close()
    with pytest.raises(FlagsError, match="closed"):
        client.start()


# Following.


def test_a_change_is_seen_by_the_next_evaluation_and_leaves_other_flags_as_they_are(make):
    source = PuppetSource(snapshot(flag("a"), flag("b"), flag("c")))
    client = make(source)
    assert client.start()
    assert client.get_string_value("b", "json") == "yaml"
    kept = client._view.strings["b"]
    changed = {
        "a": flag("a", on="toml"),
        "c": flag("c", archived=True),
        "d": flag("d", on=5, variants={"on": 5, "off": 1}),
    }
    source.feed.apply(Change(Revision(1, 2), changed))
    assert client.get_string_value("a", "json") == "toml"
    assert client._view.strings["b"] is kept
    assert client.get_string_details("c", "json").error_code is ErrorCode.FLAG_NOT_FOUND
    assert (client.get_integer_value("d", 0), client.get_float_value("d", 0.5)) == (5, 5.0)
    assert client.revision == Revision(1, 2)


def test_a_flag_that_changes_its_type_answers_as_the_new_one_only(make):
    source = PuppetSource(snapshot(flag()))
    client = make(source)
    client.start()
    source.feed.apply(Change(Revision(1, 2), {"k": flag(variants={"on": True, "off": False})}))
    assert client.get_boolean_value("k", False) is True
    assert client.get_string_details("k", "json").error_code is ErrorCode.TYPE_MISMATCH


def test_a_snapshot_without_a_flag_takes_it_away(make):
    source = PuppetSource(snapshot(flag("a"), flag("b")))
    client = make(source)
    client.start()
    source.feed.replace(snapshot(flag("b"), rev=2))
    assert client.get_string_value("a", "default") == "default"


def test_a_source_that_fails_is_run_again(make, caplog):
    source = PuppetSource(snapshot(flag()))
    source.failures, source.heartbeat = 2, 0.01
    client = make(source)
    with caplog.at_level(logging.CRITICAL, logger="flags.client"):
        assert client.start()
    assert source.runs == 3


# Statuses.


def test_the_status_follows_the_source_and_each_change_of_it_is_told_once(make):
    source, clock, told = PuppetSource(), ManualClock(), []
    client = make(source, clock=clock, settings=AT_ONCE)
    client.on_status(told.append)
    client.start()
    eventually(lambda: source.feed)
    source.feed.failed(OSError("refused"))
    eventually(lambda: told == [Status.ERROR])
    assert str(client.error) == "refused"
    source.feed.replace(snapshot(flag()))
    eventually(lambda: told == [Status.ERROR, Status.READY])
    clock.advance(3.5)
    eventually(lambda: told == [Status.ERROR, Status.READY, Status.STALE])
    assert client.age == pytest.approx(3.5)
    assert client.get_string_value("k", "json") == "yaml"
    source.feed.contact()
    eventually(lambda: told[3:] == [Status.READY])
    assert client.error is None


def test_a_callback_that_fails_keeps_nobody_else_from_being_told(make, caplog):
    source, told = PuppetSource(snapshot(flag())), []
    client = make(source)
    client.on_status(lambda _: 1 / 0)
    client.on_status(told.append)
    with caplog.at_level(logging.CRITICAL, logger="flags.client"):
        client.start()
        eventually(lambda: told == [Status.READY])


def test_a_callback_may_close_the_client(make, caplog):
    client = make(PuppetSource(snapshot(flag())))
    client.on_status(lambda _: client.close())
    client.start()
    eventually(lambda: not any(thread.is_alive() for thread in client._threads))
    assert caplog.text == ""


def test_a_client_lapses_when_its_lease_runs_out_and_not_before_it_has_one(make):
    source, clock = PuppetSource(snapshot(flag())), ManualClock()
    client = make(source, clock=clock)
    client.start()
    assert client.lapsed
    source.feed.contact(clock.monotonic())
    assert not client.lapsed
    clock.advance(3.0)
    assert client.lapsed


# The override file.


def test_the_override_file_outranks_the_source_and_is_followed(make, tmp_path):
    path = tmp_path / "overrides.yaml"
    path.write_text("k: json\nunknown: 5\n")
    source = PuppetSource(snapshot(flag()))
    client = make(source, overrides=path)
    detail = client.get_string_details("k", "default")  # before it is started: Redis may be gone
    assert (detail.value, detail.variant, detail.reason) == ("json", "override", Reason.STATIC)
    assert detail.metadata == {"source": "override"}
    client.start()
    assert client.get_string_value("k", "default") == "json"
    assert (client.get_integer_value("unknown", 0), client.get_float_value("unknown", 0.5)) == (5, 5.0)
    assert source.instance.overrides == client.instance.overrides == ("k", "unknown")
    source.feed.apply(Change(Revision(1, 2), {"k": flag(on="toml")}))
    assert client.get_string_value("k", "default") == "json"
    path.write_text("unknown: {a: [1]}\n")
    eventually(lambda: client.get_string_value("k", "default") == "toml")
    assert client.get_object_value("unknown", None) == {"a": [1]}
    assert source.feed.overrides == ("unknown",)
    path.unlink()
    eventually(lambda: client.instance.overrides == ())
    assert client.get_integer_details("unknown", 7).error_code is ErrorCode.FLAG_NOT_FOUND


def test_an_override_works_for_a_disabled_and_an_archived_flag(make, tmp_path):
    path = tmp_path / "overrides.json"
    path.write_text('{"a": "yaml", "b": "yaml"}')
    client = make(PuppetSource(snapshot(flag("a", enabled=False), flag("b", archived=True))), overrides=path)
    client.start()
    assert [client.get_string_value(key, "json") for key in "ab"] == ["yaml", "yaml"]


def test_a_broken_override_file_is_complained_of_and_changes_nothing(make, tmp_path, caplog):
    path = tmp_path / "overrides.yaml"
    path.write_text("k: json\n")
    client = make(PuppetSource(snapshot(flag())), overrides=path)
    client.start()
    path.write_text("k: [\n")
    eventually(lambda: "what was in force before still is" in caplog.text)
    assert client.get_string_value("k", "default") == "json"


@pytest.mark.parametrize("none", [None, ""])
def test_no_override_file_overrides_nothing(make, none, caplog):
    client = make(PuppetSource(snapshot(flag())), overrides=none)
    client.start()
    assert client.instance.overrides == ()
    assert caplog.text == ""


# Who it is.


def test_a_client_describes_itself_unless_it_is_told_who_it_is(make):
    plain = make(PuppetSource()).instance
    assert plain.kind == "sdk"
    assert plain.id.startswith(f"{plain.slot}.")
    given = Instance("collections-1.k3v9", "collections-1", kind="worker", domain="collections")
    assert make(PuppetSource(), instance=given).instance == given


def test_the_environment_is_read_by_one_method_only(monkeypatch):
    for name in ("REDIS_URL", "URL", "TOKEN", "ENV", "BACKUP", "OVERRIDES"):
        monkeypatch.delenv(f"SIGNALBOX_{name}", raising=False)
    with pytest.raises(DocumentError, match="SIGNALBOX_REDIS_URL: is not set"):
        FlagClient.from_environment()
    monkeypatch.setenv("SIGNALBOX_REDIS_URL", "redis://127.0.0.1:1")
    monkeypatch.setenv("SIGNALBOX_ENV", "shop")
    client = FlagClient.from_environment(settings=AT_ONCE)
    assert client._source._keys.named("meta") == "sb:{shop}:meta"


def test_a_client_is_fed_over_http_where_no_redis_is_named(monkeypatch, tmp_path):
    monkeypatch.delenv("SIGNALBOX_REDIS_URL", raising=False)
    monkeypatch.setenv("SIGNALBOX_URL", "https://flags.invalid")
    monkeypatch.setenv("SIGNALBOX_TOKEN", "")
    with pytest.raises(DocumentError, match="SIGNALBOX_TOKEN"):
        FlagClient.from_environment()
    monkeypatch.setenv("SIGNALBOX_TOKEN", "sb_sdk_x")
    monkeypatch.setenv("SIGNALBOX_ENV", "shop")
    monkeypatch.setenv("SIGNALBOX_BACKUP", str(tmp_path / "backup"))
    client = FlagClient.from_environment()
    assert isinstance(client._source, HttpSource)
    assert (client._source.environment, client._backup._path) == ("shop", tmp_path / "backup")
    monkeypatch.setenv("SIGNALBOX_REDIS_URL", "redis://127.0.0.1:1")
    assert isinstance(FlagClient.from_environment()._source, RedisSource)
