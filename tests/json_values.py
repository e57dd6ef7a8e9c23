"""Made-up JSON values and messages: the ones that codecs stumble over, and strategies for all the others."""

from hypothesis import settings
from hypothesis import strategies as st

from messenger.envelope import Envelope, Metadata

LAW = settings(deadline=None, max_examples=200)

TRICKY = [
    *(
        "no",
        "yes",
        "On",
        "y",
        "N",
        "true",
        "null",
        "~",
        "",
        " ",
        "=",
        "<<",
        "---",
        "...",
        "- a",
        "? a",
        "a: b",
        "a #b",
        "#",
    ),
    *("1", "-1", "1e3", "1.5", ".5", "1.", "+1", "0x1F", "0o17", "017", "0b11", "1_000", "12:30:00", "190:20:30"),
    *(".inf", "-.INF", ".nan", "inf", "nan", "NaN", "Infinity", "infinity", "2025-01-26", "2025-01-26T15:30:00Z"),
    *(
        "trailing ",
        " leading",
        "  two",
        "tab\tin",
        "new\nline",
        "\n",
        "\r\n",
        "cr\rin",
        "'",
        '"',
        "\\",
        "\\n",
        "it's",
        "{}",
    ),
    *("[]", "{a: 1}", "[1]", "&a", "*a", "!tag", "!!python/object:os.system", "%TAG", "@a", "`a", "|", ">", "a,b"),
    *("\0", "\x01", "\x1b", "\x7f", "\x80", "\x85", "a\x85b", "\xa0", "\u2028", "\u2029", "\ufeff", "\ufffe", "\uffff"),
    *("é", "日本", "😀", "👩\u200d👧", "\U0010ffff", "\U000e0001", "a" * 5000),
    *(0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**40),
    *(0.0, -0.0, 1.0, 166.67, 1e16, 1e-7, 1e22, 1.5e300, 5e-324, 1.7976931348623157e308, 0.1 + 0.2),
    *(None, True, False, [], {}, [[]], [{}], {"a": []}, {"a": {}}, [[], [[]], {"": [{}]}], {"": ""}),
    *({"no": 1, "1": 2, "null": 3, " ": 4, "a: b": 5, "\n": 6, "- a": 7, "\0": 8, "  a": 9, "é": 10, "<<": 11},),
    *([1, [2, [3, {"a": [{"b": [4]}, 5]}]], {"c": [[6], [[7]]]}],),
]

TEXTS = st.text() | st.sampled_from([value for value in TRICKY if isinstance(value, str)])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
PAYLOADS = st.dictionaries(TEXTS, VALUES, max_size=5)

IDS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=20)
DOMAINS = st.sampled_from(["collections", "free-play", "balance"])
ENVELOPES = st.builds(
    Envelope,
    type=IDS,
    message_id=IDS,
    correlation_id=IDS,
    timestamp=st.sampled_from(["2025-01-26T15:30:00Z", "2025-01-26T15:30:00.123+02:00"]),
    payload=PAYLOADS,
    metadata=st.builds(
        Metadata,
        source_domain=DOMAINS,
        target_domain=DOMAINS,
        priority=st.sampled_from(["high", "normal", "low"]),
        ttl=st.none() | st.integers(1, 10**9),
    ),
)


def message(index=0, **changes):
    """Make a message that differs from others by its number."""
    fields = {
        "type": "SETTLEMENT_NOTED",
        "message_id": f"msg_{index}",
        "correlation_id": f"corr_{index}",
        "timestamp": "2025-01-26T15:30:00Z",
        "payload": {"settlementId": f"PEN_{index}", "amount": 166.67 + index, "status": "completed"},
        "metadata": Metadata("collections", "balance", "high", 300_000),
    }
    return Envelope(**{**fields, **changes})


def same(one, other):
    """Tell whether two JSON values are the same to the last bit: 1 is not 1.0, and -0.0 is not 0.0."""
    return repr(one) == repr(other)
