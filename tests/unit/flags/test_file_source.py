"""The file source and the override file: followed as they come, change, break and go."""

import os
import threading

import pytest

from flags.client import ClientSettings, FlagClient
from flags.feed import ClientFeed, Status
from flags.identity import plain_client
from flags.overrides import OverrideFile, parse_overrides
from flags.sources.file import FileSource
from flags.watchedfile import WatchedFile
from foundation.clock import SYSTEM
from foundation.errors import DocumentError
from tests.support import eventually

FLAGS = """
flags:
  k:
    enabled: true
    variants: {on: yaml, off: json}
    offVariant: "off"
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "flags.yaml"


@pytest.fixture
def follow(path):
    """Run a file source over `path`; answers with the feed and what was published."""
    stop, threads = threading.Event(), []

    def start():
        published = []
        source = FileSource(path)
        feed = ClientFeed(SYSTEM, source.heartbeat, source.lease, lambda *news: published.append(news), lambda: None)
        threads.append(threading.Thread(target=source.run, args=(feed, plain_client(0.0), stop)))
        threads[-1].start()
        return feed, published

    yield start
    stop.set()
    for thread in threads:
        thread.join()


def test_a_file_is_read_at_once_and_again_when_it_changes(path, follow):
    path.write_text(FLAGS)
    feed, published = follow()
    eventually(lambda: len(published) == 1)
    assert published[0][0].flags["k"].enabled
    assert feed.status is Status.READY
    path.write_text(FLAGS.replace("true", "false"))
    eventually(lambda: len(published) == 2)
    assert not published[1][0].flags["k"].enabled
    assert published[1][0].revision != published[0][0].revision


def test_a_file_that_is_moved_into_place_with_an_old_time_stamp_is_read(path, follow, tmp_path):
    path.write_text(FLAGS)
    _, published = follow()
    eventually(lambda: len(published) == 1)
    stamp = path.stat()
    new = tmp_path / "new"
    new.write_text(FLAGS.replace("yaml", "toml"))
    os.utime(new, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    new.replace(path)
    eventually(lambda: len(published) == 2)
    assert published[1][0].flags["k"].variants["on"] == "toml"


def test_a_broken_or_missing_file_keeps_the_flags_and_is_named_until_it_is_well_again(path, follow):
    feed, published = follow()
    assert isinstance(eventually(lambda: feed.error), FileNotFoundError)
    assert feed.status is Status.ERROR
    path.write_text(FLAGS)
    eventually(lambda: feed.status is Status.READY)
    path.write_text(FLAGS.replace("true", "maybe"))
    assert "flags.k.enabled" in str(eventually(lambda: feed.error))
    path.unlink()
    eventually(lambda: isinstance(feed.error, FileNotFoundError))
    assert len(published) == 1
    path.write_text(FLAGS)
    eventually(lambda: feed.error is None)
    assert feed.status is Status.READY


def test_what_is_wrong_with_a_file_stands_in_the_log_once_and_so_does_its_recovery(path, caplog):
    caplog.set_level("INFO", "flags.announcer")
    path.write_text(FLAGS.replace("true", "maybe"))
    with FlagClient(FileSource(path), settings=ClientSettings(start_timeout=0.0)) as client:
        eventually(lambda: "callers get their own defaults: flags.k.enabled: " in caplog.text)
        path.write_text(FLAGS)
        eventually(lambda: "the flags are in step" in caplog.text)
        assert client.status is Status.READY
    assert caplog.text.count("defaults") == 1


def test_a_json_file_is_read_as_json(tmp_path):
    path = tmp_path / "flags.json"
    path.write_text("{a: 1}")
    file = WatchedFile(path)
    assert file.changed()
    with pytest.raises(DocumentError, match="is not JSON"):
        file.document()


def test_a_file_that_cannot_be_read_is_looked_at_anew_when_it_can_be(path):
    path.write_text("a: 1")
    file = WatchedFile(path)
    assert file.changed()
    path.unlink()
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        file.changed()
    path.rmdir()
    path.write_text("a: 1")
    assert file.changed()
    assert not file.changed()


# The override file.


def test_an_override_file_gives_its_values_whenever_they_change(path):
    overrides = OverrideFile(path)
    assert overrides.poll() == {}
    assert overrides.poll() is None
    path.write_text("useYamlMessaging: json\nns/limit: 5\n")
    assert overrides.poll() == {"useYamlMessaging": "json", "ns/limit": 5}
    assert overrides.poll() is None
    path.write_text("# nothing\n")
    assert overrides.poll() == {}
    path.write_text("k: true")
    assert overrides.poll() == {"k": True}
    path.unlink()
    assert overrides.poll() == {}


def test_a_broken_override_file_is_complained_of_once(path):
    overrides = OverrideFile(path)
    path.write_text("k: [")
    with pytest.raises(DocumentError):
        overrides.poll()
    assert overrides.poll() is None


@pytest.mark.parametrize("document", [[], "x", {"a b": 1}, {"k": None}, {"k": float("nan")}, {5: 1}])
def test_an_override_that_is_none_is_refused(document):
    with pytest.raises(DocumentError, match="overrides"):
        parse_overrides(document)


def test_nothing_overrides_nothing():
    assert parse_overrides(None) == {}
