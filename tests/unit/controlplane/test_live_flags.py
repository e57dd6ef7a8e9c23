"""The flags that one process evaluates from memory, and what it waits for."""

from types import SimpleNamespace

import pytest

from controlplane import liveflags
from controlplane.liveflags import LiveFlags
from flags.model import Revision, Snapshot
from foundation.clock import SYSTEM
from foundation.errors import StoreUnreachable


class Source:
    heartbeat = 1.0

    def run(self, feed, instance, stop):
        self.feed = feed
        feed.replace(Snapshot(Revision(1, 5)))
        stop.wait()

    def close(self):
        pass


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def live(source):
    live = LiveFlags(SimpleNamespace(source=lambda: source, counts=SimpleNamespace(report=print)), SYSTEM)
    live.view()
    yield live
    live.close()


@pytest.fixture
def waits(live, monkeypatch):
    """How long each question was willing to wait for a revision."""
    waits = []
    wait_for = live._news.wait_for

    def waiting(condition, timeout):
        if not condition():
            waits.append(timeout)
        return wait_for(condition, 0.01)

    monkeypatch.setattr(live._news, "wait_for", waiting)
    return waits


def test_a_write_of_this_process_is_waited_for(live, source, waits):
    live.note(Revision(1, 6))
    with pytest.raises(StoreUnreachable):
        live.view()
    source.feed.replace(Snapshot(Revision(1, 6)))
    assert live.view().snapshot.revision == Revision(1, 6)
    assert waits == [liveflags.CATCH_UP]


def test_a_write_that_is_here_is_not_waited_for_again_once_the_server_has_another_epoch(live, source, waits):
    live.note(Revision(1, 5))
    live.view()
    source.feed.replace(Snapshot(Revision(2, 5)))
    live.view()
    assert waits == []


def test_a_write_of_an_epoch_that_does_not_come_is_waited_for_once(live, source, waits):
    live.note(Revision(1, 6))
    source.feed.replace(Snapshot(Revision(2, 5)))
    live.view()
    live.view()
    assert waits == [liveflags.CATCH_UP]


def test_a_write_made_while_another_is_waited_for_is_not_forgotten(live, monkeypatch):
    live.note(Revision(2, 1))

    def wait(condition, timeout):
        if timeout == liveflags.CATCH_UP:
            live.note(Revision(1, 6))
        return True

    monkeypatch.setattr(live._news, "wait_for", wait)
    live.view()
    monkeypatch.undo()
    monkeypatch.setattr(liveflags, "CATCH_UP", 0.01)
    with pytest.raises(StoreUnreachable):
        live.view()
