"""One spelling for each JSON value (RFC 8785), so that equal values have equal bytes, digests and signatures."""

from __future__ import annotations

from typing import Any

from foundation.errors import DocumentError
from foundation.lateimports import LATE


def canonical_json(value: Any) -> bytes:
    """Spell a JSON value the one canonical way, in UTF-8.

    Raises:
        DocumentError: the value holds something that JSON can't carry exactly: NaN, an integer past 2^53, a set.
    """
    with LATE:
        import rfc8785  # noqa: PLC0415 - only those who write flags need it, and it is slow to load

        "".encode("utf-16be")  # which it sorts keys by: codecs are imported at their first use

    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise DocumentError("", f"has no canonical form: {error}") from error
    except RecursionError as error:
        raise DocumentError("", "has no canonical form: it is nested too deep") from error


def digest(value: Any) -> str:
    """Name a JSON value by its content: `sha256:` and the hex digest of its canonical form."""
    import hashlib  # noqa: PLC0415 - as above

    return "sha256:" + hashlib.sha256(canonical_json(value)).hexdigest()
