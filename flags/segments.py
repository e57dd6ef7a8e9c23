"""Segment documents: reading them with an error for each wrong field, and writing them back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flags import fields
from flags.model import Segment
from flags.rules import clause_document, parse_clauses

MAX_SEGMENTS = 1_000
MAX_DESCRIPTION = 2_000


def parse_segment(key: str, document: Mapping[str, Any]) -> Segment:
    """Read one segment.

    Raises:
        DocumentError: names the first field that is wrong, as in `segments.beta.if[0].operator`.
    """
    field = f"segments.{fields.name(key, 'segments')}"
    content = fields.fields(document, field, ("description", "if", "archived"), required=("if",))
    return Segment(
        key=key,
        clauses=parse_clauses(content["if"], f"{field}.if", segments=False),
        description=fields.text(content.get("description", ""), f"{field}.description", limit=MAX_DESCRIPTION),
        archived=fields.boolean(content.get("archived", False), f"{field}.archived"),
    )


def segment_document(segment: Segment) -> dict[str, Any]:
    """Write a segment without what is left at its default; `parse_segment` reads the same segment back."""
    document: dict[str, Any] = {
        "description": segment.description,
        "if": [clause_document(clause) for clause in segment.clauses],
        "archived": segment.archived,
    }
    return {name: value for name, value in document.items() if value}
