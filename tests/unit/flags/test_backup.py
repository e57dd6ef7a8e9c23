"""The disk backup: read at a start before anything else, trusted only as it was written, and never in the way."""

import logging
import os
import stat
import threading
import time

import pytest

from flags import backup as module
from flags.backup import PAUSE, Backup
from flags.client import ClientSettings, FlagClient, Status
from flags.model import ZERO, Revision, Snapshot
from flags.segments import parse_segment
from flags.store import Change
from foundation.clock import ManualClock
from tests.flag_sources import PuppetSource, flag, snapshot
from tests.support import eventually

AT_ONCE = ClientSettings(start_timeout=0.0)
SEGMENT = parse_segment("beta", {"if": [{"attribute": "country", "operator": "in", "values": ["SE"]}]})
HELD = Snapshot(Revision(7, 3), {"k": flag()}, {"k": Revision(7, 3), "segment:beta": Revision(7, 1)}, {"beta": SEGMENT})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "flags.backup"


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def backup(path, clock):
    return Backup(path, "demo", clock.monotonic)


def another(path, environment="demo"):
    return Backup(path, environment, ManualClock().monotonic)


# The file.


def test_what_is_kept_is_read_back(backup, path):
    backup.keep(HELD)
    assert another(path).load() == HELD


def test_it_is_for_its_owner_alone_and_nothing_is_left_beside_it(backup, path):
    for rev in range(3):
        backup.keep(snapshot(flag(), rev=rev), now=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_where_there_is_none_there_is_nothing_to_complain_of(backup, caplog):
    assert backup.load() is None
    assert caplog.text == ""


DAMAGES = {
    "cut off": lambda content: content[:-1],
    "cut off after its first line": lambda content: content.partition(b"\n")[0],
    "emptied": lambda _: b"",
    "one bit turned": lambda content: content[:-5] + bytes((content[-5] ^ 1,)) + content[-4:],
    "lengthened": lambda content: content + b" ",
    "of another format": lambda content: content.replace(b"backup-1", b"backup-9", 1),
    "rubbish": lambda _: b"\xff" * 100,
    "no JSON": lambda _: headed(b"{"),
    "no object": lambda _: headed(b"[]"),
    "no snapshot": lambda _: headed(b'{"environment":"demo"}'),
}


def headed(body):
    """Make a file that is sound, whatever it holds."""
    return module._header(body) + body


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_file_that_is_not_as_it_was_written_is_refused_whole_and_replaced(backup, path, damage, caplog):
    backup.keep(HELD)
    path.write_bytes(damage(path.read_bytes()))
    fresh = another(path)
    assert fresh.load() is None
    assert "is refused" in caplog.text
    fresh.keep(HELD)
    assert another(path).load() == HELD


def test_the_flags_of_another_environment_are_refused(backup, path, caplog):
    backup.keep(HELD)
    assert another(path, "production").load() is None
    assert "is of another environment" in caplog.text


def test_a_flag_that_this_release_can_t_read_is_left_out(backup, path, caplog):
    backup.keep(HELD)
    body = path.read_bytes().partition(b"\n")[2].replace(b'"enabled":true', b'"enabled":7')
    path.write_bytes(headed(body))
    found = another(path).load()
    assert found.flags == {}
    assert set(found.segments) == {"beta"}
    assert "flag 'k' can't be read" in caplog.text


def test_what_could_make_the_reader_wait_or_is_too_large_is_refused(path, caplog, monkeypatch):
    os.mkfifo(path)
    assert another(path).load() is None
    path.unlink()
    path.mkdir()
    assert another(path).load() is None
    path.rmdir()
    monkeypatch.setattr(module, "MAX_BYTES", 10)
    path.write_bytes(b"x" * 11)
    assert another(path).load() is None
    assert caplog.text.count("is refused") == 3


def test_changes_in_quick_succession_are_written_together(backup, path, clock):
    backup.keep(snapshot(flag(), rev=1))
    backup.keep(snapshot(flag(), rev=2))
    assert another(path).load().revision == Revision(1, 1)
    clock.advance(PAUSE)
    backup.keep(snapshot(flag(), rev=3))
    assert another(path).load().revision == Revision(1, 3)


def test_of_many_processes_one_writes_each_snapshot(backup, path):
    backup.keep(HELD)
    before = path.stat()
    another(path).keep(HELD)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_disk_that_takes_nothing_is_complained_of_once_and_tried_again(backup, path, clock, caplog, monkeypatch):
    full = OSError(28, "No space left on device")

    def refuse(descriptor):
        raise full

    monkeypatch.setattr(module.os, "fsync", refuse)
    for rev in range(4):
        backup.keep(snapshot(flag(), rev=rev))
        clock.advance(PAUSE)
    assert caplog.text.count("can't be written") == 1
    assert list(path.parent.iterdir()) == []
    monkeypatch.undo()
    backup.keep(HELD)
    assert another(path).load() == HELD


def test_a_folder_that_is_not_there_is_complained_of_once(tmp_path, clock, caplog):
    backup = Backup(tmp_path / "nowhere" / "flags", "demo", clock.monotonic)
    for _ in range(3):
        backup.keep(HELD)
        clock.advance(PAUSE)
    assert caplog.text.count("nowhere/flags can't be written: No such file or directory") == 1


def test_what_is_too_large_is_not_written(backup, path, caplog, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 10)
    backup.keep(HELD)
    assert "larger than 10 bytes" in caplog.text
    assert not path.exists()


# The client.


@pytest.fixture
def make(path):
    clients = []

    def make_client(source, **parts):
        source.environment = "demo"
        clients.append(FlagClient(source, **{"clock": ManualClock(), "backup": path, **parts}))
        return clients[-1]

    yield make_client
    for client in clients:
        client.close()


def test_a_client_keeps_what_its_source_gives_and_the_last_of_it_at_its_end(make, path):
    source = PuppetSource(snapshot(flag()))
    client = make(source)
    client.start()
    eventually(path.exists)
    source.feed.apply(Change(Revision(1, 2), {"k": flag(on="toml")}))
    client.close()
    assert another(path).load().revision == Revision(1, 2)


def test_without_its_source_a_client_serves_the_backup_and_says_that_it_is_stale(make, backup):
    backup.keep(HELD)
    told = []
    client = make(PuppetSource(), settings=AT_ONCE)
    client.on_status(told.append)
    assert not client.start()
    eventually(lambda: told == [Status.STALE])
    assert client.get_string_value("k", "default") == "yaml"
    assert (client.snapshot, client.status, client.age, client.lapsed) == (HELD, Status.STALE, float("inf"), True)


def test_the_revision_of_a_backup_is_neither_acknowledged_nor_followed_on(make, backup):
    backup.keep(HELD)
    source = PuppetSource()
    client = make(source, settings=AT_ONCE)
    client.start()
    eventually(lambda: client.status is Status.STALE and source.feed)
    assert source.feed.cursor == ZERO
    assert not source.feed.apply(Change(Revision(7, 4), {}))
    source.feed.failed(OSError("refused"))
    source.feed.contact()
    assert client.status is Status.STALE
    source.feed.replace(snapshot(flag(on="toml")))
    assert (client.status, client.get_string_value("k", "default")) == (Status.READY, "toml")


def test_a_source_that_is_quicker_than_the_disk_is_not_overruled(make, backup, monkeypatch):
    backup.keep(HELD)
    read, reading, given = module._contents, threading.Event(), threading.Event()

    def slow(path):
        reading.set()
        given.wait(5)
        return read(path)

    monkeypatch.setattr(module, "_contents", slow)
    source = PuppetSource()
    client = make(source, settings=AT_ONCE)
    client.start()
    assert reading.wait(5)
    eventually(lambda: source.feed)
    source.feed.replace(snapshot(flag(on="toml")))
    given.set()
    eventually(lambda: client.status is Status.READY)
    time.sleep(0.05)
    assert (client.get_string_value("k", "default"), client.status) == ("toml", Status.READY)


def test_a_disk_that_hangs_holds_up_neither_start_nor_changes(make, monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(module, "_contents", lambda _: b"cut off" * released.wait(20))
    source = PuppetSource(snapshot(flag()))
    client = make(source, settings=ClientSettings(start_timeout=0.2))
    began = time.monotonic()
    client.start()
    assert time.monotonic() - began < 2
    eventually(lambda: source.feed)
    source.feed.apply(Change(Revision(1, 2), {"k": flag(on="toml")}))
    assert client.get_string_value("k", "default") == "toml"
    released.set()


def test_a_disk_that_is_full_fails_neither_evaluation_nor_changes(make, tmp_path, caplog):
    source = PuppetSource(snapshot(flag()))
    client = make(source, backup=tmp_path / "nowhere" / "flags")
    assert client.start()
    eventually(lambda: "can't be written" in caplog.text)
    source.feed.apply(Change(Revision(1, 2), {"k": flag(on="toml")}))
    assert client.get_string_value("k", "default") == "toml"
    with caplog.at_level(logging.CRITICAL):
        client.close()


def test_a_client_without_a_backup_writes_none(tmp_path):
    with FlagClient(PuppetSource(snapshot(flag())), clock=ManualClock()):
        pass
    assert list(tmp_path.iterdir()) == []
