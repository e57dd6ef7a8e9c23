"""The commands as processes, over a real Redis, seen by a flag client in another process."""

import contextlib
import http.cookiejar
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from flags.client import FlagClient
from flags.instances import Instance
from flags.sources.redis import RedisSource
from tests.support import eventually

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
FLAGS = """
flags:
  useYamlMessaging: {enabled: true, description: YAML, rolloutPercentage: 0, fallback: json}
"""


@pytest.fixture
def environ(redis_url, tmp_path):
    mine = {name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX_")}
    urls = {"SIGNALBOX_REDIS_URL": redis_url, "SIGNALBOX_QUEUE_URL": redis_url}
    return {**mine, **urls, "SIGNALBOX_DATA_DIR": str(tmp_path / "data"), "PYTHONPATH": str(ROOT)}


@pytest.fixture
def signalbox(environ, tmp_path):
    def run(*words, code=0, stdin=None):
        line = [sys.executable, "-m", "controlplane.cli", *words]
        result = subprocess.run(
            line, cwd=tmp_path, env=environ, input=stdin, capture_output=True, text=True, timeout=60, check=False
        )
        assert result.returncode == code, result.stdout + result.stderr
        return result

    return run


def test_a_flag_set_at_the_terminal_is_seen_by_a_client_and_proven_back(signalbox, redis_url):
    signalbox("flags", "apply", "-", stdin=FLAGS)
    context = {"targetingKey": "corr_1", "domain": "collections"}
    with FlagClient(RedisSource(redis_url, "demo"), instance=Instance("c-1.a", "collections-1", "worker")) as client:
        eventually(lambda: client.get_string_value("useYamlMessaging", "none", context) == "json")
        done = signalbox("flags", "set", "useYamlMessaging", "--domain", "collections", "--percentage", "100", "--json")
        answer = json.loads(done.stdout)
        assert answer["convergence"] == {"reached": True, "acknowledged": 1, "live": 1, "missing": []}
        assert client.get_string_value("useYamlMessaging", "none", context) == "yaml"
        assert "1 of 1 workers have it" in signalbox("flags", "disable", "useYamlMessaging", "--reason", "slow").stdout
        assert client.get_string_value("useYamlMessaging", "none", context) == "json"
        assert "collections-1" in signalbox("instances").stdout


def test_a_server_that_is_gone_is_exit_code_3(signalbox, environ, tmp_path):
    environ["SIGNALBOX_REDIS_URL"] = f"unix://{tmp_path}/nothing.sock"
    gone = signalbox("flags", "list", code=3)
    assert "STORE_UNREACHABLE" in gone.stderr
    assert "Traceback" not in gone.stderr


def test_an_address_that_no_redis_has_is_wrong_usage(signalbox, environ):
    environ["SIGNALBOX_REDIS_URL"] = "foo://x"
    assert "[SETTINGS_INVALID]" in signalbox("flags", "list", code=2).stderr


def test_an_up_that_was_killed_is_said_to_be_gone(signalbox, environ, tmp_path):
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    gone = {"environment": "demo", "redis_url": f"unix://{tmp_path}/f.sock", "queue_url": f"unix://{tmp_path}/q.sock"}
    (tmp_path / "ready.json").write_text(json.dumps({**gone, "pid": process.pid}))
    del environ["SIGNALBOX_REDIS_URL"], environ["SIGNALBOX_QUEUE_URL"]
    environ["SIGNALBOX_READY_FILE"] = str(tmp_path / "ready.json")
    (said,) = signalbox("flags", "list", code=3).stderr.splitlines()
    assert said.startswith(f"signalbox: `signalbox up` (process {process.pid}) is not running any more: start it again")
    assert said.endswith("[STORE_UNREACHABLE]")


def test_the_doctor_names_what_is_not_set_up_as_it_should_be(signalbox):
    checks = {check["name"]: check for check in json.loads(signalbox("doctor", "--json").stdout)["checks"]}
    assert checks["flags server"]["status"] == "pass"
    assert checks["flags server settings"]["status"] == "warn"
    assert "appendfsync always" in checks["flags server settings"]["remedy"]
    assert checks["flags server clock"]["status"] == "pass"


def test_the_doctor_fails_where_a_server_does_not_answer(signalbox, environ, tmp_path):
    environ["SIGNALBOX_QUEUE_URL"] = f"unix://{tmp_path}/nothing.sock"
    shown = signalbox("doctor", code=1).stdout
    assert re.search(r"fail\s+queues server ", shown)


def test_a_server_over_ones_own_redis_lets_its_first_user_in(environ, tmp_path):
    api, streams = free_port(), free_port()
    line = [sys.executable, "-m", "controlplane.cli", "serve", "--port", str(api), "--stream-port", str(streams)]
    process = subprocess.Popen(
        [*line, "--workers", "1"],
        cwd=tmp_path,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        password = re.search(r"the user admin with the password (\S+)", process.stdout.readline())[1]
        assert "Signalbox serves demo at" in process.stdout.readline()
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        form = urllib.parse.urlencode({"username": "admin", "password": password}).encode()
        assert browser.open(f"http://127.0.0.1:{api}/sign-in", form, timeout=10).status == 200
        with browser.open(f"http://127.0.0.1:{streams}/api/v1/environments/demo/changes", timeout=10) as stream:
            assert b"retry" in stream.readline()
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=30)
    assert process.returncode == 0


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_flags_are_promoted_by_copying_them_and_a_client_of_the_target_gets_them(signalbox, redis_url):
    for name in ("staging", "production"):
        signalbox("env", "create", name)
    signalbox("flags", "apply", "-", "--env", "staging", stdin=FLAGS)
    signalbox("flags", "set", "useYamlMessaging", "--env", "staging", "--percentage", "100")
    assert signalbox("env", "diff", "production", "staging", code=1).stdout.startswith("+ useYamlMessaging\n")
    assert "1 added" in signalbox("env", "copy", "staging", "production", "--dry-run").stdout
    with FlagClient(RedisSource(redis_url, "production"), instance=Instance("c-1.a", "c-1", "worker")) as client:
        assert client.get_string_value("useYamlMessaging", "none", {"targetingKey": "k"}) == "none"
        done = signalbox("env", "copy", "staging", "production", "--reason", "a good week").stdout
        assert done.endswith("1 of 1 workers have it\n")
        assert client.get_string_value("useYamlMessaging", "none", {"targetingKey": "k"}) == "yaml"
    assert signalbox("env", "diff", "production", "staging").stdout == "no difference\n"
    signalbox("env", "diff", "production", "nowhere", code=2)
