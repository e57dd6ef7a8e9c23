"""Commands over an environment in memory, for the tests of each group."""

import json

from click.testing import CliRunner

from controlplane.cli import definitions, explaining, flags, instances, interchange, queues, segments
from controlplane.cli.main import main
from controlplane.settings import Settings
from foundation.clock import ManualClock
from tests.apiclient import MemoryConnection

FILE = """
flags:
  useYamlMessaging: {enabled: true, description: YAML, rolloutPercentage: 0, fallback: json}
  enableBatching: {enabled: false, description: batches, rolloutPercentage: 5, fallback: individual}
"""

MODULES = (definitions, explaining, flags, instances, interchange, queues, segments)


def connected(monkeypatch):
    """An environment in memory that the commands work on, and wait for nobody in."""
    connection = MemoryConnection(Settings(), "demo", ManualClock(start=1_800_000_000.0))
    for module in MODULES:
        monkeypatch.setattr(module, "connect", lambda environment: connection)
        monkeypatch.setattr(module, "WAIT", 0.0, raising=False)
    return connection


def call(*words, code=0, stdin=None):
    """Run `signalbox` with these words; answers with what it said, once its exit code is as expected."""
    result = CliRunner().invoke(main, [str(word) for word in words], input=stdin)
    assert result.exit_code == code, result.output
    return result


def answer(result):
    """Read what a command said with `--json`."""
    return json.loads(result.stdout)
