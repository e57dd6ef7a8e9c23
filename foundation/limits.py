"""What a document from outside may cost, and the checks that every reader of documents shares."""

from __future__ import annotations

import math
from dataclasses import dataclass

from foundation.errors import DocumentError, shorten


@dataclass(frozen=True, slots=True)
class Limits:
    """What a document may cost: bytes of text, levels of nesting, and values in all (keys count, aliases in full)."""

    max_bytes: int = 1_048_576
    max_depth: int = 64
    max_nodes: int = 100_000


DEFAULT = Limits()


def checked_text(data: str | bytes, limits: Limits) -> str:
    """Take the text of a document that is neither too large nor broken; raises DocumentError."""
    try:
        size = len(data.encode() if isinstance(data, str) else data)
        if size > limits.max_bytes:
            raise DocumentError("", f"is too large: {size:,} bytes", expected=f"at most {limits.max_bytes:,}")
        return (data if isinstance(data, str) else data.decode()).removeprefix("\ufeff")
    except (UnicodeEncodeError, UnicodeDecodeError) as error:
        raise DocumentError("", f"is not UTF-8 text: {error.reason}") from error


def check_unicode(value: str) -> None:
    """Refuse, by ValueError, text in which an escape sequence left half of a surrogate pair: nothing could write it."""
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"holds half of a surrogate pair in {shorten(value)}") from error


def finite(text: str) -> float:
    """Read a decimal fraction; refuses, by ValueError, what would become infinity."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"holds {shorten(text)}, which is too large a number")
    return number


def too_deep(limits: Limits, line: str = "") -> DocumentError:
    """Make the error for a document nested too deep; `line` opens the sentence where the line is known."""
    return DocumentError("", f"{line}is nested too deep", expected=f"at most {limits.max_depth} levels")


def too_many(limits: Limits, line: str = "") -> DocumentError:
    """Make the error for a document of too many values; `line` opens the sentence where the line is known."""
    return DocumentError("", f"{line}holds too many values", expected=f"at most {limits.max_nodes:,}")
