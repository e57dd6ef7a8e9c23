"""What a client evaluates with at one moment: a snapshot, and what of it has been compiled, overrides laid over it.

A flag is compiled when it is first asked for, and stands from then on in the table of its type; a process pays for the
flags it uses. A change makes the next view, which the client swaps in with one assignment, so that it is seen whole
without a lock. It compiles anew what it touches, and what has need of that, and takes over all the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from flags.compilation import CompiledFlag, Decide, Predicate, compile_override
from flags.evaluation import Context, Detail, ErrorCode, Kind, failure
from flags.explanation import explain
from flags.model import SEGMENT_ITEM, Snapshot
from flags.outcome import Outcome
from flags.references import references
from flags.scope import SnapshotScope
from flags.stored import differing, referring

Compiled = Mapping[str, CompiledFlag]


class View:
    """A snapshot to evaluate with.

    Any thread may ask; what one compiles the others find. For that it relies on dictionaries that Python reads, copies
    and adds to in one step each: a flag is put among the compiled ones before it is put into a table.

    Args:
        snapshot: None until the first one arrives.
        overrides: the values of the override file, by flag key.
        held: the view that this one comes after, and the keys of the items in which the two differ.
    """

    __slots__ = (
        *("booleans", "floats", "integers", "objects", "overrides", "snapshot", "strings"),
        *("_flags", "_keys", "_segments"),
    )

    def __init__(
        self,
        snapshot: Snapshot | None = None,
        overrides: Compiled | None = None,
        held: tuple[View, Iterable[str]] | None = None,
    ) -> None:
        before, touched = held or (None, ())
        self.snapshot = snapshot
        self.overrides = overrides or {}
        self.booleans: dict[str, Callable[[Any], Outcome[bool]]] = dict(before.booleans) if before else {}
        self.strings: dict[str, Callable[[Any], Outcome[str]]] = dict(before.strings) if before else {}
        self.integers: dict[str, Callable[[Any], Outcome[int]]] = dict(before.integers) if before else {}
        self.floats: dict[str, Callable[[Any], Outcome[float]]] = dict(before.floats) if before else {}
        self.objects: dict[str, Decide] = dict(before.objects) if before else {}
        self._flags: dict[str, CompiledFlag] = dict(before._flags) if before else {}  # noqa: SLF001 - its own kind
        self._segments: dict[str, Predicate] = dict(before._segments) if before else {}  # noqa: SLF001 - its own kind
        self._keys: tuple[str, ...] | None = None
        self._renew(touched)

    def replaced(self, snapshot: Snapshot) -> View:
        """Make the view of another snapshot under the same overrides."""
        return self.changed(snapshot, differing(self.snapshot or Snapshot(), snapshot))

    def changed(self, snapshot: Snapshot, item_keys: Iterable[str]) -> View:
        """Make the view of a snapshot that differs from this one's in the items named."""
        return View(snapshot, self.overrides, (self, item_keys))

    def overridden(self, values: Mapping[str, Any]) -> View:
        """Make the view of the same snapshot under other overrides."""
        overrides = {key: compile_override(key, value) for key, value in values.items()}
        return View(self.snapshot, overrides, (self, {*self.overrides, *overrides}))

    def keys(self) -> tuple[str, ...]:
        """List the flags that are not archived in order, whatever the overrides say."""
        if self._keys is None:  # only reading a flag tells that it is archived
            scope = self._scope()
            self._keys = tuple(key for key in sorted((self.snapshot or Snapshot()).flags) if scope.find(key))
        return self._keys

    def find(self, key: str) -> CompiledFlag | None:
        """Find what answers for a flag, compiled if it was not yet; None where there is no such flag."""
        compiled = self.overrides.get(key) or self._scope().find(key)
        if compiled is not None:
            self.table(compiled.kind)[key] = compiled.decide
            if compiled.as_float is not None:
                self.floats[key] = compiled.as_float.decide
        return compiled

    def concerned(self, item_keys: Iterable[str]) -> set[str]:
        """Name the flags among these items, and those that refer to one of them, and so on, compiled or not."""
        flags = (self.snapshot or Snapshot()).flags
        concerned = _closed(item_keys, {flag.key: references(flag) for flag in referring(flags)})
        return {key for key in concerned if not key.startswith(SEGMENT_ITEM)}

    def table(self, kind: Kind) -> dict[str, Decide]:
        """Give the table for flags asked for as this type."""
        tables: dict[Kind, dict[str, Decide]] = {
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
        flags = dict(self._flags)
        wanted = flags if item_keys is None else flags.keys() & self._dependent(item_keys)
        for compiled in [*(flags[key] for key in wanted), *self.overrides.values()]:
            for each in (compiled, compiled.as_float):
                if each is not None:
                    yield from ((each.key, outcome) for outcome in each.outcomes)

    def answer(self, kind: Kind, key: str, context: Context | None) -> Detail[Any]:
        """Evaluate a flag asked for as this type; on an error the value is None. Never raises."""
        compiled = self.find(key) if isinstance(key, str) else None
        decide = self.table(kind).get(key) if compiled else None
        if compiled is None or decide is None:
            return self._unanswered(kind, key, compiled)
        try:
            outcome = decide(context)
        except Exception:  # noqa: BLE001 - a context may hold objects of any class, and evaluation never raises
            return self._explained(compiled if kind is compiled.kind else compiled.as_float or compiled, context)
        outcome.count += 1.0
        return outcome.detail or outcome.told(key)

    def _explained(self, compiled: CompiledFlag, context: Context | None) -> Detail[Any]:
        overrides = {key: override.outcomes[0].value for key, override in self.overrides.items()}
        detail = explain(self.snapshot or Snapshot(), compiled.key, context, overrides).detail
        if detail.error_code is not None:
            return detail
        for outcome in compiled.outcomes:
            told = outcome.detail or outcome.told(compiled.key)
            if (told.variant, told.reason, told.metadata) == (detail.variant, detail.reason, detail.metadata):
                outcome.count += 1.0
                return told
        return detail

    def _unanswered(self, kind: Kind, key: str, found: CompiledFlag | None) -> Detail[Any]:
        if found is not None:
            return failure(
                key, ErrorCode.TYPE_MISMATCH, f"the flag is of type {found.kind}, and was asked for as {kind}"
            )
        if self.snapshot is None:
            return failure(key, ErrorCode.PROVIDER_NOT_READY, "no flags have arrived yet")
        named = key if isinstance(key, str) else "of that key"
        return failure(key, ErrorCode.FLAG_NOT_FOUND, f"flag {named} not found")

    def _scope(self) -> SnapshotScope:
        return SnapshotScope(self.snapshot or Snapshot(), self.overrides, self._flags, self._segments)

    def _dependent(self, item_keys: Iterable[str]) -> set[str]:
        """Add to the items named the flags that were compiled with them, and so on."""
        return _closed(item_keys, {key: each.needs for key, each in list(self._flags.items()) if each.needs})

    def _renew(self, touched: Iterable[str]) -> None:
        """Forget what no longer holds, and compile it anew where it had been asked for."""
        tables = (self.booleans, self.strings, self.integers, self.floats, self.objects)
        wanted = []
        for item_key in self._dependent(touched):
            self._flags.pop(item_key, None)
            self._segments.pop(item_key.removeprefix(SEGMENT_ITEM), None)
            if [True for table in tables if table.pop(item_key, None) is not None]:
                wanted.append(item_key)
        for key in wanted:
            self.find(key)


def _closed(item_keys: Iterable[str], needs: Mapping[str, Iterable[str]]) -> set[str]:
    """Add to some items those that need one of them, and so on."""
    closed = set(item_keys)
    before = -1
    while len(closed) > before:
        before = len(closed)
        closed.update(key for key, needed in needs.items() if not closed.isdisjoint(needed))
    return closed
