"""Finding, creating, changing, applying and reverting flags over a store."""

from dataclasses import replace

import pytest

from flags import edits, service
from flags.definitions import parse_flags
from flags.documents import parse_flag
from flags.errors import FlagArchived, FlagExists, FlagHeld, FlagNotFound, IdempotencyMismatch, RevisionConflict
from flags.model import Flag, Hold, Revision, Rollout
from flags.store import Edit, Write
from flags.stores.memory import MemoryFlagStore
from foundation.clock import ManualClock
from foundation.errors import DocumentError

HOLD = Hold("ops@host", "drill", "rcpt_1")
WHO = {"actor": "ann@host", "reason": "because"}


def flag(key="k", **parts):
    document = {"enabled": False, "variants": {"on": "yaml", "off": "json"}, "offVariant": "off", **parts}
    return parse_flag(key, document)


@pytest.fixture
def store():
    store = MemoryFlagStore("demo", ManualClock())
    service.create(store, flag(), **WHO)
    return store


class Busy:
    """A store in which somebody else writes before each of the first `times` writes."""

    def __init__(self, store, times):
        self._store, self._times = store, times
        self.environment = store.environment
        self.snapshot, self.history = store.snapshot, store.history

    def write(self, write):
        if self._times:
            self._times -= 1
            key = write.edits[0].item.key
            described = replace(self._store.snapshot().flags[key], description=f"another {self._times}")
            service.change(self._store, [key], lambda _: described, actor="another")
        return self._store.write(write)


def test_a_flag_is_found_with_the_revision_of_its_last_write(store):
    revision = service.change(store, ["k"], edits.enable, **WHO).revision
    service.create(store, flag("other"), **WHO)
    assert service.find(store, "k") == (flag(enabled=True), revision)


def test_a_flag_that_does_not_exist_is_not_found(store):
    with pytest.raises(FlagNotFound, match="no flag 'x' in environment 'demo'"):
        service.find(store, "x")
    with pytest.raises(FlagNotFound):
        service.change(store, ["k", "x"], edits.enable, **WHO)
    assert not service.find(store, "k").flag.enabled


def test_a_flag_is_created_once(store):
    with pytest.raises(FlagExists, match="flag 'k' already exists"):
        service.create(store, flag(), **WHO)


def test_a_change_of_several_flags_is_one_write(store):
    service.create(store, flag("other"), **WHO)
    before = store.snapshot().revision
    written = service.change(store, ["k", "other", "k"], edits.enable, **WHO)
    assert written.revision == before._replace(rev=before.rev + 1)
    assert {flag.enabled for flag in store.snapshot().flags.values()} == {True}


def test_a_change_is_made_anew_on_what_another_writer_left(store):
    service.change(Busy(store, times=3), ["k"], edits.enable, **WHO)
    assert service.find(store, "k").flag == flag(enabled=True, description="another 0")


def test_a_change_gives_up_on_a_flag_that_is_written_all_the_time(store):
    with pytest.raises(RevisionConflict):
        service.change(Busy(store, times=service.ATTEMPTS), ["k"], edits.enable, **WHO)


def test_whoever_names_a_revision_is_told_of_the_conflict(store):
    seen = service.find(store, "k").version
    service.change(store, ["k"], edits.enable, expected=seen, **WHO)
    with pytest.raises(RevisionConflict):
        service.change(store, ["k"], edits.disable, expected=seen, **WHO)
    assert service.find(store, "k").flag.enabled


def test_a_change_that_changes_nothing_writes_nothing(store):
    before = store.snapshot().revision
    assert service.change(store, ["k"], edits.disable, **WHO).revision == before
    assert store.snapshot().revision == before


def test_only_the_flags_that_change_are_written(store):
    service.create(store, flag("on", enabled=True), **WHO)
    version = service.find(store, "on").version
    service.change(store, ["k", "on"], edits.enable, **WHO)
    assert service.find(store, "on").version == version


def test_an_operation_is_done_once_however_often_it_is_asked_for(store):
    first = service.change(store, ["k"], edits.enable, operation="op-1", **WHO)
    again = service.change(store, ["k"], edits.enable, operation="op-1", **WHO)
    assert (again.revision, again.repeated) == (first.revision, True)
    with pytest.raises(IdempotencyMismatch):
        service.change(store, ["k"], edits.disable, operation="op-1", **WHO)


def test_a_held_flag_is_enabled_by_nobody_until_it_is_released(store):
    service.change(store, ["k"], lambda flag: edits.kill(flag, HOLD), **WHO)
    with pytest.raises(FlagHeld):
        service.change(store, ["k"], edits.enable, **WHO)
    with pytest.raises(FlagHeld):
        service.change(store, ["k"], lambda flag: replace(flag, enabled=True), **WHO)
    with pytest.raises(FlagHeld):
        service.apply(store, {"k": flag(enabled=True)}, **WHO)
    service.change(store, ["k"], edits.release, **WHO)
    service.apply(store, {"k": flag(enabled=True)}, **WHO)
    assert service.find(store, "k").flag == flag(enabled=True)


def test_applying_a_file_neither_sets_nor_takes_off_a_hold(store):
    service.change(store, ["k"], lambda flag: edits.kill(flag, HOLD), **WHO)
    service.apply(store, {"k": flag(description="kept"), "new": replace(flag("new"), hold=HOLD)}, **WHO)
    assert service.find(store, "k").flag == replace(flag(description="kept"), hold=HOLD)
    assert service.find(store, "new").flag.hold is None


def test_applying_is_one_write_or_none(store):
    service.create(store, flag("held"), **WHO)
    service.change(store, ["held"], lambda flag: edits.kill(flag, HOLD), **WHO)
    before = store.snapshot()
    with pytest.raises(FlagHeld):
        service.apply(store, {"k": flag(enabled=True), "new": flag("new"), "held": flag("held", enabled=True)}, **WHO)
    assert store.snapshot() == before
    written = service.apply(store, {"k": flag(enabled=True), "new": flag("new")}, **WHO)
    assert written.revision.rev == before.revision.rev + 1
    assert service.apply(store, {"k": flag(enabled=True), "new": flag("new")}, **WHO).revision == written.revision


def test_applying_the_published_shorthand_keeps_the_tag_that_a_rollback_looks_for(store):
    document = {"useYamlMessaging": {"enabled": True, "rolloutPercentage": 100, "fallback": "json"}}
    service.apply(store, parse_flags(document), **WHO)
    assert service.find(store, "useYamlMessaging").flag.tags == ("messaging",)


def test_a_flag_that_refers_to_what_is_not_there_can_be_killed_and_archived(store):
    needy = flag("needy", prerequisites=[{"flag": "gone", "variants": ["on"]}])
    store.write(Write("from outside", (Edit(needy, None),), **WHO))
    service.change(store, ["needy"], lambda flag: edits.kill(flag, HOLD), **WHO)
    service.change(store, ["needy"], edits.archive, **WHO)
    assert service.find(store, "needy").flag.archived


def test_an_archived_flag_is_changed_only_by_its_restoration(store):
    service.change(store, ["k"], edits.archive, **WHO)
    with pytest.raises(FlagArchived):
        service.change(store, ["k"], edits.enable, **WHO)
    service.change(store, ["k"], edits.restore, **WHO)
    assert service.find(store, "k").flag == flag()


def test_a_flag_goes_back_to_what_it_was_before_its_last_write_or_after_a_named_one(store):
    first = service.change(store, ["k"], edits.enable, **WHO).revision
    service.change(store, ["k"], lambda flag: edits.set_percentage(flag, 5_000), **WHO)
    service.change(store, ["k"], lambda flag: edits.set_percentage(flag, 7_000), **WHO)
    service.revert(store, "k", **WHO)
    assert service.find(store, "k").flag.rollout == Rollout(5_000)
    service.revert(store, "k", first, **WHO)
    assert service.find(store, "k").flag == flag(enabled=True)


def test_a_revert_neither_takes_off_a_hold_nor_passes_it(store):
    enabled = service.change(store, ["k"], edits.enable, **WHO).revision
    service.change(store, ["k"], lambda flag: edits.kill(flag, HOLD), **WHO)
    with pytest.raises(FlagHeld):
        service.revert(store, "k", enabled, **WHO)
    with pytest.raises(FlagHeld):
        service.revert(store, "k", **WHO)
    assert service.find(store, "k").flag.hold == HOLD


def test_a_revert_to_a_time_when_the_flag_was_held_does_not_hold_it_again(store):
    killed = service.change(store, ["k"], lambda flag: edits.kill(flag, HOLD), **WHO).revision
    service.change(store, ["k"], edits.release, **WHO)
    service.change(store, ["k"], edits.enable, **WHO)
    service.revert(store, "k", killed, **WHO)
    assert service.find(store, "k").flag == flag()


def test_a_revert_to_where_the_history_does_not_reach_is_refused(store):
    with pytest.raises(DocumentError, match="revision: is not in the flag's history"):
        service.revert(store, "k", Revision(1, 1), **WHO)
    with pytest.raises(DocumentError):
        service.revert(store, "k", **WHO)  # its last write is its creation
    with pytest.raises(FlagNotFound):
        service.revert(store, "x", **WHO)


@pytest.mark.parametrize(
    "broken",
    [
        replace(flag(), description="x" * 100_000),
        replace(flag(), tags=("a b",)),
        replace(flag(), off_variant="none"),
        Flag(key="k", enabled=True, variants={"on": float("nan"), "off": 1.0}, off_variant="off", on_variant="on"),
    ],
)
def test_nothing_is_written_that_could_not_be_read_back(store, broken):
    before = store.snapshot()
    with pytest.raises(DocumentError):
        service.change(store, ["k"], lambda _: broken, **WHO)
    with pytest.raises(DocumentError):
        service.create(store, replace(broken, key="new"), **WHO)
    assert store.snapshot() == before
