"""Rules, clauses and splits in documents: reading them with an error for each wrong field, and writing them back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flags import fields
from flags.model import SEGMENT, WEIGHT_TOTAL, Clause, Rule, Split
from flags.operators import OPERATORS, checked_values
from flags.percentages import percentage_of, weight_of
from foundation.errors import DocumentError

MAX_RULES = 100
MAX_CLAUSES = 20
MAX_PARTS = 100


def parse_rules(value: Any, variants: Mapping[str, Any], field: str) -> tuple[Rule, ...]:
    """Read a list of rules over these variants; raises DocumentError."""
    rules = fields.list_of(value, field, limit=MAX_RULES)
    return tuple(_rule(rule, variants, f"{field}[{index}]") for index, rule in enumerate(rules))


def variant_of(value: Any, variants: Mapping[str, Any], field: str) -> str:
    """Take the name of one of these variants; raises DocumentError."""
    if not isinstance(value, str) or value not in variants:
        raise DocumentError(field, "is not one of the variants", value=value, expected=f"one of {', '.join(variants)}")
    return value


def parse_clauses(value: Any, field: str, *, segments: bool = True) -> tuple[Clause, ...]:
    """Read clauses that must all hold, of segments too unless the clauses are a segment's own; raises DocumentError."""
    clauses = fields.list_of(value, field, limit=MAX_CLAUSES, least=1)
    parsed = tuple(_clause(clause, f"{field}[{index}]") for index, clause in enumerate(clauses))
    for index, clause in enumerate(parsed):
        if clause.operator == SEGMENT and not segments:
            raise DocumentError(f"{field}[{index}].segment", "stands inside a segment", expected="an attribute")
    return parsed


def parse_split(value: Any, variants: Mapping[str, Any], field: str) -> Split:
    """Read a split over these variants, which adds up to 100%; raises DocumentError."""
    parts = fields.list_of(value, field, limit=MAX_PARTS, least=1)
    split = tuple(_part(part, variants, f"{field}[{index}]") for index, part in enumerate(parts))
    total = sum(weight for _, weight in split)
    if total != WEIGHT_TOTAL:
        raise DocumentError(field, f"adds up to {percentage_of(total)}%", expected="100%")
    return split


def rule_document(rule: Rule) -> dict[str, Any]:
    """Write a rule as `parse_rules` reads it."""
    clauses = [clause_document(clause) for clause in rule.clauses]
    if rule.serve is not None:
        return {"if": clauses, "serve": rule.serve}
    return {"if": clauses, "split": split_document(rule.split)}


def clause_document(clause: Clause) -> dict[str, Any]:
    """Write a clause as `parse_clauses` reads it."""
    document: dict[str, Any] = {"attribute": clause.attribute, "operator": clause.operator}
    if clause.operator == SEGMENT:
        document = {"segment": clause.values[0]}
    elif clause.values:
        document["values"] = list(clause.values)
    return {**document, "negate": True} if clause.negate else document


def split_document(split: Split) -> list[dict[str, Any]]:
    """Write a split as `parse_split` reads it."""
    return [{"variant": variant, "percentage": percentage_of(weight)} for variant, weight in split]


def _rule(value: Any, variants: Mapping[str, Any], field: str) -> Rule:
    content = fields.fields(value, field, ("if", "serve", "split"), required=("if",))
    if ("serve" in content) == ("split" in content):
        raise DocumentError(field, "has both or neither of serve and split", expected="one of them")
    clauses = parse_clauses(content["if"], f"{field}.if")
    if "serve" in content:
        return Rule(clauses, serve=variant_of(content["serve"], variants, f"{field}.serve"))
    return Rule(clauses, split=parse_split(content["split"], variants, f"{field}.split"))


def _clause(value: Any, field: str) -> Clause:
    if isinstance(value, Mapping) and "segment" in value:
        content = fields.fields(value, field, ("segment", "negate"))
        key = fields.name(content["segment"], f"{field}.segment")
        return Clause("", SEGMENT, (key,), _negate(content, field))
    known = ("attribute", "operator", "values", "negate")
    content = fields.fields(value, field, known, required=("attribute", "operator"))
    operator = content["operator"]
    if not isinstance(operator, str) or operator not in OPERATORS:
        known_operators = f"one of {', '.join(OPERATORS)}"
        raise DocumentError(f"{field}.operator", "is not a known operator", value=operator, expected=known_operators)
    bounds = OPERATORS[operator]
    values = fields.list_of(content.get("values", []), f"{field}.values", limit=bounds.limit, least=bounds.least)
    return Clause(
        attribute=fields.text(content["attribute"], f"{field}.attribute", limit=100, least=1),
        operator=operator,
        values=checked_values(operator, values, f"{field}.values"),
        negate=_negate(content, field),
    )


def _negate(content: Mapping[str, Any], field: str) -> bool:
    return fields.boolean(content["negate"], f"{field}.negate") if "negate" in content else False


def _part(value: Any, variants: Mapping[str, Any], field: str) -> tuple[str, int]:
    content = fields.fields(value, field, ("variant", "percentage"), required=("variant", "percentage"))
    variant = variant_of(content["variant"], variants, f"{field}.variant")
    return variant, weight_of(content["percentage"], f"{field}.percentage")
