"""`signalbox flags export` and `signalbox flags import`."""

import json

from flags import edits, service
from flags.explanation import explain
from tests.commands import answer

FULL = """
flags:
  route:
    enabled: true
    variants: {direct: 1, pooled: 2}
    offVariant: pooled
    rules:
      - {if: [{segment: beta, negate: true}, {attribute: amount, operator: gt, values: [10]}], serve: direct}
    rollout: {percentage: 12.5, domains: {balance: 5}}
  pattern:
    enabled: true
    variants: {"on": true, "off": false}
    offVariant: "off"
    rules:
      - {if: [{attribute: email, operator: matches, values: ["@x"]}], serve: "on"}
segments:
  beta: {if: [{attribute: plan, operator: in, values: [beta]}]}
  unused: {if: [{attribute: plan, operator: in, values: [alpha]}]}
"""


def test_what_is_exported_is_what_apply_reads_and_changes_nothing(run):
    run("flags", "apply", "-", stdin=FULL)
    for words in (("flags", "export"), ("flags", "export", "--format", "json")):
        text = run(*words).stdout
        assert "route" in text
        assert run("flags", "apply", "-", "--dry-run", stdin=text).stdout == "nothing to change\n"


def test_flags_that_are_named_come_with_the_segments_they_need_and_into_the_file_that_is_named(run, tmp_path):
    run("flags", "apply", "-", stdin=FULL)
    assert not run("flags", "export", "route", "-o", tmp_path / "out.yaml").stdout
    written = (tmp_path / "out.yaml").read_text()
    assert "beta:" in written
    assert "unused" not in written
    assert "FLAG_NOT_FOUND" in run("flags", "export", "nobody", code=1).stderr


def test_an_export_to_flagd_says_what_it_leaves_out_and_comes_back_without_a_change(run, tmp_path):
    run("flags", "apply", "-", stdin=FULL)
    exported = run("flags", "export", "--format", "flagd", "-o", tmp_path / "flags.json", code=1)
    assert "flags.pattern.rules[0].if[0]: left out: flagd has nothing like the operator matches" in exported.stderr
    assert "flags.route.rules[0].if[1]: differs: " in exported.stderr
    assert "version 2" in exported.stderr
    assert list(json.loads((tmp_path / "flags.json").read_text())["flags"]).count("route") == 1
    assert run("flags", "import", "--format", "flagd", tmp_path / "flags.json").stdout == "nothing to change\n"
    named = run("flags", "export", "--format", "flagd", "route", "--json")
    assert set(answer(named)) == {"document", "findings"}


def test_an_import_shows_what_did_not_map_and_is_one_write_with_its_reason(run, connection, tmp_path):
    switch = {"variants": {"on": True, "off": False}, "defaultVariant": "on", "state": "ENABLED"}
    nested = {**switch, "targeting": {"if": [{"var": "user.beta"}, "on", "off"]}}
    (tmp_path / "flagd.json").write_text(json.dumps({"flags": {"a": switch, "b": switch, "nested": nested}}))
    before = connection.store.snapshot().revision.rev
    shown = run("flags", "import", "--format", "flagd", tmp_path / "flagd.json", "--dry-run")
    assert "flags.nested: left out: " in shown.stderr
    assert "+ a\n" in shown.stdout
    assert shown.stdout.endswith("demo was not changed: this was a dry run\n")
    assert connection.store.snapshot().revision.rev == before
    done = answer(run("flags", "import", "--format", "flagd", tmp_path / "flagd.json", "--json"))
    assert connection.store.snapshot().revision.rev == before + 1
    assert [each["field"] for each in done["findings"]] == ["flags.nested"]
    assert explain(connection.store.snapshot(), "a", {}).detail.value is True
    assert answer(run("flags", "history", "a", "--json"))["entries"][0]["reason"] == "imported from flagd"


def test_an_export_of_unleash_is_imported_and_a_flag_on_hold_stands_in_its_way(run, connection, tmp_path):
    document = {
        "features": [{"name": "ui", "type": "kill-switch"}],
        "featureEnvironments": [{"featureName": "ui", "enabled": True, "environment": "development"}],
    }
    (tmp_path / "unleash.json").write_text(json.dumps(document))
    assert "1 added" in run("flags", "import", "--format", "unleash", tmp_path / "unleash.json").stdout
    hold = edits.Hold("ann", "incident")
    service.change(connection.store, ["ui"], lambda flag: edits.kill(flag, hold), actor="ann")
    refused = run("flags", "import", "--format", "unleash", tmp_path / "unleash.json", code=1)
    assert "FLAG_HELD" in refused.stderr


def test_words_that_do_not_fit_are_wrong_usage(run, tmp_path):
    (tmp_path / "x.json").write_text("{}")
    run("flags", "import", tmp_path / "x.json", code=2)
    run("flags", "import", "--format", "flagd", "--from", "production", tmp_path / "x.json", code=2)
    assert "DOCUMENT_INVALID" in run("flags", "import", "--format", "flagd", tmp_path / "x.json", code=1).stderr
