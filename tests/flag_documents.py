"""Made-up flag documents and contexts for the laws that hold for all of them."""

from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st

LAW = settings(deadline=None)

ATTRIBUTES = ("country", "amount", "version", "plan", "targetingKey", "domain")
WORDS = st.text(alphabet="abxyzÄé😀019.-_ ", max_size=6)
NAMES = st.builds(str.__add__, st.sampled_from("abAB09"), st.text(alphabet="abAB09._-", max_size=5))
NUMBERS = st.integers(-5, 5) | st.floats(-5, 5, allow_nan=False) | st.integers(-(2**53) + 1, 2**53 - 1)
VERSIONS = st.builds(
    "{}.{}.{}{}{}".format,
    st.integers(0, 3),
    st.integers(0, 11),
    st.integers(0, 3),
    st.sampled_from(["", "-alpha", "-alpha.1", "-alpha.beta", "-beta.2", "-beta.11", "-rc-1", "-1", "-0a"]),
    st.sampled_from(["", "+build", "+build.7"]),
)
PATTERNS = st.builds(
    "".join, st.lists(st.sampled_from(["a", "b", "x", ".", "a*", "[ab]", "^", "$", "(a|b)", "9?"]), max_size=5)
)
SCALARS = WORDS | NUMBERS | st.booleans()
WEIGHTS = (
    st.builds(lambda percents, parts: percents * 1_000 + parts, st.integers(0, 99), st.integers(0, 999))
    | st.integers(0, 100_000)
    | st.sampled_from([0, 1, 99_999, 100_000])
)
"""In this way, since of a wide range Hypothesis draws little but the lower end."""
PERCENTAGES = WEIGHTS.map(lambda weight: weight / 1000)
JSON_VALUES = st.recursive(
    st.none() | SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
VALUES_OF = {
    **dict.fromkeys(("in", "not_in", "equals"), SCALARS),
    **dict.fromkeys(("starts_with", "ends_with", "contains"), WORDS),
    "matches": PATTERNS,
    **dict.fromkeys(("gt", "gte", "lt", "lte"), NUMBERS),
    **dict.fromkeys(("semver_eq", "semver_gt", "semver_gte", "semver_lt", "semver_lte"), VERSIONS),
}


SEGMENTS = ("beta", "staff")


def _clause(operator):
    clause = {"attribute": st.sampled_from(ATTRIBUTES), "operator": st.just(operator)}
    if operator != "exists":
        clause["values"] = st.lists(VALUES_OF[operator], min_size=1, max_size=4)
    return st.fixed_dictionaries(clause, optional={"negate": st.booleans()})


CLAUSES = st.one_of([_clause(operator) for operator in [*VALUES_OF, "exists"]])
SEGMENT_CLAUSES = st.fixed_dictionaries({"segment": st.sampled_from(SEGMENTS)}, optional={"negate": st.booleans()})


@st.composite
def _splits(draw, variants):
    cuts = sorted({0, 100_000, *draw(st.lists(WEIGHTS, max_size=3))})
    return [
        {"variant": draw(st.sampled_from(variants)), "percentage": (high - low) / 1000} for low, high in pairwise(cuts)
    ]


@st.composite
def _rules(draw, variants):
    rule = {"if": draw(st.lists(CLAUSES | SEGMENT_CLAUSES, min_size=1, max_size=4))}
    if draw(st.booleans()):
        return rule | {"serve": draw(st.sampled_from(variants))}
    return rule | {"split": draw(_splits(variants))}


def _prerequisites():
    names = st.lists(NAMES, min_size=1, max_size=2)
    return st.fixed_dictionaries({"flag": st.sampled_from(["other", "another"]), "variants": names})


@st.composite
def _targets(draw, variants):
    keys = draw(st.lists(st.text(alphabet="abc019", min_size=1, max_size=2), max_size=6, unique=True))
    targets = {}
    for key in keys:
        targets.setdefault(draw(st.sampled_from(variants)), []).append(key)
    return targets


@st.composite
def full_documents(draw, values=None):
    """Draw a valid flag document in the full form, with any of its parts."""
    kind = values or draw(
        st.sampled_from(
            [
                st.booleans(),
                WORDS,
                NUMBERS,
                st.lists(JSON_VALUES, max_size=2) | st.dictionaries(WORDS, JSON_VALUES, max_size=2),
            ]
        )
    )
    variants = draw(st.dictionaries(NAMES, kind, min_size=2, max_size=4))
    names = list(variants)
    off = draw(st.sampled_from(names))
    on = draw(st.sampled_from([name for name in names if name != off]))
    held = draw(st.booleans())
    parts = {
        "description": WORDS,
        "rollout": st.fixed_dictionaries(
            {"percentage": PERCENTAGES}, optional={"domains": st.dictionaries(NAMES, PERCENTAGES, max_size=3)}
        )
        | st.fixed_dictionaries(
            {"split": _splits(names)}, optional={"domains": st.dictionaries(NAMES, PERCENTAGES, max_size=3)}
        ),
        "prerequisites": st.lists(_prerequisites(), max_size=2, unique_by=lambda each: each["flag"]),
        "targets": _targets(names),
        "stickiness": st.sampled_from(ATTRIBUTES),
        "owner": WORDS.filter(len),
        "metadata": st.dictionaries(NAMES, SCALARS, max_size=3),
        "rules": st.lists(_rules(names), max_size=3),
        "salt": NAMES,
        "tags": st.lists(NAMES, max_size=3, unique=True),
        "archived": st.booleans(),
    }
    if held:
        parts["hold"] = st.fixed_dictionaries({"by": WORDS, "reason": WORDS}, optional={"receipt": WORDS})
    document = {
        "enabled": draw(st.booleans()) and not held,
        "variants": variants,
        "offVariant": off,
        **draw(st.fixed_dictionaries({}, optional=parts)),
    }
    if len(names) > 2 or draw(st.booleans()):
        document["onVariant"] = on
    if draw(st.booleans()):
        document["lifetime"] = "temporary"
        document |= draw(st.fixed_dictionaries({}, optional={"expires": st.dates().map(str)}))
    return document


def shorthand_documents():
    """Draw a valid flag document in the shorthand."""
    required = {"enabled": st.booleans(), "rolloutPercentage": PERCENTAGES}
    plain = st.fixed_dictionaries({**required, "fallback": st.booleans() | WORDS}, optional={"description": WORDS})
    numbers = st.fixed_dictionaries({**required, "fallback": NUMBERS, "value": NUMBERS})
    return plain | numbers


class Hostile:
    """An attribute whose every use fails."""

    def __eq__(self, other):
        raise RuntimeError("compared")

    def __hash__(self):
        raise RuntimeError("hashed")

    def __str__(self):
        raise RuntimeError("printed")

    def __bool__(self):
        raise RuntimeError("asked")


KEYS = st.text(max_size=8)
ODDITIES = st.one_of(
    st.none(),
    st.just(float("nan")),
    st.just(float("inf")),
    st.just(10**400),
    st.just("\ud800"),
    st.binary(max_size=3),
    st.just(b"x"),
    st.sets(st.integers(), max_size=2),
    st.builds(Hostile),
    st.just(Hostile),
    st.complex_numbers(),
)
CONTEXTS = st.dictionaries(st.sampled_from(ATTRIBUTES), SCALARS | VERSIONS | JSON_VALUES | ODDITIES) | st.none()
PLAIN_CONTEXTS = st.fixed_dictionaries(
    {"targetingKey": st.text(alphabet="abc019", min_size=1, max_size=8)},
    optional={"domain": NAMES, "country": SCALARS, "amount": SCALARS, "version": VERSIONS | WORDS, "plan": WORDS},
)
