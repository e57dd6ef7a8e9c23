"""What flagd's published in-process provider serves of an export is what this product serves.

Two lines of the provider's releases are asked. The older hashes as this product does, so it has to agree on everything;
today's hashes otherwise, so it has to agree on all that hashes nothing. Left aside is what the provider's own JsonLogic
does otherwise than flagd's documents say: it takes true for 1, and it can't put into place a segment whose text JSON
has to escape.
"""

import json
from random import Random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from flags.definitions import parse_definitions
from flags.evaluation import Kind, kind_of
from flags.explanation import explain
from flags.interchange.flagd_export import export_flagd
from flags.model import Snapshot
from tests.flag_documents import full_documents
from tests.flagd_peer import FlagdPeer

ATTRIBUTES = ("country", "amount", "version", "plan")
TEXTS = st.text(alphabet="abxyz_ ", min_size=1, max_size=3)
NUMBERS = st.integers(2, 9) | st.sampled_from([-3, 2.5, -0.5])
VERSIONS = st.builds("{}.{}.{}{}".format, *[st.integers(0, 2)] * 3, st.sampled_from(["", "-alpha.1", "-0", "+build"]))
VALUES = {
    **dict.fromkeys(("in", "not_in", "equals"), TEXTS | NUMBERS),
    **dict.fromkeys(("starts_with", "ends_with", "contains"), TEXTS),
    **dict.fromkeys(("gt", "gte", "lt", "lte"), NUMBERS),
    **dict.fromkeys(("semver_eq", "semver_gt", "semver_gte", "semver_lt", "semver_lte"), VERSIONS),
}
CONTEXTS = st.fixed_dictionaries(
    {},
    optional={
        "targetingKey": st.text(alphabet="abc019é", min_size=1, max_size=6),
        "domain": st.sampled_from(["collections", "balance", "other"]),
        **dict.fromkeys(ATTRIBUTES, TEXTS | NUMBERS | VERSIONS),
    },
)
DEFAULTS = {Kind.BOOLEAN: True, Kind.STRING: "none", Kind.INTEGER: -77, Kind.FLOAT: -7.5, Kind.OBJECT: {"none": 1}}


@pytest.fixture(scope="module")
def peers(request):
    made = {}
    yield made
    for peer in made.values():
        peer.close()


@pytest.fixture
def peer(peers, require):
    def of(version):
        if version not in peers:
            peers[version] = FlagdPeer(version, require)
        return peers[version]

    return of


@st.composite
def clauses(draw):
    operator = draw(st.sampled_from([*VALUES, "exists"]))
    clause = {"attribute": draw(st.sampled_from(ATTRIBUTES)), "operator": operator, "negate": draw(st.booleans())}
    if operator != "exists":
        clause["values"] = draw(st.lists(VALUES[operator], min_size=1, max_size=3))
    return clause


@st.composite
def definitions(draw):
    """Draw flags as anybody may, with rules whose clauses both products can compare."""
    documents = {key: draw(full_documents()) for key in ("first", "second", "other")}
    for key, document in documents.items():
        document.pop("archived", None)
        document.pop("hold", None)
        for rule in document.get("rules", ()):
            rule["if"] = draw(st.lists(clauses() | st.just({"segment": "beta"}), min_size=1, max_size=3))
        if "stickiness" in document:
            document["stickiness"] = draw(st.sampled_from(ATTRIBUTES))
        if "domains" in document.get("rollout", ()):
            document["rollout"]["domains"] = dict.fromkeys(["collections", "balance"], draw(st.integers(0, 100)))
        needs = document.pop("prerequisites", None)
        if needs and key != "other":
            document["prerequisites"] = [{"flag": "other", "variants": list(documents["other"]["variants"])[:2]}]
    segments = {"beta": {"if": draw(st.lists(clauses(), min_size=1, max_size=2))}}
    return parse_definitions({"flags": documents, "segments": segments})


def cases(definitions, keys, contexts):
    """Pair every flag with every context, in flagd's words."""
    kinds = {key: kind_of(definitions.flags[key].variants) for key in keys}
    return [[key, kinds[key].value, DEFAULTS[kinds[key]], context] for key in keys for context in contexts]


def served(definitions, key, default, context):
    snapshot = Snapshot(flags=definitions.flags, segments=definitions.segments)
    detail = explain(snapshot, key, context).detail
    return default if detail.error_code else detail.value


def check(peer, definitions, contexts, *, hashing=True):
    document = json.loads(json.dumps(export_flagd(definitions).document))
    keys = [key for key in document["flags"] if hashing or "fractional" not in json.dumps(document["flags"][key])]
    asked = cases(definitions, keys, contexts)
    for case, value in zip(asked, peer.values(document, asked), strict=True):
        key, _, default, context = case
        assert value == served(definitions, key, default, context), (key, context)


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_flagd_serves_of_any_export_what_this_product_serves(version, peer):
    peer(version)

    @settings(deadline=None, max_examples=60)
    @given(definitions(), st.lists(CONTEXTS, min_size=1, max_size=12))
    def law(given_definitions, contexts):
        assume(not any(isinstance(v, list) for f in given_definitions.flags.values() for v in f.variants.values()))
        check(peer(version), given_definitions, contexts, hashing=version == "v2")

    law()


def test_ten_thousand_keys_keep_their_assignment(peer):
    document = {
        "enabled": True,
        "variants": {"on": "yaml", "off": "json", "third": "cbor"},
        "offVariant": "off",
        "onVariant": "on",
    }
    rule = {"if": [{"attribute": "plan", "operator": "in", "values": ["gold"]}]}
    split = [{"variant": "third", "percentage": 33.333}, {"variant": "on", "percentage": 66.667}]
    given_definitions = parse_definitions(
        {
            "percentage": {**document, "rollout": {"percentage": 12.345, "domains": {"collections": 0.5}}},
            "salted": {**document, "salt": "winter", "rollout": {"percentage": 50}},
            "sticky": {**document, "stickiness": "plan", "rollout": {"percentage": 50}},
            "split": {**document, "rules": [{**rule, "split": split}], "rollout": {"percentage": 0.001}},
        }
    )
    random = Random(20260101)
    contexts = [
        {
            "targetingKey": f"{random.choice(['user', 'é', '😀'])}-{random.getrandbits(48):x}",
            "domain": random.choice(["collections", "balance"]),
            "plan": random.choice(["gold", "silver", f"p{random.getrandbits(20)}"]),
        }
        for _ in range(10_000)
    ]
    check(peer("v2"), given_definitions, contexts)
