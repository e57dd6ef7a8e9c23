"""The published JSON Schema and the parser take and refuse the same documents, as far as a schema can say."""

import copy
import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

import flags
from flags.definitions import MAX_FLAGS, parse_definitions
from flags.documents import MAX_DESCRIPTION, MAX_DOMAINS, MAX_TAGS, MAX_VARIANTS, RESERVED
from flags.fields import MAX_KEY, MAX_NUMBER, MAX_TEXT
from flags.operators import MAX_VALUE, OPERATORS
from flags.rules import MAX_CLAUSES, MAX_PARTS, MAX_RULES
from flags.segments import MAX_SEGMENTS
from flags.targeting import MAX_KEY as MAX_TARGETING_KEY
from flags.targeting import MAX_PREREQUISITES, MAX_TARGETS
from foundation.documents import read_yaml
from foundation.errors import DocumentError
from tests.flag_documents import JSON_VALUES, LAW, full_documents, shorthand_documents
from tests.unit.flags.test_flag_documents import DESIGN, SEED, WRONG

SCHEMA = json.loads(Path(flags.__file__).with_name("schema").joinpath("flags.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

FLAG = {"enabled": True, "rolloutPercentage": 0, "fallback": False}

BEYOND_A_SCHEMA = (
    "is not one of the variants",
    "is the off variant",
    "is finer than 0.001",
    "adds up to",
    "is not an RE2 pattern",
    "is not a semantic version",
    "holds half of a surrogate pair",
    "is too large",
    "name a flag twice",
    "name a key twice",
    "is the flag itself",
    "is not a date",
)

WORDS = (
    "enabled",
    "variants",
    "offVariant",
    "onVariant",
    "rollout",
    "rules",
    "fallback",
    "value",
    "flags",
    "serve",
    "split",
    "segment",
    "segments",
    "negate",
    "prerequisites",
    "targets",
    "lifetime",
    "expires",
    "metadata",
    "temporary",
    "2027-01-31",
)
JUNK = JSON_VALUES | st.sampled_from(
    [*OPERATORS, *WORDS, "on", "off", "a\n", "", "x" * 101, 101, -1, 2**53, 1e300, [], {}]
).map(copy.deepcopy)  # what is put in is tampered with in turn


def refusal(document):
    """What the parser says against a document; None if nothing."""
    try:
        parse_definitions(document)
    except DocumentError as error:
        return error
    return None


def places(value):
    """Every container within a document that can be tampered with."""
    if isinstance(value, dict | list):
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from places(inner)


@st.composite
def tampered(draw):
    """A document that was valid before one or two things in it were replaced, added or taken away."""
    document = {"flags": {"k": copy.deepcopy(draw(full_documents() | shorthand_documents()))}}
    if draw(st.booleans()):
        document = document["flags"]
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.sampled_from(list(places(document))))
        if isinstance(place, list):
            place.insert(0, draw(JUNK)) if draw(st.booleans()) or not place else place.pop()
        elif place and draw(st.booleans()):
            name = draw(st.sampled_from(list(place)))
            if draw(st.booleans()):
                del place[name]
            else:
                place[name] = draw(JUNK)
        else:
            place[draw(st.sampled_from(WORDS) | st.text(max_size=3))] = draw(JUNK)
    return document


def agree(document):
    error, valid = refusal(document), VALIDATOR.is_valid(document)
    if error is None:
        assert valid, [problem.message for problem in VALIDATOR.iter_errors(document)]
    elif valid:
        missing_on = error.field.endswith(".onVariant") and error.problem == "is missing"
        assert error.problem.startswith(BEYOND_A_SCHEMA) or missing_on, error
    return error


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("text", [DESIGN, SEED])
def test_the_documented_examples_fit_the_schema(text):
    VALIDATOR.validate(read_yaml(text))


@LAW
@given(full_documents() | shorthand_documents())
def test_valid_documents_are_taken_by_both(document):
    assert agree({"flags": {"k": document}}) is None


@LAW
@given(tampered())
def test_tampered_documents_are_taken_or_refused_by_both(document):
    event("refused" if agree(document) else "taken")


@pytest.mark.parametrize("document", [document for _, document in WRONG.values()], ids=WRONG)
def test_every_wrong_document_of_the_parsers_tests_is_refused_by_both_or_beyond_a_schema(document):
    if "NaN" not in json.dumps(document, default=str):  # which no JSON document holds
        assert agree({"flags": {"k": document}})


@pytest.mark.parametrize(
    "junk", [None, [], "flags", 5, True, {"flags": None}, {"flags": {"a b": {}}}, {"flags": {}, "x": 1}]
)
def test_what_is_no_file_of_flags_is_refused_by_both(junk):
    assert agree(junk)


@pytest.mark.parametrize("key", ["a/b", "a/", "a//b", "a/.", "a\n", "a" * 100, "a" * 101, "a/b" * 33, "a/b" * 34])
def test_keys_are_taken_or_refused_by_both(key):
    agree({"flags": {key: FLAG}})


@pytest.mark.parametrize("word", RESERVED)
def test_keys_with_words_of_the_api_are_taken_or_refused_by_both(word):
    assert agree({"flags": {f"a/{word}": FLAG}})
    for key in (word, f"{word}/a", f"a/{word}s", f"a-{word}"):
        assert agree({"flags": {key: FLAG}}) is None


def test_the_bounds_in_the_schema_are_the_parsers():
    defined = SCHEMA["$defs"]
    full, rule = defined["full"]["properties"], defined["rule"]["properties"]
    assert defined["flags"]["maxProperties"] == MAX_FLAGS
    assert defined["variants"]["maxProperties"] == MAX_VARIANTS
    assert defined["rollout"]["properties"]["domains"]["maxProperties"] == MAX_DOMAINS
    assert defined["description"]["maxLength"] == MAX_DESCRIPTION
    assert defined["number"] == {"type": "number", "minimum": -MAX_NUMBER, "maximum": MAX_NUMBER}
    assert (full["tags"]["maxItems"], full["rules"]["maxItems"]) == (MAX_TAGS, MAX_RULES)
    assert (rule["if"]["maxItems"], defined["split"]["maxItems"]) == (MAX_CLAUSES, MAX_PARTS)
    assert (full["prerequisites"]["maxItems"], full["targets"]["maxProperties"]) == (MAX_PREREQUISITES, MAX_VARIANTS)
    assert full["targets"]["additionalProperties"]["maxItems"] == MAX_TARGETS
    assert full["targets"]["additionalProperties"]["items"]["maxLength"] == MAX_TARGETING_KEY
    assert defined["segments"]["maxProperties"] == MAX_SEGMENTS
    assert defined["segment"]["properties"]["if"]["maxItems"] == MAX_CLAUSES
    assert defined["json"]["anyOf"][1]["maxLength"] == MAX_TEXT
    assert defined["json"]["anyOf"][4]["propertyNames"]["maxLength"] == MAX_KEY
    for clause in defined["comparison"]["anyOf"]:
        for operator in clause["properties"]["operator"]["enum"]:
            assert clause["properties"]["values"]["maxItems"] == OPERATORS[operator].limit
            assert ("values" in clause["required"]) == (OPERATORS[operator].least > 0)


def test_the_schema_knows_every_operator():
    known = [
        word for clause in SCHEMA["$defs"]["comparison"]["anyOf"] for word in clause["properties"]["operator"]["enum"]
    ]
    assert known == list(OPERATORS)
    assert MAX_VALUE == 1_000
