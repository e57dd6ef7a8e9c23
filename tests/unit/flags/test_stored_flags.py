"""Flags that are read when they are asked for, among them one of a later release."""

import pytest

from flags import service
from flags.documents import flag_json, parse_flag
from flags.model import Revision, Segment, Snapshot
from flags.snapshots import snapshot_document
from flags.store import FlagStore
from flags.stored import StoredFlags
from flags.stores.memory import MemoryFlagStore
from flags.view import View
from foundation.errors import DocumentError

ON_OFF = {"enabled": True, "variants": {"on": True, "off": False}, "offVariant": "off"}
FIRST = Revision(1, 1)


class LaterStore(MemoryFlagStore):
    """A store that holds a flag which this release can't read."""

    def snapshot(self):
        held = {"known": flag_json(parse_flag("known", ON_OFF)).encode(), "later": b'{"enabled":"perhaps"}'}
        return Snapshot(FIRST, StoredFlags(held), dict.fromkeys(held, FIRST), {"beta": Segment("beta", ())})


@pytest.fixture
def store() -> FlagStore:
    return LaterStore("test")


def test_all_items_are_listed_but_those_that_can_t_be_read(store):
    assert store.snapshot().items().keys() == {"known", "segment:beta"}


def test_a_write_is_checked_against_those_that_can_be_read(store):
    needy = parse_flag("needy", {**ON_OFF, "prerequisites": [{"flag": "later", "variants": ["on"]}]})
    with pytest.raises(DocumentError, match="not a flag of this environment"):
        service.create(store, needy, actor="ana")


def test_a_flag_of_a_later_release_is_passed_on_to_those_who_may_be_able_to_read_it(store):
    assert snapshot_document(store.snapshot())["flags"] == {"known": ON_OFF, "later": {"enabled": "perhaps"}}


def test_a_text_that_is_not_even_json_is_left_out_of_what_is_passed_on(caplog):
    assert snapshot_document(Snapshot(FIRST, StoredFlags({"torn": b'{"enabled":'})))["flags"] == {}
    assert "flag 'torn' can't be read" in caplog.text


def test_a_view_reads_each_flag_once_to_tell_which_are_in_force():
    reads = []

    class Flags(StoredFlags):
        def __getitem__(self, key):
            reads.append(key)
            return super().__getitem__(key)

    held = {key: flag_json(parse_flag(key, {**ON_OFF, "archived": key == "gone"})).encode() for key in ("kept", "gone")}
    view = View(Snapshot(FIRST, Flags({**held, "later": b"{}"})))
    assert [view.keys() for _ in range(3)] == [("kept",)] * 3
    assert sorted(reads) == ["gone", "kept", "later"]
