"""OpenFeature's evaluation methods over a view. This is the path that workers take for every message.

Each method is a look-up and a call, written out by hand for each type, since anything shared would cost as much again.
All that is out of the ordinary (an unknown flag, another type, a context that lacks the key) raises inside, and is
answered by `_answer`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flags.evaluation import NOTHING, Context, Detail, Kind, Value, copied
from flags.view import View


class Evaluator:
    """Evaluates the flags of its view; no method raises or waits, whatever it is given.

    A context is a mapping: `targetingKey` is what percentages are split by, `domain` chooses among per-domain
    percentages, and rules look at any attribute. Where a flag can't be evaluated the caller's default comes back, and
    the detail says why.
    """

    __slots__ = ("_booleans", "_floats", "_integers", "_objects", "_strings", "_view")

    def __init__(self, view: View) -> None:
        self._use(view)

    def get_boolean_value(self, flag_key: str, default_value: bool, context: Context | None = NOTHING) -> bool:
        """Evaluate a boolean flag."""
        try:
            outcome = self._booleans[flag_key](context)
        except Exception:  # noqa: BLE001 - whatever it was, `_answer` names it
            return self._answer(Kind.BOOLEAN, flag_key, default_value, context).value
        outcome.count += 1.0
        return outcome.value

    def get_boolean_details(
        self, flag_key: str, default_value: bool, context: Context | None = NOTHING
    ) -> Detail[bool]:
        """Evaluate a boolean flag, and say how its value came about."""
        try:
            outcome = self._booleans[flag_key](context)
        except Exception:  # noqa: BLE001 - whatever it was, `_answer` names it
            return self._answer(Kind.BOOLEAN, flag_key, default_value, context)
        outcome.count += 1.0
        return outcome.detail or outcome.told(flag_key)

    def get_string_value(self, flag_key: str, default_value: str, context: Context | None = NOTHING) -> str:
        """Evaluate a string flag."""
        try:
            outcome = self._strings[flag_key](context)
        except Exception:  # noqa: BLE001 - whatever it was, `_answer` names it
            return self._answer(Kind.STRING, flag_key, default_value, context).value
        outcome.count += 1.0
        return outcome.value

    def get_string_details(self, flag_key: str, default_value: str, context: Context | None = NOTHING) -> Detail[str]:
        """Evaluate a string flag, and say how its value came about."""
        try:
            outcome = self._strings[flag_key](context)
        except Exception:  # noqa: BLE001 - whatever it was, `_answer` names it
            return self._answer(Kind.STRING, flag_key, default_value, context)
        outcome.count += 1.0
        return outcome.detail or outcome.told(flag_key)

    def get_integer_value(self, flag_key: str, default_value: int, context: Context | None = NOTHING) -> int:
        """Evaluate a flag whose variants are all whole numbers."""
        try:
            outcome = self._integers[flag_key](context)
        except Exception:  # noqa: BLE001 - whatever it was, `_answer` names it
            return self._answer(Kind.INTEGER, flag_key, default_value, context).value
        outcome.count += 1.0
        return outcome.value

    def get_integer_details(self, flag_key: str, default_value: int, context: Context | None = NOTHING) -> Detail[int]:
        """Evaluate a flag whose variants are all whole numbers, and say how its value came about."""
        try:
            outcome = self._integers[flag_key](context)
        except Exception:  # noqa: BLE001 - whatever it was, `_answer` names it
            return self._answer(Kind.INTEGER, flag_key, default_value, context)
        outcome.count += 1.0
        return outcome.detail or outcome.told(flag_key)

    def get_float_value(self, flag_key: str, default_value: float, context: Context | None = NOTHING) -> float:
        """Evaluate a flag of numbers, whole or not."""
        try:
            outcome = self._floats[flag_key](context)
        except Exception:  # noqa: BLE001 - whatever it was, `_answer` names it
            return self._answer(Kind.FLOAT, flag_key, default_value, context).value
        outcome.count += 1.0
        return outcome.value

    def get_float_details(
        self, flag_key: str, default_value: float, context: Context | None = NOTHING
    ) -> Detail[float]:
        """Evaluate a flag of numbers, whole or not, and say how its value came about."""
        try:
            outcome = self._floats[flag_key](context)
        except Exception:  # noqa: BLE001 - whatever it was, `_answer` names it
            return self._answer(Kind.FLOAT, flag_key, default_value, context)
        outcome.count += 1.0
        return outcome.detail or outcome.told(flag_key)

    def get_object_value(self, flag_key: str, default_value: Any, context: Context | None = NOTHING) -> Any:
        """Evaluate a flag of objects or lists; what comes back is the caller's own copy."""
        try:
            outcome = self._objects[flag_key](context)
        except Exception:  # noqa: BLE001 - whatever it was, `_answer` names it
            return self._answer(Kind.OBJECT, flag_key, default_value, context).value
        outcome.count += 1.0
        return copied(outcome.value)

    def get_object_details(self, flag_key: str, default_value: Any, context: Context | None = NOTHING) -> Detail[Any]:
        """Evaluate a flag of objects or lists, and say how its value, the caller's own copy, came about."""
        try:
            outcome = self._objects[flag_key](context)
        except Exception:  # noqa: BLE001 - whatever it was, `_answer` names it
            return self._answer(Kind.OBJECT, flag_key, default_value, context)
        outcome.count += 1.0
        detail = outcome.detail or outcome.told(flag_key)
        return replace(detail, value=copied(detail.value))

    def _use(self, view: View) -> None:
        """Evaluate with this view from now on; its tables stand here too, one look-up nearer."""
        self._view = view
        self._booleans = view.booleans
        self._strings = view.strings
        self._integers = view.integers
        self._floats = view.floats
        self._objects = view.objects

    def _answer(self, kind: Kind, flag_key: str, default_value: Value, context: Context | None) -> Detail[Value]:
        view = self._view
        detail = view.answer(kind, flag_key, context)
        self._answered(view, flag_key, failed=detail.error_code is not None)
        if detail.error_code is not None:
            return replace(detail, value=default_value)
        return replace(detail, value=copied(detail.value)) if kind is Kind.OBJECT else detail

    def _answered(self, view: View, flag_key: str, *, failed: bool) -> None:
        """Be told of what took this path, for those who count."""
