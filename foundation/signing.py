"""Ed25519 signatures that anyone can verify offline with the public key, and the file that keeps the private one.

Knows nothing of what is signed: bytes in, text out. Public keys and signatures are standard base64.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from foundation.errors import DocumentError, SignatureInvalid
from foundation.ids import new_id


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key; `key_id` and `public_key` name it to others."""

    _private: Ed25519PrivateKey

    @classmethod
    def generate(cls) -> Self:
        """Make a fresh key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a key from its PEM file.

        Raises:
            DocumentError: the file holds no Ed25519 private key.
            OSError: the file can't be read.
        """
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise DocumentError(str(path), "holds no readable private key", expected="a PEM file") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise DocumentError(str(path), "holds a key of another kind", expected="an Ed25519 key")
        return cls(key)

    @classmethod
    def load_or_create(cls, path: Path) -> Self:
        """Read the key, or make one first where there is none; two processes at once end with the same one."""
        if not path.exists():
            _save_first(path, Ed25519PrivateKey.generate())
        return cls.load(path)

    @property
    def public_key(self) -> str:
        """The key to verify with: base64 of its 32 bytes."""
        return base64.b64encode(self._private.public_key().public_bytes_raw()).decode()

    @property
    def key_id(self) -> str:
        """A short name of the key: 16 hex digits of its public half's SHA-256."""
        return hashlib.sha256(self._private.public_key().public_bytes_raw()).hexdigest()[:16]

    def sign(self, data: bytes) -> str:
        """Sign the data; answers in base64."""
        return base64.b64encode(self._private.sign(data)).decode()


def verify(public_key: str, data: bytes, signature: str) -> None:
    """Check that the owner of `public_key` signed exactly this data.

    Raises:
        SignatureInvalid: they did not, or key or signature is malformed.
    """
    try:
        key = Ed25519PublicKey.from_public_bytes(_decoded(public_key))
        key.verify(_decoded(signature), data)
    except InvalidSignature as error:
        raise SignatureInvalid("the signature does not belong to this content and this key") from error
    except (ValueError, binascii.Error) as error:
        raise SignatureInvalid(f"the public key or the signature is malformed: {error}") from error


def _decoded(text: str) -> bytes:
    """Read base64; the last letter's unused bits must be 0, or one signature would have several spellings."""
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError("not the one spelling of this base64")
    return data


def _save_first(path: Path, key: Ed25519PrivateKey) -> None:
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{new_id()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    # A link, unlike a rename, never replaces the key that another process has put there meanwhile.
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
