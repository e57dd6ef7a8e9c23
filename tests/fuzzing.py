"""A seeded fuzzer: valid flag documents and contexts, broken in one place or several, the same for the same seed.

It takes what it breaks from lists of what has broken other programs, since chance alone would hardly find any of it.
"""

import copy
import math
from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from tests.flag_documents import Hostile

KEYS = ("a", "b", "c", "d")

RULES = [
    {"if": [{"attribute": "plan", "operator": "in", "values": ["gold", 5, True]}], "serve": "on"},
    {
        "if": [
            {"attribute": "name", "operator": "matches", "values": ["^(a+)+$", "(x?){200}y", "(.*)(.*)(.*)[^a]{300}z"]},
            {"attribute": "country", "operator": "not_in", "values": ["EE", "FI"], "negate": True},
        ],
        "serve": "off",
    },
    {
        "if": [{"attribute": "version", "operator": "semver_gte", "values": ["1.2.3-rc.1+b"]}, {"segment": "beta"}],
        "split": [{"variant": "on", "percentage": 33.333}, {"variant": "off", "percentage": 66.667}],
    },
    {"if": [{"attribute": "amount", "operator": "lt", "values": [0.5, -3]}], "serve": "on"},
    {
        "if": [
            {"attribute": "name", "operator": "contains", "values": ["ä", ""]},
            {"attribute": "x", "operator": "exists"},
        ],
        "serve": "on",
    },
]
FULL = {
    "description": "whatever",
    "enabled": True,
    "variants": {"on": True, "off": False},
    "offVariant": "off",
    "onVariant": "on",
    "prerequisites": [{"flag": "b", "variants": ["on", "x"]}],
    "targets": {"on": ["corr_1", "corr_2"], "off": ["corr_3"]},
    "rules": RULES,
    "rollout": {"percentage": 12.345, "domains": {"collections": 0, "balance": 100, "free-play": 50}},
    "stickiness": "targetingKey",
    "salt": "pepper",
    "tags": ["messaging"],
    "owner": "settlement",
    "lifetime": "temporary",
    "expires": "2027-01-31",
    "metadata": {"ticket": "OPS-7", "share": 0.5, "on": True},
    "archived": False,
}
THREE = {"red": {"r": [1, None, "x"]}, "green": [], "blue": {}}
THIRDS = [
    {"variant": "red", "percentage": 50},
    {"variant": "green", "percentage": 0},
    {"variant": "blue", "percentage": 50},
]
MANY_TARGETS = {"on": [f"corr_{number}" for number in range(10_000)]}
LONG_VALUES = ["x" * 900 + str(number) for number in range(1_000)]

PLAIN = {"enabled": True, "variants": {"on": "yaml", "off": "json"}, "offVariant": "off", "rollout": {"percentage": 50}}
VALID = [
    FULL,
    {**FULL, "prerequisites": [], "metadata": {}},
    PLAIN,
    {"enabled": True, "variants": {"on": 2, "off": 1}, "offVariant": "off", "stickiness": "plan", "rules": RULES[:2]},
    {"enabled": True, "variants": {"on": 0.5, "off": 1}, "offVariant": "on", "rollout": {"percentage": 0.001}},
    {
        "enabled": True,
        "variants": THREE,
        "offVariant": "red",
        "onVariant": "blue",
        "rollout": {"split": THIRDS, "domains": {"balance": 7}},
    },
    {"enabled": False, "rolloutPercentage": 25, "fallback": "json", "description": "short"},
    {"enabled": False, "variants": {"on": 1, "off": 0}, "offVariant": "off", "hold": {"by": "x", "reason": "y"}},
]
HUGE = [
    {**FULL, "targets": MANY_TARGETS},
    {**FULL, "rules": [{"if": [{"attribute": "name", "operator": "in", "values": LONG_VALUES}], "serve": "on"}]},
    {**FULL, "rules": RULES[:4] * 25},
    {
        **VALID[1],
        "description": "ä" * 2_000,
        "rollout": {"percentage": 1, "domains": {f"d{n}": 1 for n in range(1_000)}},
    },
    {**FULL, "variants": {f"v{number}": "x" * 10_000 for number in range(100)}, "onVariant": "v1", "offVariant": "v2"},
]
"""Documents at their bounds; tried seldom, since each takes as long as hundreds of others."""


def deep(depth, leaf=None):
    for level in range(depth):
        leaf = [leaf] if level % 2 else {"a": leaf}
    return leaf


ENDLESS = []
ENDLESS.append(ENDLESS)

NUMBERS = [
    0,
    -0.0,
    -1,
    1,
    100,
    100.0,
    101,
    0.0001,
    33.3333,
    1e-320,
    1e308,
    2**53 - 1,
    2**53,
    -(2**63),
    2**64,
    10**400,
    math.nan,
    math.inf,
    -math.inf,
    Decimal("NaN"),
    1 + 1j,
]
TEXTS = [
    "",
    " ",
    "on",
    "off",
    "a",
    "b",
    "beta",
    "\0",
    "\n",
    "\ud800",
    "x\udfffy",
    "\u202e",
    "\ufeff",
    "é",
    "e\u0301",
    "ß",
    "👩\u200d👧",
    "../../etc",
    "__proto__",
    "__class__",
    "constructor",
    "{}",
    "{0.__class__}",
    "%s",
    "context",
    "true",
    "null",
    "1",
    "5",
    "x" * 101,
    "x" * 1_001,
    "x" * 2_001,
    "x" * 100_000,
    "\U0010ffff" * 2_000,
]
PATTERNS = [
    "^(a+)+$",
    "(a|a)*b",
    "((a*)*)*c",
    "(x{1000}){1000}",
    "(",
    "[",
    "(?P<n>a",
    "(?=a)",
    r"(a)\1",
    "a**",
    "\\",
    "(?i)ß",
    ".{1000}{1000}",
    "|" * 500,
    "(" * 500 + ")" * 500,
    "[^\0-\U0010ffff]",
    "\ud800",
    r"\C",
    r"\pN",
]
VERSIONS = [
    "1.2.3",
    "1.2",
    "v1.2.3",
    "1.2.3-01",
    "9" * 300 + ".0.0",
    "1.0.0-" + "a." * 120 + "b",
    "1.2.3\n",
    "\u0661.\u0662.\u0663",
]
DATES = [
    "2027-13-01",
    "2027-02-30",
    "20270101",
    "2027-W01-1",
    "0000-00-00",
    "9999-12-31",
    "2027-01-31T00:00",
    "\u0661\u0662\u0663\u0664-\u0660\u0661-\u0660\u0661",
]
OBJECTS = [
    None,
    True,
    False,
    [],
    {},
    [[]],
    [None],
    {"": None},
    {"on": 1},
    {1: 2},
    {None: 1},
    {"\ud800": 1},
    [{}] * 200,
    ["x"] * 10_001,
    deep(20),
    deep(500),
    deep(100_000),
    ENDLESS,
    {"a": ENDLESS},
    b"x",
    bytearray(b"x"),
    set(),
    (),
    range(3),
    date(2027, 1, 31),
    object,
    len,
    Hostile,
]
HOSTILE = [*NUMBERS, *TEXTS, *PATTERNS, *VERSIONS, *DATES, *OBJECTS]
NAMES = [
    *FULL,
    "rolloutPercentage",
    "fallback",
    "value",
    "attribute",
    "operator",
    "values",
    "negate",
    "segment",
    "if",
    "serve",
    "split",
    "percentage",
    "domains",
    "variant",
    "flag",
    "by",
    "reason",
    "receipt",
    *TEXTS,
    1,
    None,
]
OPERATORS = [
    "in",
    "not_in",
    "equals",
    "starts_with",
    "ends_with",
    "contains",
    "matches",
    "gt",
    "gte",
    "lt",
    "lte",
    "semver_eq",
    "semver_lt",
    "exists",
    "segment",
    "",
    None,
]


class Grudging(Mapping):
    """A context whose every use fails."""

    def __getitem__(self, key):
        raise RuntimeError("asked")

    def __iter__(self):
        raise RuntimeError("listed")

    def __len__(self):
        raise RuntimeError("counted")


CONTEXTS = [
    Grudging(),
    Hostile(),
    None,
    5,
    math.nan,
    "targetingKey",
    b"",
    [],
    [("targetingKey", "x")],
    Hostile,
    len,
    ENDLESS,
]
ATTRIBUTES = ["targetingKey", "domain", "plan", "name", "country", "version", "amount", "x", "", "\ud800", 1, None]
LONG = ["a" * 9_999 + "!", "a" * 1_000_000, "x" * 2_000, "9" * 10_000]
FOUND = [
    *NUMBERS,
    *TEXTS,
    *VERSIONS,
    *OBJECTS,
    *LONG,
    Hostile(),
    Grudging(),
    "gold",
    "corr_1",
    "corr_7",
    "collections",
    "balance",
]


def document(rng):
    """Make one document: a valid one, with up to four places in it broken."""
    made = copy.deepcopy(rng.choice(HUGE if rng.random() < 0.002 else VALID))
    for _ in range(rng.choice([0, 1, 1, 1, 1, 2, 3, 4])):
        made = broken(made, rng)
    return made


def flag_key(rng):
    """Make the key of a flag, mostly a good one."""
    return rng.choice(HOSTILE) if rng.random() < 0.02 else rng.choice(KEYS)


def segment(rng):
    """Make the document of a segment."""
    made = {"if": copy.deepcopy(rng.choice(RULES)["if"]), "description": "d", "archived": rng.random() < 0.1}
    return broken(made, rng) if rng.random() < 0.7 else made


def context(rng):
    """Make one context: attributes of every sort, or no mapping at all."""
    if rng.random() < 0.1:
        return rng.choice(CONTEXTS)
    made = {"targetingKey": f"corr_{rng.randrange(20)}", "domain": rng.choice(["collections", "balance", "other"])}
    if rng.random() < 0.3:
        made |= {"plan": "gold", "targetingKey": f"corr_{rng.randrange(5)}"}
    for _ in range(rng.randrange(4)):
        made[rng.choice(ATTRIBUTES)] = rng.choice(FOUND)
    return made


def broken(value, rng):
    """Break one place in a value; places are found by going down at random."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        return _dict_broken(value, rng)
    if isinstance(value, list) and value and rng.random() < 0.85:
        index = rng.randrange(len(value))
        value[index : index + 1] = rng.choice([[], [value[index]] * 2, *[[broken(value[index], rng)]] * 6])
        return value
    return _other(value, rng)


def _dict_broken(value, rng):
    key = rng.choice(list(value))
    action = rng.random()
    if action < 0.05:
        del value[key]
    elif action < 0.1:
        value[rng.choice(NAMES)] = rng.choice(HOSTILE)
    elif action < 0.13:
        value[rng.choice(TEXTS)] = value.pop(key)
    elif key in ("flag", "variant", "serve", "segment", "operator") and action < 0.7:
        value[key] = rng.choice([*KEYS, "on", "off", "beta", *OPERATORS])
    else:
        value[key] = broken(value[key], rng)
    return value


def _other(value, rng):
    """Give something else, often of the same sort."""
    action = rng.random()
    if isinstance(value, str) and action < 0.4:
        return rng.choice(TEXTS + PATTERNS + VERSIONS + DATES)
    if isinstance(value, (int, float)) and action < 0.4:
        return rng.choice(NUMBERS) if action < 0.2 else round(rng.uniform(-1, 101), rng.randrange(6))
    if action < 0.45:
        return [value]
    return rng.choice(HOSTILE)


SPICE = [
    b"\0",
    b"\xff",
    b"\xed\xa0\x80",
    b"\t",
    b"\n",
    b"{",
    b"[",
    b"]",
    b"}",
    b'"',
    b"'",
    b"&a ",
    b"*a",
    b"!!python/name:os.system ",
    b"!!binary |",
    b"<<: ",
    b"- ",
    b"? ",
    b": ",
    b"---\n",
    b"...\n",
    b"%YAML 9.9\n",
    b"#",
    b"|\n",
    b">",
    b"1e999",
    b".nan",
    b"NaN",
    b"-Infinity",
    b"9" * 5_000,
    b"[" * 5_000,
    b"{a: " * 500,
    b"\xef\xbb\xbf",
    b"\\ud800",
    b"\\u0000",
    b"\xc2\x85",
    b"\xe2\x80\xa8",
]


def spoilt(data, rng):
    """Spoil a text: bytes put in, taken out, doubled or turned into others."""
    for _ in range(rng.choice([1, 1, 2, 5])):
        at, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
        end = min(end, at + rng.choice([0, 1, 2, 20, 200]))
        piece = rng.choice(
            [b"", rng.choice(SPICE), rng.choice(SPICE), data[at:end] * 2, bytes(rng.randrange(256) for _ in range(3))]
        )
        data = data[:at] + piece + data[end:]
    return data
