"""What documents in flagd's form, written by hand, come to; and what of them does not map, field by field."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.definitions import parse_definitions
from flags.documents import flag_document
from flags.explanation import explain
from flags.interchange.findings import Loss
from flags.interchange.flagd_export import export_flagd
from flags.interchange.flagd_import import import_flagd
from flags.model import Snapshot
from foundation.errors import DocumentError
from tests.flag_documents import JSON_VALUES, LAW

SWITCH = {"variants": {"on": True, "off": False}, "defaultVariant": "off", "state": "ENABLED"}


def read(targeting, *, evaluators=None, **flag):
    return import_flagd({"flags": {"f": {**SWITCH, "targeting": targeting, **flag}}, "$evaluators": evaluators or {}})


def served(imported, context):
    snapshot = Snapshot(flags=imported.definitions.flags, segments=imported.definitions.segments)
    return explain(snapshot, "f", context).detail.value


def test_a_negated_comparison_holds_for_contexts_without_the_attribute_as_flagd_has_it():
    imported = read({"if": [{"!": [{"in": [{"var": "locale"}, ["us", "ca"]]}]}, "on"]})
    assert [served(imported, each) for each in ({"locale": "us"}, {"locale": "de"}, {})] == [False, True, True]
    assert not imported.findings


def test_conditions_may_stand_in_either_branch():
    inner = {"if": [{"==": [{"var": "tier"}, "gold"]}, "on", "off"]}
    imported = read({"if": [{"===": ["acme", {"var": "tenant"}]}, inner, {"if": [{"var": "beta"}, "on", None]}]})
    answers = {("acme", "gold"): True, ("acme", "tin"): False, ("other", "gold"): False}
    assert {pair: served(imported, dict(zip(("tenant", "tier"), pair, strict=True))) for pair in answers} == answers
    assert served(imported, {"beta": True})
    assert not served(imported, {"beta": False})


def test_what_answers_true_or_false_serves_the_variants_of_those_names():
    variants = {"true": True, "false": False}
    imported = read(
        {"and": [{">=": [{"var": "age"}, 18]}, {"<": [1, {"var": "level"}, 5]}]},
        variants=variants,
        defaultVariant="false",
    )
    assert served(imported, {"age": 18, "level": 2})
    assert not served(imported, {"age": 18, "level": 5})
    assert {each.loss for each in imported.findings} == {Loss.DIFFERS}


@pytest.mark.parametrize(
    ("sign", "bound", "within", "outside"),
    [
        ("^", "1.2.0", ["1.0.0", "1.9.9-rc"], ["2.0.0-rc", "0.9.0"]),
        ("~", "v1.2", ["1.2.9", "1.2.0-a"], ["1.3.0"]),
        ("!=", "1.2.0", ["1.2.1"], ["1.2.0"]),
        ("<=", "1.2", ["1.2.0"], ["1.2.1"]),
    ],
)
def test_versions_compare_as_flagd_compares_them(sign, bound, within, outside):
    imported = read({"if": [{"sem_ver": [{"var": "v"}, sign, bound]}, "on", "off"]})
    assert all(served(imported, {"v": version}) for version in within)
    assert not any(served(imported, {"v": version}) for version in outside)


def test_evaluators_become_segments_where_all_their_clauses_must_hold_and_stand_for_themselves_otherwise():
    either = {"or": [{"ends_with": [{"var": "email"}, "@x.org"]}, {"var": "staff"}]}
    evaluators = {"staff": {"ends_with": [{"var": "email"}, "@x.org"]}, "either": either}
    imported = read({"if": [{"$ref": "staff"}, "on", {"if": [{"$ref": "either"}, "on", "off"]}]}, evaluators=evaluators)
    assert list(imported.definitions.segments) == ["staff"]
    assert served(imported, {"email": "a@x.org"})
    assert served(imported, {"staff": True})


def test_weights_that_parts_of_100_000_say_exactly_keep_their_keys_and_others_are_told():
    exact = read({"fractional": [{"cat": [{"var": "$flagd.flagKey"}, {"var": "email"}]}, ["on", 1], ["off", 3]]})
    document = flag_document(exact.definitions.flags["f"])
    assert (document["rollout"], document["stickiness"]) == ({"percentage": 25}, "email")
    thirds = read({"fractional": [["on", 1], ["off", 2]]})
    assert "flags.f.targeting.fractional" in {each.field for each in thirds.findings}
    unsalted = read({"fractional": [{"var": "email"}, ["on", 50], ["off", 50]]})
    assert any("assignments change" in each.reason for each in unsalted.findings)


@pytest.mark.parametrize(
    ("targeting", "reason"),
    [
        ({"if": [{">": [{"var": "$flagd.timestamp"}, 5]}, "on", "off"]}, "plain names"),
        ({"if": [{"==": [{"var": "user.name"}, "a"]}, "on", "off"]}, "plain names"),
        ({"if": [{"%": [{"var": "id"}, 2]}, "on", "off"]}, "no clause asks what %"),
        ({"if": [{"$ref": "nobody"}, "on", "off"]}, "no evaluator"),
        ({"if": [{"var": "beta"}, "purple", "off"]}, "not one of the variants"),
        ({"fractional": [{"var": "email"}, [{"var": "color"}, 50], ["off", 50]]}, "not one of the variants"),
    ],
)
def test_a_flag_of_which_a_part_does_not_map_is_left_out_with_the_field(targeting, reason):
    imported = read(targeting)
    assert not imported.definitions.flags
    (finding,) = [each for each in imported.findings if each.loss is Loss.LEFT_OUT]
    assert finding.field == "flags.f"
    assert reason in finding.reason


def test_a_disabled_flag_of_flagd_gives_callers_their_own_default():
    imported = import_flagd({"flags": [{**SWITCH, "key": "f", "state": "DISABLED"}]})
    assert imported.definitions.flags["f"].archived
    assert "flags.f.state" in {each.field for each in imported.findings}


def test_a_flag_whose_prerequisite_was_rewritten_in_flagd_is_left_out():
    flag = {"enabled": True, "variants": {"on": True, "off": False}, "offVariant": "off"}
    needing = {**flag, "prerequisites": [{"flag": "base", "variants": ["on"]}]}
    document = json.loads(json.dumps(export_flagd(parse_definitions({"base": flag, "ui": needing})).document))
    document["$evaluators"]["flag:base"] = {"if": [True, "off", None]}
    imported = import_flagd(document)
    assert list(imported.definitions.flags) == ["base"]


def test_what_flagd_has_no_form_for_is_left_out_and_named():
    flag = {"enabled": True, "variants": {"on": True, "off": False}, "offVariant": "off"}
    pattern = {"attribute": "email", "operator": "matches", "values": ["@x"]}
    exported = export_flagd(
        parse_definitions(
            {
                "regex": {**flag, "rules": [{"if": [pattern], "serve": "on"}]},
                "listed": {**flag, "variants": {"on": [1], "off": []}},
                "pathlike": {**flag, "stickiness": "user.id", "rollout": {"percentage": 10}},
            }
        )
    )
    assert not exported.document["flags"]
    assert {each.field for each in exported.findings} == {
        "flags.regex.rules[0].if[0]",
        "flags.listed.variants.on",
        "flags.pathlike.stickiness",
    }


def test_prerequisites_that_would_be_written_out_without_end_leave_their_flags_out():
    flag = {"enabled": True, "variants": {"on": True, "off": False}, "offVariant": "off"}
    layers = {f"f{layer}-{n}": dict(flag) for layer in range(15) for n in range(10)}
    for key, document in layers.items():
        layer = int(key[1:].split("-")[0])
        if layer:
            document["prerequisites"] = [{"flag": f"f{layer - 1}-{n}", "variants": ["on"]} for n in range(10)]
    exported = export_flagd(parse_definitions(layers))
    assert {"f0-0", "f2-9"} <= exported.document["flags"].keys()
    assert any(each.field == "flags.f14-0.prerequisites" for each in exported.findings)


@pytest.mark.parametrize("document", [[], {"flags": 1}, {"flags": {"f": 1}, "$evaluators": 2}, {}])
def test_what_is_no_document_of_flagd_is_refused(document):
    with pytest.raises(DocumentError):
        import_flagd(document)


def test_evaluators_that_lead_to_themselves_end():
    doubling = {
        f"e{n}": {"and": [{"$ref": f"e{n + 1}"}, {"or": [{"$ref": f"e{n + 1}"}, {"var": "a"}]}]} for n in range(40)
    }
    assert not read(
        {"if": [{"$ref": "e0"}, "on", "off"]}, evaluators={**doubling, "e40": {"var": "b"}}
    ).definitions.flags
    loop = {"again": {"if": [False, "on", {"$ref": "again"}]}, "deep": {"if": [{"var": "a"}, {"$ref": "deep"}, "on"]}}
    assert not read({"$ref": "again"}, evaluators=loop).definitions.flags
    assert not read({"$ref": "deep"}, evaluators=loop).definitions.flags


LOGIC = st.recursive(
    JSON_VALUES,
    lambda inner: st.dictionaries(
        st.sampled_from(["if", "and", "or", "!", "==", "in", "var", "fractional", "sem_ver", "<", "$ref", "cat"]),
        st.lists(inner, max_size=3) | inner,
        max_size=1,
    ),
    max_leaves=12,
)


@LAW
@given(LOGIC, JSON_VALUES, st.dictionaries(st.sampled_from(["a", "b"]), LOGIC))
def test_whatever_stands_in_a_document_is_read_or_refused(targeting, metadata, evaluators):
    try:
        imported = read(targeting, evaluators=evaluators, metadata=metadata)
    except DocumentError:
        return
    assert imported.definitions.flags or imported.findings
