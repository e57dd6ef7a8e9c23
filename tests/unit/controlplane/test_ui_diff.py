from controlplane.ui.diff import ABSENT, Difference, differences


def test_a_field_that_moved_is_named_by_its_path_with_both_values():
    before = {"enabled": True, "rollout": {"percentage": 0, "domains": {"collections": 10}}}
    after = {"enabled": True, "rollout": {"percentage": 0, "domains": {"collections": 50}}}
    assert differences(before, after) == [Difference("rollout.domains.collections", 10, 50)]


def test_what_comes_and_goes_is_told_apart_from_null():
    rows = differences({"gone": 1, "hold": None}, {"hold": {"by": "maria"}, "new": None})
    assert rows == [
        Difference("gone", 1, ABSENT),
        Difference("hold", None, {"by": "maria"}),
        Difference("new", ABSENT, None),
    ]
    assert [(row.added, row.removed) for row in rows] == [(False, True), (False, False), (True, False)]


def test_a_new_document_is_all_additions():
    assert all(row.added for row in differences(None, {"enabled": False, "variants": {"on": True}}))


def test_true_is_not_one():
    assert differences({"value": True}, {"value": 1}) == [Difference("value", True, 1)]


def test_lists_are_compared_as_a_whole():
    assert differences({"tags": ["a", "b"]}, {"tags": ["b", "a"]}) == [Difference("tags", ["a", "b"], ["b", "a"])]
