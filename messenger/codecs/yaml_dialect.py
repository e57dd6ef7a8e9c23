"""The YAML that this floor writes: a small dialect of block style that every YAML reader takes for the same values.

Each line is one key, one item or both. A word stands plain only where no reader of YAML 1.1 or 1.2 could take it for
anything but text; every other text is quoted as in JSON. There are no tags, anchors, comments, directives, line
continuations or flow collections but the empty ones. Numbers have the one form that both versions agree on. The last
line is `...`, YAML's mark for the end of a document: without it, block style that was cut short is block style still.

One regular expression tells whether a whole body keeps to the dialect, in one pass and in time linear to its length.
RE2 lets other threads run meanwhile, under locks of its own, which a fork may copy as they are held: so a child
compiles the expression anew.
"""

from __future__ import annotations

import os
import string
from collections.abc import Sequence
from functools import cache
from itertools import product
from typing import Any

import re2

from messenger.codecs.values import MAX_DEPTH

END = "...\n"
"""The last line of every body."""

# Readers take these for something else than text in some mixture of cases: YAML 1.1's booleans; rapidyaml's own floats.
_NOT_PLAIN = ("y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "infinity")

TAKEN = frozenset("".join(mix) for word in _NOT_PLAIN for mix in product(*zip(word, word.upper(), strict=True)))
"""Words that can't stand plain, in every mixture of cases."""

_LETTERS = f"_{string.ascii_lowercase}"
_WORD_TAIL = "[A-Za-z0-9_]*"

# What YAML calls printable, without what some reader takes for the end of a line.
_CHARACTER = (
    r"[\x20\x21\x23-\x5b\x5d-\x7e\x{a0}-\x{2027}\x{202a}-\x{d7ff}\x{e000}-\x{fefe}\x{ff00}-\x{fffd}"
    r"\x{10000}-\x{10ffff}]"
)
# Only what must be escaped is: that leaves out the halves of surrogate pairs, which JSON and YAML disagree about.
_ESCAPE = r'\\(?:["\\bfnrt]|u(?:00[0189][0-9a-f]|007f|202[89]|feff|fffe|ffff))'
_QUOTED = f'"(?:{_CHARACTER}|{_ESCAPE})*"'
# YAML 1.1 wants a point in a float, and takes a leading zero for octal.
_NUMBER = r"(?:0|-?[1-9][0-9]*|-?(?:0|[1-9][0-9]*)\.[0-9]+(?:e[-+][0-9]+)?)"

# rapidyaml makes `.inf` and `.nan` of keys that could be floats, even of quoted ones.
_BENT_KEY = r'(?is).*"[-+]?\.?(?:inf|infinity|nan)":.*'


def keeps_to_dialect(body: bytes) -> bool:
    """Tell whether every line of a body has the dialect's form, and no key is one that rapidyaml bends.

    Whether the indentation makes sense is not seen.
    """
    return bool(_bodies().Match(body) == [0])


@cache
def _bodies() -> Any:
    word = f"(?:{_words_except(_NOT_PLAIN, start=True)})"
    value = rf"(?:{_QUOTED}|{_NUMBER}|true|false|null|{word}|\{{\}}|\[\])"
    key = f"(?:{word}|{_QUOTED}):"
    levels = f"{{0,{MAX_DEPTH}}}"
    line = f"(?:  ){levels}(?:(?:- ){levels}{key}(?: {value})?|(?:- ){levels}- {value})\n"
    options = re2.Options()
    options.never_capture = True
    # A set answers without the cost of a match object, which on a short body is half of the whole.
    bodies = re2.Set.FullMatchSet(options)
    bodies.Add(rf"(?:(?:{line})+|{value}\n)\.\.\.\n")
    bodies.Add(_BENT_KEY)
    bodies.Compile()
    return bodies


os.register_at_fork(after_in_child=_bodies.cache_clear)


def _words_except(words: Sequence[str], *, start: bool = False) -> str:
    # RE2 has no look-ahead, and is linear because of it; so this spells out every way to be another word.
    heads = {word[0] for word in words if word}
    others = [letter for letter in _LETTERS if letter not in heads]
    ways = [f"[{''.join(others).upper()}{''.join(others)}{'' if start else string.digits}]{_WORD_TAIL}"]
    for head in sorted(heads):
        rest = _words_except([word[1:] for word in words if word.startswith(head)])
        ways.append(f"[{head}{head.upper()}](?:{rest})")
    if not start and "" not in words:
        ways.append("")
    return "|".join(ways)
