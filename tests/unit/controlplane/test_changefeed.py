"""The feed that streams of changes read from: what who joins is sent first."""

import json

from controlplane.changefeed import ChangeFeed
from flags.documents import parse_flag
from flags.model import Revision, Snapshot
from flags.store import Change

FLAG = parse_flag("k", {"enabled": True, "variants": {"on": True, "off": False}, "offVariant": "off"})


def test_a_snapshot_is_written_once_for_all_who_join_at_its_revision():
    feed = ChangeFeed(lambda revision: None)
    feed.replace(Snapshot(Revision(1, 1), {"k": FLAG}))
    (_, [first]), (_, [second]) = feed.join(""), feed.join("9-9")
    assert first is second


def test_who_joins_after_a_change_is_sent_it():
    feed = ChangeFeed(lambda revision: None)
    feed.replace(Snapshot(Revision(1, 1)))
    feed.join("")
    assert feed.apply(Change(Revision(1, 2), {"k": FLAG}))
    _, [event] = feed.join("")
    sent = json.loads(event.partition(b"data: ")[2])
    assert (sent["revision"], list(sent["flags"])) == ("1-2", ["k"])
