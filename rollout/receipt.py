"""The receipt of a rollback: the record's last form, spelled canonically, signed, and checked against a public key.

Pure but for the signing key that it is handed. Knows nothing of where receipts are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foundation.canonical import canonical_json
from foundation.documents import Limits, read_json, write_yaml
from foundation.errors import DocumentError, SignatureInvalid
from foundation.signing import SigningKey
from foundation.signing import verify as verify_signature
from rollout.errors import ReceiptMalformed
from rollout.record import Record, time_seconds, time_text

Receipt = dict[str, Any]
"""A signed JSON document: `rollout/schema/receipt.schema.json`."""

ALGORITHM = "Ed25519"
_FIRST = (
    "receipt",
    "exit",
    "failed",
    "environment",
    "actor",
    "reason",
    "started",
    "ended",
    "seconds",
    "flags",
    "checks",
)
"""The fields that the view opens with."""

LIMITS = Limits(max_bytes=64 * 1_048_576, max_nodes=5_000_000)
"""A receipt names every instance of a fleet."""


def build(record: Record, ended: float) -> Receipt:
    """Close a record: when it ended, and its exit code: 0 verified safe, 1 where any check failed."""
    failed = sorted(name for name, check in record["checks"].items() if check["status"] == "fail")
    return {
        **record,
        "ended": time_text(ended),
        "seconds": round(ended - time_seconds(record["started"]), 3),
        "exit": 1 if failed else 0,
        "failed": failed,
    }


def sign(receipt: Mapping[str, Any], key: SigningKey) -> Receipt:
    """Sign everything in the receipt, the name of the key included."""
    block = {"algorithm": ALGORITHM, "keyId": key.key_id, "publicKey": key.public_key}
    value = key.sign(canonical_json({**receipt, "signature": block}))
    return {**receipt, "signature": {**block, "value": value}}


def verify(document: Mapping[str, Any], public_key: str) -> None:
    """Check that the owner of the public key signed exactly this receipt.

    Raises:
        SignatureInvalid: they did not, or the receipt carries no signature of the kind that we make.
    """
    block = document.get("signature")
    if not isinstance(block, Mapping) or block.get("algorithm") != ALGORITHM or not isinstance(block.get("value"), str):
        raise SignatureInvalid(f"the receipt carries no {ALGORITHM} signature")
    signed = {**document, "signature": {name: text for name, text in block.items() if name != "value"}}
    try:
        data = canonical_json(signed)
    except DocumentError as error:
        raise SignatureInvalid(f"the receipt can't be what was signed: {error}") from error
    verify_signature(public_key, data, block["value"])


def to_bytes(document: Mapping[str, Any]) -> bytes:
    """Spell a receipt as it is kept: canonical JSON and one newline."""
    return canonical_json(document) + b"\n"


def from_bytes(data: bytes) -> Receipt:
    """Read a kept receipt; any byte that `to_bytes` would not have written is refused.

    Raises:
        ReceiptMalformed: it is not a receipt, or not in that spelling.
    """
    try:
        document = read_json(data, LIMITS)
        unchanged = isinstance(document, dict) and to_bytes(document) == data
    except DocumentError as error:
        raise ReceiptMalformed(f"not a receipt: {error}") from error
    if not isinstance(document, dict) or "receipt" not in document:
        raise ReceiptMalformed("not a receipt: no object with the field `receipt`")
    if not unchanged:
        raise ReceiptMalformed("not as it was signed: a receipt is kept as canonical JSON (RFC 8785) and one newline")
    return document


def as_yaml(document: Mapping[str, Any]) -> str:
    """Write a receipt for people to read, what matters most first; the view is not what is signed."""
    first = {name: document[name] for name in _FIRST if name in document}
    return write_yaml({**first, **document})
