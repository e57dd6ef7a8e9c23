"""flagd's published in-process provider, in a process and a virtual environment of its own, made by `make flagd`."""

import json
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


class FlagdPeer:
    """Asks the provider of one line of releases, `v2` or `v3`, by how its `fractional` hashes."""

    def __init__(self, version, require):
        python = ROOT / ".venv-flagd" / version / "bin" / "python"
        require(f"flagd's provider ({version})", python.exists(), "run `make flagd`")
        self._process = subprocess.Popen(
            [str(python), str(ROOT / "tests" / "flagd" / "evaluate.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def values(self, document, cases):
        """Evaluate [flag key, type, default value, context] cases over a document; raises where it is refused."""
        self._process.stdin.write(json.dumps([document, cases]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline() or pytest.fail("the provider does not take the document"))

    def close(self):
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()
