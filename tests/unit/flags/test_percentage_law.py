"""The laws of percentages and splits: over a million fixed keys, and for any weights.

The hash and the keys never change, so what holds of the million holds for ever; the bounds say how far a share may be
off by chance: 5 standard deviations of so many throws of a coin, which one fair hash in two million would miss.
"""

from bisect import bisect_right
from functools import cache
from itertools import accumulate, pairwise
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.bucketing import bucket, hash32, threshold
from flags.documents import parse_flag
from flags.evaluation import Kind
from flags.model import WEIGHT_TOTAL, Snapshot
from flags.percentages import percentage_of, weight_of
from flags.view import View
from foundation.errors import DocumentError
from tests.flag_documents import LAW, NAMES, WEIGHTS

MILLION = 1_000_000
SIGMAS = 5
SALTS = ("useYamlMessaging", "w")
MANY = tuple(f"corr_{number}" for number in range(300))


def flag(rollout, variants=("off", "on"), **parts):
    document = {"enabled": True, "variants": {name: name for name in variants}, "offVariant": variants[0]}
    return parse_flag("w", {**document, "onVariant": variants[1], "rollout": rollout, **parts})


def serving(rollout, variants=("off", "on"), **parts):
    """Compile a flag; answers with what gives the variant for a key, in a domain."""
    decide = View(Snapshot(flags={"w": flag(rollout, variants, **parts)})).find("w").decide
    return lambda key, domain=None: decide({"targetingKey": key, "domain": domain}).variant


def split_document(parts):
    return {"split": [{"variant": name, "percentage": weight / 1000} for name, weight in parts]}


# ---- any weights


@LAW
@given(NAMES, st.lists(WEIGHTS, min_size=2, max_size=8))
def test_of_any_percentages_a_key_is_on_at_all_above_one_and_off_at_all_below(key, weights):
    answers = [serving({"percentage": weight / 1000})(key) for weight in sorted(weights)]
    assert answers == sorted(answers)  # "off" comes before "on"


def test_step_by_step_from_nobody_to_everybody_keys_only_ever_turn_on():
    """Every weight there is, 0.001% apart, for keys at every sort of place."""
    keys = sorted(MANY[:40], key=lambda key: bucket("w", key))
    on_from = {key: bucket("w", key) + 1 for key in keys}
    steps = {0, WEIGHT_TOTAL, *range(0, WEIGHT_TOTAL, 97)}
    steps.update(weight + off for weight in on_from.values() for off in (-1, 0, 1))
    for weight in sorted(steps & set(range(WEIGHT_TOTAL + 1))):
        serve = serving({"percentage": percentage_of(weight)})
        assert [serve(key) == "on" for key in keys] == [weight >= on_from[key] for key in keys]


def test_every_weight_has_its_percentage_and_none_other():
    percentages = [percentage_of(weight) for weight in range(WEIGHT_TOTAL + 1)]
    assert [weight_of(each, "p") for each in percentages] == list(range(WEIGHT_TOTAL + 1))
    assert [weight_of(float(each), "p") for each in percentages] == list(range(WEIGHT_TOTAL + 1))
    thresholds = [threshold(weight) for weight in range(WEIGHT_TOTAL + 1)]
    assert all(low < high for low, high in pairwise(thresholds))
    for finer in (0.0001, 99.9999, 33.33333, 1e-9):
        with pytest.raises(DocumentError, match="finer"):
            weight_of(finer, "p")


@LAW
@given(NAMES, WEIGHTS, WEIGHTS, WEIGHTS)
def test_who_is_on_in_one_domain_is_on_in_every_domain_and_default_with_more(key, default, one, other):
    serve = serving({"percentage": default / 1000, "domains": {"one": one / 1000, "other": other / 1000}})
    answers = sorted([(default, serve(key)), (one, serve(key, "one")), (other, serve(key, "other"))])
    assert [variant for _, variant in answers] == sorted(variant for _, variant in answers)


def test_who_is_on_at_10_percent_in_one_domain_is_on_at_50_in_another():
    serve = serving({"percentage": 0, "domains": {"collections": 10, "balance": 50}})
    small = {key for key in MANY if serve(key, "collections") == "on"}
    large = {key for key in MANY if serve(key, "balance") == "on"}
    assert small < large
    assert all(serve(key) == "off" for key in MANY)


@LAW
@given(NAMES, WEIGHTS)
def test_nobody_and_everybody_are_exact_beside_any_other_percentage(key, weight):
    serve = serving({"percentage": weight / 1000, "domains": {"none": 0, "all": 100}})
    assert (serve(key, "none"), serve(key, "all")) == ("off", "on")


# ---- splits


@st.composite
def splits(draw, most=5):
    cuts = sorted(draw(st.lists(WEIGHTS, max_size=most - 1)))
    return [high - low for low, high in pairwise([0, *cuts, WEIGHT_TOTAL])]


NAMED = ["m", "z", "a", "k", "b", "x"]  # in no order


@LAW
@given(splits(), st.data(), st.sampled_from(["rollout", "rule"]))
def test_a_variant_added_at_the_end_takes_keys_only_from_the_part_that_shrank(weights, data, where):
    shrunk = data.draw(WEIGHTS)
    taken = min(shrunk, weights[-1])
    before = list(zip(NAMED, weights, strict=False))
    after = [*before[:-1], (before[-1][0], weights[-1] - taken), (NAMED[len(weights)], taken)]
    old, new = splitting(before, where), splitting(after, where)
    for key in MANY:
        was, now = old(key), new(key)
        assert was == now or (was == before[-1][0] and now == NAMED[len(weights)])


@LAW
@given(splits(), splits(), st.sampled_from(["rollout", "rule"]))
def test_a_key_moves_only_where_an_end_of_a_part_has_passed_its_bucket(one, other, where):
    size = max(len(one), len(other))
    one, other = (weights + [0] * (size - len(weights)) for weights in (one, other))
    old, new = (splitting(list(zip(NAMED, weights, strict=False)), where) for weights in (one, other))
    ends = list(zip(accumulate(one), accumulate(other), strict=True))
    for key in MANY:
        place = bucket("w", key)
        passed = any(min(pair) <= place < max(pair) for pair in ends)
        assert (old(key) != new(key)) <= passed


@LAW
@given(splits(), NAMES)
def test_a_split_and_its_rule_and_the_obvious_table_agree(weights, key):
    parts = list(zip(NAMED, weights, strict=False))
    table = [name for name, weight in parts for _ in range(weight)]
    assert splitting(parts, "rollout")(key) == splitting(parts, "rule")(key) == table[bucket("w", key)]


def splitting(parts, where):
    if where == "rollout":
        return serving(split_document(parts), NAMED)
    rule = {"if": [{"attribute": "targetingKey", "operator": "exists"}], **split_document(parts)}
    return serving({"percentage": 0}, NAMED, rules=[rule])


# ---- a million keys


@cache
def hashes(salt):
    return sorted(hash32(b"%scorr_%d" % (salt.encode(), number)) for number in range(MILLION))


def share_below(salt, weight):
    """How many of the million are on at a weight: those whose hash is below the threshold."""
    return bisect_right(hashes(salt), threshold(weight) - 1)


@pytest.mark.parametrize("salt", SALTS)
def test_of_a_million_keys_each_share_is_what_it_says_but_for_chance(salt):
    for weight in [0, 1, 2, 5, 10, 100, 333, *range(1_000, 100_000, 1_000), 33_333, 66_667, 99_000, 99_999, 100_000]:
        expected = MILLION * weight / WEIGHT_TOTAL
        allowed = SIGMAS * sqrt(expected * (1 - weight / WEIGHT_TOTAL))
        assert abs(share_below(salt, weight) - expected) <= allowed, (weight, share_below(salt, weight), allowed)


@pytest.mark.parametrize("salt", SALTS)
def test_of_a_million_keys_all_parts_of_a_thousandth_hold_as_many_but_for_chance(salt):
    """Chi-square over 1,000 parts of 0.1%: 999 degrees of freedom, within 5 standard deviations (2 · 999)."""
    counts = [share_below(salt, high) - share_below(salt, low) for low, high in pairwise(range(0, 100_001, 100))]
    chi_square = sum((count - 1_000) ** 2 / 1_000 for count in counts)
    assert sum(counts) == MILLION
    assert abs(chi_square - 999) <= SIGMAS * sqrt(2 * 999)


def test_two_flags_split_a_million_keys_independently_of_each_other():
    first, second = ([hash32(b"%scorr_%d" % (salt.encode(), at)) for at in range(MILLION)] for salt in SALTS)
    half = threshold(50_000)
    both = sum(one < half and other < half for one, other in zip(first, second, strict=True))
    assert abs(both - MILLION / 4) <= SIGMAS * sqrt(MILLION * 3 / 16)


def test_what_is_counted_over_the_million_is_what_a_compiled_flag_serves():
    for weight in (1, 12_345, 50_000, 99_999):
        serve = serving({"percentage": percentage_of(weight)})
        assert all((serve(key) == "on") == (hash32(b"w" + key.encode()) < threshold(weight)) for key in MANY)
    view = View(Snapshot(flags={"w": flag({"percentage": 50})}))
    keys = [f"corr_{number}" for number in range(100_000)]
    on = sum(view.answer(Kind.STRING, "w", {"targetingKey": key}).variant == "on" for key in keys)
    assert abs(on - 50_000) <= SIGMAS * sqrt(100_000 / 4)
