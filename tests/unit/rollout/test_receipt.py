"""A receipt says what was done in one spelling, and any change to it shows."""

import json
from importlib import resources

import jsonschema
import pytest

from foundation.documents import read_yaml
from foundation.errors import SignatureInvalid
from foundation.signing import SigningKey
from rollout.errors import ReceiptMalformed
from rollout.receipt import as_yaml, from_bytes, sign, to_bytes, verify
from tests.unit.rollout.world import KEY, World

SCHEMA = json.loads(resources.files("rollout").joinpath("schema/receipt.schema.json").read_text())


@pytest.fixture(scope="module")
def receipt():
    world = World()
    world.send("collections", 2)
    world.send_garbage("balance")
    world.worker("balance-1").deaf = True
    world.start("loner-1", "collections", supervisor="")
    rollback, _ = world.roll_back(reason="Störung \u2028 „drei Uhr“")
    return rollback.receipt


def test_what_a_rollback_signs_fits_the_schema(receipt):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(receipt, SCHEMA)


def test_the_owner_of_the_key_signed_it(receipt):
    verify(receipt, KEY.public_key)
    assert receipt["signature"]["publicKey"] == KEY.public_key


def test_it_survives_its_bytes_and_still_verifies(receipt):
    again = from_bytes(to_bytes(receipt))
    verify(again, KEY.public_key)
    assert to_bytes(again) == to_bytes(receipt)


def test_a_receipt_with_any_one_byte_changed_fails_to_verify(receipt):
    data = to_bytes(receipt)
    block = data.index(b'"signature"')
    for place in {*range(0, len(data), 11), *range(block, len(data), 2), *range(len(data) - 3, len(data))}:
        changed = bytearray(data)
        changed[place] ^= (1, 2, 4, 8, 16, 32, 64, 128)[place % 8]
        with pytest.raises((ReceiptMalformed, SignatureInvalid)):
            verify(from_bytes(bytes(changed)), KEY.public_key)


def test_another_spelling_of_the_same_content_is_refused(receipt):
    for other in (json.dumps(receipt, indent=1).encode(), to_bytes(receipt) + b"\n", b" " + to_bytes(receipt)):
        with pytest.raises(ReceiptMalformed):
            from_bytes(other)


@pytest.mark.parametrize("data", [b"", b"[]\n", b"{}\n", b"null\n", b"\xff\n", b'{"receipt":1,"receipt":2}\n'])
def test_what_is_no_receipt_is_refused(data):
    with pytest.raises(ReceiptMalformed):
        from_bytes(data)


def test_another_key_does_not_vouch_for_it(receipt):
    with pytest.raises(SignatureInvalid):
        verify(receipt, SigningKey.generate().public_key)


@pytest.mark.parametrize("block", [None, {}, "x", {"algorithm": "none", "value": ""}, {"algorithm": "Ed25519"}])
def test_a_receipt_without_a_signature_of_ours_is_refused(receipt, block):
    with pytest.raises(SignatureInvalid):
        verify({**receipt, "signature": block}, KEY.public_key)


def test_the_name_of_the_key_is_signed_too(receipt):
    block = {**receipt["signature"], "keyId": "0" * 16}
    with pytest.raises(SignatureInvalid):
        verify({**receipt, "signature": block}, KEY.public_key)


def test_what_can_not_be_spelled_can_not_have_been_signed(receipt):
    with pytest.raises(SignatureInvalid):
        verify({**receipt, "seconds": float("nan")}, KEY.public_key)


def test_signing_again_replaces_the_signature(receipt):
    verify(sign(receipt, KEY), KEY.public_key)
    other = SigningKey.generate()
    verify(sign(receipt, other), other.public_key)


def test_the_yaml_view_says_the_same(receipt):
    assert read_yaml(as_yaml(receipt)) == receipt
