"""`signalbox env` over environments in memory."""

import json

import pytest
from click.testing import CliRunner

from controlplane.cli import env
from controlplane.cli.main import main
from controlplane.settings import Settings
from flags import service
from flags.documents import parse_flag
from flags.edits import kill
from flags.model import Hold
from foundation.clock import ManualClock
from tests.apiclient import MemoryWiring


@pytest.fixture
def wiring(monkeypatch):
    wiring = MemoryWiring(Settings(), ManualClock(start=1_800_000_000.0))
    monkeypatch.setattr(env, "connect", lambda: wiring)
    monkeypatch.setattr(env, "WAIT", 0.0)
    return wiring


@pytest.fixture
def run(wiring):
    def call(*words, code=0):
        result = CliRunner().invoke(main, ["env", *words])
        assert result.exit_code == code, result.output
        return result

    call("create", "staging", "--description", "before production")
    return call


def put(wiring, environment, key, percentage, **more):
    document = {"enabled": True, "variants": {"on": "yaml", "off": "json"}, "offVariant": "off", **more}
    flag = parse_flag(key, {**document, "rollout": {"percentage": percentage}})
    service.apply(wiring.environment(environment).store, {key: flag}, actor="kim")


@pytest.fixture
def filled(wiring, run):
    put(wiring, "demo", "useYaml", 50)
    put(wiring, "staging", "useYaml", 0)
    put(wiring, "staging", "old", 0)
    return wiring


DIFFERENCE = """\
- old
~ useYaml
    rollout.percentage: 0 → 50
1 removed, 1 changed
"""


def test_environments_are_listed_with_who_made_them(run):
    shown = run("list").stdout.splitlines()
    assert shown[0].split() == ["ENVIRONMENT", "CREATED", "BY", "WHAT", "FOR"]
    assert [line.split()[0] for line in shown[1:]] == ["demo", "staging"]
    assert shown[2].endswith("before production")
    listed = json.loads(run("list", "--json").stdout)["environments"]
    assert [each["name"] for each in listed] == ["demo", "staging"]


def test_a_created_environment_is_told_as_json(run):
    assert json.loads(run("create", "test", "--json").stdout)["name"] == "test"


def test_a_taken_or_impossible_name_is_refused(run):
    assert "[ENVIRONMENT_EXISTS]" in run("create", "staging", code=1).stderr
    assert "[DOCUMENT_INVALID]" in run("create", "a/b", code=1).stderr


def test_a_difference_reads_without_colour_and_exits_with_1(run, filled):
    assert run("diff", "staging", "demo", code=1).stdout == DIFFERENCE
    found = json.loads(run("diff", "staging", "demo", "--json", code=1).stdout)
    assert [item["change"] for item in found["differences"]] == ["removed", "changed"]


def test_equal_environments_exit_with_0(run):
    assert run("diff", "staging", "demo").stdout == "no difference\n"
    assert json.loads(run("diff", "staging", "demo", "--json").stdout)["equal"] is True


@pytest.mark.parametrize("words", [["diff", "demo", "nope"], ["diff", "nope", "demo"], ["copy", "demo", "nope"]])
def test_an_environment_that_does_not_exist_is_wrong_usage(run, words):
    assert "no environment 'nope'" in run(*words, code=2).stderr


def test_a_dry_run_shows_the_difference_and_changes_nothing(run, filled):
    shown = run("copy", "demo", "staging", "--dry-run").stdout
    assert "rollout.percentage: 0 → 50\n1 changed\nstaging was not changed: this was a dry run\n" in shown
    assert run("diff", "staging", "demo", code=1).stdout == DIFFERENCE


def test_a_copy_shows_what_it_changed_and_how_far_it_has_got(run, filled):
    shown = run("copy", "demo", "staging", "useYaml", "--reason", "a good week").stdout
    assert "~ useYaml\n" in shown
    assert shown.splitlines()[-1].startswith("revision ")
    assert "no live worker to tell" in shown
    (entry, _) = filled.environment("staging").store.history("useYaml")
    assert entry.reason == "a good week"
    assert run("copy", "demo", "staging", "useYaml").stdout == "nothing to change in staging\n"
    assert run("diff", "staging", "demo", code=1).stdout.endswith("1 removed\n")


def test_a_copy_answers_machines_with_what_changed(run, filled):
    done = json.loads(run("copy", "demo", "staging", "--json").stdout)
    assert (done["from"], done["environment"], done["changed"]) == ("demo", "staging", True)
    assert done["convergence"]["reached"] is True


def test_what_can_not_be_copied_is_refused_with_its_code(run, filled):
    assert "[FLAG_NOT_FOUND]" in run("copy", "demo", "staging", "nope", code=1).stderr
    assert "[DOCUMENT_INVALID]" in run("copy", "demo", "demo", code=1).stderr
    hold = Hold("kim", "latency", "rcpt_1")
    service.change(filled.environment("staging").store, ["useYaml"], lambda flag: kill(flag, hold), actor="kim")
    for options in ([], ["--dry-run"]):
        assert "[FLAG_HELD]" in run("copy", "demo", "staging", *options, code=1).stderr


def test_the_help_says_what_the_exit_codes_mean(run):
    shown = " ".join(run("--help").output.split())
    assert "0 done (of diff: equal), 1 failed or refused (of diff: they differ)" in shown
