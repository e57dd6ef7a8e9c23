"""Flag documents: the two forms, the exactness of percentages, and an error for each wrong field."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.definitions import parse_flags
from flags.documents import (
    RESERVED,
    flag_document,
    flag_from_json,
    flag_json,
    parse_flag,
    percentage_of,
    weight_of,
)
from flags.model import Clause, Flag, Hold, Rollout, Rule
from foundation.documents import read_yaml
from foundation.errors import DocumentError
from tests.flag_documents import LAW, full_documents, shorthand_documents

DESIGN = """
flags:
  useYamlMessaging:
    description: Use YAML instead of JSON for worker messages
    enabled: true
    variants: {on: yaml, off: json}
    offVariant: "off"
    rollout:
      percentage: 0
      domains: {collections: 10, distributions: 50}
    rules:
      - if: [{attribute: messageType, operator: in, values: [BONUS_ISSUED]}]
        serve: "off"
"""

SEED = """
useYamlMessaging:
  enabled: true
  description: Use YAML instead of JSON for worker messages
  rolloutPercentage: 100
  fallback: json
enableCompression:
  enabled: false
  description: Compress large messages to reduce bandwidth
  rolloutPercentage: 0
  fallback: uncompressed
enableBatching:
  enabled: false
  description: Batch multiple messages for efficiency
  rolloutPercentage: 0
  fallback: individual
"""


def full(**changes):
    document = {"enabled": True, "variants": {"on": "yaml", "off": "json"}, "offVariant": "off", **changes}
    return {name: value for name, value in document.items() if value is not ...}


def rule(**changes):
    return {"if": [{"attribute": "plan", "operator": "in", "values": ["gold"]}], "serve": "on", **changes}


def clause(operator, *values, **changes):
    return full(
        rules=[{"if": [{"attribute": "a", "operator": operator, "values": list(values), **changes}], "serve": "on"}]
    )


def test_the_full_form_is_read_as_it_is_documented():
    assert parse_flags(read_yaml(DESIGN)) == {
        "useYamlMessaging": Flag(
            key="useYamlMessaging",
            enabled=True,
            variants={"on": "yaml", "off": "json"},
            off_variant="off",
            on_variant="on",
            description="Use YAML instead of JSON for worker messages",
            rollout=Rollout(0, {"collections": 10_000, "distributions": 50_000}),
            rules=(Rule((Clause("messageType", "in", ("BONUS_ISSUED",)),), serve="off"),),
        )
    }


def test_the_shorthand_of_the_messaging_flags_is_read_as_it_was_published():
    flags = parse_flags(read_yaml(SEED))
    assert {key: (flag.enabled, dict(flag.variants), flag.rollout) for key, flag in flags.items()} == {
        "useYamlMessaging": (True, {"on": "yaml", "off": "json"}, Rollout(100_000)),
        "enableCompression": (False, {"on": "gzip", "off": "uncompressed"}, Rollout(0)),
        "enableBatching": (False, {"on": "batched", "off": "individual"}, Rollout(0)),
    }
    assert {flag.tags for flag in flags.values()} == {("messaging",)}


@pytest.mark.parametrize(
    ("parts", "on"),
    [
        ({"fallback": False}, True),
        ({"fallback": "old"}, "on"),
        ({"fallback": "old", "value": "new"}, "new"),
        ({"fallback": 1, "value": 2}, 2),
        ({"fallback": {"a": 1}, "value": {"a": 2}}, {"a": 2}),
    ],
)
def test_the_shorthand_knows_what_on_means(parts, on):
    flag = parse_flag("newCheckout", {"enabled": True, "rolloutPercentage": 5, **parts})
    assert flag.variants == {"on": on, "off": parts["fallback"]}
    assert (flag.on_variant, flag.off_variant, flag.tags) == ("on", "off", ())


def test_of_two_variants_the_one_that_is_not_off_is_on():
    assert parse_flag("k", full(offVariant="on")).on_variant == "off"


def test_of_more_than_two_variants_the_on_variant_is_named():
    three = {"red": 1, "green": 2, "blue": 3}
    assert parse_flag("k", full(variants=three, offVariant="red", onVariant="blue")).on_variant == "blue"
    with pytest.raises(DocumentError, match=r"flags\.k\.onVariant: is missing; expected one of green, blue"):
        parse_flag("k", full(variants=three, offVariant="red"))


@LAW
@given(full_documents())
def test_a_flag_survives_being_written_and_read(document):
    flag = parse_flag("k", document)
    assert parse_flag("k", flag_document(flag)) == flag
    again = flag_from_json("k", flag_json(flag))
    assert again == flag
    assert flag_json(again) == flag_json(flag)


@LAW
@given(shorthand_documents())
def test_the_shorthand_survives_being_written_in_full(document):
    flag = parse_flag("k", document)
    assert flag_from_json("k", flag_json(flag)) == flag


@given(st.integers(0, 100_000))
def test_every_percentage_with_three_decimals_is_exact(weight):
    assert weight_of(percentage_of(weight), "p") == weight
    assert weight_of(float(f"{weight / 1000:.3f}"), "p") == weight


@pytest.mark.parametrize(("value", "weight"), [(33.333, 33_333), (0.001, 1), (100.0, 100_000), (0, 0), (12.5, 12_500)])
def test_a_percentage_is_taken_for_what_it_prints_as(value, weight):
    assert weight_of(value, "p") == weight


@pytest.mark.parametrize(
    "value", [33.3333, 101, -1, -0.001, 100.001, math.nan, math.inf, True, "50", None, [5], 1e-9, 10**400]
)
def test_what_is_no_percentage_is_refused_with_what_would_be_right(value):
    with pytest.raises(DocumentError, match="expected a number from 0 to 100 with at most 3 decimals") as refused:
        weight_of(value, "flags.k.rollout.percentage")
    assert refused.value.field == "flags.k.rollout.percentage"


WRONG = {
    "not an object": ("flags.k", [1]),
    "no variants": ("flags.k.variants", full(variants=...)),
    "no off variant": ("flags.k.offVariant", full(offVariant=...)),
    "no enabled": ("flags.k.enabled", full(enabled=...)),
    "enabled as text": ("flags.k.enabled", full(enabled="true")),
    "enabled as number": ("flags.k.enabled", full(enabled=1)),
    "unknown field": ("flags.k.percentage", full(percentage=5)),
    "both forms": ("flags.k.variants", full(fallback="json")),
    "one variant": ("flags.k.variants", full(variants={"off": "json"})),
    "variants of two types": ("flags.k.variants", full(variants={"on": True, "off": "json"})),
    "true and 1": ("flags.k.variants", full(variants={"on": True, "off": 0})),
    "variant null": ("flags.k.variants.on", full(variants={"on": None, "off": None})),
    "variant NaN": ("flags.k.variants.on", full(variants={"on": math.nan, "off": 1.0})),
    "variant too large": ("flags.k.variants.on", full(variants={"on": 2**53, "off": 1})),
    "variant too long": ("flags.k.variants.on", full(variants={"on": "x" * 10_001, "off": ""})),
    "variant half a surrogate": ("flags.k.variants.on", full(variants={"on": "\ud800", "off": ""})),
    "variant of a strange type": ("flags.k.variants.on", full(variants={"on": {1, 2}, "off": {3}})),
    "variant name": ("flags.k.variants", full(variants={"on!": 1, "off": 0})),
    "unknown off variant": ("flags.k.offVariant", full(offVariant="none")),
    "off variant false": ("flags.k.offVariant", full(offVariant=False)),
    "unknown on variant": ("flags.k.onVariant", full(onVariant="none")),
    "on is off": ("flags.k.onVariant", full(onVariant="off")),
    "rollout without percentage": ("flags.k.rollout.percentage", full(rollout={"domains": {}})),
    "rollout as number": ("flags.k.rollout", full(rollout=5)),
    "percentage 101": ("flags.k.rollout.percentage", full(rollout={"percentage": 101})),
    "percentage of a domain": ("flags.k.rollout.domains.pay", full(rollout={"percentage": 1, "domains": {"pay": "5"}})),
    "domain name": ("flags.k.rollout.domains", full(rollout={"percentage": 1, "domains": {"": 5}})),
    "rules as object": ("flags.k.rules", full(rules={})),
    "rule without if": ("flags.k.rules[0].if", full(rules=[{"serve": "on"}])),
    "rule without clauses": ("flags.k.rules[0].if", full(rules=[rule(**{"if": []})])),
    "rule serving nothing": ("flags.k.rules[0]", full(rules=[{"if": rule()["if"]}])),
    "rule serving twice": ("flags.k.rules[0]", full(rules=[rule(split=[{"variant": "on", "percentage": 100}])])),
    "rule serving an unknown variant": ("flags.k.rules[1].serve", full(rules=[rule(), rule(serve="red")])),
    "split of 99": (
        "flags.k.rules[0].split",
        full(rules=[{"if": rule()["if"], "split": [{"variant": "on", "percentage": 99}]}]),
    ),
    "split to nobody": (
        "flags.k.rules[0].split[0].variant",
        full(rules=[{"if": rule()["if"], "split": [{"variant": "red", "percentage": 100}]}]),
    ),
    "unknown operator": ("flags.k.rules[0].if[0].operator", clause("like", "x")),
    "no values": ("flags.k.rules[0].if[0].values", clause("in")),
    "values for exists": ("flags.k.rules[0].if[0].values", clause("exists", True)),
    "text for gt": ("flags.k.rules[0].if[0].values[1]", clause("gt", 5, "6")),
    "true for gt": ("flags.k.rules[0].if[0].values[0]", clause("gt", True)),
    "number for contains": ("flags.k.rules[0].if[0].values[0]", clause("contains", 5)),
    "null for equals": ("flags.k.rules[0].if[0].values[0]", clause("equals", None)),
    "list for in": ("flags.k.rules[0].if[0].values[0]", clause("in", ["x"])),
    "bad pattern": ("flags.k.rules[0].if[0].values[0]", clause("matches", "(")),
    "backreference": ("flags.k.rules[0].if[0].values[0]", clause("matches", r"(a)\1")),
    "pattern that explodes": ("flags.k.rules[0].if[0].values[0]", clause("matches", "((a{99}){99}){99}")),
    "bad version": ("flags.k.rules[0].if[0].values[0]", clause("semver_gt", "1.2")),
    "no attribute": ("flags.k.rules[0].if[0].attribute", clause("in", "x", attribute="")),
    "too many rules": ("flags.k.rules", full(rules=[rule()] * 101)),
    "too many values": ("flags.k.rules[0].if[0].values", clause("in", *range(1_001))),
    "empty salt": ("flags.k.salt", full(salt="")),
    "tag twice": ("flags.k.tags", full(tags=["a", "a"])),
    "tag as number": ("flags.k.tags[0]", full(tags=[5])),
    "hold without reason": ("flags.k.hold.reason", full(enabled=False, hold={"by": "x"})),
    "held and enabled": ("flags.k.enabled", full(hold={"by": "x", "reason": "y"})),
    "shorthand without fallback": ("flags.k.fallback", {"enabled": True, "rolloutPercentage": 5}),
    "shorthand without value": ("flags.k.value", {"enabled": True, "rolloutPercentage": 5, "fallback": 5}),
    "shorthand of two types": ("flags.k", {"enabled": True, "rolloutPercentage": 5, "fallback": 5, "value": "x"}),
}


@pytest.mark.parametrize(("field", "document"), WRONG.values(), ids=WRONG)
def test_a_wrong_field_is_named(field, document):
    with pytest.raises(DocumentError) as refused:
        parse_flag("k", document)
    assert refused.value.field == field
    assert str(refused.value).startswith(f"{field}: ")


@pytest.mark.parametrize(
    "key", ["", "-a", "a b", "a" * 101, "ä", "a\n", "../a\x00", "a/", "a//b", "a/../b", "a/.", 5, None]
)
def test_a_flag_key_that_breaks_the_rule_is_refused(key):
    with pytest.raises(DocumentError, match=r"^flags: holds an invalid flag key"):
        parse_flag(key, full())


@pytest.mark.parametrize("word", RESERVED)
def test_a_flag_key_does_not_end_in_what_the_api_puts_behind_keys(word):
    with pytest.raises(DocumentError, match=rf"^flags: holds a flag key that ends in /{word}"):
        parse_flag(f"team/{word}", full())
    for key in (word, f"{word}/flag", f"team/{word}s", f"team-{word}"):
        assert parse_flag(key, full()).key == key


def test_a_file_of_flags_holds_nothing_else():
    with pytest.raises(DocumentError, match=r"^flag: is not a known field; expected one of flags"):
        parse_flags({"flags": {}, "flag": {}})
    with pytest.raises(DocumentError, match=r"^document: is not an object"):
        parse_flags(None)


def test_a_held_archived_flag_is_kept_whole():
    flag = parse_flag("k", full(enabled=False, archived=True, hold={"by": "ops", "reason": "drill", "receipt": "r_1"}))
    assert flag.hold == Hold("ops", "drill", "r_1")
    assert flag_from_json("k", flag_json(flag)) == flag


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ([], r"^flags\.k\.metadata: is not an object"),
        ({"ticket": None}, r"^flags\.k\.metadata\.ticket: is not a number"),
        ({"ticket": ["OPS-7"]}, r"^flags\.k\.metadata\.ticket: is not a number"),
        ({"ticket": float("nan")}, r"^flags\.k\.metadata\.ticket: "),
        ({"a ticket": "OPS-7"}, r"^flags\.k\.metadata: "),
        ({f"name{number}": 1 for number in range(51)}, r"^flags\.k\.metadata: "),
    ],
)
def test_metadata_holds_names_with_one_plain_value_each(metadata, message):
    with pytest.raises(DocumentError, match=message):
        parse_flag("k", full(metadata=metadata))


def test_a_whole_number_stays_an_integer_however_it_is_written():
    flag = parse_flag("k", full(variants={"on": 2.0, "off": -0.0}))
    assert [type(value) for value in flag.variants.values()] == [int, int]


def test_an_object_that_refers_to_itself_is_refused():
    loop = {}
    loop["again"] = loop
    with pytest.raises(DocumentError, match="is too large"):
        parse_flag("k", full(variants={"on": loop, "off": {}}))


def test_an_error_about_a_monstrous_value_stays_one_line():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(DocumentError) as refused:
        parse_flag("k", full(enabled=deep))
    assert len(str(refused.value)) < 200
