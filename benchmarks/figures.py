"""What every benchmark prints: tables, then one figure a line beside its target and a verdict, or all of it as JSON."""

from __future__ import annotations

import json
from collections.abc import Container, Sequence
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


@dataclass(frozen=True)
class Table:
    """What informs beside the figures: cells of text, with names for the columns."""

    title: str
    columns: list[str]
    rows: list[list[str]]


def report(figures: list[Figure], *, as_json: bool, tables: Sequence[Table] = ()) -> int:
    """Print tables and figures; answer with the exit code, 1 where a figure falls short."""
    if as_json:
        shown = [{**asdict(figure), "target": figure.target, "verdict": figure.verdict} for figure in figures]
        print(json.dumps({"figures": shown, "tables": [asdict(table) for table in tables]}, indent=2))
    else:
        for table in tables:
            print(f"{table.title}\n")
            print(_aligned([table.columns, *table.rows], range(1, len(table.columns))), end="\n\n")
        cells = [[f.name, f"{f.value:,.2f} {f.unit}", f.target, f.verdict, f.note] for f in figures]
        print(_aligned(cells, [1]))
    return 1 if any(figure.short for figure in figures) else 0


def _aligned(rows: list[list[str]], right: Container[int]) -> str:
    """Lay out rows in columns, those that are named to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = zip(row, widths, range(len(row)), strict=True)
        lines.append("  ".join(c.rjust(width) if n in right else c.ljust(width) for c, width, n in cells).rstrip())
    return "\n".join(lines)
