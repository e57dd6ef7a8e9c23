"""The restart command: run for each slot, without a shell, its failures quoted."""

import sys

from rollout.restart import CommandRestarter, Target


def target(slot, domain="collections"):
    return Target(slot, domain, "", "host-1", (f"{slot}.x",))


def test_a_command_gets_the_slot_as_one_word_whatever_stands_in_it(tmp_path):
    out = tmp_path / "out"
    script = "import sys; open(sys.argv[1], 'a').write(repr(sys.argv[2:]))"
    words = (sys.executable, "-c", script, str(out), "--unit", "w@{slot}", "{domain}/{host}")
    assert CommandRestarter(words).restart([target("a 1; $(reboot)", "d")]) == {}
    assert out.read_text() == "['--unit', 'w@a 1; $(reboot)', 'd/host-1']"


def test_a_command_that_fails_is_quoted_and_does_not_stop_the_next(tmp_path):
    script = f"import sys; sys.exit('no such unit') if sys.argv[1] == 'a-1' else open({str(tmp_path / 'ok')!r}, 'w')"
    failures = CommandRestarter((sys.executable, "-c", script, "{slot}")).restart([target("a-1"), target("a-2")])
    assert list(failures) == ["a-1"]
    assert "exit 1: no such unit" in failures["a-1"]
    assert (tmp_path / "ok").exists()


def test_a_command_that_does_not_exist_is_said():
    assert "No such file" in CommandRestarter(("/nowhere/restart",)).restart([target("a-1")])["a-1"]


def test_a_command_that_hangs_is_given_up(monkeypatch):
    monkeypatch.setattr("rollout.restart.COMMAND_TIMEOUT", 0.2)
    failures = CommandRestarter((sys.executable, "-c", "import time; time.sleep(30)")).restart([target("a-1")])
    assert "timed out" in failures["a-1"]
