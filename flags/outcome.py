"""What a compiled flag answers with: an outcome made beforehand, which counts how often it was the answer."""

from __future__ import annotations

from typing import Generic

from flags.evaluation import Detail, Reason, Value


class Outcome(Generic[Value]):
    """One thing that a flag can come to.

    Args:
        value: what is served, by which `variant`, and for which `reason`.
        count: how often it was served, a float: Python adds to those without taking memory. The addition can't be
            torn, since under the interpreter's lock threads change places only at calls and jumps.
        reported: how much of the count has been reported; the reporter's.
        detail: the story for those who ask, made when first asked for.
    """

    __slots__ = ("count", "detail", "reason", "reported", "value", "variant")

    def __init__(self, value: Value, variant: str, reason: Reason, detail: Detail[Value] | None = None) -> None:
        self.value = value
        self.variant = variant
        self.reason = reason
        self.count = 0.0
        self.reported = 0.0
        self.detail = detail

    def told(self, key: str) -> Detail[Value]:
        """Make the detail, for a flag of this key, and keep it."""
        self.detail = Detail(key, self.value, self.variant, self.reason)
        return self.detail
