"""One spelling for each value, and signatures over it."""

import stat
import threading

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from foundation.canonical import canonical_json, digest
from foundation.errors import DocumentError, SignatureInvalid
from foundation.signing import SigningKey, verify


def test_canonical_json_sorts_keys_and_spells_numbers_one_way():
    assert canonical_json({"b": [1.0, 1e21, 0.1, -0.0], "a": "ä\n", "\ue000": 1, "😀": 2}).decode() == (
        '{"a":"ä\\n","b":[1,1e+21,0.1,0],"😀":2,"\ue000":1}'
    )


SAFE = 2**53 - 1
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-SAFE, SAFE) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=12,
)


@given(VALUES | st.dictionaries(st.text(st.characters(max_codepoint=127)), st.integers(-SAFE, SAFE) | st.booleans()))
@example([SAFE, -SAFE, True, None, "".join(map(chr, range(128)))])
@example({"B": 1, "a": (1, 2), "": 0, "a\x7f": -0.0})
def test_what_is_written_in_c_is_what_the_rules_say(value):
    assert canonical_json(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("value", [float("nan"), 2**60, {"a"}, "\ud800", {1: 2}])
def test_a_value_without_a_canonical_form_is_refused(value):
    with pytest.raises(DocumentError):
        canonical_json(value)


def test_equal_values_have_equal_digests():
    assert digest({"a": 1, "b": 2.0}) == digest({"b": 2, "a": 1})
    assert digest({}) == "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_a_signature_verifies_with_the_public_key_and_with_nothing_else():
    key, other = SigningKey.generate(), SigningKey.generate()
    signature = key.sign(b"receipt")
    verify(key.public_key, b"receipt", signature)
    for public_key, data, signed in [
        (key.public_key, b"Receipt", signature),
        (other.public_key, b"receipt", signature),
        (key.public_key, b"receipt", other.sign(b"receipt")),
        (key.public_key, b"receipt", "not base64!"),
        (key.public_key, b"receipt", signature[:20]),
        ("AAAA", b"receipt", signature),
        ("ä", b"receipt", signature),
    ]:
        with pytest.raises(SignatureInvalid):
            verify(public_key, data, signed)


def test_a_kept_key_is_private_to_its_owner_and_the_same_after_a_restart(tmp_path):
    path = tmp_path / "keys" / "signing.pem"
    key = SigningKey.load_or_create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SigningKey.load_or_create(path).key_id == key.key_id == SigningKey.load(path).key_id
    assert list(path.parent.iterdir()) == [path]


def test_processes_that_make_a_key_at_once_end_with_the_same_one(tmp_path):
    barrier = threading.Barrier(8)
    keys = []

    def make():
        barrier.wait()
        keys.append(SigningKey.load_or_create(tmp_path / "key.pem").key_id)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1


def test_a_file_that_is_no_ed25519_key_is_refused_by_name(tmp_path):
    path = tmp_path / "key.pem"
    path.write_text("nothing of the kind")
    with pytest.raises(DocumentError, match=r"key\.pem"):
        SigningKey.load(path)
