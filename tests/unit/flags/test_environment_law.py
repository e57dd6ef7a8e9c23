"""Whole environments: compiled flags, the explanation and a slow third evaluator agree in every word.

Whatever refers to what, and however a view came to be.
"""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flags.documents import flag_json, parse_flag
from flags.evaluation import ErrorCode, Kind
from flags.evaluator import Evaluator
from flags.explanation import explain
from flags.model import Clause, Flag, Revision, Rollout, Rule, Segment, Snapshot
from flags.references import MAX_CHAIN
from flags.stored import StoredFlags, differing
from flags.view import View
from tests.environments import (
    KEYS,
    LIKELY,
    SEGMENT_DOCUMENTS,
    NoAnswer,
    Slowly,
    flag_documents,
    override_values,
    snapshot,
)
from tests.flag_documents import ATTRIBUTES, CONTEXTS, JSON_VALUES, LAW, ODDITIES, PLAIN_CONTEXTS, Hostile
from tests.fuzzing import deep
from tests.unit.flags.test_operators import obviously

JSON_CONTEXTS = st.dictionaries(st.sampled_from(ATTRIBUTES), JSON_VALUES)
HEAVY = settings(LAW, suppress_health_check=[HealthCheck.too_slow])  # of which a loaded machine is accused
ANY_JSON = JSON_CONTEXTS | JSON_VALUES
ANYTHING = LIKELY | PLAIN_CONTEXTS | CONTEXTS | ANY_JSON | ODDITIES
SOME = st.lists(LIKELY | PLAIN_CONTEXTS | CONTEXTS | ANY_JSON, min_size=1, max_size=3)


def told(detail):
    """Everything that a detail says, types included: to Python true equals 1."""
    words = [detail.flag_key, detail.variant, detail.reason, detail.error_code, detail.error_message]
    return json.dumps([*words, detail.value, dict(detail.metadata)], sort_keys=True)


def kind_told(view, key, context):
    """What a view says of a flag, asked for as its own type."""
    found = view.find(key)
    return told(view.answer(found.kind if found else Kind.BOOLEAN, key, context))


def explained(snapshot, key, context, overrides):
    return explain(snapshot, key, context, overrides).detail


@st.composite
def environments(draw):
    documents = draw(flag_documents())
    return documents, draw(SEGMENT_DOCUMENTS), draw(override_values(documents))


@HEAVY
@given(environments(), st.permutations([*KEYS, "unknown"]), st.lists(ANYTHING, min_size=1, max_size=3))
def test_compiled_flags_say_what_the_explanation_says(environment, order, contexts):
    documents, segments, overrides = environment
    made = snapshot(documents, segments)
    view = View(made).overridden(overrides)
    for key in order:
        found = view.find(key)
        for context in contexts:
            expected = explained(made, key, context, overrides)
            if found is None:
                assert expected.error_code is ErrorCode.FLAG_NOT_FOUND
                continue
            assert told(view.answer(found.kind, key, context)) == told(expected)
            if found.kind is Kind.INTEGER:
                assert told(view.answer(Kind.FLOAT, key, context)) == told(as_float(expected))


def as_float(detail):
    value = detail.value if detail.error_code else float(detail.value)
    return type(detail)(detail.flag_key, value, *(getattr(detail, name) for name in detail.__slots__[2:]))


@HEAVY
@given(environments(), st.lists(LIKELY | PLAIN_CONTEXTS | JSON_CONTEXTS, min_size=1, max_size=3))
def test_compiled_flags_say_what_a_slow_third_evaluator_says(environment, contexts):
    documents, segments, overrides = environment
    view = View(snapshot(documents, segments)).overridden(overrides)
    slowly = Slowly(documents, segments, overrides, obviously)
    for key in KEYS:
        for context in contexts:
            found, expected = view.find(key), answered(slowly, key, context)
            if expected is None:
                assert found is None
                continue
            detail = view.answer(found.kind, key, context)
            if isinstance(expected, str):
                assert detail.error_code == expected
                continue
            prerequisite = expected[2] or documents.get(key, {}).get("metadata", {}).get("prerequisite")
            assert (detail.variant, detail.reason, detail.error_code) == (*expected[:2], None)
            assert key in overrides or detail.metadata.get("prerequisite") == prerequisite
            assert key in overrides or detail.value == documents[key]["variants"][detail.variant]


def answered(slowly, key, context):
    try:
        return slowly.answer(key, context)
    except NoAnswer as error:
        return str(error)


# ---- views that come of one another


@st.composite
def changes(draw):
    """Draw environments that follow one another: each time some flags and segments are others, or overrides are."""
    following = [draw(environments())]
    for _ in range(draw(st.integers(1, 4))):
        documents, segments, overrides = following[-1]
        what = draw(st.sampled_from(["changed", "replaced", "overridden"]))
        if what == "overridden":
            following.append((documents, segments, draw(override_values(documents))))
        else:
            kept = documents if what == "changed" else {}
            others = flag_documents() | st.just({}) if kept else flag_documents()
            following.append(({**kept, **draw(others)}, {**segments, **draw(SEGMENT_DOCUMENTS)}, overrides))
    return following


@settings(HEAVY, max_examples=50)
@given(changes(), st.data())
def test_a_view_that_came_of_changes_says_what_a_fresh_one_says(following, data):
    contexts = data.draw(SOME)
    before = snapshot(*following[0][:2])
    view = View(before).overridden(following[0][2])
    outcomes = []
    for rev, (documents, segments, overrides) in enumerate(following[1:], start=2):
        for key in data.draw(st.lists(st.sampled_from(KEYS), max_size=3)):  # some are compiled, others not yet
            kind_told(view, key, contexts[0])
        after = snapshot(documents, segments, rev)
        after = stored(after) if data.draw(st.booleans()) else after
        if data.draw(st.booleans()):
            view = view.replaced(after)
        else:
            touched = differing(before, after) | set(data.draw(st.lists(st.sampled_from(KEYS), max_size=2)))
            view = view.changed(after, touched)
        if data.draw(st.booleans()) or overrides != following[rev - 2][2]:
            view = view.overridden(overrides)
        before = after
        outcomes += [outcome for _, outcome in view.outcomes()]
    documents, segments, overrides = following[-1]
    fresh = View(snapshot(documents, segments)).overridden(overrides)
    for key in data.draw(st.permutations(KEYS)):
        for context in contexts:
            assert kind_told(view, key, context) == kind_told(fresh, key, context)
    assert set(view.keys()) == set(fresh.keys())
    for table in ("booleans", "strings", "integers", "floats", "objects"):
        assert set(getattr(view, table)) <= {*fresh.keys(), *overrides}
    assert all(outcome.count >= outcome.reported >= 0 for outcome in outcomes)


def stored(made):
    """The same, as a store hands it over."""
    return Snapshot(
        made.revision,
        StoredFlags({key: flag_json(flag).encode() for key, flag in made.flags.items()}),
        segments=made.segments,
    )


@HEAVY
@given(environments(), SOME)
def test_every_answer_without_an_error_is_counted_once(environment, contexts):
    documents, segments, overrides = environment
    view = View(snapshot(documents, segments)).overridden(overrides)
    evaluator = Evaluator(view)
    answered = 0
    for key in KEYS:
        for kind in Kind:
            for context in contexts:
                details = getattr(evaluator, f"get_{kind}_details")(key, None, context)
                getattr(evaluator, f"get_{kind}_value")(key, None, context)
                answered += 2 if details.error_code is None else 0
    assert sum(outcome.count for _, outcome in view.outcomes()) == answered


# ---- by example


def test_targets_are_looked_at_before_rules():
    exists = {"attribute": "targetingKey", "operator": "exists"}
    made = of(needing("k", targets={"off": ["k1"]}, rules=[{"if": [exists], "serve": "on"}]))
    for key, value in (("k1", False), ("k2", True)):
        assert View(made).answer(Kind.BOOLEAN, "k", {"targetingKey": key}).value is value
        assert explain(made, "k", {"targetingKey": key}).detail.value is value


def test_a_segment_that_changes_is_compiled_anew():
    flag = needing("k", rules=[{"if": [{"segment": "s"}], "serve": "off"}])
    before, after = (of(flag, segments=[Segment("s", (Clause("plan", "in", (plan,)),))]) for plan in ("gold", "silver"))
    view = View(before)
    assert view.answer(Kind.BOOLEAN, "k", {"plan": "gold"}).value is False
    for following in (view.changed(after, ["segment:s"]), view.replaced(after)):
        assert following.answer(Kind.BOOLEAN, "k", {"plan": "gold"}).value is True
        assert following.answer(Kind.BOOLEAN, "k", {"plan": "silver"}).value is False


@pytest.mark.parametrize(("value", "met"), [(1, True), (True, False), (1.0, False), ("1", False), (0, False)])
def test_an_override_meets_a_prerequisite_by_its_very_value(value, met):
    made = of(needing("k", "number"), needing("number", variants={"on": 1, "off": 0}))
    view = View(made).overridden({"number": value})
    assert view.answer(Kind.BOOLEAN, "k", {}).value is met
    assert explain(made, "k", {}, {"number": value}).detail.value is met


# ---- what came past the checks, by example


def needing(key, *needs, **parts):
    prerequisites = [{"flag": each, "variants": ["on"]} for each in needs]
    document = {"enabled": True, "variants": {"on": True, "off": False}, "offVariant": "off", **parts}
    return parse_flag(key, document | {"prerequisites": prerequisites})


def of(*flags, segments=()):
    return Snapshot(Revision(1, 1), {each.key: each for each in flags}, segments={each.key: each for each in segments})


@pytest.mark.parametrize("backwards", [False, True])
def test_a_chain_that_is_too_long_serves_the_same_whichever_flag_is_asked_first(backwards):
    chain = [needing(f"f{at}", f"f{at + 1}") for at in range(2 * MAX_CHAIN)] + [needing(f"f{2 * MAX_CHAIN}")]
    made = of(*chain)
    view = View(made)
    order = reversed(chain) if backwards else chain
    answers = {each.key: view.answer(Kind.BOOLEAN, each.key, {}).value for each in order}
    assert answers == {each.key: explain(made, each.key, {}).detail.value for each in chain}
    assert [answers[each.key] for each in chain] == [False] * MAX_CHAIN + [True] * (MAX_CHAIN + 1)


def test_prerequisites_that_multiply_past_the_checks_take_no_longer_for_it():
    ladder = [needing(f"{side}{at}", f"l{at + 1}", f"r{at + 1}") for at in range(60) for side in "lr"]
    made = of(*ladder, needing("l60"), needing("r60"))
    for key in ("l0", "l45", "l51", "l58"):
        detail = explain(made, key, {}).detail
        assert told(View(made).answer(Kind.BOOLEAN, key, {})) == told(detail)
        assert detail.value is (key in ("l51", "l58"))


def test_a_circle_that_is_undone_far_below_is_noticed_above():
    before = of(needing("a", "b"), needing("b", "c"), needing("c", "d"), needing("d", "c"))
    view = View(before)
    assert view.answer(Kind.BOOLEAN, "a", {}).value is False
    after = of(*(before.flags[key] for key in "abc"), needing("d"))
    assert view.changed(after, ["d"]).answer(Kind.BOOLEAN, "a", {}).value is True


def test_where_compiled_code_gives_up_the_prerequisite_named_is_the_one_that_was_not_met():
    plan = {"attribute": "plan", "operator": "in", "values": ["a", "b", "c", "d"]}  # a list can't be looked up
    first = needing("first", rules=[{"if": [plan], "serve": "off"}])
    second = needing("second", enabled=False)
    made = of(first, second, needing("k", "first", "second"))
    view = View(made)
    assert view.answer(Kind.BOOLEAN, "k", {"plan": ["a"]}).metadata == {"prerequisite": "second"}
    counted = [outcome for key, outcome in view.outcomes() if key == "k" and outcome.count]
    assert [outcome.detail.metadata["prerequisite"] for outcome in counted] == ["second"]


def test_a_segment_that_asks_about_segments_is_never_matched():
    def about(key):
        return Segment(key, (Clause("", "segment", ("s",)),))

    rules = (Rule((Clause("", "segment", ("t",)),), serve="on"),)
    flag = Flag("k", True, {"on": True, "off": False}, "off", "on", rollout=Rollout(0), rules=rules)
    made = of(flag, segments=[about("s"), about("t")])
    assert View(made).answer(Kind.BOOLEAN, "k", {}).value is False
    assert explain(made, "k", {}).detail.value is False


@pytest.mark.parametrize("context", [{"plan": "x", "odd": Hostile()}, {"plan": deep(100_000), "odd": 1}])
def test_what_cannot_be_shown_or_is_not_asked_decides_nothing(context):
    clauses = [{"attribute": name, "operator": "equals", "values": [5]} for name in ("plan", "odd")]
    made = of(needing("k", rules=[{"if": clauses, "serve": "off"}]), needing("above", "k"))
    for key in ("k", "above"):
        detail = explain(made, key, context).detail
        assert told(View(made).answer(Kind.BOOLEAN, key, context)) == told(detail)
        assert (detail.value, detail.error_code) == (True, None)
