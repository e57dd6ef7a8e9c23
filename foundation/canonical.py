"""One spelling for each JSON value (RFC 8785), so that equal values have equal bytes, digests and signatures."""

from __future__ import annotations

from typing import Any

import orjson

from foundation.errors import DocumentError
from foundation.lateimports import LATE

_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
_PLAIN = {str, int, bool, type(None)}


def canonical_json(value: Any) -> bytes:
    """Spell a JSON value the one canonical way, in UTF-8.

    Raises:
        DocumentError: the value holds something that JSON can't carry exactly: NaN, an integer past 2^53, a set.
    """
    return _written_in_c(value) or _written_by_the_rules(value)


def _written_in_c(value: Any) -> bytes:
    """Write the many values that have the same form in any JSON with its keys in order; b"" for all others.

    A float is written otherwise by the rules, a large integer is an error, and beyond ASCII keys go in another order.
    """
    try:
        text = orjson.dumps(value, option=_OPTIONS) if _is_plain(value) else b""
    except (orjson.JSONEncodeError, RecursionError):
        return b""
    return text if text.isascii() else b""


def _is_plain(value: Any) -> bool:
    kind = type(value)
    if kind is dict:
        return all(map(_is_plain, value.values()))
    return all(map(_is_plain, value)) if kind is list else kind in _PLAIN


def _written_by_the_rules(value: Any) -> bytes:
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
