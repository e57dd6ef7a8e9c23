"""What flags find of one another when they are compiled: prerequisites, each compiled once, and segments."""

from __future__ import annotations

from collections.abc import Mapping

from flags.compilation import CompiledFlag, Needed, Predicate, compile_clauses, compile_flag
from flags.model import Prerequisite, Snapshot
from flags.references import Reach, reach


class SnapshotScope:
    """Compiles the flags of a snapshot on demand; implements `flags.compilation.Scope`.

    Args:
        flags: what is compiled already and still holds; is added to.
        segments: the same for segments.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        overrides: Mapping[str, CompiledFlag],
        flags: dict[str, CompiledFlag],
        segments: dict[str, Predicate],
    ) -> None:
        self._snapshot, self._overrides = snapshot, overrides
        self._flags, self._segments = flags, segments

    def flag(self, key: str) -> Needed | None:
        """Find a prerequisite; None for one that is not there, or whose own lead in a circle or too far."""
        override, flag = self._overrides.get(key), self._snapshot.flags.get(key)
        if override is not None:
            return Needed(flag.variants if flag else {}, override)
        compiled = self.find(key) if self._reach(key).bounded else None
        return None if flag is None or compiled is None else Needed(flag.variants, compiled)

    def segment(self, key: str) -> Predicate | None:
        """Find a segment, unless it is archived."""
        found = self._segments.get(key)
        segment = self._snapshot.segments.get(key)
        if found is None and segment is not None and not segment.archived:
            found = self._segments.setdefault(key, compile_clauses(segment.clauses))
        return found

    def find(self, key: str) -> CompiledFlag | None:
        """Find a flag, compiled if it was not yet; None where it is not there or is archived."""
        found = self._flags.get(key)
        flag = self._snapshot.flags.get(key) if found is None else None
        if flag is None or flag.archived:
            return found
        compiled = compile_flag(flag, self)
        if flag.prerequisites:  # a change of any of them may bring a circle about, or undo it
            compiled.needs = tuple({*compiled.needs, *self._reach(key).flags})
        return self._flags.setdefault(key, compiled)

    def _reach(self, key: str) -> Reach:
        return reach(key, self._prerequisites)

    def _prerequisites(self, key: str) -> tuple[Prerequisite, ...]:
        flag = None if key in self._overrides else self._snapshot.flags.get(key)
        return () if flag is None or flag.archived else flag.prerequisites
