"""Hooks around evaluations, with OpenFeature's stages and order: before, after, error, finally.

An evaluator with hooks is a wrapper round one without, so that whoever has none pays nothing for them. It knows only
the ten methods that it wraps, and nothing of sources or stores.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, TypeVar

from flags.errors import EvaluationFailed
from flags.evaluation import NOTHING, Context, Detail, ErrorCode, Kind, Reason
from flags.evaluator import Evaluator

logger = logging.getLogger(__name__)

Value = TypeVar("Value")
Evaluate = Callable[[str, Value, Context | None], Detail[Value]]
Hints = Mapping[str, Any]
"""What the owner of the hooks has to say to them; read-only."""


@dataclass(frozen=True, slots=True)
class HookContext:
    """What a hook is told of the evaluation it is called for.

    Args:
        flag_key: the flag asked for.
        flag_type: the type it is asked for as.
        default_value: the caller's own value.
        evaluation_context: the context, read-only, with what the hooks before this one have added.
        hook_data: the hook's own notes, from its `before` to its `finally_after`.
    """

    flag_key: str
    flag_type: Kind
    default_value: Any
    evaluation_context: Context
    hook_data: MutableMapping[str, Any] = field(default_factory=dict)


class Hook:
    """Looks on at evaluations; override the stages that matter.

    Called from whichever thread evaluates, so that what it does is added to the evaluation's time. A hook that raises
    never breaks an evaluation.
    """

    def before(self, hook_context: HookContext, hints: Hints) -> Context | None:
        """Run before the flag is evaluated; attributes that are returned are laid over the context."""

    def after(self, hook_context: HookContext, details: Detail[Any], hints: Hints) -> None:
        """Run after an evaluation that went well."""

    def error(self, hook_context: HookContext, exception: Exception, hints: Hints) -> None:
        """Run after an evaluation that failed (an EvaluationFailed), or after a hook that raised (what it raised)."""

    def finally_after(self, hook_context: HookContext, details: Detail[Any], hints: Hints) -> None:
        """Run at the end, however it went, with the details that the caller gets."""


class HookedEvaluator:
    """Evaluates like the evaluator it wraps, and calls hooks around each evaluation; no method raises."""

    __slots__ = ("_evaluator", "_hints", "_hooks")

    def __init__(self, evaluator: Evaluator, hooks: Sequence[Hook], hints: Hints) -> None:
        self._evaluator = evaluator
        self._hooks = tuple(hooks)
        self._hints = MappingProxyType(dict(hints))

    def get_boolean_value(self, flag_key: str, default_value: bool, context: Context | None = NOTHING) -> bool:
        """Evaluate a boolean flag."""
        return self.get_boolean_details(flag_key, default_value, context).value

    def get_boolean_details(
        self, flag_key: str, default_value: bool, context: Context | None = NOTHING
    ) -> Detail[bool]:
        """Evaluate a boolean flag, and say how its value came about."""
        evaluate = self._evaluator.get_boolean_details
        return self._evaluated(evaluate, HookContext(flag_key, Kind.BOOLEAN, default_value, _shown(context)), context)

    def get_string_value(self, flag_key: str, default_value: str, context: Context | None = NOTHING) -> str:
        """Evaluate a string flag."""
        return self.get_string_details(flag_key, default_value, context).value

    def get_string_details(self, flag_key: str, default_value: str, context: Context | None = NOTHING) -> Detail[str]:
        """Evaluate a string flag, and say how its value came about."""
        evaluate = self._evaluator.get_string_details
        return self._evaluated(evaluate, HookContext(flag_key, Kind.STRING, default_value, _shown(context)), context)

    def get_integer_value(self, flag_key: str, default_value: int, context: Context | None = NOTHING) -> int:
        """Evaluate a flag whose variants are all whole numbers."""
        return self.get_integer_details(flag_key, default_value, context).value

    def get_integer_details(self, flag_key: str, default_value: int, context: Context | None = NOTHING) -> Detail[int]:
        """Evaluate a flag whose variants are all whole numbers, and say how its value came about."""
        evaluate = self._evaluator.get_integer_details
        return self._evaluated(evaluate, HookContext(flag_key, Kind.INTEGER, default_value, _shown(context)), context)

    def get_float_value(self, flag_key: str, default_value: float, context: Context | None = NOTHING) -> float:
        """Evaluate a flag of numbers, whole or not."""
        return self.get_float_details(flag_key, default_value, context).value

    def get_float_details(
        self, flag_key: str, default_value: float, context: Context | None = NOTHING
    ) -> Detail[float]:
        """Evaluate a flag of numbers, whole or not, and say how its value came about."""
        evaluate = self._evaluator.get_float_details
        return self._evaluated(evaluate, HookContext(flag_key, Kind.FLOAT, default_value, _shown(context)), context)

    def get_object_value(self, flag_key: str, default_value: Any, context: Context | None = NOTHING) -> Any:
        """Evaluate a flag of objects or lists; what comes back is the caller's own copy."""
        return self.get_object_details(flag_key, default_value, context).value

    def get_object_details(self, flag_key: str, default_value: Any, context: Context | None = NOTHING) -> Detail[Any]:
        """Evaluate a flag of objects or lists, and say how its value, the caller's own copy, came about."""
        evaluate = self._evaluator.get_object_details
        return self._evaluated(evaluate, HookContext(flag_key, Kind.OBJECT, default_value, _shown(context)), context)

    def _evaluated(self, evaluate: Evaluate[Value], told: HookContext, context: Context | None) -> Detail[Value]:
        call = _Call(self._hooks, told, self._hints)
        try:
            added = call.before()
            detail = evaluate(told.flag_key, told.default_value, _merged(context, added) if added else context)
            if detail.error_code is None:
                call.after(detail)
            else:
                call.error(EvaluationFailed(told.flag_key, detail.error_code, detail.error_message))
        except Exception as error:  # noqa: BLE001 - a hook may raise anything, and evaluation never raises
            call.error(error)
            message = f"a hook failed: {type(error).__name__}: {error}"
            detail = Detail(told.flag_key, told.default_value, None, Reason.ERROR, ErrorCode.GENERAL, message)
        call.finally_after(detail)
        return detail


def with_hooks(evaluator: Evaluator, hooks: Sequence[Hook], hints: Hints = NOTHING) -> HookedEvaluator:
    """Give an evaluator, such as a `FlagClient`, hooks; the evaluator itself stays without, and as quick as it was."""
    return HookedEvaluator(evaluator, hooks, hints)


class _Call:
    """The hooks of one evaluation: `before` in order, everything else in reverse."""

    __slots__ = ("_calls", "_hints")

    def __init__(self, hooks: Sequence[Hook], told: HookContext, hints: Hints) -> None:
        self._calls = [(hook, replace(told, hook_data={})) for hook in hooks]
        self._hints = hints

    def before(self) -> Mapping[str, Any]:
        """Run the stage; what hooks return is shown to those after them, and comes back merged."""
        added: dict[str, Any] = {}
        for index, (hook, told) in enumerate(self._calls):
            seen = replace(told, evaluation_context=_shown({**told.evaluation_context, **added})) if added else told
            self._calls[index] = (hook, seen)
            added.update(hook.before(seen, self._hints) or {})
        if added:
            merged = _shown({**self._calls[0][1].evaluation_context, **added})
            self._calls = [(hook, replace(told, evaluation_context=merged)) for hook, told in self._calls]
        return added

    def after(self, detail: Detail[Any]) -> None:
        for hook, told in reversed(self._calls):
            hook.after(told, detail, self._hints)

    def error(self, error: Exception) -> None:
        for hook, told in reversed(self._calls):
            try:
                hook.error(told, error, self._hints)
            except Exception:
                logger.exception("the error stage of a hook failed")

    def finally_after(self, detail: Detail[Any]) -> None:
        for hook, told in reversed(self._calls):
            try:
                hook.finally_after(told, detail, self._hints)
            except Exception:
                logger.exception("the finally stage of a hook failed")


def _shown(context: Any) -> Context:
    """Make a read-only view of a context; what is no mapping is for the evaluation to complain of."""
    return MappingProxyType(context) if isinstance(context, Mapping) else NOTHING


def _merged(context: Any, added: Mapping[str, Any]) -> Any:
    if context is None:
        return added
    return {**context, **added} if isinstance(context, Mapping) else context
