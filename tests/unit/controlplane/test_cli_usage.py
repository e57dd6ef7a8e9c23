"""`signalbox flags usage`, and stale flags in the list, over an environment in memory."""

import json

import pytest
from click.testing import CliRunner

from controlplane.cli import flags, usage
from controlplane.cli.main import main
from controlplane.settings import Settings
from flags import service
from flags.counts import Report
from flags.documents import parse_flag
from flags.usage import DAY
from foundation.clock import ManualClock
from tests.apiclient import MemoryConnection

FLAG = {"enabled": True, "variants": {"on": "yaml", "off": "json"}, "offVariant": "off"}


@pytest.fixture
def clock():
    return ManualClock(start=1_800_000_000.0)


@pytest.fixture
def connection(monkeypatch, clock):
    connection = MemoryConnection(Settings(), "demo", clock)
    for module in (flags, usage):
        monkeypatch.setattr(module, "connect", lambda _environment: connection)
    for key in ("k", "idle"):
        service.create(connection.store, parse_flag(key, FLAG), actor="kim")
    return connection


def run(*words, code=0):
    result = CliRunner().invoke(main, ["flags", *words])
    assert result.exit_code == code, result.output
    return result.stdout


def test_usage_is_a_table_of_days_and_variants(connection, clock):
    connection.counts.report("one", Report(1, {("k", "on"): 12_345, ("k", ""): 2}))
    clock.advance(2 * DAY)
    connection.counts.report("one", Report(2, {("k", "off"): 1}))
    assert [line.split() for line in run("usage", "k").splitlines()] == [
        ["DAY", "off", "on", "DEFAULT"],
        ["2027-01-15", "0", "12,345", "2"],
        ["2027-01-17", "1", "0", "0"],
        ["last", "evaluated", "2027-01-17", "08:00:00"],
    ]


def test_usage_for_machines_has_every_day(connection):
    connection.counts.report("one", Report(1, {("k", "on"): 3}))
    told = json.loads(run("usage", "k", "--days", "2", "--json"))
    assert told["total"] == {"variants": {"on": 3}, "defaults": 0}
    assert [day["day"] for day in told["days"]] == ["2027-01-14", "2027-01-15"]


def test_a_flag_that_was_not_evaluated_says_so_and_one_that_is_not_there_fails(connection):
    assert run("usage", "k", "--days", "7") == "k was not evaluated in the last 7 days\n"
    run("usage", "nobody", code=1)
    run("usage", "k", "--days", "91", code=2)


def test_stale_flags_are_listed_alone(connection, clock):
    connection.counts.report("one", Report(1, {("k", "on"): 1}))
    clock.advance(31 * DAY)
    connection.counts.report("one", Report(2, {("k", "on"): 1, ("k", "off"): 1}))
    assert [flag["key"] for flag in json.loads(run("list", "--stale", "--json"))["flags"]] == ["idle"]
    assert len(json.loads(run("list", "--json"))["flags"]) == 2
