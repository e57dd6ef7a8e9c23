"""Bucketing: frozen for ever, equal to an obvious second implementation, and lawful."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.bucketing import ALL, bucket, hash32, threshold
from tests.flag_documents import LAW

VECTORS = json.loads(Path(__file__).parents[2].joinpath("vectors", "bucketing.json").read_text(encoding="utf-8"))

TEXTS = st.text(st.characters(codec="utf-8"), max_size=40)
WEIGHTS = st.integers(0, 100_000)


def murmur3(data: bytes) -> int:
    """MurmurHash3 x86 32 with seed 0, written down from its published description."""
    state = 0
    whole = len(data) // 4 * 4
    for start in range(0, whole, 4):
        state ^= scrambled(int.from_bytes(data[start : start + 4], "little"))
        state = (rotated(state, 13) * 5 + 0xE6546B64) % 2**32
    state ^= scrambled(int.from_bytes(data[whole:], "little"))
    state ^= len(data)
    state = (state ^ state >> 16) * 0x85EBCA6B % 2**32
    state = (state ^ state >> 13) * 0xC2B2AE35 % 2**32
    return state ^ state >> 16


def scrambled(block: int) -> int:
    return rotated(block * 0xCC9E2D51 % 2**32, 15) * 0x1B873593 % 2**32


def rotated(value: int, bits: int) -> int:
    return (value << bits | value >> 32 - bits) % 2**32


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 0),
        (b"hello", 0x248BFA47),
        (b"hello, world", 0x149BBB7F),
        (b"The quick brown fox jumps over the lazy dog", 0x2E4FF723),
    ],
)
def test_the_second_implementation_gives_the_published_hashes(data, expected):
    assert murmur3(data) == expected


@pytest.mark.parametrize("vector", VECTORS["buckets"], ids=lambda vector: ascii(vector["salt"] + vector["key"])[:40])
def test_a_bucket_is_what_it_always_was(vector):
    salt, key = vector["salt"], vector["key"]
    assert hash32((salt + key).encode()) == vector["hash"]
    assert bucket(salt, key) == vector["bucket"]
    assert murmur3((salt + key).encode()) == vector["hash"]
    assert murmur3((salt + key).encode()) * 100_000 // 2**32 == vector["bucket"]


@pytest.mark.parametrize("share", VECTORS["shares"], ids=lambda share: f"{share['salt']}-{share['weight']}")
def test_a_share_is_what_it_always_was(share):
    keys = (f"corr_{number}" for number in range(10_000))
    assert sum(bucket(share["salt"], key) < share["weight"] for key in keys) == share["on"]


@LAW
@given(TEXTS, TEXTS)
def test_a_bucket_equals_the_second_implementation(salt, key):
    assert bucket(salt, key) == murmur3((salt + key).encode()) * 100_000 // 2**32
    assert 0 <= bucket(salt, key) < 100_000


@given(WEIGHTS, st.integers(0, 2**32 - 1))
def test_being_below_the_threshold_is_being_in_a_bucket_below_the_weight(weight, hashed):
    assert (hashed < threshold(weight)) == (hashed * 100_000 >> 32 < weight)


@given(WEIGHTS)
def test_the_threshold_is_right_on_both_sides_of_itself(weight):
    for hashed in range(max(0, threshold(weight) - 2), min(ALL, threshold(weight) + 2)):
        assert (hashed < threshold(weight)) == (hashed * 100_000 >> 32 < weight)


def test_the_thresholds_of_nobody_and_everybody_are_exact():
    assert threshold(0) == 0
    assert threshold(100_000) == ALL


def test_half_of_a_surrogate_pair_is_an_error_and_no_crash():
    with pytest.raises(UnicodeEncodeError):
        bucket("w", "\ud800")
