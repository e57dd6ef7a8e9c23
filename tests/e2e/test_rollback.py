"""The lever, pulled for real: real workers, real supervisors, two real Redis servers, the real command."""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from flags.service import find
from foundation.ids import new_id
from messenger.formats import JSON, YAML
from tests.e2e.rollback_site import COUNT, DOMAINS, ENVIRONMENT, ROOT, YAML_FLAG, Site, execute
from tests.support import eventually

pytestmark = pytest.mark.e2e

WEB = {"flask", "gunicorn", "jinja2", "werkzeug", "gevent"}


@pytest.fixture(scope="module")
def running(_redis_present, runtime_dir, tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("site"), runtime_dir / new_id()[-6:])
    try:
        for domain in DOMAINS:
            site.work(domain)
        yield site
    finally:
        site.close()


@pytest.fixture
def site(running):
    running.rearm()
    return running


@pytest.fixture
def orphan():
    """A domain without workers: what is put there waits."""
    return f"orphan{new_id()[-6:]}"


def test_with_yaml_waiting_and_traffic_running_it_ends_verified_safe_and_loses_nothing(site, orphan):
    waiting = site.leave_waiting(orphan, 300)
    assert site.frames(orphan) == {YAML: 300}
    sent, stop = [], threading.Event()

    def keep_sending():
        with site.sender() as sender:
            for number in itertools.count():
                if stop.is_set():
                    return
                name = f"{orphan}-live-{number}"
                sender.send("NUMBERED", {"number": number}, target=DOMAINS[number % 2], message_id=name)
                sent.append(name)
                stop.wait(0.002)

    traffic = threading.Thread(target=keep_sending)
    traffic.start()
    eventually(lambda: len(sent) > 50)
    try:
        code, receipt, said = site.roll_back()
    finally:
        stop.set()
        traffic.join()
    assert code == 0, said
    acknowledged = [one for one in receipt["instances"].values() if one["state"] == "acknowledged"]
    assert {one["slot"] for one in acknowledged} == {f"{domain}-{n}" for domain in DOMAINS for n in range(1, COUNT + 1)}
    assert all(one["after"] is not None for one in acknowledged)
    assert all(YAML not in site.frames(domain) for domain in site.queues.domains())
    assert receipt["queues"][orphan]["cleared"] == {"transcoded": 300}
    assert {f"probe/{domain}" for domain in DOMAINS} <= receipt["checks"].keys()

    workers = site.work(orphan, 1)
    eventually(lambda: len(site.handled(orphan)) == 300, message=lambda: site.frames(orphan))
    assert site.handled(orphan) == dict.fromkeys(waiting, 1)
    workers.terminate()
    numbered = dict.fromkeys(sent, 1)
    eventually(lambda: numbered.keys() <= everything_handled(site).keys(), message="lost")
    found = everything_handled(site)
    assert {name: found[name] for name in sent} == numbered


def everything_handled(site):
    return sum((site.handled(domain) for domain in DOMAINS), start=site.handled(DOMAINS[0]) - site.handled(DOMAINS[0]))


def test_a_sender_told_to_keep_sending_yaml_gets_none_into_a_queue(site, orphan):
    assert site.roll_back()[0] == 0
    site.leave_waiting(orphan, 20)
    assert site.frames(orphan) == {JSON: 20}


def test_an_apply_can_not_enable_the_flag_until_a_person_releases_it(site, tmp_path):
    assert site.roll_back()[0] == 0
    document = tmp_path / "flags.yaml"
    document.write_text(f"flags:\n  {YAML_FLAG}:\n    enabled: true\n    rolloutPercentage: 100\n    fallback: json\n")
    refused = site.run("flags", "apply", str(document), "--reason", "deploy")
    assert (refused.returncode, "FLAG_HELD" in refused.stderr) == (1, True), refused
    released = site.run("flags", "release", YAML_FLAG, "--reason", "fixed")
    assert released.returncode == 0, released.stderr
    assert not find(site.store, YAML_FLAG).flag.enabled
    applied = site.run("flags", "apply", str(document), "--reason", "deploy")
    assert applied.returncode == 0, applied.stderr
    assert find(site.store, YAML_FLAG).flag.enabled


def test_a_worker_that_is_stopped_is_restarted_and_named(site):
    (victim, *_) = [one.instance for one in site.live("collections")]
    os.kill(victim.pid, signal.SIGSTOP)
    code, receipt, said = site.roll_back("--converge-timeout", "0.5")
    assert code == 0, said
    entry = receipt["restarts"][victim.slot]
    assert (entry["outcome"], entry["via"], entry["old"]) == ("back", "supervisor", [victim.id])
    assert receipt["instances"][victim.id]["state"] == "replaced"
    assert receipt["instances"][entry["new"][0]]["state"] == "acknowledged"


def test_killed_at_each_step_and_run_again_it_ends_safe_under_one_receipt(site, orphan):
    waiting = site.leave_waiting(orphan, 200)
    site.pass_a_message("collections")
    steps = ("preflight", "kill", "converge", "restart", "queues", "verify")
    for number, step in enumerate(steps, start=1):
        kill_at(site, step, number)
    code, receipt, said = site.roll_back()
    assert code == 0, said
    assert [bool(attempt["ended"]) for attempt in receipt["attempts"]] == [False] * len(steps) + [True]
    assert receipt["flags"][YAML_FLAG]["wasEnabled"]
    assert receipt["queues"][orphan]["before"]["yaml"] == 200
    assert site.frames(orphan) == {JSON: 200}
    workers = site.work(orphan, 1)
    eventually(lambda: site.handled(orphan) == dict.fromkeys(waiting, 1), message="lost or doubled")
    workers.terminate()


def kill_at(site, step, attempt):
    """Run until a step of this attempt has told something, and send SIGKILL; with traffic, verify takes a while.

    Until it leads, it tells what the attempt before it has told.
    """
    process = site.start("rollback", "--yes", "--json", "--window", "5", stdout=subprocess.PIPE)
    with process.stdout:
        events = map(json.loads, process.stdout)
        assert any(event["step"] == step and event["data"]["attempt"] == attempt for event in events)
        process.kill()
        process.wait()


def test_a_second_lever_pulled_meanwhile_follows_the_first_to_the_same_receipt(site, orphan):
    count = len(site.journal.receipts())
    site.leave_waiting(orphan, 5)
    words = ("rollback", "--yes", "--json", "--window", "0", "--queues", "drain")
    first = site.start(*words, stdout=subprocess.PIPE)
    assert any(json.loads(line)["step"] == "queues" for line in first.stdout)
    second = site.start(*words, stdout=subprocess.PIPE)
    assert "following" in json.loads(second.stdout.readline())["detail"]
    workers = site.work(orphan, 1)  # it drains the queue, which the first is waiting for
    ends = [json.loads(process.communicate(timeout=60)[0].splitlines()[-1]) for process in (first, second)]
    assert [end["exit"] for end in ends] == [0, 0]
    assert ends[0]["receipt"] == ends[1]["receipt"]
    assert len(site.journal.receipts()) == count + 1
    workers.terminate()


def test_a_listener_that_hangs_up_does_not_stop_it(site):
    count = len(site.journal.receipts())
    process = site.start("rollback", "--yes", "--window", "0", stdout=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 0
    assert len(site.journal.receipts()) == count + 1


def test_the_whole_run_never_loads_the_web_application(site):
    code = "\n".join(
        [
            "import sys",
            "from controlplane.cli.main import main",
            "try: main(['rollback', '--yes', '--window', '0'])",
            "except SystemExit as end: print('exit', end.code)",
            f"print('loaded', sorted({WEB!r} & {{name.split('.')[0] for name in sys.modules}}))",
        ]
    )
    done = execute(sys.executable, "-c", code, env=site.environ)
    assert done.stdout.splitlines()[-2:] == ["exit 0", "loaded []"], done


def test_a_dry_run_changes_nothing(site, orphan):
    site.leave_waiting(orphan, 5)
    before = site.store.snapshot()
    done = site.run("rollback", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert f"{orphan} 5" in done.stdout
    assert site.store.snapshot() == before
    assert site.journal.running() is None
    assert site.frames(orphan) == {YAML: 5}


def test_people_get_a_line_a_step_and_the_way_to_the_receipt(site):
    done = site.run("rollback", "--yes", "--reason", "drill", "--window", "0")
    assert done.returncode == 0, done.stderr
    steps = [line.split()[1] for line in done.stdout.splitlines() if line.strip() and line.split()[0].endswith("s")]
    assert list(dict.fromkeys(steps)) == ["preflight", "kill", "converge", "restart", "queues", "verify", "receipt"]
    receipt = site.journal.receipts()[-1]
    assert f"{site.folder}/data/receipts/{receipt['receipt']}.json" in done.stdout
    assert "VERIFIED SAFE" in done.stdout


def test_a_receipt_is_listed_shown_and_verified_and_a_changed_byte_is_found(site, tmp_path):
    _, receipt, _ = site.roll_back()
    name = receipt["receipt"]
    file = site.folder / "data" / "receipts" / f"{name}.json"
    assert name in site.run("receipt", "list").stdout.splitlines()[1]
    assert f"receipt: {name}" in site.run("receipt", "show", name).stdout
    assert site.run("receipt", "show", name, "--json").stdout.encode() == file.read_bytes()
    for given in (name, str(file)):
        assert site.run("receipt", "verify", given).returncode == 0
    public = receipt["signature"]["publicKey"]
    assert public in site.run("receipt", "keys").stdout
    changed = tmp_path / "changed.json"
    changed.write_bytes(file.read_bytes().replace(b'"exit":0', b'"exit":1'))
    refused = site.run("receipt", "verify", str(changed))
    assert (refused.returncode, "SIGNATURE_INVALID" in refused.stderr) == (1, True)
    alone = {**site.environ, "SIGNALBOX_REDIS_URL": "unix:///nowhere.sock", "SIGNALBOX_DATA_DIR": str(tmp_path)}
    unknown = site.run("receipt", "verify", str(file), env=alone)
    assert (unknown.returncode, "SIGNING_KEY_UNKNOWN" in unknown.stderr) == (1, True)
    assert site.run("receipt", "verify", str(file), "--public-key", public, env=alone).returncode == 0


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--yes", "--flag", "nobody"], "useYamlMessaging"),
        (["--yes", "--all", "--flag", YAML_FLAG], "exclude each other"),
        (["--yes", "--queues", "purge"], "--yes-purge"),
        (["--yes", "--restart", "some"], "unacknowledged"),
        ([], "--yes"),
        (["--yes", "--restart-command", "'"], "split"),
    ],
)
def test_wrong_usage_changes_nothing_and_says_what_would_be_right(site, words, complaint):
    before = site.store.snapshot()
    done = site.run("rollback", *words)
    assert (done.returncode, complaint in done.stderr) == (2, True), done
    assert site.store.snapshot() == before


def test_the_script_finds_its_way_from_anywhere(site, tmp_path):
    link = tmp_path / "lever"
    link.symlink_to(ROOT / "scripts" / "rollback.sh")
    bare = {name: value for name, value in site.environ.items() if name.startswith("SIGNALBOX_")}
    bare["PATH"] = "/usr/bin:/bin"
    done = execute(link, "--yes", "--window", "0", "--reason", "from the script", cwd="/", env=bare)
    assert done.returncode == 0, done
    assert site.journal.receipts()[-1]["reason"] == "from the script"


def test_an_environment_that_does_not_exist_has_no_flag_to_take_back(site):
    done = site.run("rollback", "--yes", "--env", "elsewhere")
    assert (done.returncode, "no flag at all" in done.stderr) == (2, True)
    assert ENVIRONMENT != "elsewhere"
