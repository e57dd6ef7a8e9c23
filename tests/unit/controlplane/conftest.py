import pytest

from tests.commands import FILE, call, connected


@pytest.fixture
def connection(monkeypatch):
    return connected(monkeypatch)


@pytest.fixture
def run(connection, tmp_path):
    """A function that runs a command over an environment in memory, which holds the flags of FILE."""
    (tmp_path / "flags.yaml").write_text(FILE)
    call("flags", "apply", tmp_path / "flags.yaml", "--reason", "start")
    return call
