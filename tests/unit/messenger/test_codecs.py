import dataclasses
import math
import uuid
from collections import OrderedDict
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, StrEnum
from typing import NamedTuple

import pytest
from hypothesis import given

from messenger import codecs
from messenger.codecs import MAX_BODY_BYTES, MAX_DEPTH, decode, encode
from messenger.errors import BodyTooLarge, CodecUnknown, DecodeFailed, EncodeFailed
from messenger.formats import JSON, YAML
from tests.json_values import LAW, TRICKY, VALUES, same

BOTH = pytest.mark.parametrize("content_type", [JSON, YAML])


def nested(levels, make=lambda inner: [inner]):
    value = 1
    for _ in range(levels - 1):
        value = make(value)
    return value


@BOTH
@pytest.mark.parametrize("value", TRICKY, ids=lambda value: ascii(value)[:30])
def test_a_tricky_value_comes_back_unharmed(content_type, value):
    for document in (value, [value, value], {"a": value}, {"a": [{"b": value, "c": [value]}]}):
        assert same(decode(content_type, encode(content_type, document)), document)


@BOTH
def test_tricky_texts_come_back_unharmed_as_keys(content_type):
    document = {text: index for index, text in enumerate(TRICKY) if isinstance(text, str)}
    assert same(decode(content_type, encode(content_type, document)), document)


@BOTH
def test_any_json_value_comes_back_unharmed(content_type):
    @LAW
    @given(VALUES)
    def law(value):
        assert same(decode(content_type, encode(content_type, value)), value)

    law()


@BOTH
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_refused_by_name(content_type, number):
    with pytest.raises(EncodeFailed, match=r"payload\.rows\[1\]\.amount"):
        encode(content_type, {"payload": {"rows": [{"amount": None}, {"amount": number}]}})


class Colour(Enum):
    RED = "red"


class Pair(NamedTuple):
    a: int
    b: list


@dataclasses.dataclass
class Point:
    x: int


@BOTH
@pytest.mark.parametrize(
    "stranger",
    [
        {1},
        object(),
        b"bytes",
        Decimal(1),
        datetime(2025, 1, 26, tzinfo=UTC),
        uuid.UUID(int=0),
        Colour.RED,
        Point(1),
        1j,
    ],
    ids=lambda stranger: type(stranger).__name__,
)
def test_a_type_that_is_not_of_json_is_refused_by_name(content_type, stranger):
    with pytest.raises(EncodeFailed, match=r"payload\.a\[0\].*" + type(stranger).__name__):
        encode(content_type, {"payload": {"a": [stranger]}})


@BOTH
@pytest.mark.parametrize("key", [1, None, True, (1,)])
def test_a_key_that_is_not_text_is_refused(content_type, key):
    with pytest.raises(EncodeFailed, match="key"):
        encode(content_type, {"payload": {key: 1}})


@BOTH
@pytest.mark.parametrize("document", [{"a": "\ud800"}, {"\udfff": 1}, ["\ud83d"]])
def test_half_a_surrogate_pair_is_refused(content_type, document):
    with pytest.raises(EncodeFailed, match="surrogate"):
        encode(content_type, document)


@BOTH
@pytest.mark.parametrize("digits", [4300, 5000])
def test_an_integer_of_more_digits_than_python_reads_is_refused(content_type, digits):
    number = 10**digits
    with pytest.raises(EncodeFailed):
        encode(content_type, {"n": number})


@BOTH
def test_relatives_of_jsons_types_are_carried_as_what_they_are_related_to(content_type):
    class Word(StrEnum):
        YES = "yes"

    class Number(int):
        pass

    document = {"a": (1, ()), "b": OrderedDict(c=Pair(1, [OrderedDict()])), "d": Number(7)}
    expected = {"a": [1, []], "b": {"c": [1, [{}]]}, "d": 7}
    assert same(decode(content_type, encode(content_type, document)), expected)
    assert decode(content_type, encode(content_type, {"w": Word.YES})) == {"w": "yes"}


@BOTH
@pytest.mark.parametrize("make", [lambda inner: [inner], lambda inner: {"k": inner}, lambda inner: ({"k": inner},)])
def test_nesting_is_carried_down_to_the_limit_and_no_deeper(content_type, make):
    step = 2 if make(0) == ({"k": 0},) else 1
    deepest = nested(1 + (MAX_DEPTH - 1) // step, make)
    assert decode(content_type, encode(content_type, deepest)) is not None
    with pytest.raises(EncodeFailed, match="deeper than 64"):
        encode(content_type, make(deepest if step == 1 else [deepest]))


@BOTH
def test_an_empty_container_counts_as_one_level(content_type):
    document = []
    for _ in range(MAX_DEPTH - 1):
        document = [document]
    assert decode(content_type, encode(content_type, document)) == document
    with pytest.raises(EncodeFailed):
        encode(content_type, [document])


@BOTH
def test_a_value_that_contains_itself_is_refused(content_type):
    knot = []
    knot.extend([knot, knot])
    with pytest.raises(EncodeFailed, match="deeper than 64"):
        encode(content_type, {"payload": knot})


@BOTH
@pytest.mark.parametrize("opening", ["[", '{"a":', "- ", "? ", "a: [", "&a [", "!!python/object:os.system ["])
@pytest.mark.parametrize("times", [65, 1_000, 60_000])
def test_deep_nesting_is_refused_and_crashes_nothing(content_type, opening, times):
    for body in (opening * times, opening * times + "1" + "]" * times):
        with pytest.raises(DecodeFailed):
            decode(content_type, body.encode())


@BOTH
@pytest.mark.parametrize("closed", [True, False])
def test_deep_json_is_refused(content_type, closed):
    body = "[" * 500 + ("]" * 500 if closed else "")
    with pytest.raises(DecodeFailed):
        decode(content_type, body.encode())


@BOTH
@pytest.mark.parametrize("body", [b"\xff\xfe", b'"\x80"', b'{"a": "\xed\xa0\x80"}', b"\0", b"a: \x01"])
def test_a_body_that_is_not_utf_8_text_is_refused(content_type, body):
    with pytest.raises(DecodeFailed):
        decode(content_type, body)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b" ", b"{", b"nul", b"NaN", b"[Infinity]", b"-Infinity", b"1e999", b"[1,]", b"{'a':1}", b'"\\ud800"'),
        *(b"\xef\xbb\xbf{}", b"1 2", b"a: 1", b"[123456789012345678901234567890", b'[12345678901234567890, "\\ud800"]'),
        *(b"[12345678901234567890, NaN]", b"[12345678901234567890, 1e999]", b"9" * 5000),
    ],
)
def test_what_is_not_json_is_refused(body):
    with pytest.raises(DecodeFailed):
        decode(JSON, body)


def test_of_two_json_members_of_one_name_the_last_one_counts():
    assert decode(JSON, b'{"a": 1, "a": 2}') == {"a": 2}
    assert decode(JSON, b'{"a": 12345678901234567890, "a": 12345678901234567891}') == {"a": 12345678901234567891}


def test_json_keeps_integers_past_64_bits_that_stand_among_other_things():
    document = {"id": "1234567890123456789012", "n": [2**64, -(2**63) - 1, 1.5], "text": "NaN"}
    assert same(decode(JSON, encode(JSON, document)), document)
    assert decode(JSON, b'{"n": 18446744073709551616}') == {"n": 2**64}


@BOTH
def test_a_body_past_the_cap_is_refused_both_ways(content_type):
    with pytest.raises(BodyTooLarge):
        encode(content_type, "x" * MAX_BODY_BYTES)
    with pytest.raises(BodyTooLarge):
        decode(content_type, b" " * (MAX_BODY_BYTES + 1))


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/JSON", "application/yaml; charset=utf-8"])
def test_an_unknown_content_type_is_said_to_be_unknown(content_type):
    with pytest.raises(CodecUnknown):
        decode(content_type, b"{}")
    with pytest.raises(CodecUnknown):
        codecs.encode(content_type, {})
