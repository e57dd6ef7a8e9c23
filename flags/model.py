"""The nouns of a flag: plain frozen data, checked at construction by `flags.documents`, never afterwards.

Knows nothing of stores, clocks, files or evaluation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from foundation.errors import DocumentError

WEIGHT_TOTAL = 100_000
"""Weights and buckets count in parts of this: 0.001% is one part."""


class Revision(NamedTuple):
    """A point in an environment's history; epochs are compared for equality only."""

    epoch: int
    rev: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.rev}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `epoch-rev`; raises DocumentError on anything else."""
        epoch, dash, rev = text.partition("-")
        if not (dash and epoch.isascii() and epoch.isdigit() and rev.isascii() and rev.isdigit()):
            raise DocumentError("revision", "is malformed", value=text, expected="epoch-rev, as in 1700000000000000-42")
        return cls(int(epoch), int(rev))


ZERO = Revision(0, 0)
"""The revision of an environment that was never written."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One comparison of one attribute with a list of values; true if any value matches (for `not_in`: if none does)."""

    attribute: str
    operator: str
    values: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """Serves one variant, or splits by weight between several, where every clause holds."""

    clauses: tuple[Clause, ...]
    serve: str | None = None
    split: tuple[tuple[str, int], ...] = ()
    """Variant and weight in parts of WEIGHT_TOTAL; empty where `serve` is set."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """How much of the traffic gets the on variant: a default, and one figure for each listed domain.

    Figures are weights in parts of WEIGHT_TOTAL, so 12.345% is 12_345.
    """

    weight: int = 0
    domains: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hold:
    """Who stopped the flag and why; while it stands nothing but a release may enable the flag."""

    by: str
    reason: str
    receipt: str = ""


@dataclass(frozen=True, slots=True)
class Flag:
    """A named decision: its variants, and who is served which.

    Where `rollout` is None an enabled flag without a matching rule serves the on variant to everyone.
    """

    key: str
    enabled: bool
    variants: Mapping[str, Any]
    off_variant: str
    on_variant: str
    description: str = ""
    rollout: Rollout | None = None
    rules: tuple[Rule, ...] = ()
    salt: str = ""
    """What is hashed before the targeting key; "" stands for the flag's key."""
    tags: tuple[str, ...] = ()
    hold: Hold | None = None
    archived: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every flag of an environment at one revision, archived ones included.

    `versions` holds the revision of each flag's last write: what a compare-and-set names.
    """

    revision: Revision = ZERO
    flags: Mapping[str, Flag] = field(default_factory=dict)
    versions: Mapping[str, Revision] = field(default_factory=dict)
