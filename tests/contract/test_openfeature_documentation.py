"""The Python that the pages on OpenFeature and on hooks show runs as it stands, against a real Redis."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flags.service import create
from flags.stores.redis import RedisFlagStore
from tests.flag_sources import flag

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", ["how-to/openfeature-in-process.md", "reference/hooks-and-events.md"])
def test_the_code_of_the_page_runs(redis_url, page):
    create(RedisFlagStore(redis_url, "demo"), flag("useYamlMessaging"), actor="test", reason="test")
    (block,) = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", block],
        env={**os.environ, "SIGNALBOX_REDIS_URL": redis_url, "SIGNALBOX_ENV": "demo"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "yaml\n"
