"""What `on_change` tells: which flags are other than they were, after they are in use, and nothing else."""

import threading
from dataclasses import replace

import pytest

from flags.client import FlagClient, Status
from flags.model import Revision, Snapshot
from flags.segments import parse_segment
from flags.store import Change
from flags.view import View
from tests.flag_sources import PuppetSource, flag, snapshot
from tests.support import eventually


@pytest.fixture
def told():
    return []


@pytest.fixture
def source():
    return PuppetSource(snapshot(flag("a"), flag("b")))


@pytest.fixture
def client(source, told):
    with FlagClient(source) as client:
        client.on_change(told.append)
        yield client


def test_a_change_is_told_with_the_keys_that_it_touched_once_it_is_in_use(source, told):
    with FlagClient(source) as client:
        client.on_change(lambda keys: told.append((keys, client.get_string_value("a", "json"))))
        source.feed.apply(Change(Revision(1, 2), {"a": flag("a", on="toml")}))
        eventually(lambda: told)
    assert told == [(frozenset({"a"}), "toml")]


def test_a_snapshot_is_told_with_the_keys_that_differ_only(client, source, told):
    source.feed.replace(snapshot(flag("a"), flag("c"), rev=7))
    eventually(lambda: told)
    assert told == [frozenset({"b", "c"})]


def test_a_segment_or_a_prerequisite_that_changes_is_told_as_the_flags_it_bears_on(source, told):
    rules = [{"if": [{"segment": "beta"}], "serve": "on"}]
    relying = flag("c", prerequisites=[{"flag": "a", "variants": ["on"]}])
    flags = {each.key: each for each in (flag("a"), flag("b", rules=rules), relying, flag("d"))}
    beta = parse_segment("beta", {"if": [{"attribute": "plan", "operator": "equals", "values": ["gold"]}]})
    source.first = Snapshot(Revision(1, 1), flags, segments={"beta": beta})
    with FlagClient(source) as client:
        client.on_change(told.append)
        source.feed.apply(Change(Revision(1, 2), {}, {"beta": replace(beta, archived=True)}))
        eventually(lambda: told == [frozenset({"b"})])
        source.feed.replace(Snapshot(Revision(2, 1), {**flags, "a": flag("a", enabled=False)}, segments={"beta": beta}))
        eventually(lambda: told[1:] == [frozenset({"a", "b", "c"})])


def test_the_first_flags_are_no_change(told):
    source = PuppetSource()
    client = FlagClient(source)
    client.on_change(told.append)
    source.first = snapshot(flag("a"))
    with client:
        source.feed.apply(Change(Revision(1, 2), {"z": flag("z")}))
        eventually(lambda: told)
    assert told == [frozenset({"z"})]


def test_a_snapshot_that_says_the_same_again_is_no_change(client, source, told):
    source.feed.replace(snapshot(flag("a"), flag("b"), rev=8))
    source.feed.apply(Change(Revision(1, 9), {"b": flag("b", on="toml")}))
    eventually(lambda: told)
    assert told == [frozenset({"b"})]


def test_an_override_that_comes_or_goes_is_told_like_a_change(source, told, tmp_path):
    path = tmp_path / "overrides.yaml"
    path.write_text("b: json")
    with FlagClient(source, overrides=path) as client:
        client.on_change(told.append)
        path.write_text("a: json")
        eventually(lambda: told)
    assert told == [frozenset({"a", "b"})]


def test_a_callback_that_fails_keeps_nobody_else_from_being_told(source, told, caplog):
    with FlagClient(source) as client:
        client.on_change(lambda keys: 1 / 0)
        client.on_change(told.append)
        source.feed.apply(Change(Revision(1, 2), {"a": flag("a", on="toml")}))
        eventually(lambda: told)
    assert "a callback of the flag client failed" in caplog.text


def test_who_asks_late_for_statuses_is_told_where_the_client_stands(client, told):
    client.on_status(told.append)
    eventually(lambda: told)
    assert told == [Status.READY]


def test_who_was_taken_off_is_told_nothing_more(client, source, told):
    status_off, change_off = client.on_status(told.append), client.on_change(told.append)
    eventually(lambda: Status.READY in told)
    told.clear()
    for off in (status_off, change_off, status_off, change_off):  # twice is fine
        off()
    source.feed.apply(Change(Revision(1, 2), {"a": flag("a", on="toml")}))
    eventually(lambda: told)
    assert told == [frozenset({"a"})]  # from the fixture's own callback, and from no other


def test_no_change_waits_until_it_is_known_whom_it_concerns(source, told, monkeypatch):
    threads, concerned = [], View.concerned

    def noting(view, keys):
        threads.append(threading.current_thread().name)
        return concerned(view, keys)

    monkeypatch.setattr(View, "concerned", noting)
    with FlagClient(source) as client:
        client.on_change(told.append)
        source.feed.apply(Change(Revision(1, 2), {"a": flag("a", on="toml")}))
        eventually(lambda: told)
    assert set(threads) == {"signalbox-watch"}
