"""Fast checks made of JSON Schemas: what passes one is valid, what does not is for jsonschema to judge.

A check is a few comparisons in a closure, where jsonschema walks through the schema anew for each value and takes five
times as long as encoding and decoding the message. It may doubt what is valid (1.0 as an integer), and never passes
what is not. A keyword that is not known here makes it doubt everything, so a schema may use all of draft 2020-12.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from math import inf
from typing import Any

from messenger.envelope import is_timestamp

Check = Callable[[Any], bool]
Schema = Mapping[str, Any]

_ANNOTATIONS = frozenset({"$schema", "$id", "$comment", "title", "description", "default", "examples", "type"})
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def is_date(text: str) -> bool:
    """Tell whether a text is an RFC 3339 full date that exists."""
    if _DATE.fullmatch(text) is None:
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


FORMATS: Mapping[str, Callable[[str], bool]] = {"date-time": is_timestamp, "date": is_date}
"""The formats that are asserted; any other is an annotation."""


def compile_check(schema: Schema) -> Check:
    """Make the check of a schema."""
    kind = schema.get("type")
    if not isinstance(kind, str) or kind not in _KINDS:
        return _doubt(schema)
    known, make = _KINDS[kind]
    return _doubt(schema) if schema.keys() - _ANNOTATIONS - known else make(schema)


def _doubt(_schema: Schema) -> Check:
    return lambda _value: False


def _string(schema: Schema) -> Check:
    shortest, longest = schema.get("minLength", 0), schema.get("maxLength", inf)
    tests = _string_tests(schema)
    if not tests:
        return lambda value: type(value) is str and shortest <= len(value) <= longest
    return lambda value: type(value) is str and shortest <= len(value) <= longest and all(test(value) for test in tests)


def _string_tests(schema: Schema) -> tuple[Callable[[str], Any], ...]:
    tests: list[Callable[[str], Any]] = []
    if "enum" in schema:
        tests.append(frozenset(one for one in schema["enum"] if isinstance(one, str)).__contains__)
    if "pattern" in schema:
        tests.append(re.compile(schema["pattern"]).search)
    if schema.get("format") in FORMATS:
        tests.append(FORMATS[schema["format"]])
    return tuple(tests)


def _number(schema: Schema) -> Check:
    return _bounded(schema, frozenset({int, float}))


def _integer(schema: Schema) -> Check:
    return _bounded(schema, frozenset({int}))


def _bounded(schema: Schema, kinds: frozenset[type]) -> Check:
    least, most = schema.get("minimum", -inf), schema.get("maximum", inf)
    above, below = schema.get("exclusiveMinimum", -inf), schema.get("exclusiveMaximum", inf)
    return lambda value: type(value) in kinds and least <= value <= most and above < value < below


def _array(schema: Schema) -> Check:
    fewest, most = schema.get("minItems", 0), schema.get("maxItems", inf)
    holds = compile_check(schema["items"]) if "items" in schema else None
    return lambda value: (
        type(value) is list and fewest <= len(value) <= most and (holds is None or all(holds(one) for one in value))
    )


def _object(schema: Schema) -> Check:
    required = tuple(schema.get("required", ()))
    properties = tuple((name, compile_check(part)) for name, part in schema.get("properties", {}).items())
    branch = _branch(schema)

    def check(value: Any) -> bool:
        if type(value) is not dict:
            return False
        for name in required:
            if name not in value:
                return False
        for name, holds in properties:
            if name in value and not holds(value[name]):
                return False
        return branch is None or branch(value)

    return check


def _branch(schema: Schema) -> Check | None:
    if "if" not in schema:
        return None
    if schema["if"].keys() != {"required"}:  # the one condition that a check can answer for both ways
        return _doubt(schema)
    names = tuple(schema["if"]["required"])
    then, otherwise = compile_check(schema.get("then", {})), compile_check(schema.get("else", {}))
    return lambda value: then(value) if all(name in value for name in names) else otherwise(value)


_BOUNDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
_KINDS: Mapping[str, tuple[frozenset[str], Callable[[Schema], Check]]] = {
    "string": (frozenset({"enum", "minLength", "maxLength", "pattern", "format"}), _string),
    "number": (_BOUNDS, _number),
    "integer": (_BOUNDS, _integer),
    "array": (frozenset({"items", "minItems", "maxItems"}), _array),
    "object": (frozenset({"required", "properties", "if", "then", "else"}), _object),
}
"""For each type the keywords that are known, and what makes its check."""
