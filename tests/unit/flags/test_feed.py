"""The client's side of the update protocol: which changes it takes, how fresh it is, whether its lease stands."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.documents import parse_flag
from flags.feed import ClientFeed, Status
from flags.model import ZERO, Revision, Snapshot
from flags.store import Change
from foundation.clock import ManualClock
from tests.flag_documents import LAW


def flag(key, value):
    return parse_flag(key, {"enabled": True, "variants": {"on": value, "off": -1}, "offVariant": "off"})


class Server:
    """A server of flags that remembers every state it was in."""

    def __init__(self, epoch=1):
        self.states = [Snapshot(Revision(epoch, 0))]

    @property
    def now(self):
        return self.states[-1]

    def write(self, key, value):
        before = self.now
        revision = Revision(before.revision.epoch, before.revision.rev + 1)
        written = {key: flag(key, value)}
        self.states.append(Snapshot(revision, {**before.flags, **written}))
        return Change(revision, written)

    def restore(self, number):
        """Go back to an old copy, which opens a new epoch."""
        old = self.states[number % len(self.states)]
        self.states.append(replace(old, revision=Revision(1_000 + len(self.states), old.revision.rev)))


class Client:
    """A feed with its surroundings in view."""

    def __init__(self, heartbeat=1.0, lease=3.0):
        self.clock = ManualClock()
        self.published = []
        self.moves = 0
        self.feed = ClientFeed(self.clock, heartbeat, lease, self.publish, self.moved)

    def publish(self, snapshot, changed):
        self.published.append((snapshot, None if changed is None else sorted(changed)))

    def moved(self):
        self.moves += 1


@pytest.fixture
def client():
    return Client()


def test_a_change_is_taken_only_if_it_is_the_very_next_one(client):
    server = Server(epoch=7)
    client.feed.replace(server.now)
    first, second = server.write("a", 1), server.write("b", 2)
    assert not client.feed.apply(second)
    assert client.feed.apply(first)
    assert not client.feed.apply(first)
    assert client.feed.apply(second)
    assert client.feed.cursor == Revision(7, 2)
    assert client.published[-1] == (server.now, ["b"])


def test_a_change_of_another_epoch_is_not_taken(client):
    client.feed.replace(Snapshot(Revision(1, 4)))
    assert not client.feed.apply(Change(Revision(2, 5), {"a": flag("a", 1)}))
    assert client.feed.cursor == Revision(1, 4)


def test_no_change_is_taken_before_the_first_snapshot(client):
    assert client.feed.cursor == ZERO
    assert not client.feed.apply(Change(Revision(0, 1), {"a": flag("a", 1)}))
    assert client.published == []


def test_a_snapshot_replaces_whatever_stood_there(client):
    client.feed.replace(Snapshot(Revision(9, 9), {"old": flag("old", 1)}))
    client.feed.replace(Snapshot(Revision(1, 1), {"new": flag("new", 1)}))
    assert client.feed.cursor == Revision(1, 1)
    assert client.published[-1][1] is None


def test_the_cursor_does_not_pass_what_could_not_be_taken_into_use(client):
    client.feed.replace(Snapshot(Revision(1, 1)))
    client.feed._publish = lambda *_: 1 / 0
    with pytest.raises(ZeroDivisionError):
        client.feed.apply(Change(Revision(1, 2), {"a": flag("a", 1)}))
    assert client.feed.cursor == Revision(1, 1)


NEWS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from("abc"), st.integers(0, 5)),
        st.tuples(st.just("deliver"), st.integers(0, 30)),
        st.tuples(st.just("restore"), st.integers(0, 30)),
        st.tuples(st.just("heartbeat")),
    ),
    max_size=30,
)


@LAW
@given(NEWS)
def test_whatever_is_lost_doubled_or_restored_a_client_holds_a_state_that_the_server_was_in(news):
    server, client = Server(), Client()
    changes = []
    client.feed.replace(server.now)
    for event, *details in [*news, ("heartbeat",)]:
        if event == "write":
            changes.append(server.write(*details))
        elif event == "deliver" and changes and not client.feed.apply(changes[details[0] % len(changes)]):
            client.feed.replace(server.now)
        elif event == "restore":
            server.restore(*details)
        elif event == "heartbeat" and client.feed.cursor != server.now.revision:
            client.feed.replace(server.now)
        assert client.published[-1][0] in server.states
    assert client.published[-1][0] == server.now


# Status, age and lease.


def test_a_client_is_initializing_until_its_first_snapshot_or_failure(client):
    assert (client.feed.status, client.feed.age) == (Status.INITIALIZING, math.inf)
    client.feed.failed(OSError("refused"))
    assert client.feed.status is Status.ERROR
    client.feed.replace(Snapshot(Revision(1, 1)))
    assert (client.feed.status, client.feed.age, client.feed.error) == (Status.READY, 0, None)


def test_three_heartbeats_without_contact_make_a_client_stale_and_one_contact_ready(client):
    client.feed.replace(Snapshot(Revision(1, 1)))
    client.clock.advance(2.9)
    client.feed.failed(OSError("refused"))
    assert client.feed.status is Status.READY
    client.clock.advance(0.2)
    assert (client.feed.status, client.feed.age) == (Status.STALE, pytest.approx(3.1))
    client.feed.contact()
    assert (client.feed.status, client.feed.error) == (Status.READY, None)


def test_a_change_and_a_snapshot_are_contacts_too(client):
    client.feed.replace(Snapshot(Revision(1, 1)))
    client.clock.advance(5)
    client.feed.apply(Change(Revision(1, 2), {}))
    assert client.feed.status is Status.READY


def test_the_lease_counts_from_before_its_renewal_was_sent(client):
    client.feed.replace(Snapshot(Revision(1, 1)))
    assert client.feed.lapsed
    sent = client.clock.monotonic()
    client.clock.advance(0.9)
    client.feed.contact(sent)
    assert not client.feed.lapsed
    client.clock.advance(2.0)
    assert not client.feed.lapsed
    client.clock.advance(0.1)
    assert client.feed.lapsed


def test_contact_without_a_renewal_does_not_lengthen_the_lease(client):
    client.feed.contact(client.clock.monotonic())
    client.clock.advance(2)
    client.feed.contact()
    client.feed.replace(Snapshot(Revision(1, 1)))
    client.clock.advance(1)
    assert client.feed.lapsed
    assert client.feed.status is Status.READY


def test_without_a_registry_nothing_lapses():
    assert not Client(lease=math.inf).feed.lapsed


def test_after_a_fork_the_lease_is_the_parents(client):
    client.feed.replace(Snapshot(Revision(1, 1)))
    client.feed.contact(client.clock.monotonic())
    client.feed.disown()
    assert client.feed.lapsed
    assert client.feed.status is Status.READY


def test_a_lease_can_be_renewed_by_who_is_not_in_step(client):
    client.feed.renewed(client.clock.monotonic())
    assert not client.feed.lapsed
    assert (client.feed.status, client.feed.age) == (Status.INITIALIZING, math.inf)


def test_with_a_backup_in_use_a_client_is_stale_until_its_first_snapshot(client):
    client.feed.failed(OSError("refused"))
    client.feed.restored()
    assert (client.feed.status, client.feed.cursor, client.feed.age) == (Status.STALE, ZERO, math.inf)
    client.feed.contact()
    assert not client.feed.apply(Change(Revision(1, 1), {}))
    assert client.feed.status is Status.STALE
    client.feed.replace(Snapshot(Revision(1, 1)))
    assert client.feed.status is Status.READY


def test_a_backup_that_comes_after_the_first_snapshot_changes_nothing(client):
    client.feed.replace(Snapshot(Revision(1, 1)))
    client.feed.restored()
    assert (client.feed.status, client.feed.cursor) == (Status.READY, Revision(1, 1))


def test_every_piece_of_news_is_told(client):
    client.feed.failed(OSError())
    client.feed.replace(Snapshot(Revision(1, 1)))
    client.feed.apply(Change(Revision(1, 2), {}))
    client.feed.contact()
    assert client.moves == 4
