"""The commands over an environment in memory: what they say, and what they answer machines with."""

import re
import subprocess
import sys

import pytest
from click.testing import CliRunner

from controlplane.cli import flags as flags_commands
from controlplane.cli import instances as instances_command
from controlplane.cli.common import exit_code
from controlplane.cli.main import COMMANDS, main
from controlplane.settings import Settings
from flags import service
from flags.edits import kill
from flags.errors import FlagHeld
from flags.instances import Instance
from flags.model import Hold, Revision
from foundation.clock import ManualClock
from foundation.errors import StoreRefused, StoreUnreachable
from messenger.frame import Frame
from messenger.queue import DeadLetter, Settlement
from tests.apiclient import MemoryConnection
from tests.commands import FILE, answer


def test_help_names_every_command_and_loads_none():
    code = "import sys; from controlplane.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += "print([name for name in ('flask', 'redis', 'messenger.worker') if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip().endswith("[]")
    assert all(f"  {name} " in shown for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_has_an_example(name):
    group = main.get_command(None, name)
    for command in [group, *getattr(group, "commands", {}).values()]:
        assert "Example: " in (command.help or ""), f"{name} {command.name}"


@pytest.mark.parametrize("words", [[], ["flags"], ["segments"], ["queues"], ["receipt"], ["rollback"]])
def test_the_help_of_every_group_says_what_its_exit_codes_mean(words):
    shown = " ".join(CliRunner().invoke(main, [*words, "--help"]).output.split())
    assert re.search(r"Exit codes: 0 .*, 1 .*, 2 .*, 3 ", shown)


def test_an_unknown_command_is_wrong_usage():
    assert CliRunner().invoke(main, ["flaggs"]).exit_code == 2


def test_flags_are_listed_with_what_they_serve(run):
    shown = run("flags", "list").stdout
    assert "useYamlMessaging  enabled   0%" in shown
    assert "enableBatching    disabled  5%" in shown
    assert [flag["key"] for flag in answer(run("flags", "list", "--json"))["flags"]] == [
        "enableBatching",
        "useYamlMessaging",
    ]


def test_a_percentage_is_set_for_a_domain_and_for_the_rest(run):
    shown = run(
        "flags", "set", "useYamlMessaging", "--domain", "collections", "--percentage", "50", "--reason", "pilot"
    )
    assert "useYamlMessaging: enabled, 0%, collections 50%" in shown.stdout
    document = answer(run("flags", "set", "useYamlMessaging", "--percentage", "0.125", "--json"))
    assert document["flags"][0]["percentages"] == {"default": 0.125, "domains": {"collections": 50}}
    entries = answer(run("flags", "history", "useYamlMessaging", "--json"))["entries"]
    assert (entries[1]["reason"], entries[1]["summary"]) == ("pilot", "collections as default → 50%")
    assert "@" in entries[0]["actor"]


@pytest.mark.parametrize("text", ["101", "-1", "nan", "inf", "x", "0.0001"])
def test_what_is_no_percentage_is_wrong_usage(run, text):
    run("flags", "set", "useYamlMessaging", "--percentage", text, code=2)


def test_a_change_says_how_many_have_it(run, connection):
    connection.registry.renew(Instance("a.1", "collections-1", "worker"), Revision(1, 1), 60)
    assert "0 of 1 workers have it; waiting for collections-1" in run("flags", "disable", "useYamlMessaging").stdout


def test_a_flag_is_shown_as_yaml_or_json(run):
    assert "key: useYamlMessaging" in run("flags", "get", "useYamlMessaging").stdout
    assert answer(run("flags", "get", "useYamlMessaging", "--json"))["key"] == "useYamlMessaging"


def test_a_refusal_is_one_line_with_its_code(run):
    refused = run("flags", "get", "nothing", code=1)
    assert refused.stdout == ""
    assert refused.stderr == "signalbox: no flag 'nothing' in environment 'demo' [FLAG_NOT_FOUND]\n"


def test_a_held_flag_is_neither_enabled_nor_applied_until_released(run, connection, tmp_path):
    service.change(connection.store, ("useYamlMessaging",), lambda flag: kill(flag, Hold("x", "y")), actor="x")
    assert "FLAG_HELD" in run("flags", "enable", "useYamlMessaging", code=1).stderr
    assert "FLAG_HELD" in run("flags", "apply", tmp_path / "flags.yaml", code=1).stderr
    assert "FLAG_HELD" in run("flags", "apply", tmp_path / "flags.yaml", "--dry-run", code=1).stderr
    assert "on hold by x" in run("flags", "list").stdout
    assert "useYamlMessaging: disabled" in run("flags", "release", "useYamlMessaging").stdout
    run("flags", "enable", "useYamlMessaging")


def test_a_dry_run_says_what_would_change_and_changes_nothing(run, connection):
    before = connection.store.snapshot()
    text = FILE.replace("rolloutPercentage: 0", "rolloutPercentage: 7")
    shown = run("flags", "apply", "-", "--dry-run", stdin=text).stdout
    assert shown == (
        "~ useYamlMessaging\n    rollout.percentage: 0 → 7\n1 changed\ndemo was not changed: this was a dry run\n"
    )
    told = answer(run("flags", "apply", "-", "--dry-run", "--json", stdin=text))
    assert (told["dry_run"], told["changed"], told["convergence"]) == (True, True, None)
    (item,) = told["differences"]
    assert item["fields"] == [{"path": "rollout.percentage", "before": 0, "after": 7}]
    assert connection.store.snapshot() == before


def test_applying_what_is_so_already_writes_nothing(run, connection, tmp_path):
    before = connection.store.snapshot().revision
    assert "nothing to change" in run("flags", "apply", tmp_path / "flags.yaml").stdout
    assert connection.store.snapshot().revision == before


@pytest.mark.parametrize(
    "text",
    [
        "flags: {a: {enabled: true}}",
        "flags: {a: 1, a: 2}",
        "a: !!python/object/apply:os.system [ls]",
        "a: &a [*a]",
        "x: &x [1,1]\ny: [" + "*x," * 200_000 + "]",
        "[" * 20_000,
        "a: {enabled: true, variants: {on: 1, off: 2}, offVariant: off, rollout: {percentage: .nan}}",
        "x" * 10_000_000,
        "\x00",
    ],
)
def test_a_hostile_file_changes_nothing(run, connection, text):
    before = connection.store.snapshot()
    assert "DOCUMENT_INVALID" in run("flags", "apply", "-", stdin=text, code=1).stderr
    assert connection.store.snapshot() == before


def test_a_file_that_is_not_there_is_wrong_usage(run):
    run("flags", "apply", "nowhere.yaml", code=2)


def test_instances_say_who_is_in_sync(run, connection):
    revision = connection.store.snapshot().revision
    connection.registry.renew(Instance("a.1", "collections-1", "worker", "collections"), revision, 60)
    shown = run("instances").stdout
    assert "collections-1" in shown
    assert "1 of 1 in sync" in shown
    assert answer(run("instances", "--json"))["instances"][0]["slot"] == "collections-1"


def letters(connection):
    queue = connection.queues.queue("collections")
    frame = Frame("f1", "application/yaml", "identity", 1, "0-0", b"a: 1", "c-1")
    queue.append([("normal", frame)])
    (delivery,) = queue.receive("c", 1, 0)
    letter = DeadLetter("m1", frame, "normal", "invalid", "payload.amount: is missing", 1, 1_800_000_000.0)
    queue.settle("c", [Settlement(delivery, letters=(letter,))])


def test_queues_are_counted_looked_into_and_replayed(run, connection):
    letters(connection)
    assert "collections" in run("queues").stdout
    assert "payload.amount: is missing" in run("queues", "dead-letters", "collections").stdout
    assert "1 of 1 put back" in run("queues", "replay", "collections", "--all").stdout
    peeked = run("queues", "peek", "collections").stdout
    assert "application/yaml" in peeked
    assert "    a: 1" in peeked
    assert answer(run("queues", "list", "--json"))["queues"][0]["dead"] == 0


def test_what_others_wrote_can_not_play_with_the_terminal(run, connection):
    run("flags", "disable", "useYamlMessaging", "--reason", "\x1b[2Jgone\r\n\x07")
    shown = run("flags", "history", "useYamlMessaging").stdout
    assert "\x1b" not in shown
    assert "\ufffd[2Jgone" in shown


def test_a_replay_names_letters_or_says_all(run):
    run("queues", "replay", "collections", code=2)
    run("queues", "replay", "collections", "m1", "--all", code=2)


def test_a_replay_says_which_letters_are_not_there(run, connection):
    letters(connection)
    said = run("queues", "replay", "collections", "m1", "m2", code=1)
    assert said.stdout == "1 of 2 put back into the queue of collections\n"
    assert said.stderr == "m2: there is no such letter\n"
    left = run("queues", "replay", "collections", "m1", "--json", code=1)
    assert answer(left) == {"replayed": 0, "left": 1}


def test_a_replay_says_which_letters_the_queue_does_not_admit(run, connection):
    letters(connection)
    connection.queues.bar_all(frozenset({"application/yaml", "application/json"}))
    said = run("queues", "replay", "collections", "--all", code=1)
    assert said.stderr == "m1: the queue admits it neither as it is nor as JSON\n"


@pytest.mark.parametrize("words", [("peek",), ("dead-letters",), ("replay", "--all")])
def test_a_domain_without_a_queue_is_told_which_there_are(run, connection, words):
    command, *options = words
    assert (
        "has no queue in environment 'demo' (found 'nosuch')"
        in run("queues", command, "nosuch", *options, code=1).stderr
    )
    letters(connection)
    assert "expected one of collections [" in run("queues", command, "nosuch", *options, code=1).stderr


def test_a_change_that_changes_nothing_says_so(run):
    assert run("flags", "enable", "useYamlMessaging").stdout.startswith("nothing to change\n")
    assert answer(run("flags", "enable", "useYamlMessaging", "--json"))["changed"] is False
    assert "nothing to change" not in run("flags", "disable", "useYamlMessaging").stdout
    assert answer(run("flags", "enable", "useYamlMessaging", "--json"))["changed"] is True
    assert "useYamlMessaging is not on hold: nothing to release" in run("flags", "release", "useYamlMessaging").stdout


def test_a_percentage_of_a_domain_without_workers_is_warned_of(run, connection):
    change = ("flags", "set", "useYamlMessaging", "--percentage", 5, "--domain")
    assert (
        run(*change, "balance").stderr == "warning: no live worker is of domain 'balance': there is no worker at all\n"
    )
    revision = connection.store.snapshot().revision
    connection.registry.renew(Instance("a.1", "collections-1", "worker", "collections"), revision, 60)
    assert run(*change, "balance").stderr.endswith("there are workers of collections\n")
    assert run(*change, "collections").stderr == ""


@pytest.mark.parametrize("words", [("flags", "list"), ("instances",)])
def test_an_environment_that_was_never_written_is_said_to_be_unknown(run, monkeypatch, words):
    assert run(*words).stderr == ""
    empty = MemoryConnection(Settings(), "nope", ManualClock(start=1_800_000_000.0))
    for module in (flags_commands, instances_command):
        monkeypatch.setattr(module, "connect", lambda environment: empty)
    assert run(*words).stderr == "nothing is known of environment 'nope'\n"


def test_exit_codes_tell_refused_from_unreachable():
    assert exit_code(FlagHeld("held")) == 1
    assert exit_code(StoreUnreachable("gone")) == 3
    assert exit_code(StoreRefused("OOM", "full")) == 3


def test_without_any_address_a_command_says_what_to_set(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("SIGNALBOX_REDIS_URL", "SIGNALBOX_READY_FILE", "SIGNALBOX_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    result = CliRunner().invoke(main, ["flags", "list"])
    assert result.exit_code == 3
    assert "SIGNALBOX_REDIS_URL" in result.stderr


def test_what_can_name_no_domain_starts_no_worker():
    result = CliRunner().invoke(main, ["worker", "--domain", "bad domain!", "--handlers", "examples.settlement"])
    assert result.exit_code == 2
    assert "domain: is not a valid name (found 'bad domain!')" in result.output


@pytest.mark.parametrize(("name", "text"), [("f.yaml", ""), ("f.yaml", "# later\n"), ("f.json", "\n")])
def test_an_empty_file_is_told_from_a_broken_one(run, tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert "is empty: it names no flags" in run("flags", "apply", tmp_path / name, code=1).stderr
