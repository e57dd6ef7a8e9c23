"""Evaluation: a flag is compiled once into a function of the context, which answers with a ready-made detail.

What it asks, in this order: is the flag disabled; which rule matches first; which percentage holds for the context's
domain. (An override file stands before all of this, and is laid over it by `flags.view`.) Compiled functions take no
lock and do no I/O; those that meet a context they can't use raise, and `decided` turns that into an error detail.
"""

from __future__ import annotations

import traceback
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from flags.bucketing import ALL, hash32, threshold
from flags.model import WEIGHT_TOTAL, Flag, Rollout, Rule
from flags.operators import Predicate, compile_clause

Context = Mapping[str, Any]
"""An evaluation context: `targetingKey`, `domain`, and any other attributes."""

Value = TypeVar("Value")

OVERRIDE = "override"
"""The variant, and the source named in the metadata, of a value that an override file decides."""

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Reason(StrEnum):
    """Why a value was served, in OpenFeature's words."""

    STATIC = "STATIC"
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
    metadata: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)


Decide = Callable[[Any], Detail[Any]]
"""A compiled flag: takes a context, and raises where that is not one or lacks what is needed."""


@dataclass(frozen=True, slots=True)
class CompiledFlag:
    """A flag ready to be evaluated.

    Args:
        kind: the type of its variants.
        decide: answers for one context; call it through `decided` unless speed forbids.
        as_float: for an integer flag, the same with floats for values.
    """

    key: str
    kind: Kind
    decide: Decide
    as_float: Decide | None = None


def evaluate(flag: Flag, context: Context | None = None) -> Detail[Any]:
    """Evaluate one flag once; on an error the value is None. Never raises, whatever the context holds."""
    if flag.archived:
        return failure(flag.key, ErrorCode.FLAG_NOT_FOUND, "the flag is archived")
    return decided(flag.key, compile_flag(flag).decide, context)


def decided(key: str, decide: Decide, context: Context | None) -> Detail[Any]:
    """Call a compiled flag; on an error the value is None. Never raises, whatever the context holds."""
    given = {} if context is None else context
    try:
        return decide(given)
    except Exception:  # noqa: BLE001 - a context may hold objects of any class, and evaluation never raises
        return _decided_carefully(key, decide, given)


def failure(key: str, code: ErrorCode, message: str) -> Detail[Any]:
    """Make the detail of an error, with None for a value."""
    return Detail(key, None, None, Reason.ERROR, code, message)


def compile_flag(flag: Flag) -> CompiledFlag:
    """Compile a flag that `flags.documents` has checked."""
    kind = kind_of(flag.variants)
    decide = _compile(flag)
    if kind is Kind.OBJECT:
        return CompiledFlag(flag.key, kind, _with_copies(decide))
    if kind is Kind.INTEGER:
        floats = {name: float(value) for name, value in flag.variants.items()}
        return CompiledFlag(flag.key, kind, decide, _compile(replace(flag, variants=floats)))
    return CompiledFlag(flag.key, kind, decide)


def compile_override(key: str, value: Any) -> CompiledFlag:
    """Compile what an override file says: one value for every context, whatever the store says."""
    kind = kind_of({OVERRIDE: value})
    as_float = _always(_override(key, float(value))) if kind is Kind.INTEGER else None
    decide = _always(_override(key, value))
    return CompiledFlag(key, kind, _with_copies(decide) if kind is Kind.OBJECT else decide, as_float)


def _override(key: str, value: Any) -> Detail[Any]:
    return Detail(key, value, OVERRIDE, Reason.STATIC, metadata=MappingProxyType({"source": OVERRIDE}))


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


def _compile(flag: Flag) -> Decide:
    if not flag.enabled:
        return _always(_detail(flag, flag.off_variant, Reason.DISABLED))
    otherwise = _compile_rollout(flag, flag.rollout or Rollout(WEIGHT_TOTAL))
    if not flag.rules:
        return otherwise
    return _first_match([_compile_rule(flag, rule) for rule in flag.rules], otherwise)


def _detail(flag: Flag, variant: str, reason: Reason) -> Detail[Any]:
    return Detail(flag.key, flag.variants[variant], variant, reason)


def _always(detail: Detail[Any]) -> Decide:
    return lambda _: detail


def _with_copies(decide: Decide) -> Decide:
    """Serve copies of objects, so that a caller who changes what it was served changes it for nobody else."""

    def copying(context: Context) -> Detail[Any]:
        detail = decide(context)
        return replace(detail, value=_copy(detail.value))

    return copying


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list) else value


def _compile_rollout(flag: Flag, rollout: Rollout) -> Decide:
    weights = {rollout.weight, *rollout.domains.values()}
    reason = Reason.STATIC if weights in ({0}, {WEIGHT_TOTAL}) and not flag.rules else Reason.SPLIT
    on, off = _detail(flag, flag.on_variant, reason), _detail(flag, flag.off_variant, reason)
    if len(weights) > 1:
        return _by_domain(flag.salt or flag.key, rollout, on, off)
    return _at_weight(flag.salt or flag.key, rollout.weight, on, off)


# Adding this to a text raises TypeError, as a key that is not text does: an empty key is no key.
_NO_KEY: Any = None


def _at_weight(salt: str, weight: int, on: Detail[Any], off: Detail[Any]) -> Decide:
    if weight in (0, WEIGHT_TOTAL):
        return _always(on if weight else off)
    bound = threshold(weight)

    def decide(context: Context) -> Detail[Any]:
        return on if hash32((salt + (context["targetingKey"] or _NO_KEY)).encode()) < bound else off

    return decide


def _by_domain(salt: str, rollout: Rollout, on: Detail[Any], off: Detail[Any]) -> Decide:
    bound_of: Callable[[Any, int], int] = {domain: threshold(weight) for domain, weight in rollout.domains.items()}.get
    default = threshold(rollout.weight)

    def decide(context: Context) -> Detail[Any]:
        bound = bound_of(context.get("domain"), default)
        if not bound:
            return off
        if bound == ALL:
            return on
        return on if hash32((salt + (context["targetingKey"] or _NO_KEY)).encode()) < bound else off

    return decide


def _first_match(rules: list[tuple[Predicate, Decide]], otherwise: Decide) -> Decide:
    if len(rules) == 1:
        only, result = rules[0]
        return lambda context: result(context) if only(context) else otherwise(context)

    def decide(context: Context) -> Detail[Any]:
        for holds, serve in rules:
            if holds(context):
                return serve(context)
        return otherwise(context)

    return decide


def _compile_rule(flag: Flag, rule: Rule) -> tuple[Predicate, Decide]:
    holds = _all([compile_clause(clause) for clause in rule.clauses])
    if rule.serve is not None:
        return holds, _always(_detail(flag, rule.serve, Reason.TARGETING_MATCH))
    return holds, _compile_split(flag, [(variant, weight) for variant, weight in rule.split if weight])


def _compile_split(flag: Flag, parts: list[tuple[str, int]]) -> Decide:
    details = [_detail(flag, variant, Reason.SPLIT) for variant, _ in parts]
    if len(details) == 1:
        return _always(details[0])
    bounds = [threshold(sum(weight for _, weight in parts[:index])) for index in range(1, len(parts) + 1)]
    salt = flag.salt or flag.key

    def decide(context: Context) -> Detail[Any]:
        return details[bisect_right(bounds, hash32((salt + (context["targetingKey"] or _NO_KEY)).encode()))]

    return decide


def _all(predicates: list[Predicate]) -> Predicate:
    """Tell whether every predicate holds; rules of one to three clauses, which is nearly all, are spared the loop."""
    if len(predicates) == 1:
        return predicates[0]
    if len(predicates) == 2:
        first, second = predicates
        return lambda context: first(context) and second(context)
    if len(predicates) == 3:
        one, two, three = predicates
        return lambda context: one(context) and two(context) and three(context)
    return lambda context: all(holds(context) for holds in predicates)


def _decided_carefully(key: str, decide: Decide, context: Any) -> Detail[Any]:
    """Evaluate again without the parts of the context that can't be used, and name what is missing then."""
    problem = None
    try:
        if not isinstance(context, Mapping):
            return failure(key, ErrorCode.INVALID_CONTEXT, f"the context is a {type(context).__name__}, not a mapping")
        attributes = dict(context)
        if not isinstance(attributes.get("domain"), str):
            attributes.pop("domain", None)
        problem = _key_problem(attributes.get("targetingKey"))
        if problem is not None:
            attributes.pop("targetingKey", None)
        return decide(attributes)
    except Exception as error:  # noqa: BLE001 - as in `decided`
        if problem is not None and isinstance(error, KeyError):
            return failure(key, *problem)
        return failure(key, ErrorCode.GENERAL, "".join(traceback.format_exception_only(error)).strip())


def _key_problem(key: Any) -> tuple[ErrorCode, str] | None:
    if key is None or key == "":
        return ErrorCode.TARGETING_KEY_MISSING, "the flag splits traffic, and the context has no targetingKey"
    if not isinstance(key, str):
        return ErrorCode.INVALID_CONTEXT, f"targetingKey is a {type(key).__name__}, not text"
    try:
        key.encode()
    except UnicodeEncodeError:
        return ErrorCode.INVALID_CONTEXT, "targetingKey holds half of a surrogate pair"
    return None
