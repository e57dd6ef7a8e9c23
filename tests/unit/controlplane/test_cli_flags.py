"""`signalbox flags` with files, in words and step by step, and `signalbox segments`."""

import io
import re

import pytest
from click.testing import CliRunner

from controlplane import applying
from controlplane.cli.main import main
from flags import edits, service
from flags.edits import kill
from flags.model import Hold
from tests.commands import FILE, answer

SEGMENT = "if: [{attribute: plan, operator: in, values: [beta]}]"
FULL = """
flags:
  route:
    enabled: true
    description: Which way settlements go
    variants: {direct: 1, pooled: 2, manual: 3}
    offVariant: manual
    onVariant: direct
    prerequisites: [{flag: enableBatching, variants: ["on"]}]
    targets: {direct: [p-1, p-2, p-3, p-4, p-5, p-6]}
    rules:
      - {if: [{segment: beta, negate: true}, {attribute: amount, operator: gt, values: [10]}], serve: pooled}
    rollout:
      split: [{variant: direct, percentage: 20}, {variant: manual, percentage: 80}]
      domains: {balance: 5}
    stickiness: playerId
    owner: settlements
    tags: [money]
    lifetime: temporary
    expires: 2030-06-30
segments:
  beta: {if: [{attribute: plan, operator: in, values: [beta]}]}
"""


def test_a_file_is_applied_with_its_segments_and_the_same_file_then_changes_nothing(run):
    shown = run("flags", "apply", "-", "--reason", "git 3f2a9c", stdin=FULL).stdout
    assert "+ route\n" in shown
    assert "+ segment:beta\n" in shown
    assert "2 added\nrevision " in shown
    assert run("flags", "apply", "-", stdin=FULL).stdout == "nothing to change\n"
    assert answer(run("flags", "history", "route", "--json"))["entries"][0]["reason"] == "git 3f2a9c"


def test_several_files_are_one_write_and_name_nothing_twice(run, connection, tmp_path):
    before = connection.store.snapshot().revision.rev
    (tmp_path / "segments.yaml").write_text(f"segments: {{beta: {{{SEGMENT}}}}}")
    run("flags", "apply", "-", tmp_path / "segments.yaml", stdin=FULL.split("segments:", maxsplit=1)[0])
    assert connection.store.snapshot().revision.rev == before + 1
    refused = run("flags", "apply", "-", tmp_path / "segments.yaml", stdin=FULL, code=1).stderr
    assert "segments.yaml: segments.beta: is defined in another file too" in refused


def test_an_error_in_a_file_names_the_file_and_the_field(run, tmp_path):
    (tmp_path / "wrong.yaml").write_text("flags: {a: {enabled: 1, variants: {on: 1, off: 2}, offVariant: 'off'}}")
    assert (
        "wrong.yaml: flags.a.enabled: is not a boolean" in run("flags", "apply", tmp_path / "wrong.yaml", code=1).stderr
    )


def test_an_error_between_files_names_the_one_that_refers_to_what_is_not_there(run, tmp_path):
    (tmp_path / "other.yaml").write_text(FILE)
    (tmp_path / "wrong.yaml").write_text(FULL.split("segments:", maxsplit=1)[0])
    refused = run("flags", "apply", tmp_path / "other.yaml", tmp_path / "wrong.yaml", code=1).stderr
    assert "wrong.yaml: flags.route.rules[0].if[0].segment: is not a segment of this environment" in refused


def test_what_a_file_does_not_name_is_pruned_only_when_asked_and_confirmed(run, connection, tmp_path):
    keep = FILE.replace("  enableBatching", "  #enableBatching")
    assert run("flags", "apply", "-", stdin=keep).stdout == "nothing to change\n"
    assert "give --yes" in run("flags", "apply", "-", "--prune", stdin=keep, code=2).stderr
    assert run("flags", "apply", "-", "--prune", "--dry-run", stdin=keep).stdout.startswith(
        "- enableBatching\n1 removed\n"
    )
    assert not connection.store.snapshot().flags["enableBatching"].archived
    assert "- enableBatching\n1 removed\nrevision " in run("flags", "apply", "-", "--prune", "--yes", stdin=keep).stdout
    assert connection.store.snapshot().flags["enableBatching"].archived


class Terminal(io.BytesIO):
    """Standard input at which somebody sits."""

    def isatty(self):
        return True


@pytest.mark.parametrize(("said", "code", "applied"), [("y", 0, True), ("n", 1, False), ("", 1, False)])
def test_at_a_terminal_a_person_is_asked_after_the_differences_were_shown(
    run, connection, tmp_path, said, code, applied
):
    (tmp_path / "more.yaml").write_text(FULL)
    before = connection.store.snapshot()
    shown = CliRunner().invoke(
        main, ["flags", "apply", str(tmp_path / "more.yaml")], input=Terminal(f"{said}\n".encode())
    )
    assert shown.exit_code == code, shown.output
    assert shown.output.index("2 added") < shown.output.index("Apply this to environment 'demo'?")
    assert (connection.store.snapshot() != before) is applied
    assert ("nothing was changed" in shown.stderr) is not applied


def test_what_somebody_else_wrote_after_the_differences_were_shown_is_not_overwritten(run, connection, monkeypatch):
    plan = applying.plan

    def slow(*arguments, **options):
        planned = plan(*arguments, **options)
        service.change(connection.store, ("useYamlMessaging",), edits.disable, actor="maria")
        return planned

    monkeypatch.setattr(applying, "plan", slow)
    assert "[REVISION_CONFLICT]" in run("flags", "apply", "-", stdin=FULL, code=1).stderr
    assert "route" not in connection.store.snapshot().flags


def test_a_diff_exits_as_diff_does_and_minds_no_hold(run, connection, tmp_path):
    assert run("flags", "diff", tmp_path / "flags.yaml").stdout == "nothing to change\n"
    service.change(connection.store, ("useYamlMessaging",), lambda flag: kill(flag, Hold("x", "y")), actor="x")
    shown = run("flags", "diff", tmp_path / "flags.yaml", code=1).stdout
    assert shown == "~ useYamlMessaging\n    enabled: false → true\n1 changed\n"
    run("flags", "disable", "enableBatching")
    alone = (
        "flags: {enableBatching: {enabled: false, description: batches, rolloutPercentage: 5, fallback: individual}}"
    )
    run("flags", "diff", "-", stdin=alone)
    assert run("flags", "diff", "-", "--prune", stdin=alone, code=1).stdout == "- useYamlMessaging\n1 removed\n"
    assert answer(run("flags", "diff", "-", "--json", stdin=alone))["equal"] is True
    assert run("flags", "diff", "-", stdin="flags: 1", code=1).stdout == ""


def test_a_flag_is_shown_in_words(run):
    run("flags", "apply", "-", stdin=FULL)
    shown = [" ".join(line.split()) for line in run("flags", "show", "route").stdout.splitlines()]
    assert shown[:14] == [
        "route",
        "state enabled",
        "description Which way settlements go",
        "variants direct 1, pooled 2, manual 3",
        "off variant manual",
        "on variant direct",
        "prerequisite enableBatching serves on",
        'target "p-1", "p-2", "p-3", "p-4", "p-5" and 1 more: direct',
        "rule 1 not in segment beta and amount gt 10: pooled",
        "rollout direct 20%, manual 80%, balance 5%",
        "bucketed by playerId",
        "owner settlements",
        "tags money",
        "lifetime until 2030-06-30",
    ]
    listed = " ".join(run("flags", "list").stdout.split())
    assert "route enabled direct 20%, manual 80%, balance 5% settlements money until 2030-06-30" in listed
    assert answer(run("flags", "show", "route", "--json"))["owner"] == "settlements"


def test_a_default_percentage_is_not_set_beside_a_split(run):
    run("flags", "apply", "-", stdin=FULL)
    assert "[FLAG_SPLIT]" in run("flags", "set", "route", "--percentage", 5, code=1).stderr
    assert "balance 7%" in run("flags", "set", "route", "--percentage", 7, "--domain", "balance").stdout
    assert "route: disabled" in run("flags", "disable", "route").stdout


def test_a_flag_is_put_away_and_brought_back_as_it_was(run, connection):
    first = answer(run("flags", "history", "useYamlMessaging", "--json"))["entries"][-1]["revision"]
    run("flags", "set", "useYamlMessaging", "--percentage", 5)
    assert "useYamlMessaging: archived" in run("flags", "archive", "useYamlMessaging", "--reason", "over").stdout
    assert "useYamlMessaging" not in run("flags", "list").stdout
    assert "useYamlMessaging  archived" in run("flags", "list", "--archived").stdout
    assert "[FLAG_ARCHIVED]" in run("flags", "archive", "useYamlMessaging", code=1).stderr
    assert "useYamlMessaging: enabled, 5%" in run("flags", "revert", "useYamlMessaging").stdout
    assert "useYamlMessaging: enabled, 0%" in run("flags", "revert", "useYamlMessaging", "--revision", first).stdout
    assert "nothing to change" in run("flags", "revert", "useYamlMessaging", "--revision", first).stdout
    assert "not in the flag's history" in run("flags", "revert", "enableBatching", "--revision", "9-9", code=1).stderr


def test_an_explanation_says_each_step_the_bucket_and_the_threshold(run):
    run("flags", "set", "useYamlMessaging", "--percentage", 50)
    shown = run("flags", "explain", "useYamlMessaging", "--context", '{"targetingKey": "user-1"}').stdout
    first, enabled, rollout, result = shown.splitlines()
    assert re.fullmatch(r"useYamlMessaging at revision \d+-\d+", first)
    assert enabled == "   1. enabled: the flag is enabled"
    assert re.fullmatch(
        r"-> 2\. rollout: 50% get 'on': bucket [\d,]+ of 100,000 is (not )?below 50,000: '(on|off)' is served", rollout
    )
    assert re.fullmatch(r'= "(yaml|json)" \(variant (on|off), SPLIT\)', result)
    told = answer(run("flags", "explain", "useYamlMessaging", "-c", "targetingKey=user-1", "--json"))
    assert told["steps"][-1]["threshold"] == 50_000


def test_a_context_comes_from_a_file_an_option_and_single_attributes_the_last_of_which_wins(run, tmp_path):
    run("flags", "apply", "-", stdin=FULL)
    (tmp_path / "context.yaml").write_text("playerId: p\ndomain: one\namount: 1\n")
    words = ("flags", "explain", "route", "--context-file", tmp_path / "context.yaml", "--context", '{"domain": "two"}')
    run("flags", "enable", "enableBatching")
    run("flags", "set", "enableBatching", "--percentage", 100)
    shown = run(*words, "-c", "amount:=11", "-c", "plan=none").stdout
    assert "amount gt 10 holds (amount is 11)" in shown
    assert shown.endswith("= 2 (variant pooled, TARGETING_MATCH)\n")
    assert "amount gt 10 does not hold (amount is '11')" in run(*words, "-c", "amount=11", "-c", "plan=none").stdout
    assert "domain 'two' is not listed" in run(*words).stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("-c", "amount"), 2, "-c takes NAME=TEXT or NAME:=JSON, not 'amount'"),
        (("-c", ":=1"), 2, "-c takes"),
        (("-c", "amount:=x"), 1, "would be the text"),
        (("--context", "{"), 1, "--context: is not JSON: line 1"),
        (("--context", "[]"), 1, "context: is not an object"),
    ],
)
def test_a_context_that_is_none_is_told(run, words, code, said):
    assert said in run("flags", "explain", "useYamlMessaging", *words, code=code).stderr


def test_an_explanation_says_what_the_context_lacks(run):
    run("flags", "set", "useYamlMessaging", "--percentage", 50)
    run("flags", "set", "useYamlMessaging", "--percentage", 50, "--domain", "balance")
    run("flags", "set", "useYamlMessaging", "--percentage", 40)
    shown = run("flags", "explain", "useYamlMessaging").stdout
    assert "   2. domain: the context has no domain\n" in shown
    assert "= the caller's default value (ERROR TARGETING_KEY_MISSING: " in shown
    assert "[FLAG_NOT_FOUND]" in run("flags", "explain", "nothing", code=1).stderr


def test_segments_are_set_shown_listed_and_put_away(run):
    run("flags", "apply", "-", stdin=FULL)
    assert "beta: plan in " in run("segments", "set", "beta", "-", stdin=SEGMENT.replace("beta", "gold")).stdout
    assert "nothing to change" in run("segments", "set", "beta", "-", stdin=SEGMENT.replace("beta", "gold")).stdout
    assert re.search(r'beta +in use +plan in "gold" +route', run("segments", "list").stdout)
    shown = run("segments", "show", "beta").stdout
    assert 'if       plan in "gold"' in shown
    assert "flags    route" in shown
    refused = run("segments", "archive", "beta", code=1).stderr
    assert (
        "flags.route.rules[0].if[0].segment: is archived (found 'beta'); expected one that is not: to archive"
        in refused
    )
    run("segments", "set", "other", "-", stdin=SEGMENT)
    assert "other: archived" in run("segments", "archive", "other", "--reason", "over").stdout
    assert "other" not in run("segments", "list").stdout
    assert re.search(r"other +archived +plan", run("segments", "list", "--archived").stdout)
    assert "[SEGMENT_NOT_FOUND]" in run("segments", "show", "none", code=1).stderr
    assert answer(run("segments", "show", "beta", "--json"))["flags"] == ["route"]
