import random
import re

import pytest
import yaml
from hypothesis import given

from foundation.documents import read_yaml
from foundation.errors import DocumentError
from messenger.codecs import decode, encode, yaml_reader
from messenger.codecs.yaml_dialect import TAKEN, keeps_to_dialect
from messenger.errors import DecodeFailed, EncodeFailed
from messenger.formats import YAML
from tests.json_values import LAW, TEXTS, TRICKY, VALUES, message, same

SLOW_KEYS = re.compile(rb'(?im)"[-+]?\.?(inf|infinity|nan)":|^[- ]*\? ')
"""Keys that could be floats, and those too long to have their colon behind them."""


class Reference(yaml.SafeLoader):
    """PyYAML, for which a time stays text: the reader whose opinion counts."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own way of saying it
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def ended(text):
    """Put the mark at the end of a document that every body must have."""
    return f"{text}{'' if text.endswith(chr(10)) else chr(10)}...\n".encode()


def by_reference(body):
    return yaml.load(body.decode(), Loader=Reference)  # noqa: S506 - a safe loader


@pytest.fixture
def only_fast(monkeypatch):
    """Fail where the guarded reader is asked."""

    def asked(body):
        pytest.fail(f"went to the guarded reader: {body!r}")

    monkeypatch.setattr(yaml_reader, "read_yaml", asked)


@pytest.fixture
def only_guarded(monkeypatch):
    """Fail where rapidyaml is asked."""

    def asked(body):
        pytest.fail(f"went to rapidyaml: {body!r}")

    monkeypatch.setattr(yaml_reader, "_read_dialect", asked)


# ---- writing


def test_a_message_reads_like_yaml_that_a_person_would_write():
    document = message(7).to_document() | {"payload": {"rows": [{"a": 1, "b": [True, None]}, [[2], {}], "no"], "c": []}}
    assert encode(YAML, document).decode().splitlines() == [
        "type: SETTLEMENT_NOTED",
        'version: "1.0"',
        "messageId: msg_7",
        "correlationId: corr_7",
        'timestamp: "2025-01-26T15:30:00Z"',
        "payload:",
        "  rows:",
        "    - a: 1",
        "      b:",
        "        - true",
        "        - null",
        "    - - - 2",
        "      - {}",
        '    - "no"',
        "  c: []",
        "metadata:",
        "  sourceDomain: collections",
        "  targetDomain: balance",
        "  priority: high",
        "  ttl: 300000",
        "...",
    ]


@pytest.mark.parametrize("value", TRICKY, ids=lambda value: ascii(value)[:30])
def test_pyyaml_reads_every_tricky_value_as_it_was_meant(value):
    for document in (value, [value], {"a": value}, [{"a": [value]}], {value: 1} if isinstance(value, str) else []):
        assert same(by_reference(encode(YAML, document)), document)


def test_pyyaml_and_the_guarded_reader_read_what_is_written_as_it_was_meant():
    @LAW
    @given(VALUES)
    def law(value):
        body = encode(YAML, value)
        assert same(by_reference(body), value)
        assert same(read_yaml(body), value)

    law()


def test_what_is_written_keeps_to_the_dialect_and_is_read_fast(only_fast):
    @LAW
    @given(VALUES)
    def law(value):
        body = encode(YAML, value)
        if not SLOW_KEYS.search(body):
            assert keeps_to_dialect(body)
            assert same(decode(YAML, body), value)

    law()


def test_plain_words_are_words_to_every_reader():
    words = {"completed", "CUST_001", "_", "truely", "nope", "yess", "nanx", "of", "ye", "offf", "infinit", "x1e3"}
    assert encode(YAML, sorted(words)).decode().splitlines() == [*(f"- {word}" for word in sorted(words)), "..."]
    assert {"no", "NO", "nO", "Yes", "y", "Infinity", "NaN", "NULL", "oFf"} <= TAKEN


@pytest.mark.parametrize("word", sorted(TAKEN - {"true", "false", "null"}))
def test_no_word_that_could_be_something_else_stands_plain_in_the_dialect(word):
    assert not keeps_to_dialect(ended(f"a: {word}\n"))
    assert not keeps_to_dialect(ended(f"{word}: 1\n"))
    assert keeps_to_dialect(ended(f'a: "{word}"\n'))
    assert keeps_to_dialect(ended(f"a: {word}x\n"))


def test_keys_may_be_longer_than_yaml_looks_for_a_colon():
    document = {"k" * 3000: 1, "a": [{"x y" * 1000: {"b": [1]}, "é" * 1500: []}]}
    body = encode(YAML, document)
    assert same(by_reference(body), document)
    assert same(decode(YAML, body), document)


@pytest.mark.parametrize("key", ["inf", "-infinity", ".NaN", ".inf", "+.INF", "nan", "iNf"])
def test_keys_that_could_be_floats_stay_what_they_are(key):
    document = {key: 1, "a": [{key: {key: key}}], "  two": 2}
    assert same(decode(YAML, encode(YAML, document)), document)


def test_nothing_is_written_that_would_be_too_much_to_be_read():
    document = {"inf": ["x"] * 100_000}
    with pytest.raises(EncodeFailed, match="too large"):
        encode(YAML, document)
    assert decode(YAML, encode(YAML, {"fin": ["x"] * 100_000})) == {"fin": ["x"] * 100_000}


# ---- reading


def test_yaml_written_by_hand_is_read_by_the_guarded_reader(only_guarded):
    text = """\
# settlement-update.yaml
type: SETTLEMENT_UPDATE
version: 1.0
timestamp: 2025-01-26T15:30:00Z

payload:
  id: 'PEN_001'
  tags: [no, ~, 12:30:00]
  day: 2025-01-26
"""
    assert decode(YAML, ended(text)) == {
        "type": "SETTLEMENT_UPDATE",
        "version": 1.0,
        "timestamp": "2025-01-26T15:30:00Z",
        "payload": {"id": "PEN_001", "tags": ["no", None, "12:30:00"], "day": "2025-01-26"},
    }


@pytest.mark.parametrize(
    "body",
    [
        *("", "\n", "a: 1\r\n", " a: 1\n", "a:  1\n", "a: 1 \n", "a : 1\n", "a:\t1\n", "\ta: 1\n", "a: 1\n\n"),
        *(
            "# c\na: 1\n",
            "a: 1 # c\n",
            "--- \na: 1\n",
            "---\na: 1\n",
            "a: 1\n...\n",
            "%YAML 1.2\n---\na: 1\n",
            "\ufeffa: 1\n",
        ),
        *("a: [1]\n", "a: {b: 1}\n", "a: 'x'\n", "a: |\n  x\n", "a: >\n  x\n", "a: x y\n", "a: x-y\n", "? a\n: 1\n"),
        *("a: &x 1\n", "a: *x\n", "*x : 1\n", "a: !t 1\n", "!!map\na: 1\n", "<<: 1\n", "a: <<\n", "a: =\n"),
        *("a: 01\n", "a: +1\n", "a: -0\n", "a: 1.\n", "a: .5\n", "a: 1e3\n", "a: 0x1F\n", "a: 1_000\n", "a: 1:30\n"),
        *("a: ~\n", "a: NULL\n", "a: True\n", "a: .inf\n", "1: a\n", "true: 1\n", "- \n", "-\n", "-1: 2\n", "a: -\n"),
        *('a: "\\x41"\n', 'a: "\\/"\n', 'a: "\\ud83d\\ude00"\n', 'a: "\\u0041"\n', 'a: "\\u2028x\\U0001F600"\n'),
        *('a: "x\n', 'a: "\x7f"\n', 'a: "\x85"\n', 'a: "\u2028"\n', 'a: "\ufeff"\n', 'a: "\t"\n', 'a: "\\\n"\n'),
        *('"inf": 1\n', '- "-.NaN": 1\n', "  " * 65 + "a: 1\n", "- " * 66 + "1\n"),
    ],
)
def test_what_leaves_the_dialect_goes_to_the_guarded_reader_and_means_what_that_says(body, only_guarded):
    try:
        expected = read_yaml(ended(body))
    except DocumentError:
        with pytest.raises(DecodeFailed):
            decode(YAML, ended(body))
    else:
        assert same(decode(YAML, ended(body)), expected)


@pytest.mark.parametrize(
    "body",
    [
        *("a: 1\na: 2\n", "a: 1\nb: 2\na: 1\n", "- a: 1\n  a: 1\n", 'a: 1\n"a": 2\n', "a:\n  b:\n    c: 1\n    c: 1\n"),
        *("a: &x [1]\nb: *y\n", "a: &x [*x]\n", "a: !!python/object/apply:os.system ['true']\n", "a: !x 1\n"),
        *("a: 1\n---\nb: 2\n", "1: 2\n", "true: 1\n", "? [1]\n: 2\n", "<<: {a: 1}\n", "a: .nan\n", "a: 1.0e+999\n"),
        *("a: 1\n  b: 2\n", "a: 1\n- 2\n", "- 1\na: 2\n", "a: b: c\n", "  a: 1\nb: 2\n", 'a: "x"\n  b: 1\n'),
        *('- a:\n  - []\n        "a": "# c"\n', 'b:\n  - "é"\n    - - c:\n', '"x y":\n  - ""\n      d: 1\n'),
    ],
)
def test_what_is_wrong_is_refused_however_it_is_read(body):
    with pytest.raises(DecodeFailed):
        decode(YAML, ended(body))


def test_an_alias_bomb_is_refused():
    bomb = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10))
    with pytest.raises(DecodeFailed, match="too many values"):
        decode(YAML, ended(bomb))


@pytest.mark.parametrize("end", ["...", "...\n", "...\r\n", "...\n\n"])
def test_a_body_ends_with_yamls_end_mark(end):
    assert decode(YAML, f"a: 1\n{end}".encode()) == {"a": 1}


@pytest.mark.parametrize(
    "body", ["a: 1\n", "a: 1", "a: 1...\n", "a: 1\n..", "a: 1\n....\n", "a: 1\n... x\n", "...\n", ""]
)
def test_a_body_without_its_end_mark_counts_as_cut_short(body):
    with pytest.raises(DecodeFailed, match="cut short"):
        decode(YAML, body.encode())


def test_a_body_cut_short_anywhere_is_refused():
    body = encode(YAML, {"a": [1, {"b": "x y"}], "c": {"d": None}, "e": 12345})
    for size in range(len(body) - 1):
        with pytest.raises(DecodeFailed):
            decode(YAML, body[:size])


def test_a_refusal_says_where():
    with pytest.raises(DecodeFailed, match="line 3"):
        decode(YAML, ended("a: 1\nb: 2\na: 3\n"))


KEYS = ["a", "b", '"a"', '"x y"', '""', '"\\n"', '"- d"', '"e: f"', '"  g"']
ENDS = ["1", "-5", "1.0e+16", "true", "null", "word", '"q"', '"a: b"', "{}", "[]", '""', '"\\u0001"', "9" * 20, '"  "']


def crooked_line(rng):
    """Make a line that has the dialect's form and any indentation."""
    start = "  " * rng.choice([0, 0, 0, 1, 1, 1, 2, 2, 3]) + "- " * rng.choice([0, 0, 0, 1, 1, 2])
    choice = rng.random()
    if choice < 0.25:
        return f"{start}{rng.choice(KEYS)}:"
    if choice < 0.7 or not start.endswith("- "):
        return f"{start}{rng.choice(KEYS)}: {rng.choice(ENDS)}"
    return f"{start}{rng.choice(ENDS)}"


def bent(rng, text):
    """Move, double, drop or cut short some lines of a body."""
    lines = text.splitlines()[:-1]
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(lines))
        line = lines[at]
        lines[at] = rng.choice(["  " + line, line.removeprefix("  "), "- " + line, line.split(":")[0] + ":", line])
        lines.insert(rng.randrange(len(lines)), rng.choice(lines))
    return "".join(line + "\n" for line in lines)


def test_crooked_bodies_are_refused_or_mean_what_the_guarded_reader_says(capfd):
    rng = random.Random(20250126)
    document = {"a": [{"b": 1, "c": [[2, "x"], {"d": {}}]}, "q r"], "  e": {"f": [{"g": None}]}}
    for turn in range(6_000):
        lines = [crooked_line(rng) for _ in range(rng.choice([1, 2, 2, 3, 4, 6]))]
        text = bent(rng, encode(YAML, document).decode()) if turn % 2 else "".join(line + "\n" for line in lines)
        try:
            expected = read_yaml(text)
        except DocumentError:
            with pytest.raises(DecodeFailed):
                decode(YAML, ended(text))
        else:
            assert same(decode(YAML, ended(text)), expected), text


def test_texts_of_any_kind_are_the_same_to_both_readers_as_keys_and_values():
    @LAW
    @given(TEXTS, TEXTS)
    def law(key, value):
        body = encode(YAML, {"a": [{key: value, "z": {value: [key]}}]})
        assert same(decode(YAML, body), read_yaml(body))

    law()
