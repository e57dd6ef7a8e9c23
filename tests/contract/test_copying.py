"""Copying flags between environments, over memory and over Redis: what goes along, what stays, and one write."""

import pytest

from flags import applying, copying, service
from flags.definitions import parse_definitions
from flags.documents import parse_flag
from flags.edits import archive, kill
from flags.errors import FlagHeld, FlagNotFound, RevisionConflict, SegmentNotFound
from flags.model import SEGMENT_ITEM, Hold, Revision
from flags.stores.memory import MemoryFlagStore
from flags.stores.redis import RedisFlagStore
from foundation.errors import DocumentError
from foundation.ids import new_id

HOLD = Hold("kim", "latency", "rcpt_1")
WHO = {"actor": "kim", "reason": "a good week"}


def document(percentage=0, **more):
    variants = {"variants": {"on": "yaml", "off": "json"}, "offVariant": "off"}
    return {"enabled": True, **variants, "rollout": {"percentage": percentage}, **more}


def in_segment(key):
    return [{"if": [{"segment": key}], "serve": "on"}]


BETA = {"if": [{"attribute": "plan", "operator": "in", "values": ["beta"]}]}


@pytest.fixture(params=["memory", "redis"])
def environments(request):
    """Two stores, `staging` and `production`."""
    if request.param == "memory":
        yield MemoryFlagStore("staging"), MemoryFlagStore("production")
        return
    url = request.getfixturevalue("redis_url")
    stores = RedisFlagStore(url, "staging"), RedisFlagStore(url, "production")
    yield stores
    for store in stores:
        store.close()


@pytest.fixture
def staging(environments):
    return environments[0]


@pytest.fixture
def production(environments):
    return environments[1]


def fill(store, segments=None, **flags):
    definitions = parse_definitions({"flags": flags, "segments": segments or {}})
    return service.apply(store, definitions, actor="kim").revision


def edit(store, key, change):
    return service.change(store, [key], change, actor="ops").revision


def percentage(store, key):
    return store.snapshot().flags[key].rollout.weight / 1000


def test_named_flags_become_what_they_are_in_the_source_and_all_others_stay(staging, production):
    fill(staging, a=document(50), b=document(60))
    fill(production, a=document(1), b=document(2), c=document(3))
    made, written = copying.copy(staging, production, ["a"], **WHO)
    assert [percentage(production, key) for key in "abc"] == [50, 2, 3]
    (item,) = made.differences
    assert [(field.path, field.before, field.after) for field in item.fields] == [("rollout.percentage", 1, 50)]
    (entry, _) = production.history("a")
    assert (entry.revision, entry.actor, entry.reason) == (written.revision, "kim", "a good week")


def test_without_names_all_that_is_not_archived_is_copied_in_one_write(staging, production):
    fill(staging, {"beta": BETA}, a=document(50), b=document(60, rules=in_segment("beta")), gone=document())
    edit(staging, "gone", archive)
    before = fill(production, a=document(50), c=document(3))
    made, written = copying.copy(staging, production, **WHO)
    assert [(item.key, item.kind) for item in made.differences] == [("b", "added"), ("segment:beta", "added")]
    assert written.revision == Revision(before.epoch, before.rev + 1)
    assert set(production.snapshot().flags) == {"a", "b", "c"}


def test_a_copy_that_changes_nothing_writes_nothing(staging, production):
    fill(staging, a=document(50))
    before = fill(production, a=document(50))
    made, written = copying.copy(staging, production, **WHO)
    assert (made.differences, written.changed, production.snapshot().revision) == ([], False, before)


def test_a_plan_tells_what_a_copy_does_and_does_nothing(staging, production):
    fill(staging, a=document(50), b=document(60))
    before = fill(production, a=document(1))
    planned = copying.plan(staging, production)
    assert production.snapshot().revision == before == planned.revision
    done, _ = copying.copy(staging, production, **WHO)
    assert done.differences == planned.differences != []


def test_no_hold_is_copied(staging, production):
    fill(staging, a=document(50))
    edit(staging, "a", lambda flag: kill(flag, HOLD))
    fill(production, a=document(50))
    copying.copy(staging, production, **WHO)
    copied = production.snapshot().flags["a"]
    assert (copied.enabled, copied.hold) == (False, None)


def test_a_flag_on_hold_in_the_target_refuses_the_whole_copy_and_its_plan(staging, production):
    fill(staging, a=document(50), b=document(50))
    fill(production, a=document(1), b=document(1))
    before = edit(production, "a", lambda flag: kill(flag, HOLD))
    for attempt in (copying.plan, lambda *stores: copying.copy(*stores, **WHO)):
        with pytest.raises(FlagHeld):
            attempt(staging, production)
    assert production.snapshot().revision == before
    copying.copy(staging, production, ["b"], **WHO)
    assert percentage(production, "b") == 50


def test_a_hold_in_the_target_outlasts_a_copy_that_it_has_nothing_against(staging, production):
    fill(staging, a=document(0, enabled=False, description="kept off"))
    fill(production, a=document(1))
    edit(production, "a", lambda flag: kill(flag, HOLD))
    made, _ = copying.copy(staging, production, **WHO)
    assert {field.path for item in made.differences for field in item.fields} == {"description", "rollout.percentage"}
    assert production.snapshot().flags["a"].hold == HOLD


def test_what_a_flag_refers_to_goes_along_where_the_target_lacks_it(staging, production):
    fill(
        staging,
        {"beta": BETA, "inner": {**BETA, "description": "staging's"}},
        root=document(rules=in_segment("inner")),
        base=document(prerequisites=[{"flag": "root", "variants": ["on"]}]),
        a=document(prerequisites=[{"flag": "base", "variants": ["on"]}], rules=in_segment("beta")),
        other=document(),
    )
    fill(production, {"inner": {**BETA, "description": "production's"}})
    made, _ = copying.copy(staging, production, ["a"], **WHO)
    assert [item.key for item in made.differences] == ["a", "base", "root", "segment:beta"]
    assert production.snapshot().segments["inner"].description == "production's"


def test_what_a_flag_refers_to_comes_back_where_the_target_has_put_it_away(staging, production):
    fill(staging, {"beta": BETA}, a=document(rules=in_segment("beta")))
    fill(production, {"beta": {**BETA, "archived": True}})
    made, _ = copying.copy(staging, production, ["a"], **WHO)
    assert [(item.key, item.kind) for item in made.differences] == [("a", "added"), ("segment:beta", "added")]
    assert not production.snapshot().segments["beta"].archived


def test_a_segment_is_copied_by_its_item_key(staging, production):
    fill(staging, {"beta": {**BETA, "description": "staging's"}}, a=document())
    fill(production, {"beta": BETA})
    made, _ = copying.copy(staging, production, [SEGMENT_ITEM + "beta"], **WHO)
    assert [(item.key, item.kind) for item in made.differences] == [("segment:beta", "changed")]
    assert production.snapshot().flags == {}


def test_what_the_source_does_not_have_is_named_and_nothing_is_copied(staging, production):
    fill(staging, a=document())
    with pytest.raises(FlagNotFound, match="no flag 'nope' in environment 'staging'"):
        copying.copy(staging, production, ["a", "nope"], **WHO)
    with pytest.raises(SegmentNotFound, match="no segment 'nope' in environment 'staging'"):
        copying.copy(staging, production, ["a", "segment:nope"], **WHO)
    assert production.snapshot().flags == {}


def test_a_copy_that_would_break_a_flag_of_the_target_is_refused(staging, production):
    fill(staging, a={**document(), "variants": {"yes": "yaml", "off": "json"}})
    before = fill(production, a=document(), b=document(prerequisites=[{"flag": "a", "variants": ["on"]}]))
    for attempt in (copying.plan, lambda *stores: copying.copy(*stores, **WHO)):
        with pytest.raises(DocumentError, match="prerequisites"):
            attempt(staging, production)
    assert production.snapshot().revision == before


def test_a_flag_that_was_put_away_in_the_target_comes_back(staging, production):
    fill(staging, a=document(50))
    fill(production, a=document(1))
    edit(production, "a", archive)
    copying.copy(staging, production, ["a"], **WHO)
    assert not production.snapshot().flags["a"].archived


def test_who_names_a_revision_copies_onto_that_one_only(staging, production):
    fill(staging, a=document(50))
    seen = fill(production, b=document(1))
    fill(production, b=document(2))
    with pytest.raises(RevisionConflict, match="'production' is at revision"):
        copying.copy(staging, production, **WHO, expected=seen)
    _, written = copying.copy(staging, production, **WHO, expected=production.snapshot().revision)
    assert written.changed


class Interrupted:
    """A store to which somebody else writes just before a write of ours comes in."""

    def __init__(self, store, interruptions):
        self._store, self._left = store, interruptions

    def __getattr__(self, name):
        return getattr(self._store, name)

    def write(self, write):
        if self._left:
            self._left -= 1
            service.apply(self._store, {"a": parse_flag("a", document(self._left))}, actor="somebody else")
        return self._store.write(write)


def test_a_write_that_comes_in_between_is_met_by_planning_anew(staging, production):
    fill(staging, a=document(50))
    fill(production, a=document(5))
    made, _ = copying.copy(staging, Interrupted(production, 2), **WHO)
    assert percentage(production, "a") == 50
    (field,) = made.differences[0].fields
    assert field.before == 0


def test_a_write_that_comes_in_between_is_told_to_who_names_a_revision(staging, production):
    fill(staging, a=document(50))
    seen = fill(production, a=document(1))
    with pytest.raises(RevisionConflict):
        copying.copy(staging, Interrupted(production, 1), **WHO, expected=seen)
    assert percentage(production, "a") == 0


def test_what_a_revision_changed_can_be_told_after_others_have_written(staging, production):
    fill(staging, a=document(50), b=document(60))
    fill(production, a=document(1))
    made, written = copying.copy(staging, production, **WHO, operation=new_id("op"))
    fill(production, a=document(70), c=document(5))
    assert applying.changed_at(production, written.revision) == made.differences
