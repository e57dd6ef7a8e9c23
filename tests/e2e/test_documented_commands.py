"""What the README and the tutorial tell people to type works on a running product, line by line, in order."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

from foundation.ids import new_id
from messenger.formats import FixedPolicy
from messenger.messenger import WorkerMessenger
from messenger.queues.streams import RedisQueueServer
from tests.e2e.browser.product import running_product
from tests.support import eventually

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
TYPED = (".venv/bin/signalbox ", "scripts/rollback.sh ")
REFUSED = {".venv/bin/signalbox flags enable useYamlMessaging": 1}
"""Lines that are there to be refused: in the tutorial, enabling a flag that is on hold."""


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    with running_product(tmp_path_factory.mktemp("documented")) as product:
        yield product


@pytest.fixture
def terminal(product, tmp_path):
    """A function that runs a line as the documentation shows it, against this product, in a folder for its files."""
    ready = product.ready
    for name in ("scripts", ".venv"):
        tmp_path.joinpath(name).symlink_to(ROOT / name)
    environ = {**os.environ, "SIGNALBOX_REDIS_URL": ready["redis_url"], "SIGNALBOX_QUEUE_URL": ready["queue_url"]}

    def run(line):
        command = line.replace(".venv/bin/signalbox", f"{sys.executable} -m controlplane.cli", 1)
        return subprocess.run(
            ["/bin/bash", "-c", command],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def files_to_save(page):
    return re.findall(r"Save this as `([\w.]+)`.*?```\w+\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def typed_lines(page):
    return [line.strip() for line in (ROOT / page).read_text().splitlines() if line.strip().startswith(TYPED)]


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial/your-first-rollout.md"])
def test_every_line_to_type_works(terminal, tmp_path, page):
    for name, content in files_to_save(page):
        tmp_path.joinpath(name).write_text(content)
    lines = typed_lines(page)
    assert len(lines) >= 5
    for line in lines:
        done = terminal(line)
        expected = REFUSED.get(line, 0)
        assert done.returncode == expected, (line, done.stdout, done.stderr)


def python_blocks(page):
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def test_the_client_of_the_readme_evaluates_a_flag(product):
    (block,) = python_blocks("README.md")
    ready = product.ready
    environ = {**os.environ, "SIGNALBOX_REDIS_URL": ready["redis_url"], "SIGNALBOX_ENV": ready["environment"]}
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in {"json", "yaml"}


def test_the_worker_of_the_how_to_handles_and_sends(product):
    (block,) = python_blocks("docs/how-to/run-your-own-workers.md")
    names = {}
    exec(block, names)  # noqa: S102 - our own documentation
    ready, target = product.ready, new_id("howto")
    with closing(RedisQueueServer(ready["queue_url"], ready["environment"])) as server:
        with WorkerMessenger(server, target, instance_id=target, policy=FixedPolicy()) as worker:
            names["register"](worker)
            worker.start()
            payload = {"settlementId": "PEN_1", "customerId": "C", "amount": 1.5, "processedAt": "2026-01-01T00:00:00Z"}
            sent = worker.send("SETTLEMENT_PROCESSED", payload, target=target)
            with closing(server.queue(target)) as queue:
                results = eventually(queue.results)
        assert [(name, json.loads(result)) for _, name, result in results] == [(sent.message_id, {"settled": "PEN_1"})]


def test_a_settlement_by_hand_is_answered_by_notifications(product):
    body = {"settlementId": "PEN_001", "customerId": "CUST_001", "amount": 166.67, "stake": 100.0}
    said = Path(product.ready["data_dir"]).with_name("up.log").read_text()
    gateway = re.search(r"gateway is (http://\S+)", said).group(1)
    request = urllib.request.Request(  # noqa: S310 - our own server
        f"{gateway}/collections/process-settlement",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=15) as answer:  # noqa: S310 - our own server
        document = json.load(answer)
    assert document["notification"]["recipient"] == "CUST_001"
    assert document["notification"]["notificationId"] == "NOTE_PEN_001"
    assert document["seconds"] < 10
