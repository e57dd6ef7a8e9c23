"""OpenFeature's evaluation methods over a view. This is the path that workers take for every message.

Each method is a look-up and a call, written out by hand for each type, since anything shared would cost as much again.
All that is out of the ordinary (an unknown flag, another type, a context that lacks the key) raises inside, and is
answered by `_answer`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flags.evaluation import Context, Detail, Kind, Value
from flags.view import View


class Evaluator:
    """Evaluates the flags of its view; no method raises or waits, whatever it is given.

    A context is a mapping: `targetingKey` is what percentages are split by, `domain` chooses among per-domain
    percentages, and rules look at any attribute. Where a flag can't be evaluated the caller's default comes back, and
    the detail says why.
    """

    __slots__ = ("_view",)

    def __init__(self, view: View) -> None:
        self._view = view

    def get_boolean_value(self, flag_key: str, default_value: bool, context: Context | None = None) -> bool:
        """Evaluate a boolean flag."""
        try:
            return self._view.booleans[flag_key](context).value
        except Exception:  # noqa: BLE001 - whatever it was, `_answer` names it
            return self._answer(Kind.BOOLEAN, flag_key, default_value, context).value

    def get_boolean_details(self, flag_key: str, default_value: bool, context: Context | None = None) -> Detail[bool]:
        """Evaluate a boolean flag, and say how its value came about."""
        try:
            return self._view.booleans[flag_key](context)
        except Exception:  # noqa: BLE001 - whatever it was, `_answer` names it
            return self._answer(Kind.BOOLEAN, flag_key, default_value, context)

    def get_string_value(self, flag_key: str, default_value: str, context: Context | None = None) -> str:
        """Evaluate a string flag."""
        try:
            return self._view.strings[flag_key](context).value
        except Exception:  # noqa: BLE001 - whatever it was, `_answer` names it
            return self._answer(Kind.STRING, flag_key, default_value, context).value

    def get_string_details(self, flag_key: str, default_value: str, context: Context | None = None) -> Detail[str]:
        """Evaluate a string flag, and say how its value came about."""
        try:
            return self._view.strings[flag_key](context)
        except Exception:  # noqa: BLE001 - whatever it was, `_answer` names it
            return self._answer(Kind.STRING, flag_key, default_value, context)

    def get_integer_value(self, flag_key: str, default_value: int, context: Context | None = None) -> int:
        """Evaluate a flag whose variants are all whole numbers."""
        try:
            return self._view.integers[flag_key](context).value
        except Exception:  # noqa: BLE001 - whatever it was, `_answer` names it
            return self._answer(Kind.INTEGER, flag_key, default_value, context).value

    def get_integer_details(self, flag_key: str, default_value: int, context: Context | None = None) -> Detail[int]:
        """Evaluate a flag whose variants are all whole numbers, and say how its value came about."""
        try:
            return self._view.integers[flag_key](context)
        except Exception:  # noqa: BLE001 - whatever it was, `_answer` names it
            return self._answer(Kind.INTEGER, flag_key, default_value, context)

    def get_float_value(self, flag_key: str, default_value: float, context: Context | None = None) -> float:
        """Evaluate a flag of numbers, whole or not."""
        try:
            return self._view.floats[flag_key](context).value
        except Exception:  # noqa: BLE001 - whatever it was, `_answer` names it
            return self._answer(Kind.FLOAT, flag_key, default_value, context).value

    def get_float_details(self, flag_key: str, default_value: float, context: Context | None = None) -> Detail[float]:
        """Evaluate a flag of numbers, whole or not, and say how its value came about."""
        try:
            return self._view.floats[flag_key](context)
        except Exception:  # noqa: BLE001 - whatever it was, `_answer` names it
            return self._answer(Kind.FLOAT, flag_key, default_value, context)

    def get_object_value(self, flag_key: str, default_value: Any, context: Context | None = None) -> Any:
        """Evaluate a flag of objects or lists; what comes back is the caller's own copy."""
        try:
            return self._view.objects[flag_key](context).value
        except Exception:  # noqa: BLE001 - whatever it was, `_answer` names it
            return self._answer(Kind.OBJECT, flag_key, default_value, context).value

    def get_object_details(self, flag_key: str, default_value: Any, context: Context | None = None) -> Detail[Any]:
        """Evaluate a flag of objects or lists, and say how its value, the caller's own copy, came about."""
        try:
            return self._view.objects[flag_key](context)
        except Exception:  # noqa: BLE001 - whatever it was, `_answer` names it
            return self._answer(Kind.OBJECT, flag_key, default_value, context)

    def _answer(self, kind: Kind, flag_key: str, default_value: Value, context: Context | None) -> Detail[Value]:
        detail = self._view.answer(kind, flag_key, context)
        return detail if detail.error_code is None else replace(detail, value=default_value)
