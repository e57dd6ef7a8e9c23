import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from controlplane.errors import NotConnected, SettingsInvalid
from controlplane.settings import Settings, ended_up, environment_name
from controlplane.wiring import Connection

READY = {
    "url": "http://127.0.0.1:8080",
    "stream_url": "http://127.0.0.1:8081",
    "environment": "demo",
    "redis_url": "unix:///f.sock",
    "queue_url": "unix:///q.sock",
    "data_dir": "/data",
}


@pytest.fixture
def ready(tmp_path):
    path = tmp_path / "ready.json"
    path.write_text(json.dumps(READY))
    return {"SIGNALBOX_READY_FILE": str(path)}


def test_without_variables_there_is_one_environment_and_no_address():
    settings = Settings.from_environment({})
    assert (settings.environment, settings.redis_url, settings.data_dir) == ("demo", "", Path(".signalbox"))


def test_a_server_may_serve_several_environments():
    settings = Settings.from_environment({"SIGNALBOX_ENV": "staging, production"})
    assert settings.environments == ("staging", "production")
    assert settings.environment == "staging"


@pytest.mark.parametrize("name", ["", "a b", "{a}", "a/b", "-a", "x" * 64, "é", "a:b", "a\n"])
def test_names_that_would_break_a_key_are_refused(name):
    with pytest.raises(SettingsInvalid):
        environment_name(name)


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8080",
        "ftp://host",
        "http://",
        "http://host/path",
        "http://host?x=1",
        "http://host:abc",
        "http://host:99999",
    ],
)
def test_an_address_that_is_not_of_the_web_is_refused(url):
    with pytest.raises(SettingsInvalid, match="SIGNALBOX_URL"):
        Settings.from_environment({"SIGNALBOX_URL": url})


def test_the_running_up_of_a_folder_is_found(ready):
    settings = Settings.discover(ready)
    assert (settings.redis_url, settings.queue_url) == ("unix:///f.sock", "unix:///q.sock")
    assert settings.data_dir == Path("/data")


def test_an_address_that_is_given_is_never_mixed_with_a_running_up(ready):
    settings = Settings.discover({**ready, "SIGNALBOX_REDIS_URL": "redis://mine"})
    assert (settings.redis_url, settings.queue_url) == ("redis://mine", "")


def test_a_named_environment_outranks_that_of_a_running_up(ready):
    assert Settings.discover({**ready, "SIGNALBOX_ENV": "other"}).environment == "other"


@pytest.mark.parametrize("content", ["", "[]", "{", '{"environment": 7}', '{"environment": ""}'])
def test_a_ready_file_that_is_none_is_named(tmp_path, content):
    path = tmp_path / "ready.json"
    path.write_text(content)
    with pytest.raises(SettingsInvalid):
        Settings.discover({"SIGNALBOX_READY_FILE": str(path)})


def test_an_unknown_address_says_what_to_set():
    connection = Connection(Settings())
    with pytest.raises(NotConnected, match="SIGNALBOX_REDIS_URL"):
        _ = connection.store
    with pytest.raises(NotConnected, match="SIGNALBOX_QUEUE_URL"):
        _ = connection.queues


def test_secrets_do_not_show_in_logs():
    shown = repr(Settings(redis_url="redis://:secret@host", queue_url="redis://:secret@host"))
    assert "secret" not in shown


def test_two_servers_of_one_host_do_not_share_a_cookie():
    first, second = Settings(url="http://127.0.0.1:8080"), Settings(url="http://127.0.0.1:8081")
    assert first.cookie_name != second.cookie_name


@pytest.mark.parametrize("name", ["SIGNALBOX_REDIS_URL", "SIGNALBOX_QUEUE_URL"])
@pytest.mark.parametrize("url", ["foo://x", "http://:secret@host", "127.0.0.1:6379", "redis"])
def test_an_address_that_is_not_of_a_redis_is_refused_without_showing_it(name, url):
    with pytest.raises(SettingsInvalid, match=f"{name}: expected an address that begins with") as caught:
        Settings.from_environment({name: url})
    assert "secret" not in str(caught.value)


def test_an_up_that_has_ended_is_told_from_one_that_runs(tmp_path):
    path = tmp_path / "ready.json"
    environ = {"SIGNALBOX_READY_FILE": str(path)}
    assert ended_up(environ) is None
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    for pid, expected in ((os.getpid(), None), (1, None), (None, None), (0, None), (process.pid, process.pid)):
        path.write_text(json.dumps({**READY, "pid": pid}))
        assert ended_up(environ) == expected
    assert ended_up({**environ, "SIGNALBOX_REDIS_URL": "redis://mine"}) is None
