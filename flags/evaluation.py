"""The nouns of an evaluation: what is asked, what comes back, and why it did, in OpenFeature's words.

Compiling flags is `flags.compilation`'s part, following one step by step `flags.explanation`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Generic, TypeVar

Context = Mapping[str, Any]
"""An evaluation context: `targetingKey`, `domain`, and any other attributes."""

Value = TypeVar("Value")

NOTHING: Mapping[str, Any] = MappingProxyType({})
"""Metadata, or a context, with nothing in it."""

OVERRIDE = "override"
"""The variant, and the source named in the metadata, of a value that an override file decides."""


class Reason(StrEnum):
    """Why a value was served, in OpenFeature's words."""

    STATIC = "STATIC"
    DEFAULT = "DEFAULT"
    TARGETING_MATCH = "TARGETING_MATCH"
    SPLIT = "SPLIT"
    DISABLED = "DISABLED"
    ERROR = "ERROR"


class ErrorCode(StrEnum):
    """What kept a flag from being evaluated, in OpenFeature's words."""

    PROVIDER_NOT_READY = "PROVIDER_NOT_READY"
    FLAG_NOT_FOUND = "FLAG_NOT_FOUND"
    TYPE_MISMATCH = "TYPE_MISMATCH"
    TARGETING_KEY_MISSING = "TARGETING_KEY_MISSING"
    INVALID_CONTEXT = "INVALID_CONTEXT"
    GENERAL = "GENERAL"


class Kind(StrEnum):
    """The type of a flag's variants."""

    BOOLEAN = "boolean"
    STRING = "string"
    INTEGER = "integer"
    FLOAT = "float"
    OBJECT = "object"


@dataclass(frozen=True, slots=True)
class Detail(Generic[Value]):
    """A value with the story of how it came about; on an error the value is the caller's default, the variant None."""

    flag_key: str
    value: Value
    variant: str | None
    reason: Reason
    error_code: ErrorCode | None = None
    error_message: str = ""
    metadata: Mapping[str, Any] = field(default_factory=lambda: NOTHING)


def failure(key: str, code: ErrorCode, message: str) -> Detail[Any]:
    """Make the detail of an error, with None for a value."""
    return Detail(key, None, None, Reason.ERROR, code, message)


def kind_of(values: Mapping[str, Any]) -> Kind:
    """Tell the type of variants, which are all of one type; numbers are integers only if every one of them is."""
    sample = next(iter(values.values()))
    if isinstance(sample, bool):
        return Kind.BOOLEAN
    if isinstance(sample, str):
        return Kind.STRING
    if not isinstance(sample, (int, float)):
        return Kind.OBJECT
    return Kind.INTEGER if all(isinstance(value, int) for value in values.values()) else Kind.FLOAT


def copied(value: Any) -> Any:
    """Copy an object, so that a caller who changes what it was served changes it for nobody else."""
    if isinstance(value, dict):
        return {key: copied(inner) for key, inner in value.items()}
    return [copied(inner) for inner in value] if isinstance(value, list) else value
