"""The lever where servers are gone: what still works, and what a person is told to do instead."""

from contextlib import closing

import pytest

from flags.service import find
from foundation.ids import new_id
from messenger.formats import YAML
from tests.e2e.rollback_site import ROOT, YAML_FLAG, Site, execute

pytestmark = pytest.mark.e2e

BARE = {"PATH": "/usr/bin:/bin"}


@pytest.fixture
def site(_redis_present, runtime_dir, tmp_path):
    site = Site(tmp_path, runtime_dir / new_id()[-6:])
    yield site
    site.close()


def test_with_both_servers_gone_it_says_what_to_do_instead(site):
    site.flags.kill()
    site.queue_server.kill()
    done = site.run("rollback", "--yes", timeout=20)
    assert done.returncode == 3, done
    assert "SIGNALBOX_OVERRIDES" in done.stderr
    assert f"{YAML_FLAG}: json" in done.stderr


def test_with_only_the_flags_server_gone_the_queues_are_barred(site):
    site.leave_waiting("collections", 1)
    site.flags.kill()
    done = site.run("rollback", "--yes", timeout=20)
    assert done.returncode == 3, done
    assert "no queue takes application/yaml any more" in done.stdout
    with closing(site.queues.queue("collections")) as queue:
        assert YAML not in queue.state().admits


def test_with_only_the_queue_server_gone_the_flags_are_killed_all_the_same(site):
    site.queue_server.kill()
    code, receipt, said = site.roll_back(timeout=60)
    assert code == 1, said
    assert not find(site.store, YAML_FLAG).flag.enabled
    assert "queues barred" in receipt["failed"]
    site.queue_server.start()
    code, again, said = site.roll_back()
    assert code == 0, said
    assert again["receipt"] != receipt["receipt"]


def test_without_an_address_of_the_queue_server_the_flags_are_killed_all_the_same(site):
    environ = {name: value for name, value in site.environ.items() if name != "SIGNALBOX_QUEUE_URL"}
    code, receipt, said = site.roll_back(env=environ, timeout=60)
    assert code == 1, said
    assert not find(site.store, YAML_FLAG).flag.enabled
    assert "SIGNALBOX_QUEUE_URL" in receipt["checks"]["queues barred"]["detail"]


def test_a_server_that_takes_no_writes_is_as_good_as_gone(site):
    site.store._client.config_set("maxmemory", "1")
    done = site.run("rollback", "--yes", timeout=20)
    assert (done.returncode, "OOM" in done.stdout + done.stderr) == (3, True), done
    site.store._client.config_set("maxmemory", "0")
    assert find(site.store, YAML_FLAG).flag.enabled


def test_without_any_address_it_says_which_variable_to_set(tmp_path):
    done = execute(
        ROOT / "scripts" / "rollback.sh", "--yes", cwd=tmp_path, env=BARE | {"SIGNALBOX_DATA_DIR": str(tmp_path)}
    )
    assert (done.returncode, "SIGNALBOX_REDIS_URL" in done.stderr) == (3, True), done


def test_where_nothing_is_installed_the_script_says_so(tmp_path):
    (tmp_path / "scripts").mkdir()
    script = tmp_path / "scripts" / "rollback.sh"
    script.write_bytes((ROOT / "scripts" / "rollback.sh").read_bytes())
    script.chmod(0o755)
    done = execute(script, "--yes", env=BARE)
    assert (done.returncode, "make setup" in done.stderr) == (3, True), done


def test_the_scripts_help_fits_a_screen_and_needs_nothing(tmp_path):
    done = execute(ROOT / "scripts" / "rollback.sh", "--help", env=BARE)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) <= 24
    assert max(map(len, done.stdout.splitlines())) <= 110
    for word in ("disable", "restart", "clear", "verify", "complete"):
        assert word in done.stdout
