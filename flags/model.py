"""The nouns of a flag: plain frozen data, checked at construction by `flags.documents`, never afterwards.

Knows nothing of stores, clocks, files or evaluation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from foundation.errors import DocumentError

Scalar = bool | int | float | str
"""A value without parts."""

NO_METADATA: Mapping[str, Scalar] = {}
"""The metadata of most flags, shared between them: there may be thousands."""

_MAX_REVISION = 40
"""Characters of a revision: two numbers of 64 bits, and room to spare."""

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
        plain = text.isascii() and epoch.isdigit() and rev.isdigit() and len(text) <= _MAX_REVISION
        if not (dash and plain):
            raise DocumentError("revision", "is malformed", value=text, expected="epoch-rev, as in 1700000000000000-42")
        return cls(int(epoch), int(rev))


ZERO = Revision(0, 0)
"""The revision of an environment that was never written."""


Split = tuple[tuple[str, int], ...]
"""Variants and the weight of each, in parts of WEIGHT_TOTAL, which they add up to."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One comparison of one attribute with a list of values; true if any value matches (for `not_in`: if none does).

    Where the operator is SEGMENT there is no attribute, and the one value is the segment's key. `negate` turns the
    answer round for contexts that the clause can speak of: one that lacks the attribute still does not match.
    """

    attribute: str
    operator: str
    values: tuple[Any, ...] = ()
    negate: bool = False


SEGMENT = "segment"
"""The operator of a clause that asks whether a context belongs to a segment."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A reusable set of clauses: a context belongs to it where all of them hold."""

    key: str
    clauses: tuple[Clause, ...]
    description: str = ""
    archived: bool = False

    @property
    def item_key(self) -> str:
        """What stores call it."""
        return SEGMENT_ITEM + self.key


@dataclass(frozen=True, slots=True)
class Rule:
    """Serves one variant, or splits by weight between several, where every clause holds."""

    clauses: tuple[Clause, ...]
    serve: str | None = None
    split: Split = ()
    """Empty where `serve` is set."""


@dataclass(frozen=True, slots=True)
class Prerequisite:
    """Another flag that has to be enabled and serve one of these variants, before a flag serves anything but off."""

    flag: str
    variants: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """Targeting keys that are served one variant, whatever the rules and percentages say."""

    variant: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rollout:
    """How much of the traffic gets the on variant: a default, and one figure for each listed domain.

    Figures are weights in parts of WEIGHT_TOTAL, so 12.345% is 12_345. A `split` over any variants may stand in place
    of the default figure, which is 0 then.
    """

    weight: int = 0
    domains: Mapping[str, int] = field(default_factory=dict)
    split: Split = ()


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
    prerequisites: tuple[Prerequisite, ...] = ()
    targets: tuple[Target, ...] = ()
    salt: str = ""
    """What is hashed before the targeting key; "" stands for the flag's key."""
    stickiness: str = ""
    """The attribute that is bucketed; "" stands for the targeting key."""
    tags: tuple[str, ...] = ()
    owner: str = ""
    temporary: bool = False
    """Whether the flag is to be removed once its rollout is over."""
    expires: str = ""
    """The day, as YYYY-MM-DD, by which a temporary flag should be gone; it is a reminder, and serves as before."""
    metadata: Mapping[str, Scalar] = field(default_factory=lambda: NO_METADATA)
    """What evaluations tell of the flag beside its value; Signalbox itself makes nothing of it."""
    hold: Hold | None = None
    archived: bool = False

    @property
    def item_key(self) -> str:
        """What stores call it."""
        return self.key


Item = Flag | Segment
"""What an environment holds, and what a write edits."""

SEGMENT_ITEM = "segment:"
"""How the item key of a segment begins; a flag's is its key, which holds no colon."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every flag and segment of an environment at one revision, archived ones included.

    `versions` holds the revision of each item's last write, by item key: what a compare-and-set names.
    """

    revision: Revision = ZERO
    flags: Mapping[str, Flag] = field(default_factory=dict)
    versions: Mapping[str, Revision] = field(default_factory=dict)
    segments: Mapping[str, Segment] = field(default_factory=dict)

    def items(self) -> dict[str, Item]:
        """List flags and segments alike, by item key."""
        segments = {segment.item_key: segment for segment in self.segments.values()}
        return dict([*self.flags.items(), *segments.items()])  # by `items`: keys may be of flags that can't be read

    def item(self, item_key: str) -> Item | None:
        """Find a flag or a segment by its item key."""
        if item_key.startswith(SEGMENT_ITEM):
            return self.segments.get(item_key.removeprefix(SEGMENT_ITEM))
        return self.flags.get(item_key)
