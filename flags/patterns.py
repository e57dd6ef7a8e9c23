"""Regular expressions for rules: RE2, which takes time by the length of the text times that of the pattern and no more.

RE2 lets other threads run while it searches, under locks of its own. A fork at such a moment copies the locks as they
are, held by a thread that the child does not have: there the first search would wait for ever. So a child compiles its
patterns anew before it uses them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import re2

MAX_TEXT = 10_000
"""Characters of a text beyond which it is not searched."""

_MEMORY = 1 << 18
"""Bytes for one compiled pattern; bounds how slow the slowest one is."""

_forks = 0


class PatternInvalid(ValueError):
    """A pattern that RE2 does not take, and why."""


class Patterns:
    """One or several patterns, looked for anywhere in a text.

    Raises:
        PatternInvalid: at construction.
    """

    __slots__ = ("_forks", "_patterns", "_searches")

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self._patterns = patterns
        self._compile()

    def match(self, text: str) -> bool:
        """Tell whether one of them is found in a text that is not too long."""
        if len(text) > MAX_TEXT:
            return False
        if self._forks != _forks:
            self._compile()
        encoded = text.encode(errors="replace")
        return any(search(encoded) is not None for search in self._searches)

    def _compile(self) -> None:
        self._searches: list[Callable[[bytes], Any]] = [_compiled(pattern).search for pattern in self._patterns]
        self._forks = _forks


def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    options.never_capture = True
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else "refused"
        raise PatternInvalid(reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)) from error


def _forget() -> None:
    global _forks  # noqa: PLW0603 - the one fact about this process that every pattern has to know
    _forks += 1
    re2.purge()


os.register_at_fork(after_in_child=_forget)
