"""What may become of a flag: edits, holds and archives."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags import edits
from flags.documents import MAX_DESCRIPTION, flag_from_json, flag_json, parse_flag
from flags.errors import FlagArchived, FlagHeld, FlagSplit
from flags.explanation import evaluate
from flags.model import Hold, Rollout
from foundation.errors import DocumentError
from tests.flag_documents import LAW, PLAIN_CONTEXTS, WEIGHTS, full_documents

HOLD = Hold("ops@host", "drill", "rcpt_1")


def flag(**parts):
    document = {"enabled": True, "variants": {"on": "yaml", "off": "json"}, "offVariant": "off", **parts}
    return parse_flag("k", document)


@pytest.fixture
def held():
    return edits.kill(flag(rollout={"percentage": 50, "domains": {"collections": 20}}), HOLD)


def test_a_kill_disables_and_holds_and_only_a_release_lets_it_be_enabled(held):
    assert (held.enabled, held.hold) == (False, HOLD)
    with pytest.raises(FlagHeld, match=r"on hold by ops@host \(drill\)"):
        edits.enable(held)
    released = edits.release(held)
    assert not released.enabled
    assert edits.enable(released).enabled


@pytest.mark.parametrize(
    "edit",
    [
        lambda flag: edits.set_percentage(flag, 50_001),
        lambda flag: edits.set_percentage(flag, 20_001, "collections"),
        lambda flag: edits.set_percentage(flag, 50_001, "balance"),
        lambda flag: edits.set_percentages(flag, 20_001, {}),  # collections, no longer listed, had 20%
    ],
)
def test_a_held_flag_is_not_raised(held, edit):
    with pytest.raises(FlagHeld):
        edit(held)


def test_a_held_flag_is_lowered(held):
    assert edits.set_percentage(held, 0).rollout == Rollout(0, {"collections": 20_000})
    assert edits.set_percentage(held, 0, "collections").rollout == Rollout(50_000, {"collections": 0})
    assert edits.set_percentages(held, 20_000, {}).rollout == Rollout(20_000)


@pytest.mark.parametrize(
    "change",
    [
        {"variants": {"on": "yaml", "off": "yaml"}},
        {"off_variant": "on", "on_variant": "off"},
        {"rules": flag(rules=[{"if": [{"attribute": "a", "operator": "exists"}], "serve": "on"}]).rules},
        {"salt": "other"},
        {"enabled": True},
        {"hold": None, "enabled": True},
        {"hold": None, "description": "sneaked"},
        {"hold": Hold("me", "mine"), "salt": "other"},
    ],
)
def test_a_held_flag_serves_what_it_served(held, change):
    with pytest.raises(FlagHeld):
        edits.permitted(held, replace(held, **change))


@pytest.mark.parametrize(
    "change", [{"description": "why"}, {"tags": ("a",)}, {"archived": True}, {"hold": Hold("b", "c")}, {}]
)
def test_what_does_not_change_what_is_served_is_permitted_on_a_held_flag(held, change):
    assert edits.permitted(held, replace(held, **change)) == replace(held, **change)


def test_true_is_not_taken_for_1_under_a_hold():
    held = edits.kill(flag(variants={"on": 1, "off": 0}), HOLD)
    with pytest.raises(FlagHeld):
        edits.permitted(held, replace(held, variants={"on": True, "off": False}))


def test_a_flag_without_a_rollout_is_at_100_percent_for_everyone():
    assert edits.set_percentage(flag(), 10_000, "collections").rollout == Rollout(100_000, {"collections": 10_000})
    assert edits.set_percentage(flag(), 10_000).rollout == Rollout(10_000)


def test_an_archived_flag_takes_nothing_but_its_restoration_and_the_kill():
    archived = edits.archive(flag())
    assert (archived.enabled, archived.archived) == (False, True)
    for edit in (edits.enable, edits.disable, edits.archive, lambda flag: edits.set_percentage(flag, 0)):
        with pytest.raises(FlagArchived):
            edit(archived)
    assert not edits.restore(archived).archived
    assert edits.permitted(archived, edits.kill(archived, HOLD)).hold == HOLD
    assert edits.permitted(archived, edits.restore(archived)) == edits.restore(archived)


SPLIT = [{"variant": "on", "percentage": 25}, {"variant": "off", "percentage": 75}]


def test_of_a_split_no_default_percentage_is_set_but_those_of_domains_are():
    split = flag(rollout={"split": SPLIT})
    for edit in (
        lambda: edits.set_percentage(split, 10_000),
        lambda: edits.set_percentages(split, 0, {"collections": 1}),
    ):
        with pytest.raises(FlagSplit, match=r"'k' splits its traffic .* set that of a domain"):
            edit()
    parts = (("on", 25_000), ("off", 75_000))
    assert edits.set_percentage(split, 10_000, "collections").rollout == Rollout(0, {"collections": 10_000}, parts)
    assert edits.set_percentages(split, None, {"balance": 1}).rollout == Rollout(0, {"balance": 1}, parts)
    with pytest.raises(DocumentError, match="default: is missing"):
        edits.set_percentages(flag(), None, {})


def test_a_split_stands_in_the_way_of_no_kill_and_no_switching_off():
    split = flag(rollout={"split": SPLIT})
    assert not edits.disable(split).enabled
    assert edits.kill(split, HOLD) == replace(split, enabled=False, hold=HOLD)
    assert edits.archive(split).archived


@pytest.mark.parametrize("words", ["x" * 100_000, "\udcff by a terminal", ""])
def test_a_kill_does_not_fail_over_its_words(words):
    killed = edits.kill(flag(), Hold(words, words, words))
    assert flag_from_json("k", flag_json(killed)) == killed
    assert len(killed.hold.reason) <= MAX_DESCRIPTION


@LAW
@given(full_documents(), WEIGHTS, st.sampled_from([None, "a", "b"]), PLAIN_CONTEXTS)
def test_whatever_is_permitted_on_a_held_flag_serves_the_off_variant_as_before(document, weight, domain, context):
    held = edits.kill(parse_flag("k", {**document, "archived": False}), HOLD)
    try:
        after = edits.set_percentage(held, weight, domain)
    except (FlagHeld, FlagSplit):
        return
    assert evaluate(after, context) == evaluate(held, context)
    released = replace(after, hold=None, enabled=True)
    before = replace(held, hold=None, enabled=True)
    if evaluate(released, context).variant == released.on_variant:
        # lowering may hand a key to nobody who did not have it
        assert evaluate(before, context).variant == before.on_variant
