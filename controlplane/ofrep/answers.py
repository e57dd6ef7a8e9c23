"""What OFREP answers, made from a view of the flags and a context. Pure; knows no HTTP.

Every answer holds `metadata`, which clients look into unasked, and none holds `value: null`: without a value they serve
the caller's default. Nothing in it differs between two revisions that decide alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flags.evaluation import Detail, ErrorCode, Kind
from flags.view import View

Json = dict[str, Any]


def of_flag(view: View, key: str, context: Mapping[str, Any]) -> Json:
    """Evaluate one flag, of whichever type it is; `errorCode` is there where that failed."""
    compiled = view.find(key)
    if compiled is None:
        return failure(ErrorCode.FLAG_NOT_FOUND, "no such flag", key)
    detail = view.answer(compiled.kind, key, context)
    if detail.error_code is not None:
        return failure(_known(detail.error_code), detail.error_message, key)
    return {
        "key": key,
        "reason": str(detail.reason),
        "variant": detail.variant,
        **_value(compiled.kind, detail),
        "metadata": dict(detail.metadata),
    }


def of_all(view: View, context: Mapping[str, Any]) -> list[Json]:
    """Evaluate every flag that is not archived, by key."""
    keys = view.keys()
    return [of_flag(view, key, context) for key in keys]


def failure(code: str, details: str, key: str | None = None) -> Json:
    """Say what kept a flag, or without a key all of them, from being evaluated."""
    named = {} if key is None else {"key": key}
    return {**named, "errorCode": str(code), "errorDetails": details, "metadata": {}}


def _value(kind: Kind, detail: Detail[Any]) -> Json:
    if detail.value is None:
        return {}
    # JSON writes 1.0 with its point and 1 without, and typed clients tell the two apart.
    return {"value": float(detail.value) if kind is Kind.FLOAT else detail.value}


def _known(code: ErrorCode) -> ErrorCode:
    """Give the nearest code that the protocol has for a single flag."""
    known = (ErrorCode.FLAG_NOT_FOUND, ErrorCode.TARGETING_KEY_MISSING, ErrorCode.INVALID_CONTEXT)
    return code if code in known else ErrorCode.GENERAL
