"""jsonschema's verdict on a payload that the fast check has doubts about, in words that name the field."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.exceptions import best_match

from messenger.errors import EnvelopeInvalid
from messenger.templates import templates
from messenger.templates.checks import FORMATS

_QUOTED = 100
"""Characters of an error's message to show of its beginning, which quotes the value, and of its end, which says why."""


def judge(message_type: str, payload: Any) -> None:
    """Raise EnvelopeInvalid where a payload breaks the schema of its type."""
    error = best_match(_validator(message_type).iter_errors(payload))
    if error is not None:
        raise EnvelopeInvalid(*_in_words(error))


@cache
def _validator(message_type: str) -> Draft202012Validator:
    checker = FormatChecker(formats=())
    for name, holds in FORMATS.items():
        checker.checks(name)(_unless_text(holds))
    return Draft202012Validator(templates()[message_type].schema, format_checker=checker)


def _unless_text(holds: Callable[[str], bool]) -> Callable[[object], bool]:
    # A format says something about texts only; that it is one is for `type` to ask.
    return lambda value: not isinstance(value, str) or holds(value)


def _in_words(error: ValidationError) -> tuple[str, str]:
    field = "payload" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
    if error.validator == "required":
        required: Any = error.validator_value
        instance: Any = error.instance
        return f"{field}.{next(name for name in required if name not in instance)}", "is missing"
    problem = error.message
    return field, problem if len(problem) <= 2 * _QUOTED else f"{problem[:_QUOTED]} … {problem[-_QUOTED:]}"
