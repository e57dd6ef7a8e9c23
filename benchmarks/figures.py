"""What every benchmark prints: one figure a line beside its target and a verdict, or all of it as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Figure:
    """One measured number: good at `limit` or below, or at `least` or above; without either it only informs."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    least: float | None = None
    note: str = ""

    @property
    def short(self) -> bool:
        """Whether the figure falls short of its target."""
        too_much = self.limit is not None and self.value > self.limit
        too_little = self.least is not None and self.value < self.least
        return too_much or too_little

    @property
    def target(self) -> str:
        """The target in words; empty where there is none."""
        if self.limit is not None:
            return f"<= {self.limit:g} {self.unit}"
        return "" if self.least is None else f">= {self.least:g} {self.unit}"

    @property
    def verdict(self) -> str:
        """`ok`, `SHORT`, or nothing where there is no target."""
        return ("SHORT" if self.short else "ok") if self.target else ""


def report(figures: list[Figure], *, as_json: bool) -> int:
    """Print the figures; answer with the exit code, 1 where one falls short."""
    if as_json:
        shown = [{**asdict(figure), "target": figure.target, "verdict": figure.verdict} for figure in figures]
        print(json.dumps({"figures": shown}, indent=2))
    else:
        width = max(len(figure.name) for figure in figures)
        for figure in figures:
            value = f"{figure.value:.2f} {figure.unit}"
            print(
                f"{figure.name:<{width}}  {value:>12}  {figure.target:<10}  {figure.verdict:<5}  {figure.note}".rstrip()
            )
    return 1 if any(figure.short for figure in figures) else 0
