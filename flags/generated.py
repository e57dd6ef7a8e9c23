"""Python functions put together from lines of source, so that an evaluation is one call that looks nothing up twice.

Lines come from templates in `flags.operators` and `flags.compilation` and hold no word of any document. All that a flag
brings is a constant, which stands as `{}` in a line and reaches the function as the default of a parameter, the
quickest place there is. Flags of one shape share one piece of compiled code.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import count
from types import CodeType, FunctionType
from typing import Any

from flags.bucketing import hash32
from flags.operators import compares, contains, member, number

SHAPES = 4_096
"""Shapes whose code is kept at hand."""

_NAMES: dict[str, Any] = {
    "bisect_right": bisect_right,
    "compares": compares,
    "contains": contains,
    "hash32": hash32,
    "member": member,
    "number": number,
}
"""What the lines may call, beside Python's own."""


def assemble(lines: Sequence[str], constants: Sequence[Any]) -> Callable[[Any], Any]:
    """Make the function of `context` that these lines are the body of, given a constant for each `{}` in turn."""
    return FunctionType(_code(tuple(lines)), _NAMES, "decide", tuple(constants))


@lru_cache(maxsize=SHAPES)
def _code(lines: tuple[str, ...]) -> CodeType:
    numbers = count()
    body = "\n ".join(re.sub(r"\{\}", lambda _: f"c{next(numbers)}", line) for line in lines)
    parameters = ", ".join(f"c{number}" for number in range(next(numbers)))
    module = compile(f"def decide(context, {parameters}):\n {body}\n", "<flag>", "exec")
    return next(constant for constant in module.co_consts if isinstance(constant, CodeType))
