"""Documents from outside: what is read, what is refused, and that nothing hostile costs more than its limit."""

import contextlib
import math
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.documents import Limits, read_json, read_yaml, write_yaml
from foundation.errors import DocumentError

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
TRICKY = """no|on|null|~||1e3|0x1F|1_000|12:30:00|0o17|017|---|...|- a|a: b|#|2025-01-26T15:30:00Z|2025-01-26| lead
|trail |a
b|a

|\tt|\x85|\u2028|\ufeff|😀|*a|&a|!t|%|@|`|<<|=|.5|-.5|+1|1.|.inf|.nan|True|yes|y|\x00"""
WORDS = st.sampled_from(TRICKY.split("|"))
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.just(-0.0) | st.just(1e16)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT | WORDS, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_what_is_written_as_yaml_reads_back_as_the_same_value(value):
    again = read_yaml(write_yaml(value))
    assert again == value
    assert repr(again) == repr(value)


@pytest.mark.parametrize(
    "word",
    ["no", "yes", "on", "off", "y", "2025-01-26", "2025-01-26T15:30:00Z", "12:30:00", "1e3", "0o17", "017", "1_000"],
)
def test_plain_words_that_yaml_versions_disagree_on_stay_text(word):
    assert read_yaml(f"{word}: {word}") == {word: word}


def test_plain_words_that_yaml_versions_agree_on_have_their_type():
    assert read_yaml("[true, False, null, ~, NULL, 1, -2, 0x1F, 1.5, 1.0e+16, .5]") == [
        *(True, False, None, None, None),
        *(1, -2, 31, 1.5, 1e16, 0.5),
    ]


def test_an_alias_gives_the_value_of_its_anchor():
    assert read_yaml("a: &x [1, 2]\nb: *x") == {"a": [1, 2], "b": [1, 2]}


def test_an_empty_document_is_null():
    assert read_yaml("") is None
    assert read_yaml("# nothing but a comment") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2", r"b\.c: line 4: appears twice"),
        ("a: 1\n'a': 2", "a: line 2: appears twice"),
        ("a: !!python/object/apply:os.system [ls]", "a: line 1: has a tag"),
        ("a: !!str 1", "has a tag"),
        ("a: ! b", "has a tag"),
        ("1: a", "has a key that is not text"),
        ("true: a", "has a key that is not text"),
        ("? [a]\n: b", "has a key that is not text"),
        ("base: &b {x: 1}\nuse:\n  <<: *b", "use: line 3: has a merge key"),
        ("a: *nowhere", "names an anchor that does not exist"),
        ("a: &x [*x]", r"a\[0\]: line 1: contains itself"),
        ("a: 1\n---\nb: 2", "line 2: starts a second document"),
        ("a: .nan", "a: line 1: holds .nan"),
        ("a: -.inf", "a: line 1: holds -.inf"),
        ("a: 1" + "0" * 5000, "a: line 1: .*digits"),
        ("a: 1.0e+999", "a: line 1: holds .* too large a number"),
        ("a: [1, 2", "line 2"),
        ("a: b: c", "line 1"),
        ("a: \x01", "is not YAML"),
        ('a: "\\ud800"', "line 1"),
        (b"\xff\xfe", "is not UTF-8"),
        ("\ud800", "is not UTF-8"),
    ],
)
def test_yaml_outside_the_plain_part_is_refused_with_its_place(text, said):
    with pytest.raises(DocumentError, match=said):
        read_yaml(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": {"b": 1, "b": 2}}', "^b: appears twice"),
        ('{"a": NaN}', "holds NaN"),
        ("[1e999]", "too large a number"),
        ("[-Infinity]", "holds -Infinity"),
        ('["\\ud800"]', "surrogate"),
        ('{"\\udfff": 1}', "surrogate"),
        ("1" * 5000, "digits"),
        ("{'a': 1}", "line 1, column 2"),
        ("[1]\n[2]", "line 2, column 1"),
        ("", "is not JSON"),
        (b"\xff", "is not UTF-8"),
    ],
)
def test_json_that_could_not_be_carried_on_is_refused(text, said):
    with pytest.raises(DocumentError, match=said):
        read_json(text)


def test_json_is_read_with_and_without_a_byte_order_mark():
    assert read_json('{"a": [1, 2.5, true, null, "ä"]}') == {"a": [1, 2.5, True, None, "ä"]}
    assert read_json(b"\xef\xbb\xbf[1]") == [1]
    assert read_yaml(b"\xef\xbb\xbfa: 1") == {"a": 1}


@pytest.mark.parametrize("read", [read_json, read_yaml])
def test_depth_is_allowed_up_to_its_limit_and_no_further(read):
    assert read("[" * 64 + "]" * 64)
    with pytest.raises(DocumentError, match="nested too deep"):
        read("[" * 65 + "]" * 65)
    with pytest.raises(DocumentError, match="nested too deep"):
        read("[" * 64 + "1" + "]" * 64)


@pytest.mark.parametrize("read", [read_json, read_yaml])
def test_values_are_allowed_up_to_their_limit_and_no_further(read):
    limits = Limits(max_nodes=10)
    assert read("[1,2,3,4,5,6,7,8,9]", limits)
    with pytest.raises(DocumentError, match="too many values"):
        read("[1,2,3,4,5,6,7,8,9,10]", limits)
    with pytest.raises(DocumentError, match="too many values"):
        read('{"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}', limits)


@pytest.mark.parametrize("read", [read_json, read_yaml])
def test_a_document_of_more_bytes_than_the_limit_is_refused_unread(read):
    with pytest.raises(DocumentError, match="too large: 10,000,000 bytes"):
        read("[" * 10_000_000)


def test_aliases_cost_what_they_expand_to():
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 30))
    with pytest.raises(DocumentError, match="too many values"):
        read_yaml(bomb)
    deep = "- &a0 [x]\n" + "".join(f"- &a{i} [*a{i - 1}]\n" for i in range(1, 70))
    with pytest.raises(DocumentError, match="nested too deep"):
        read_yaml(deep)


HOSTILE = {
    "open brackets": "[" * 1_000_000,
    "open braces": "{a: " * 250_000,
    "indentation": "".join(" " * depth + "a:\n" for depth in range(1400)),
    "dashes": "- " * 500_000,
    "question marks": "? " * 500_000,
    "many values": "[" + "a," * 500_000,
    "a long key over many": "? " + "k" * 500_000 + "\n: {" + ",".join(f"a{i}: 1" for i in range(40_000)) + "}",
    "a late duplicate": "{" + ",".join(f'"k{i}": 1' for i in range(45_000)) + ',"k44999": 2}',
    "digits": "1" * 1_000_000,
    "a fraction": "1." + "1" * 1_000_000,
}


@pytest.mark.parametrize("read", [read_json, read_yaml])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_document_is_done_with_in_bounded_time(read, name):
    began = time.process_time()
    with contextlib.suppress(DocumentError):
        read(HOSTILE[name])
    assert time.process_time() - began < 20, "a bound on runaway growth, far above the usual fraction of a second"


@pytest.mark.parametrize("value", [math.nan, math.inf, {1: 2}, {"a"}, object(), b"x", "\ud800", {"a": [math.nan]}])
def test_what_json_could_not_carry_is_not_written_as_yaml(value):
    with pytest.raises(DocumentError, match="can't be written as YAML"):
        write_yaml(value)


def test_yaml_for_people_is_block_style_in_the_given_order():
    written = write_yaml({"b": {"x": [1, "no"]}, "a": "line\nline\n", "same": [1]})
    assert written == "b:\n  x:\n  - 1\n  - 'no'\na: |\n  line\n  line\nsame:\n- 1\n"


def test_a_value_that_stands_twice_is_written_twice():
    twice = {"x": 1}
    assert write_yaml([twice, twice]) == "- x: 1\n- x: 1\n"


def test_reading_json_does_not_load_the_yaml_parser():
    code = "import sys, foundation.documents as d; d.read_json('[1]'); sys.exit('yaml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_pure_floor_loads_no_redis_yaml_or_cryptography():
    code = "import sys, foundation; sys.exit(bool({'redis', 'yaml', 'cryptography', 'rfc8785'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
