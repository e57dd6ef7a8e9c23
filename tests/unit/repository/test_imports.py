"""What an import loads is a promise: to workers (quick and light) and to the rollback (never the web application)."""

import subprocess
import sys

import pytest

WEB = {"flask", "gunicorn", "jinja2", "werkzeug", "gevent"}


def loaded_by(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint('\\n'.join({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("statement", "never"),
    [
        ("import foundation", WEB | {"yaml", "redis", "cryptography", "jsonschema"}),
        ("import flags", WEB | {"yaml", "redis", "jsonschema"}),
        ("import flags.client", WEB | {"yaml", "redis"}),
        ("import messenger", WEB | {"yaml", "redis"}),
        ("import rollout.emergency", WEB),
        ("from controlplane.cli.main import main; main.get_command(None, 'rollback')", WEB),
        ("from controlplane.cli.main import main; main.get_command(None, 'worker')", WEB),
    ],
)
def test_an_import_loads_no_more_than_it_needs(statement, never):
    assert loaded_by(statement) & never == set()
