"""What two sets of flags differ in, field by field."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.difference import ABSENT, FieldDifference, ItemDifference, Kind, difference, field_differences
from flags.documents import flag_document, parse_flag
from tests.flag_documents import LAW, full_documents


def rule(value, serve="on"):
    return {"if": [{"attribute": "type", "operator": "in", "values": [value]}], "serve": serve}


def test_a_field_that_moved_is_named_by_its_path_with_both_values():
    before = {"enabled": True, "rollout": {"percentage": 0, "domains": {"collections": 10}}}
    after = {"enabled": True, "rollout": {"percentage": 0, "domains": {"collections": 50}}}
    assert field_differences(before, after) == [FieldDifference("rollout.domains.collections", 10, 50)]


def test_what_comes_and_goes_is_told_apart_from_null():
    rows = field_differences({"gone": 1, "hold": None}, {"hold": {"by": "maria"}, "new": None})
    assert rows == [
        FieldDifference("gone", 1, ABSENT),
        FieldDifference("hold", None, {"by": "maria"}),
        FieldDifference("new", ABSENT, None),
    ]
    assert [(row.added, row.removed) for row in rows] == [(False, True), (False, False), (True, False)]


def test_a_new_document_is_all_additions():
    assert all(row.added for row in field_differences(None, {"enabled": False, "variants": {"on": True}}))


@pytest.mark.parametrize(("before", "after"), [(True, 1), ([True], [1]), ({"a": [0]}, {"a": [False]}), ("1", 1)])
def test_true_is_not_one(before, after):
    assert field_differences({"value": before}, {"value": after}) != []


def test_a_number_is_the_same_however_it_is_written():
    assert field_differences({"value": [1.0]}, {"value": [1]}) == []


def test_lists_of_plain_values_are_compared_as_a_whole():
    rows = field_differences({"tags": ["a", "b"]}, {"tags": ["b", "a"]})
    assert rows == [FieldDifference("tags", ["a", "b"], ["b", "a"])]


def test_rules_are_compared_one_by_one():
    rows = field_differences({"rules": [rule("A"), rule("B")]}, {"rules": [rule("A"), rule("B", serve="off")]})
    assert rows == [FieldDifference("rules[1].serve", "on", "off")]


def test_a_rule_put_in_front_leaves_the_others_alone():
    rows = field_differences({"rules": [rule("A"), rule("B")]}, {"rules": [rule("C"), rule("A"), rule("B")]})
    assert rows == [FieldDifference("rules[0]", ABSENT, rule("C"))]


def test_a_rule_taken_out_is_named_by_where_it_stood():
    rows = field_differences({"rules": [rule("A"), rule("B"), rule("C")]}, {"rules": [rule("A"), rule("C")]})
    assert rows == [FieldDifference("rules[1]", rule("B"), ABSENT)]


def test_items_are_added_removed_and_changed_in_the_order_of_their_keys():
    before = {"gone": {"enabled": True}, "moved": {"enabled": True}, "same": {"enabled": True}, "segment:old": {}}
    after = {"moved": {"enabled": False}, "new": {"enabled": True}, "same": {"enabled": True}}
    assert difference(before, after) == [
        ItemDifference("gone", Kind.REMOVED, (FieldDifference("enabled", True, ABSENT),)),
        ItemDifference("moved", Kind.CHANGED, (FieldDifference("enabled", True, False),)),
        ItemDifference("new", Kind.ADDED, (FieldDifference("enabled", ABSENT, True),)),
        ItemDifference("segment:old", Kind.REMOVED, ()),
    ]


@LAW
@given(st.lists(full_documents(), max_size=3), st.lists(full_documents(), max_size=3))
def test_there_is_no_difference_exactly_where_the_flags_are_equal_and_it_reads_the_same_backwards(left, right):
    before, after = (
        {f"k{index}": flag_document(parse_flag("k", document)) for index, document in enumerate(documents)}
        for documents in (left, right)
    )
    assert difference(before, before) == []
    forth, back = difference(before, after), difference(after, before)
    assert (forth == []) == (before == after)
    assert [item.key for item in forth] == [item.key for item in back]
    assert [len(item.fields) for item in forth] == [len(item.fields) for item in back]
