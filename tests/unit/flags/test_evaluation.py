"""Evaluation: the order in which things are asked, the laws of percentages, and that it never raises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.bucketing import bucket
from flags.compilation import compile_flag
from flags.documents import parse_flag
from flags.evaluation import ErrorCode, Kind, Reason, kind_of
from flags.evaluator import Evaluator
from flags.explanation import evaluate
from flags.model import Revision, Snapshot
from flags.view import View
from tests.flag_documents import CONTEXTS, KEYS, LAW, NAMES, PLAIN_CONTEXTS, WEIGHTS, Hostile, full_documents
from tests.unit.flags.test_operators import obviously

ON_OFF = {"variants": {"on": True, "off": False}, "offVariant": "off"}
GOLD = {"attribute": "plan", "operator": "in", "values": ["gold"]}


def flag(**parts):
    return parse_flag("w", {"enabled": True, **ON_OFF, **parts})


def served(flag, **context):
    detail = evaluate(flag, context)
    return detail.value, detail.reason


def is_on(weight, key, domains=None, domain=None):
    rollout = {"percentage": weight / 1000, "domains": {name: part / 1000 for name, part in (domains or {}).items()}}
    return evaluate(flag(rollout=rollout), {"targetingKey": key, "domain": domain}).value


# The order.


def test_a_disabled_flag_serves_the_off_variant_whatever_its_rules_say():
    killed = flag(enabled=False, rules=[{"if": [GOLD], "serve": "on"}], rollout={"percentage": 100})
    assert served(killed, targetingKey="k", plan="gold") == (False, Reason.DISABLED)


def test_the_first_rule_that_holds_decides_before_any_percentage():
    rules = [{"if": [GOLD], "serve": "off"}, {"if": [{**GOLD, "values": ["gold", "silver"]}], "serve": "on"}]
    ruled = flag(rules=rules, rollout={"percentage": 100})
    assert served(ruled, plan="gold") == (False, Reason.TARGETING_MATCH)
    assert served(ruled, plan="silver") == (True, Reason.TARGETING_MATCH)
    assert served(ruled, plan="bronze") == (True, Reason.DEFAULT)


def test_a_rule_needs_all_its_clauses():
    clauses = [{"attribute": name, "operator": "equals", "values": [1]} for name in "abcde"]
    for count in range(1, 6):
        ruled = flag(rules=[{"if": clauses[:count], "serve": "on"}], rollout={"percentage": 0})
        met = dict.fromkeys("abcde"[:count], 1)
        assert evaluate(ruled, met).value is True
        for missing in met:
            assert evaluate(ruled, {**met, missing: 2}).value is False


def test_a_domain_that_is_listed_has_its_own_percentage_and_all_others_the_default():
    split = flag(rollout={"percentage": 100, "domains": {"collections": 0}})
    assert served(split, domain="collections") == (False, Reason.SPLIT)
    assert served(split, domain="balance") == (True, Reason.SPLIT)
    assert served(split) == (True, Reason.SPLIT)


@pytest.mark.parametrize(
    ("rollout", "expected"),
    [
        (None, (True, Reason.STATIC)),
        ({"percentage": 100}, (True, Reason.STATIC)),
        ({"percentage": 0}, (False, Reason.STATIC)),
        ({"percentage": 0, "domains": {"a": 0}}, (False, Reason.STATIC)),
        ({"percentage": 0, "domains": {"a": 100}}, (False, Reason.SPLIT)),
    ],
)
def test_what_is_the_same_for_every_context_is_static_and_needs_no_key(rollout, expected):
    assert served(flag(**({"rollout": rollout} if rollout else {}))) == expected


def test_a_key_is_asked_for_only_where_one_is_needed():
    split = flag(rollout={"percentage": 50, "domains": {"a": 0, "b": 100}})
    assert served(split, domain="a") == (False, Reason.SPLIT)
    assert served(split, domain="b") == (True, Reason.SPLIT)
    detail = evaluate(split, {"domain": "c"})
    assert (detail.reason, detail.error_code) == (Reason.ERROR, ErrorCode.TARGETING_KEY_MISSING)


@pytest.mark.parametrize(
    ("context", "code"),
    [
        (None, ErrorCode.TARGETING_KEY_MISSING),
        ({}, ErrorCode.TARGETING_KEY_MISSING),
        ({"targetingKey": None}, ErrorCode.TARGETING_KEY_MISSING),
        ({"targetingKey": ""}, ErrorCode.TARGETING_KEY_MISSING),
        ({"targetingKey": 5}, ErrorCode.INVALID_CONTEXT),
        ({"targetingKey": ["k"]}, ErrorCode.INVALID_CONTEXT),
        ({"targetingKey": b"k"}, ErrorCode.INVALID_CONTEXT),
        ({"targetingKey": "\ud800"}, ErrorCode.INVALID_CONTEXT),
        (["targetingKey"], ErrorCode.INVALID_CONTEXT),
        ("targetingKey", ErrorCode.INVALID_CONTEXT),
    ],
)
def test_a_key_that_cannot_be_bucketed_is_an_error_with_its_code(context, code):
    for split in (flag(rollout={"percentage": 50}), flag(rollout={"percentage": 50, "domains": {"a": 1}})):
        detail = evaluate(split, context)
        assert (detail.value, detail.variant, detail.reason, detail.error_code) == (None, None, Reason.ERROR, code)


@pytest.mark.parametrize("domain", [None, 5, True, ["collections"], {"collections": 1}, b"collections"])
def test_a_domain_that_is_not_text_is_not_listed(domain):
    split = flag(rollout={"percentage": 100, "domains": {"collections": 0}})
    assert evaluate(split, {"domain": domain, "targetingKey": "k"}).value is True


def test_an_archived_flag_does_not_exist():
    assert evaluate(flag(archived=True), {}).error_code is ErrorCode.FLAG_NOT_FOUND


def test_a_split_serves_each_variant_its_share_of_the_same_bucket():
    parts = [("red", 20_000), ("green", 0), ("blue", 30_000), ("red", 50_000)]
    split = parse_flag(
        "w",
        {
            "enabled": True,
            "variants": {"red": "r", "green": "g", "blue": "b"},
            "offVariant": "red",
            "onVariant": "green",
            "rules": [
                {
                    "if": [{"attribute": "targetingKey", "operator": "exists"}],
                    "split": [{"variant": name, "percentage": weight / 1000} for name, weight in parts],
                }
            ],
        },
    )
    for number in range(2_000):
        key = f"corr_{number}"
        at = bucket("w", key)
        detail = evaluate(split, {"targetingKey": key})
        assert (detail.variant, detail.reason) == ("blue" if 20_000 <= at < 50_000 else "red", Reason.SPLIT)


@pytest.mark.parametrize(
    "parts",
    [
        {"rollout": {"percentage": 50}},
        {"rollout": {"percentage": 50, "domains": {"d": 1}}},
        {
            "rules": [
                {
                    "if": [{"attribute": "targetingKey", "operator": "exists"}],
                    "split": [{"variant": "on", "percentage": 50}, {"variant": "off", "percentage": 50}],
                }
            ]
        },
    ],
)
def test_a_salt_stands_in_for_the_key(parts):
    salted = flag(salt="other", **parts)
    for number in range(200):
        key = f"corr_{number}"
        assert evaluate(salted, {"targetingKey": key}).value == (bucket("other", key) < 50_000)


def test_a_split_that_leaves_no_choice_needs_no_key():
    split = [{"variant": "off", "percentage": 0}, {"variant": "on", "percentage": 100}]
    ruled = flag(rules=[{"if": [GOLD], "split": split}], rollout={"percentage": 0})
    assert served(ruled, plan="gold") == (True, Reason.SPLIT)


# The laws.


@LAW
@given(st.text(min_size=1, max_size=20).filter(lambda key: key.isprintable()), WEIGHTS, WEIGHTS)
def test_raising_a_percentage_never_turns_off_a_key_that_was_on(key, one, other):
    low, high = sorted((one, other))
    assert is_on(high, key) or not is_on(low, key)


@LAW
@given(NAMES, WEIGHTS, WEIGHTS)
def test_a_key_that_is_on_in_one_domain_is_on_in_every_domain_with_more(key, one, other):
    domains = {"small": min(one, other), "large": max(one, other)}
    assert is_on(0, key, domains, "large") or not is_on(0, key, domains, "small")


@LAW
@given(NAMES)
def test_nobody_is_nobody_and_everybody_is_everybody(key):
    assert not is_on(0, key)
    assert is_on(100_000, key)
    assert not is_on(100_000, key, {"d": 0}, "d")
    assert is_on(0, key, {"d": 100_000}, "d")


@LAW
@given(NAMES)
def test_a_key_turns_on_exactly_at_the_weight_above_its_bucket(key):
    assert not is_on(bucket("w", key), key)
    assert is_on(bucket("w", key) + 1, key)


def obvious_variant(flag, document, context):
    """The order of evaluation, written down slowly; answers with the variant."""
    key = context[flag.stickiness or "targetingKey"]
    if not flag.enabled or flag.prerequisites:  # which are not there
        return flag.off_variant
    for variant, keys in document.get("targets", {}).items():
        if context["targetingKey"] in keys:
            return variant
    for rule in document.get("rules", []):
        if all(obviously(clause, context) for clause in rule["if"]):
            return rule["serve"] if "serve" in rule else obvious_part(flag, rule["split"], key)
    rollout = document.get("rollout", {"percentage": 100})
    if "split" in rollout and context.get("domain") not in rollout.get("domains", {}):
        return obvious_part(flag, rollout["split"], key)
    percentage = rollout.get("domains", {}).get(context.get("domain"), rollout.get("percentage"))
    return flag.on_variant if bucket(flag.salt or flag.key, key) < round(percentage * 1000) else flag.off_variant


def obvious_part(flag, split, key):
    below = 0
    for part in split:
        below += round(part["percentage"] * 1000)
        if bucket(flag.salt or flag.key, key) < below:
            return part["variant"]
    raise AssertionError("a split adds up to everybody")


@LAW
@given(full_documents(), PLAIN_CONTEXTS)
def test_evaluation_equals_its_second_implementation(document, context):
    flag = parse_flag("w", {**document, "archived": False})
    context = context | {flag.stickiness: "a text"} if flag.stickiness else context
    detail = evaluate(flag, context)
    assert evaluator(flag)._view.answer(kind_of(flag.variants), "w", context) == detail
    assert detail.variant == obvious_variant(flag, document, context)
    assert detail.value == flag.variants[detail.variant]
    assert detail.error_code is None


# Never an exception.


def evaluator(*flags):
    snapshot = Snapshot(Revision(1, 1), {flag.key: flag for flag in flags})
    return Evaluator(View().replaced(snapshot))


@LAW
@given(full_documents(), CONTEXTS | st.lists(KEYS) | KEYS | st.integers() | st.builds(Hostile))
def test_evaluation_never_raises_and_values_agree_with_details(document, context):
    flag = parse_flag("w", document)
    client = evaluator(flag)
    default = object()
    for kind in Kind:
        detail = getattr(client, f"get_{kind}_details")("w", default, context)
        value = getattr(client, f"get_{kind}_value")("w", default, context)
        assert value == detail.value
        if detail.error_code:
            assert detail.value is default
            assert (detail.reason, detail.variant) == (Reason.ERROR, None)
        else:
            assert detail == evaluate(flag, context)


@pytest.mark.parametrize("key", ["unknown", "", None, 5, ["w"], b"w", Hostile()])
def test_a_flag_that_does_not_exist_gives_the_default(key):
    detail = evaluator(flag()).get_boolean_details(key, True, {"targetingKey": "k"})
    assert (detail.value, detail.reason, detail.error_code) == (True, Reason.ERROR, ErrorCode.FLAG_NOT_FOUND)


def test_before_any_flags_have_arrived_the_client_is_not_ready():
    assert Evaluator(View()).get_string_details("w", "json").error_code is ErrorCode.PROVIDER_NOT_READY


@pytest.mark.parametrize(
    ("variants", "answers"),
    [
        ({"on": True, "off": False}, {Kind.BOOLEAN: True}),
        ({"on": "yaml", "off": "json"}, {Kind.STRING: "yaml"}),
        ({"on": 2, "off": 1}, {Kind.INTEGER: 2, Kind.FLOAT: 2.0}),
        ({"on": 2, "off": 0.5}, {Kind.FLOAT: 2}),
        ({"on": {"a": [1]}, "off": {}}, {Kind.OBJECT: {"a": [1]}}),
        ({"on": [1], "off": {}}, {Kind.OBJECT: [1]}),
    ],
)
def test_a_flag_answers_only_as_its_own_type(variants, answers):
    client = evaluator(parse_flag("w", {"enabled": True, "variants": variants, "offVariant": "off"}))
    for kind in Kind:
        default = object()
        detail = getattr(client, f"get_{kind}_details")("w", default)
        if kind in answers:
            assert (detail.value, detail.reason) == (answers[kind], Reason.STATIC)
        else:
            assert (detail.value, detail.error_code) == (default, ErrorCode.TYPE_MISMATCH)


def test_a_whole_number_among_the_variants_of_a_float_flag_is_a_float():
    client = evaluator(parse_flag("w", {"enabled": False, "variants": {"on": 0.5, "off": 1.0}, "offVariant": "off"}))
    assert type(client.get_float_value("w", 0.5)) is float
    assert type(client.get_float_details("w", 0.5).value) is float
    assert type(evaluate(flag(variants={"on": 0.5, "off": 1}, enabled=False)).value) is float


def test_a_float_asked_of_an_integer_flag_is_a_float():
    client = evaluator(parse_flag("w", {"enabled": True, "variants": {"on": 2, "off": 1}, "offVariant": "off"}))
    assert type(client.get_float_value("w", 0.5)) is float
    assert type(client.get_integer_value("w", 0)) is int


def test_what_a_caller_does_to_an_object_it_was_served_changes_it_for_nobody_else():
    client = evaluator(
        parse_flag("w", {"enabled": True, "variants": {"on": {"a": [1]}, "off": {}}, "offVariant": "off"})
    )
    client.get_object_value("w", None)["a"].append(2)
    client.get_object_details("w", None).value["b"] = 3
    assert client.get_object_value("w", None) == {"a": [1]}


def test_an_attribute_whose_every_use_fails_is_an_error_and_no_exception():
    ruled = flag(rules=[{"if": [GOLD], "serve": "on"}], rollout={"percentage": 0})
    detail = evaluate(ruled, {"plan": Hostile()})
    assert (detail.error_code, detail.error_message) == (ErrorCode.GENERAL, "RuntimeError: compared")


def test_compiling_a_flag_makes_its_details_once():
    decide = compile_flag(flag(rollout={"percentage": 50})).decide
    assert decide({"targetingKey": "a"}) is decide({"targetingKey": "a"})


def test_the_metadata_of_a_flag_is_told_with_every_detail():
    told = {"ticket": "OPS-7", "attempt": 2, "share": 0.5, "reviewed": True}
    client = evaluator(flag(metadata=told, rollout={"percentage": 50}))
    assert client.get_boolean_details("w", False, {"targetingKey": "k"}).metadata == told
    unmet = flag(metadata=told, prerequisites=[{"flag": "missing", "variants": ["on"]}])
    assert evaluator(unmet).get_boolean_details("w", False).metadata == {**told, "prerequisite": "missing"}
    assert evaluate(unmet).metadata == {**told, "prerequisite": "missing"}
    assert evaluator(flag(metadata=told, enabled=False)).get_boolean_details("w", True).metadata == told
    assert evaluator(flag(metadata=told)).get_string_details("w", "?").metadata == {}
