"""A server that came by an older copy gets a new epoch, however it came by it; one that lost nothing keeps its own."""

import pytest

from flags.documents import parse_flag
from flags.model import Revision
from flags.store import Edit, Write
from foundation.ids import new_id
from tests.server_pair import ServerPair


@pytest.fixture
def pair(make_redis, runtime_dir):
    pair = ServerPair(make_redis, runtime_dir)
    yield pair
    pair.close()


def write(pair, value):
    flag = parse_flag("a", {"enabled": True, "variants": {"on": value, "off": ""}, "offVariant": "off"})
    with pair.store() as store:
        seen = store.snapshot().versions.get("a")
        return store.write(Write(new_id("op"), (Edit(flag, seen),), "kim")).revision


def revision(pair):
    with pair.store() as store:
        return store.snapshot().revision


def test_a_server_started_from_a_copy_gets_a_new_epoch(pair):
    write(pair, "old")
    copy = pair.checkpoint()
    lost = write(pair, "lost")
    pair.restart(copy)
    written = write(pair, "new")
    assert written.rev == lost.rev
    assert written.epoch > lost.epoch


def test_a_running_server_that_gets_its_own_backup_back_by_replication_gets_a_new_epoch(pair):
    """Its run id is then the very one that the copy names."""
    write(pair, "old")
    copy = pair.checkpoint()
    lost = [write(pair, "lost")]
    for _ in range(2):
        pair.restore_alive(copy)
        lost.append(write(pair, "lost again"))
    assert {written.rev for written in lost} == {2}
    assert len({written.epoch for written in lost}) == 3


def test_failing_over_and_back_between_two_looks_gets_a_new_epoch(pair):
    write(pair, "old")
    pair.attach()
    pair.detach()
    lost = write(pair, "lost")
    pair.fail_over(hidden=False)
    pair.attach()
    pair.fail_over(hidden=False)
    pair.promote()
    written = write(pair, "new")
    assert written.rev == lost.rev
    assert written.epoch > lost.epoch


def test_a_replica_that_comes_and_goes_changes_no_epoch(pair):
    before = write(pair, "old")
    pair.attach()
    assert write(pair, "new") == Revision(before.epoch, before.rev + 1)
    pair.detach()
    pair.attach()
    pair.detach()
    assert revision(pair) == Revision(before.epoch, before.rev + 1)
