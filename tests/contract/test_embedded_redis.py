"""The private Redis server: found, started, answered by, and ended, in every state a folder can be left in."""

import os
import socket
import stat
import time

import pytest

from foundation import embedded
from foundation.embedded import EmbeddedRedis, find_server, runtime_folder
from foundation.errors import ServerUnavailable, StoreRefused, StoreUnreachable
from foundation.redis import Script, connect, translated


def test_a_server_answers_on_its_socket_and_on_no_port(make_redis):
    server = make_redis()
    with connect(server.url) as client:
        assert client.ping()
        assert client.config_get("port")["port"] == "0"
    for folder in (server.socket.parent, server.folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_data_outlives_the_server(make_redis):
    server = make_redis(config={"appendonly": "yes", "appendfsync": "always"})
    with connect(server.url) as client:
        client.set("kept", "yes")
    server.kill()
    assert not server.alive()
    server.start()
    with connect(server.url) as client:
        assert client.get("kept") == b"yes"


def test_a_server_whose_owner_was_killed_is_ended_by_the_next_owner(make_redis):
    left = make_redis(config={"appendonly": "yes"})
    with connect(left.url) as client:
        client.set("kept", "yes")
    os.close(left._lock)  # what the kernel does for an owner that was killed
    left._lock = None
    server = make_redis(config={"appendonly": "yes"})
    left._process.wait(timeout=5)
    with connect(server.url) as client:
        assert client.get("kept") == b"yes"


def test_a_folder_in_use_is_refused(make_redis):
    make_redis()
    second = make_redis(start=False)
    with pytest.raises(ServerUnavailable, match="in use by another process"):
        second.start()


def test_a_folder_with_a_space_and_an_accent_in_its_name_will_do(make_redis, tmp_path):
    assert make_redis(data_dir=tmp_path / "my données").alive()


def test_a_setting_that_the_server_refuses_is_shown_in_its_own_words(make_redis):
    with pytest.raises(ServerUnavailable, match="extra server ended at once"):
        make_redis(config={"maxmemory": "plenty"})


def test_a_socket_path_that_is_too_long_is_said_so(tmp_path):
    folder = tmp_path / ("x" * 100)
    with pytest.raises(ServerUnavailable, match="longer than 107 bytes"):
        EmbeddedRedis(tmp_path, folder, "flags").start()


def test_a_socket_folder_that_others_can_open_is_refused(tmp_path, runtime_dir):
    folder = runtime_dir / "open"
    folder.mkdir(mode=0o755)
    with pytest.raises(ServerUnavailable, match="only its owner can open"):
        EmbeddedRedis(tmp_path, folder, "flags").start()


def test_a_data_folder_that_can_t_be_made_is_one_clear_error(tmp_path, runtime_dir):
    (tmp_path / "data").write_text("a file stands here")
    with pytest.raises(ServerUnavailable, match="can't start"):
        EmbeddedRedis(tmp_path / "data", runtime_dir, "flags").start()


def test_the_runtime_folder_is_short_and_the_same_each_time(tmp_path):
    deep = tmp_path / ("x" * 200)
    assert runtime_folder(deep) == runtime_folder(deep) != runtime_folder(tmp_path)
    assert len(os.fsencode(runtime_folder(deep) / "flags.sock")) <= 107


def test_without_any_program_the_error_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(embedded.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ServerUnavailable, match="install redis-server"):
        find_server()


def test_a_program_that_is_too_old_is_passed_over_and_named(monkeypatch, tmp_path):
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho 'Redis server v=5.0.14 sha=0:0'\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(embedded.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(embedded, "OLDEST", (99,))
    with pytest.raises(ServerUnavailable, match=r"redis-server is 5\.0\.14"):
        find_server()


def test_a_script_is_sent_whole_only_to_a_server_that_does_not_know_it(redis_url, tmp_path, monkeypatch):
    (tmp_path / "lua_of_a_test").mkdir()
    (tmp_path / "lua_of_a_test" / "echo.lua").write_text("return {KEYS[1], ARGV[1]}")
    monkeypatch.syspath_prepend(tmp_path)
    script = Script("lua_of_a_test", "echo.lua")
    with connect(redis_url) as client:
        client.script_flush()
        assert script(client, ["k"], ["v"]) == [b"k", b"v"]
        client.config_resetstat()
        assert script(client, ["k"], ["v"]) == [b"k", b"v"]
        assert "cmdstat_eval" not in client.info("commandstats")


def test_a_server_that_is_full_read_only_or_gone_is_told_apart(make_redis):
    server = make_redis(config={"maxmemory-policy": "noeviction"})
    with connect(server.url) as client:
        client.config_set("maxmemory", 1)
        with pytest.raises(StoreRefused) as full, translated("write"):
            client.set("k", "v")
        with pytest.raises(StoreRefused) as full_inside, translated("write"):
            client.eval("return redis.call('SET', KEYS[1], 'v')", 1, "k")
        client.config_set("maxmemory", 0)
        client.replicaof("127.0.0.1", 1)
        with pytest.raises(StoreRefused) as read_only, translated("write"):
            client.eval("return redis.call('SET', KEYS[1], 'v')", 1, "k")
        client.replicaof("NO", "ONE")
        client.config_set("min-replicas-to-write", 1)
        with pytest.raises(StoreRefused) as alone, translated("write"):
            client.eval("return redis.call('SET', KEYS[1], 'v')", 1, "k")
        assert [caught.value.reason for caught in (full, full_inside, read_only, alone)] == [
            *("OOM", "OOM", "READONLY", "NOREPLICAS"),
        ]
        server.kill()
        with pytest.raises(StoreUnreachable), translated("write"):
            client.set("k", "v")


def test_a_server_that_accepts_and_never_answers_is_given_up_after_the_time_out(runtime_dir):
    path = runtime_dir / "silent.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        began = time.monotonic()
        with connect(f"unix://{path}", timeout=0.2) as client, pytest.raises(StoreUnreachable), translated("ask"):
            client.ping()
        assert time.monotonic() - began < 2
