"""What a client evaluates with at one moment: a snapshot compiled into a table for each type, overrides laid over it.

A view never changes. A new snapshot, a change, or another override file makes the next view, which the client swaps in
with one assignment, so that it is seen whole without a lock. A change compiles only the flags it touches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from flags.evaluation import (
    CompiledFlag,
    Context,
    Decide,
    Detail,
    ErrorCode,
    Kind,
    compile_flag,
    compile_override,
    decided,
    failure,
)
from flags.model import Snapshot

Compiled = Mapping[str, CompiledFlag]
Booleans = Mapping[str, Callable[[Any], Detail[bool]]]
Strings = Mapping[str, Callable[[Any], Detail[str]]]
Integers = Mapping[str, Callable[[Any], Detail[int]]]
Floats = Mapping[str, Callable[[Any], Detail[float]]]


@dataclass(frozen=True, slots=True)
class View:
    """A compiled snapshot.

    Args:
        snapshot: what is compiled; None until the first one arrives.
        flags: every flag that is not archived, whatever the overrides say.
        overrides: the values of the override file.
        booleans, strings, integers, floats, objects: what answers, by flag key; integer flags are in `floats` too.
    """

    snapshot: Snapshot | None = None
    flags: Compiled = field(default_factory=dict)
    overrides: Compiled = field(default_factory=dict)
    booleans: Booleans = field(default_factory=dict)
    strings: Strings = field(default_factory=dict)
    integers: Integers = field(default_factory=dict)
    floats: Floats = field(default_factory=dict)
    objects: Mapping[str, Decide] = field(default_factory=dict)

    def replaced(self, snapshot: Snapshot) -> Self:
        """Make the view of another snapshot under the same overrides."""
        flags = _compiled(snapshot, snapshot.flags)
        return self._next(snapshot, flags, self.overrides, {*self.flags, *flags})

    def changed(self, snapshot: Snapshot, keys: Iterable[str]) -> Self:
        """Make the view of a snapshot that differs from this one's in the flags named."""
        touched = set(keys)
        flags = dict(self.flags)
        for key in touched:
            flags.pop(key, None)
        flags.update(_compiled(snapshot, touched))
        return self._next(snapshot, flags, self.overrides, touched)

    def overridden(self, values: Mapping[str, Any]) -> Self:
        """Make the view of the same snapshot under other overrides."""
        overrides = {key: compile_override(key, value) for key, value in values.items()}
        return self._next(self.snapshot, self.flags, overrides, {*self.overrides, *overrides})

    def table(self, kind: Kind) -> Mapping[str, Decide]:
        """Give the table for flags asked for as this type."""
        tables: dict[Kind, Mapping[str, Decide]] = {
            Kind.BOOLEAN: self.booleans,
            Kind.STRING: self.strings,
            Kind.INTEGER: self.integers,
            Kind.FLOAT: self.floats,
            Kind.OBJECT: self.objects,
        }
        return tables[kind]

    def answer(self, kind: Kind, key: str, context: Context | None) -> Detail[Any]:
        """Evaluate a flag asked for as this type; on an error the value is None. Never raises."""
        decide = self.table(kind).get(key) if isinstance(key, str) else None
        return self._unanswered(kind, key) if decide is None else decided(key, decide, context)

    def _unanswered(self, kind: Kind, key: str) -> Detail[Any]:
        found = (self.overrides.get(key) or self.flags.get(key)) if isinstance(key, str) else None
        if found is not None:
            return failure(
                key, ErrorCode.TYPE_MISMATCH, f"the flag is of type {found.kind}, and was asked for as {kind}"
            )
        if self.snapshot is None:
            return failure(key, ErrorCode.PROVIDER_NOT_READY, "no flags have arrived yet")
        return failure(key, ErrorCode.FLAG_NOT_FOUND, "no such flag")

    def _next(self, snapshot: Snapshot | None, flags: Compiled, overrides: Compiled, touched: Iterable[str]) -> Self:
        held: tuple[Mapping[str, Decide], ...] = (self.booleans, self.strings, self.integers, self.floats, self.objects)
        tables = {kind: dict(table) for kind, table in zip(Kind, held, strict=True)}
        for key in touched:
            _place(tables, key, overrides.get(key) or flags.get(key))
        return type(self)(snapshot, flags, overrides, *tables.values())


def _compiled(snapshot: Snapshot, keys: Iterable[str]) -> dict[str, CompiledFlag]:
    flags = ((key, snapshot.flags[key]) for key in keys)
    return {key: compile_flag(flag) for key, flag in flags if not flag.archived}


def _place(tables: Mapping[Kind, dict[str, Decide]], key: str, compiled: CompiledFlag | None) -> None:
    for table in tables.values():
        table.pop(key, None)
    if compiled is None:
        return
    tables[compiled.kind][key] = compiled.decide
    if compiled.as_float is not None:
        tables[Kind.FLOAT][key] = compiled.as_float
