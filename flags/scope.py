"""What flags find of one another when they are compiled: prerequisites, each compiled once, and segments."""

from __future__ import annotations

from collections.abc import Mapping

from flags.compilation import CompiledFlag, Needed, Predicate, compile_clauses, compile_flag
from flags.model import Snapshot
from flags.references import MAX_CHAIN


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
        self._waiting: set[str] = set()

    def flag(self, key: str) -> Needed | None:
        """Find a prerequisite; None for one that is not there, or is being compiled for itself."""
        override, flag = self._overrides.get(key), self._snapshot.flags.get(key)
        if override is not None:
            return Needed(flag.variants if flag else {}, override)
        compiled = self.find(key)
        return None if flag is None or compiled is None else Needed(flag.variants, compiled)

    def segment(self, key: str) -> Predicate | None:
        """Find a segment, unless it is archived."""
        found = self._segments.get(key)
        segment = self._snapshot.segments.get(key)
        if found is None and segment is not None and not segment.archived:
            found = self._segments.setdefault(key, compile_clauses(segment.clauses, self))
        return found

    def find(self, key: str) -> CompiledFlag | None:
        """Find a flag, compiled if it was not yet; None where it is not there, is archived, or needs itself."""
        found = self._flags.get(key)
        flag = self._snapshot.flags.get(key) if found is None else None
        if flag is None or flag.archived:
            return found
        if key in self._waiting or len(self._waiting) > MAX_CHAIN:
            return None
        self._waiting.add(key)
        try:
            return self._flags.setdefault(key, compile_flag(flag, self))
        finally:
            self._waiting.discard(key)
