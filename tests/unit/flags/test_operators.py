"""Every operator against a slow, obvious second implementation, and by example."""

import math
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.evaluation import Kind
from flags.explanation import evaluate
from flags.model import Clause, Flag, Rollout, Rule, Snapshot
from flags.operators import OPERATORS
from flags.patterns import MAX_TEXT
from flags.view import View
from tests.flag_documents import CLAUSES, JSON_VALUES, LAW, ODDITIES, SCALARS, VERSIONS, Hostile

SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?", re.ASCII)


def precedence(text):
    """The parts of a semantic version in an order that compares as its specification says; None for no version."""
    match = SEMVER.fullmatch(text) if isinstance(text, str) else None
    if not match or any(re.fullmatch(r"0\d+|", part, re.ASCII) for part in (match[4] or "x").split(".")):
        return None
    release = tuple(int(number) for number in match.groups()[:3])
    if match[4] is None:
        return release, 1, ()
    parts = [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in match[4].split(".")]
    return release, 0, tuple(parts)


def is_number(value):
    return type(value) in (int, float)


def equal(left, right):
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    comparable = (is_number(left) and is_number(right)) or (isinstance(left, str) and isinstance(right, str))
    return comparable and left == right


def text_and(test):
    return lambda found, value: isinstance(found, str) and test(found, value)


def number_and(test):
    return lambda found, value: is_number(found) and test(found, value)


def version_and(test):
    return lambda found, value: precedence(found) is not None and test(precedence(found), precedence(value))


def matches(found, pattern):
    return re.search(pattern.replace("$", r"\Z"), found) is not None


OBVIOUS = {
    "in": equal,
    "equals": equal,
    "starts_with": text_and(lambda found, value: found[: len(value)] == value),
    "ends_with": text_and(
        lambda found, value: value == found[len(found) - len(value) :] if len(value) <= len(found) else False
    ),
    "contains": text_and(lambda found, value: found.find(value) >= 0),
    "matches": text_and(matches),
    "gt": number_and(lambda found, value: found > value),
    "gte": number_and(lambda found, value: found >= value),
    "lt": number_and(lambda found, value: found < value),
    "lte": number_and(lambda found, value: found <= value),
    "semver_eq": version_and(lambda found, value: found == value),
    "semver_gt": version_and(lambda found, value: found > value),
    "semver_gte": version_and(lambda found, value: found >= value),
    "semver_lt": version_and(lambda found, value: found < value),
    "semver_lte": version_and(lambda found, value: found <= value),
}


def obviously(clause, context):
    if "segment" in clause:
        return False  # there are none here
    found, negate = context.get(clause["attribute"]), clause.get("negate", False)
    if clause["operator"] == "exists":
        return (found is None) if negate else (found is not None)
    if found is None:
        return False
    return (not compared(clause, found)) if negate else compared(clause, found)


def compared(clause, found):
    values = clause.get("values", [])
    if clause["operator"] == "not_in":
        return all(not equal(found, value) for value in values)
    return any(OBVIOUS[clause["operator"]](found, value) for value in values)


def compiled(clause):
    """Ask a flag with a rule of this one clause: as it is compiled, and step by step."""
    asked = Clause(
        clause["attribute"], clause["operator"], tuple(clause.get("values", ())), clause.get("negate", False)
    )
    rules = (Rule((asked,), serve="on"),)
    flag = Flag("k", True, {"on": True, "off": False}, "off", "on", rollout=Rollout(0), rules=rules)
    view = View().replaced(Snapshot(flags={"k": flag}))

    def holds(context):
        answer = view.answer(Kind.BOOLEAN, "k", context)
        assert answer == evaluate(flag, context)
        return answer.value

    return holds


def holds(operator, found, *values):
    return compiled({"attribute": "a", "operator": operator, "values": values})({"a": found})


@LAW
@given(CLAUSES, SCALARS | VERSIONS | JSON_VALUES)
def test_a_clause_equals_its_second_implementation(clause, found):
    context = {clause["attribute"]: found}
    assert compiled(clause)(context) == obviously(clause, context)


@LAW
@given(CLAUSES, st.data())
def test_a_clause_equals_its_second_implementation_on_its_own_values(clause, data):
    found = data.draw(st.sampled_from(clause.get("values", [None])))
    context = {clause["attribute"]: found}
    assert compiled(clause)(context) == obviously(clause, context)


@LAW
@given(CLAUSES)
def test_a_missing_or_null_attribute_matches_no_clause_but_one_about_absence(clause):
    absence = clause["operator"] == "exists" and clause.get("negate", False)
    assert compiled(clause)({}) is absence
    assert compiled(clause)({clause["attribute"]: None}) is absence


@LAW
@given(CLAUSES, ODDITIES.filter(lambda value: not isinstance(value, Hostile)))
def test_an_odd_attribute_never_makes_a_clause_raise(clause, found):
    assert compiled(clause)({clause["attribute"]: found}) in (True, False)


@pytest.mark.parametrize(
    ("operator", "found", "values", "expected"),
    [
        ("in", "EE", ["EE", "FI"], True),
        ("in", "ee", ["EE"], False),
        ("in", True, [1], False),
        ("in", 1, [True], False),
        ("in", True, [True, "x"], True),
        ("in", 1.0, [1], True),
        ("in", "1", [1], False),
        ("in", ["EE"], ["EE"], False),
        ("in", ["EE"], ["EE", 1], False),
        ("not_in", "SE", ["EE"], True),
        ("not_in", "EE", ["EE"], False),
        ("not_in", True, [1], True),
        ("not_in", ["EE"], ["EE"], True),
        ("equals", "", [""], True),
        ("starts_with", "corr_1", ["x", "corr_"], True),
        ("starts_with", 12, ["1"], False),
        ("ends_with", "a.test", [".test"], True),
        ("contains", "settlement", ["ttle"], True),
        ("contains", ["ttle"], ["ttle"], False),
        ("matches", "BONUS_ISSUED", ["^BONUS_"], True),
        ("matches", "x BONUS_", ["^BONUS_"], False),
        ("matches", "Straße", ["(?i)STRA.E$"], True),
        ("matches", 5, ["5"], False),
        ("gt", 5, [5], False),
        ("gt", 5, [9, 4], True),
        ("gte", 5.0, [5], True),
        ("gte", 5, [9, 4], True),
        ("lt", 5, [3, 9], True),
        ("lte", 5, [3, 9], True),
        ("lt", True, [5], False),
        ("lt", "4", [5], False),
        ("lt", math.nan, [5], False),
        ("lte", -math.inf, [5], True),
        ("gt", 10**400, [5.5], True),
        ("semver_eq", "1.0.0+a", ["1.0.0+b"], True),
        ("semver_gt", "1.10.0", ["1.9.0"], True),
        ("semver_lt", "1.0.0-rc.1", ["1.0.0"], True),
        ("semver_gte", "v1.0.0", ["1.0.0"], False),
        ("semver_lte", "1.0", ["1.0.0"], False),
        ("semver_lt", "9" * 5_000 + ".0.0", ["1.0.0"], False),
        ("exists", False, [], True),
        ("exists", "", [], True),
    ],
)
def test_an_operator_means_what_its_users_expect(operator, found, values, expected):
    assert holds(operator, found, *values) is expected


def test_every_operator_has_a_second_implementation():
    assert set(OPERATORS) == {*OBVIOUS, "not_in", "exists"}


def test_a_pattern_that_would_backtrack_for_ever_is_quick_and_a_monstrous_text_is_not_looked_at():
    evil = compiled(
        {"attribute": "a", "operator": "matches", "values": ["^(a+)+$", "(x?){200}y", "(.*)(.*)(.*)[^a]{300}z"]}
    )
    started = time.process_time()
    assert not evil({"a": "a" * (MAX_TEXT - 1) + "!"})
    assert not evil({"a": "a" * 10_000_000})
    assert time.process_time() - started < 5
