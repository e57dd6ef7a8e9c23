"""What a client evaluates with at one moment: a snapshot compiled into a table for each type, overrides laid over it.

A view never changes. A new snapshot, a change, or another override file makes the next view, which the client swaps in
with one assignment, so that it is seen whole without a lock. A change compiles only the flags it touches, and those
that have need of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from flags.compilation import CompiledFlag, Decide, Predicate, compile_override
from flags.evaluation import Context, Detail, ErrorCode, Kind, failure
from flags.explanation import explain
from flags.model import SEGMENT_ITEM, Snapshot
from flags.outcome import Outcome
from flags.scope import SnapshotScope

Compiled = Mapping[str, CompiledFlag]
Table = Mapping[str, Decide]


@dataclass(frozen=True, slots=True)
class View:
    """A compiled snapshot.

    Args:
        snapshot: what is compiled; None until the first one arrives.
        flags: every flag that is not archived, whatever the overrides say.
        segments: every segment that a flag asks for.
        overrides: the values of the override file.
        needed: for each item that flags were compiled with, the flags that were, by item key.
        booleans, strings, integers, floats, objects: what answers, by flag key; integer flags are in `floats` too.
    """

    snapshot: Snapshot | None = None
    flags: Compiled = field(default_factory=dict)
    segments: Mapping[str, Predicate] = field(default_factory=dict)
    overrides: Compiled = field(default_factory=dict)
    needed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    booleans: Mapping[str, Callable[[Any], Outcome[bool]]] = field(default_factory=dict)
    strings: Mapping[str, Callable[[Any], Outcome[str]]] = field(default_factory=dict)
    integers: Mapping[str, Callable[[Any], Outcome[int]]] = field(default_factory=dict)
    floats: Mapping[str, Callable[[Any], Outcome[float]]] = field(default_factory=dict)
    objects: Table = field(default_factory=dict)

    def replaced(self, snapshot: Snapshot) -> Self:
        """Make the view of another snapshot under the same overrides."""
        return self._next(snapshot, self.overrides, {*self.flags, *snapshot.flags}, {}, {})

    def changed(self, snapshot: Snapshot, item_keys: Iterable[str]) -> Self:
        """Make the view of a snapshot that differs from this one's in the items named."""
        touched = self._concerned(item_keys)
        segments = {key: each for key, each in self.segments.items() if SEGMENT_ITEM + key not in touched}
        return self._next(snapshot, self.overrides, touched, self._without(touched), segments)

    def overridden(self, values: Mapping[str, Any]) -> Self:
        """Make the view of the same snapshot under other overrides."""
        overrides = {key: compile_override(key, value) for key, value in values.items()}
        decided = {*self.overrides, *overrides}
        recompiled = self._concerned(decided) - decided
        return self._next(
            self.snapshot, overrides, recompiled | decided, self._without(recompiled), dict(self.segments)
        )

    def table(self, kind: Kind) -> Table:
        """Give the table for flags asked for as this type."""
        tables: dict[Kind, Table] = {
            Kind.BOOLEAN: self.booleans,
            Kind.STRING: self.strings,
            Kind.INTEGER: self.integers,
            Kind.FLOAT: self.floats,
            Kind.OBJECT: self.objects,
        }
        return tables[kind]

    def outcomes(self, item_keys: Iterable[str] | None = None) -> Iterator[tuple[str, Outcome[Any]]]:
        """List the outcomes that evaluations count on, each with the key of its flag.

        With `item_keys`, only those that are given up where these items change.
        """
        concerned = self.flags if item_keys is None else self._concerned(item_keys)
        found = [self.flags[key] for key in concerned if key in self.flags]
        for compiled in (*found, *self.overrides.values()):
            for each in (compiled, compiled.as_float):
                if each is not None:
                    yield from ((each.key, outcome) for outcome in each.outcomes)

    def answer(self, kind: Kind, key: str, context: Context | None) -> Detail[Any]:
        """Evaluate a flag asked for as this type; on an error the value is None. Never raises."""
        decide = self.table(kind).get(key) if isinstance(key, str) else None
        if decide is None:
            return self._unanswered(kind, key)
        try:
            outcome = decide(context)
        except Exception:  # noqa: BLE001 - a context may hold objects of any class, and evaluation never raises
            return self._explained(kind, key, context)
        outcome.count += 1.0
        return outcome.detail or outcome.told(key)

    def explained_with(self) -> dict[str, Any]:
        """Give the override file's values, as `flags.explanation` takes them."""
        return {key: override.outcomes[0].value for key, override in self.overrides.items()}

    def _explained(self, kind: Kind, key: str, context: Context | None) -> Detail[Any]:
        detail = explain(self.snapshot or Snapshot(), key, context, self.explained_with()).detail
        if detail.error_code is not None:
            return detail
        compiled = self.flags[key]
        for outcome in (compiled.as_float or compiled if kind is Kind.FLOAT else compiled).outcomes:
            if (outcome.variant, outcome.reason) == (detail.variant, detail.reason):
                outcome.count += 1.0
                return outcome.detail or outcome.told(key)
        return detail

    def _unanswered(self, kind: Kind, key: str) -> Detail[Any]:
        found = (self.overrides.get(key) or self.flags.get(key)) if isinstance(key, str) else None
        if found is not None:
            return failure(
                key, ErrorCode.TYPE_MISMATCH, f"the flag is of type {found.kind}, and was asked for as {kind}"
            )
        if self.snapshot is None:
            return failure(key, ErrorCode.PROVIDER_NOT_READY, "no flags have arrived yet")
        return failure(
            key, ErrorCode.FLAG_NOT_FOUND, f"flag {key} not found" if isinstance(key, str) else "no such flag"
        )

    def concerned(self, item_keys: Iterable[str]) -> set[str]:
        """Name the flags that items bear on: flags among them, and those that were compiled with one of them."""
        return {key for key in self._concerned(item_keys) if not key.startswith(SEGMENT_ITEM)}

    def _concerned(self, item_keys: Iterable[str]) -> set[str]:
        """Add to the items named those that were compiled with them, and so on."""
        concerned: set[str] = set()
        rest = list(item_keys)
        while rest:
            key = rest.pop()
            if key not in concerned:
                concerned.add(key)
                rest += self.needed.get(key, ())
        return concerned

    def _without(self, keys: set[str]) -> dict[str, CompiledFlag]:
        flags = dict(self.flags)
        for key in keys:
            flags.pop(key, None)
        return flags

    def _next(
        self,
        snapshot: Snapshot | None,
        overrides: Compiled,
        touched: set[str],
        flags: dict[str, CompiledFlag],
        segments: dict[str, Predicate],
    ) -> Self:
        SnapshotScope(snapshot or Snapshot(), overrides, flags, segments).compile(touched)
        held: tuple[Table, ...] = (self.booleans, self.strings, self.integers, self.floats, self.objects)
        tables = {kind: dict(table) for kind, table in zip(Kind, held, strict=True)}
        for key in touched:
            _place(tables, key, overrides.get(key) or flags.get(key))
        needed = self._needed(flags, touched)
        return type(self)(snapshot, flags, segments, overrides, needed, *tables.values())

    def _needed(self, flags: Compiled, touched: Iterable[str]) -> Mapping[str, frozenset[str]]:
        if not any(compiled.needs for key in touched for compiled in (self.flags.get(key), flags.get(key)) if compiled):
            return self.needed
        needed: defaultdict[str, set[str]] = defaultdict(set)
        for key, compiled in flags.items():
            for item_key in compiled.needs:
                needed[item_key].add(key)
        return {item_key: frozenset(keys) for item_key, keys in needed.items()}


def _place(tables: Mapping[Kind, dict[str, Decide]], key: str, compiled: CompiledFlag | None) -> None:
    for table in tables.values():
        table.pop(key, None)
    if compiled is None:
        return
    tables[compiled.kind][key] = compiled.decide
    if compiled.as_float is not None:
        tables[Kind.FLOAT][key] = compiled.as_float.decide
