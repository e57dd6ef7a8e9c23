"""The targeting rules of a flag document: reading them with an error for each wrong field, and writing them back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flags import fields
from flags.model import WEIGHT_TOTAL, Clause, Rule
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


def _rule(value: Any, variants: Mapping[str, Any], field: str) -> Rule:
    content = fields.fields(value, field, ("if", "serve", "split"), required=("if",))
    if ("serve" in content) == ("split" in content):
        raise DocumentError(field, "has both or neither of serve and split", expected="one of them")
    conditions = fields.list_of(content["if"], f"{field}.if", limit=MAX_CLAUSES, least=1)
    clauses = tuple(_clause(clause, f"{field}.if[{index}]") for index, clause in enumerate(conditions))
    if "serve" in content:
        return Rule(clauses, serve=variant_of(content["serve"], variants, f"{field}.serve"))
    return Rule(clauses, split=_split(content["split"], variants, f"{field}.split"))


def _clause(value: Any, field: str) -> Clause:
    content = fields.fields(value, field, ("attribute", "operator", "values"), required=("attribute", "operator"))
    operator = content["operator"]
    if not isinstance(operator, str) or operator not in OPERATORS:
        known = f"one of {', '.join(OPERATORS)}"
        raise DocumentError(f"{field}.operator", "is not a known operator", value=operator, expected=known)
    bounds = OPERATORS[operator]
    values = fields.list_of(content.get("values", []), f"{field}.values", limit=bounds.limit, least=bounds.least)
    return Clause(
        attribute=fields.text(content["attribute"], f"{field}.attribute", limit=100, least=1),
        operator=operator,
        values=checked_values(operator, values, f"{field}.values"),
    )


def _split(value: Any, variants: Mapping[str, Any], field: str) -> tuple[tuple[str, int], ...]:
    parts = fields.list_of(value, field, limit=MAX_PARTS, least=1)
    split = tuple(_part(part, variants, f"{field}[{index}]") for index, part in enumerate(parts))
    total = sum(weight for _, weight in split)
    if total != WEIGHT_TOTAL:
        raise DocumentError(field, f"adds up to {percentage_of(total)}%", expected="100%")
    return split


def _part(value: Any, variants: Mapping[str, Any], field: str) -> tuple[str, int]:
    content = fields.fields(value, field, ("variant", "percentage"), required=("variant", "percentage"))
    variant = variant_of(content["variant"], variants, f"{field}.variant")
    return variant, weight_of(content["percentage"], f"{field}.percentage")


def rule_document(rule: Rule) -> dict[str, Any]:
    """Write a rule as `parse_rules` reads it."""
    clauses = [_clause_document(clause) for clause in rule.clauses]
    if rule.serve is not None:
        return {"if": clauses, "serve": rule.serve}
    parts = [{"variant": variant, "percentage": percentage_of(weight)} for variant, weight in rule.split]
    return {"if": clauses, "split": parts}


def _clause_document(clause: Clause) -> dict[str, Any]:
    document: dict[str, Any] = {"attribute": clause.attribute, "operator": clause.operator}
    return {**document, "values": list(clause.values)} if clause.values else document
