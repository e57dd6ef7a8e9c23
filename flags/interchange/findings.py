"""What a conversion between two forms of flags could not carry over, field by field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from flags.definitions import Definitions


class Loss(StrEnum):
    """What became of something that has no exact counterpart."""

    LEFT_OUT = "left out"
    DIFFERS = "differs"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that did not carry over.

    Args:
        field: where it stands in what was converted, as in `flags.new-ui.rules[0].if[1]`.
        loss: whether it is missing from the result, or there with another meaning in the cases that `reason` names.
    """

    field: str
    loss: Loss
    reason: str

    def __str__(self) -> str:
        return f"{self.field}: {self.loss}: {self.reason}"


class Exported(NamedTuple):
    """A document in another product's form, and what it does not say."""

    document: Mapping[str, Any]
    findings: tuple[Finding, ...]


class Imported(NamedTuple):
    """Flags and segments read from another product's form, and what of it they do not say."""

    definitions: Definitions
    findings: tuple[Finding, ...]


class Unmapped(Exception):
    """Something has no counterpart at all, so that what holds it is left out."""

    def __init__(self, field: str, reason: str) -> None:
        self.field, self.reason = field, reason
        super().__init__(f"{field}: {reason}")

    @property
    def finding(self) -> Finding:
        """Say what is left out."""
        return Finding(self.field, Loss.LEFT_OUT, self.reason)
