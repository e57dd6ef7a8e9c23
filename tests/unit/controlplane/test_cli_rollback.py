"""What the lever's command says and ends with where the rollback itself can't go on."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from controlplane.cli import rollback as module
from foundation.signing import SigningKey
from rollout.errors import KillUndone

ROOT = Path(__file__).parents[3]


@pytest.fixture
def undone(monkeypatch, tmp_path):
    def pull(*_):
        raise KillUndone("useYamlMessaging: killed 3 times; the queues are barred")

    connection = SimpleNamespace(environment="demo", settings=SimpleNamespace(data_dir=tmp_path))
    monkeypatch.setattr(module, "connect", lambda _: connection)
    monkeypatch.setattr(module, "signing_key", lambda _: SigningKey.generate())
    monkeypatch.setattr(module, "open_ports", lambda *_: None)
    monkeypatch.setattr(module, "_pull", pull)


@pytest.mark.usefixtures("undone")
def test_a_kill_that_is_undone_is_no_kill_and_says_so_in_words_of_its_own():
    result = CliRunner().invoke(module.command, ["--yes"])
    assert result.exit_code == 3
    assert "the queues are barred" in result.stderr
    assert "NOT killed" in result.stderr
    assert "no flags server answers" not in result.stderr


def test_the_runbook_knows_it():
    text = (ROOT / "docs/how-to/emergency-rollback.md").read_text()
    assert "written anew by somebody each time" in text
