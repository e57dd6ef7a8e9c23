"""Flags as a store keeps them: a mapping from keys to texts that reads each flag when it is asked for.

An environment of thousands of flags takes a fraction of the memory so, and who asks for one flag pays for one.
"""

from __future__ import annotations

import logging
from collections.abc import ItemsView, Iterable, Iterator, Mapping, ValuesView
from functools import lru_cache
from typing import Any

import orjson

from flags.documents import flag_document, flag_from_json, flag_json
from flags.model import SEGMENT_ITEM, Flag, Revision, Snapshot
from foundation.errors import DocumentError

_LOG = logging.getLogger(__name__)


class StoredFlags(Mapping[str, Flag]):
    """Flags by key, some or all of them as canonical JSON.

    A flag that this release can't read is left out, and logged: it must not keep others from being killed. Its key is
    counted and iterated over all the same, since only reading it tells.
    """

    __slots__ = ("held",)

    def __init__(self, held: Mapping[str, Flag | bytes]) -> None:
        self.held = held

    def __getitem__(self, key: str) -> Flag:
        held = self.held[key]
        if isinstance(held, Flag):
            return held
        try:
            return flag_from_json(key, held)
        except DocumentError as error:
            _complain(key, str(error))
            raise KeyError(key) from error

    def __iter__(self) -> Iterator[str]:
        return iter(self.held)

    def __len__(self) -> int:
        return len(self.held)

    def items(self) -> ItemsView[str, Flag]:
        """List the flags that can be read, by key."""
        return _Items(self)

    def values(self) -> ValuesView[Flag]:
        """List the flags that can be read."""
        return _Values(self)


class StoredRevisions(Mapping[str, Revision]):
    """Revisions by key, each read when it is asked for."""

    __slots__ = ("texts",)

    def __init__(self, texts: Mapping[str, bytes]) -> None:
        self.texts = texts

    def __getitem__(self, key: str) -> Revision:
        return Revision.parse(self.texts[key].decode())

    def __iter__(self) -> Iterator[str]:
        return iter(self.texts)

    def __len__(self) -> int:
        return len(self.texts)


def updated(flags: Mapping[str, Flag], changes: Mapping[str, Flag]) -> Mapping[str, Flag]:
    """Put changed flags in place of others, without reading any."""
    return StoredFlags({**flags.held, **changes}) if isinstance(flags, StoredFlags) else {**flags, **changes}


def revised(versions: Mapping[str, Revision], keys: Iterable[str], revision: Revision) -> Mapping[str, Revision]:
    """Put one revision in place of those of some keys, without reading any."""
    if isinstance(versions, StoredRevisions):
        return StoredRevisions({**versions.texts, **dict.fromkeys(keys, str(revision).encode())})
    return {**versions, **dict.fromkeys(keys, revision)}


def referring(flags: Mapping[str, Flag]) -> Iterator[Flag]:
    """Read the flags that may refer to other items, and as few others as can be told apart unread."""
    for key, text in _held(flags).items():
        plain = isinstance(text, bytes) and b'"prerequisites"' not in text and b'"segment"' not in text
        flag = None if plain else flags.get(key)
        if flag is not None:
            yield flag


def flag_documents(flags: Mapping[str, Flag]) -> dict[str, Any]:
    """Write flags as documents, by key; what is stored is passed on unread, be it a later release's."""
    written = {key: _document(key, held) for key, held in sorted(_held(flags).items())}
    return {key: document for key, document in written.items() if document is not None}


def differing(before: Snapshot, after: Snapshot) -> set[str]:
    """Name the items in which two snapshots differ, by item key, reading as few flags as possible."""
    old, new = _held(before.flags), _held(after.flags)
    segments = {*before.segments, *after.segments}
    changed = {SEGMENT_ITEM + key for key in segments if before.segments.get(key) != after.segments.get(key)}
    return changed.union(key for key in {*old, *new} if _text(old.get(key)) != _text(new.get(key)))


def _held(flags: Mapping[str, Flag]) -> Mapping[str, Flag | bytes]:
    return flags.held if isinstance(flags, StoredFlags) else flags


def _text(held: Flag | bytes | None) -> bytes | None:
    """Give a flag as it is stored: to Python, flags are equal that serve true here and 1 there."""
    return flag_json(held).encode() if isinstance(held, Flag) else held


def _document(key: str, held: Flag | bytes) -> Any:
    """Write a flag as a document; None for a text that is not JSON, which is logged."""
    try:
        return flag_document(held) if isinstance(held, Flag) else orjson.loads(held)
    except orjson.JSONDecodeError as error:
        _complain(key, str(error))
        return None


class _Items(ItemsView[str, Flag]):
    def __init__(self, flags: StoredFlags) -> None:
        super().__init__(flags)
        self._flags = flags

    def __iter__(self) -> Iterator[tuple[str, Flag]]:
        read = ((key, self._flags.get(key)) for key in self._flags)
        return ((key, flag) for key, flag in read if flag is not None)


class _Values(ValuesView[Flag]):
    def __init__(self, flags: StoredFlags) -> None:
        super().__init__(flags)
        self._flags = flags

    def __iter__(self) -> Iterator[Flag]:
        return (flag for _, flag in _Items(self._flags))


@lru_cache(maxsize=1_000)
def _complain(key: str, problem: str) -> None:
    """Log once what is wrong with a flag: it is asked for again and again."""
    _LOG.error("flag %r can't be read and is left out: %s", key, problem)
