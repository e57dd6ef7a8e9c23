"""How a difference is shown."""

from controlplane.difference import difference_count, difference_lines, difference_shape, value_text
from flags.difference import difference

BEFORE = {"gone": {"enabled": True}, "moved": {"enabled": True, "tags": ["a"], "description": "old"}}
AFTER = {"moved": {"enabled": True, "rollout": {"percentage": 5}, "description": "new"}, "fresh": {"enabled": False}}
FOUND = difference_shape(difference(BEFORE, AFTER))


def test_lines_say_what_is_added_removed_and_changed_without_colour():
    assert difference_lines(FOUND) == [
        "+ fresh",
        "    + enabled: false",
        "- gone",
        "~ moved",
        '    - tags: ["a"]',
        '    description: "old" → "new"',
        '    + rollout: {"percentage": 5}',
    ]


def test_the_count_names_each_kind_that_there_is():
    assert difference_count(FOUND) == "1 added, 1 removed, 1 changed"
    assert difference_count(FOUND[:1]) == "1 added"
    assert difference_count([]) == "no difference"


def test_json_leaves_out_what_is_not_there():
    assert [(item["key"], item["change"]) for item in FOUND] == [
        ("fresh", "added"),
        ("gone", "removed"),
        ("moved", "changed"),
    ]
    assert FOUND[2]["fields"] == [
        {"path": "tags", "before": ["a"]},
        {"path": "description", "before": "old", "after": "new"},
        {"path": "rollout", "after": {"percentage": 5}},
    ]


def test_no_line_moves_the_cursor():
    (item, field) = difference_lines(difference_shape(difference({}, {"k": {"a\x1b": "\x1b[2J"}})))
    assert (item, field) == ("+ k", '    + a\\u001b: "\\u001b[2J"')
    assert value_text({"a": "x\x1b[31m\n\u202e\u00e9"}) == '{"a": "x\\u001b[31m\\n\\u202e\u00e9"}'
