"""Unleash's strategies as rules: whom each takes in, what percentage of them, and which variants they get."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from flags import fields
from flags.interchange.alternatives import Alternatives, all_of, bounded
from flags.interchange.findings import Finding, Loss, Unmapped
from flags.interchange.unleash_constraints import NUMERIC, TARGETING_KEY, attribute_of, constraints_alternatives
from flags.model import WEIGHT_TOTAL, Clause, Split
from flags.rules import clause_document, split_document
from foundation.documents import read_json
from foundation.errors import DocumentError

ON, OFF = "on", "off"
WEIGHTS = 1_000
"""What the weights of a feature's variants add up to."""

MAX_VALUES = 1_000
_GRADUAL = {
    "gradualRolloutUserId": TARGETING_KEY,
    "gradualRolloutSessionId": "sessionId",
    "gradualRolloutRandom": "random",
}


@dataclass(frozen=True, slots=True)
class Strategy:
    """One way into a feature.

    Args:
        when: whom it takes in.
        percentage: how many of them, 0 to 100.
        stickiness: the attribute that is hashed, "default" or "random".
        variants: as Unleash lists them; none where the feature's own hold.
        numeric: whether it compares numbers.
    """

    field: str
    when: Alternatives
    percentage: int
    stickiness: str
    variants: Sequence[Mapping[str, Any]]
    numeric: bool


def read_strategy(content: Mapping[str, Any], segments: Mapping[Any, Any], field: str) -> Strategy:
    """Read a strategy; raises Unmapped where rules can't say whom it takes in."""
    name = content.get("name") or content.get("strategyName")
    parameters = fields.object_of(content.get("parameters") or {}, f"{field}.parameters")
    own, percentage, stickiness = _kind(str(name), parameters, field)
    if stickiness == "random" and 0 < percentage < 100:
        raise Unmapped(f"{field}.parameters.stickiness", "here a key is served the same every time, and not at random")
    constraints = content.get("constraints") or []
    parts = [own, constraints_alternatives(constraints, f"{field}.constraints")]
    for identity in content.get("segments") or []:
        named = segments.get(identity, Unmapped(f"{field}.segments", f"there is no segment {identity}"))
        if isinstance(named, Unmapped):
            raise Unmapped(field, f"{named.field}: {named.reason}")
        parts.append(named)
    return Strategy(
        field=field,
        when=bounded(all_of(parts), field),
        percentage=percentage,
        stickiness=stickiness,
        variants=fields.list_of(content.get("variants") or [], f"{field}.variants", limit=100),
        numeric=any(each.get("operator") in NUMERIC for each in constraints),
    )


def variant_names(variants: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name variants as Unleash lists them."""
    return [str(variant.get("name")) for variant in variants]


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature with the strategies that map, in their order."""

    key: str
    variants: Sequence[Mapping[str, Any]]
    """Those of its environment; strategies may have their own."""
    strategies: Sequence[Strategy]
    note: Callable[[Finding], None] = field(repr=False)

    def decisions(self, *, everybody: bool) -> dict[str, Any]:
        """Say as a flag document what the strategies come to; `everybody` where the feature never had one."""
        self._tell()
        ordered = sorted(self.strategies, key=lambda strategy: -strategy.percentage)
        last = next((strategy for strategy in ordered if () in strategy.when), None)
        before = ordered[: ordered.index(last)] if last else ordered
        splits = [(clauses, self._split(each)) for each in before for clauses in each.when]
        whole = self._served(self.variants, 100) if everybody else ((OFF, WEIGHT_TOTAL),)
        variants = self._values()
        return {
            "variants": variants,
            "offVariant": OFF,
            "onVariant": next(name for name in variants if name != OFF),
            "rules": [_rule(clauses, split) for clauses, split in splits],
            "rollout": _rollout(self._split(last) if last else whole, next(name for name in variants if name != OFF)),
            **self._stickiness(),
        }

    def _split(self, strategy: Strategy) -> Split:
        return self._served(strategy.variants or self.variants, strategy.percentage)

    def _served(self, variants: Sequence[Mapping[str, Any]], percentage: int) -> Split:
        """Share a percentage out to variants: percent times thousandths are parts of 100,000."""
        weights = [(str(each.get("name")), each.get("weight")) for each in variants] or [(ON, WEIGHTS)]
        if any(isinstance(weight, bool) or not isinstance(weight, int) or weight < 0 for _, weight in weights):
            raise Unmapped(f"features.{self.key}.variants", "their weights are not whole numbers")
        shares = [(name, percentage * int(weight or 0)) for name, weight in weights]
        if sum(share for _, share in shares) != percentage * WEIGHTS:
            raise Unmapped(f"features.{self.key}.variants", f"their weights do not add up to {WEIGHTS:,}")
        return (*shares, (OFF, WEIGHT_TOTAL - percentage * WEIGHTS))

    def _values(self) -> dict[str, Any]:
        """Give every variant its value: true and false, or its payload where the feature has variants."""
        groups = [self.variants, *(strategy.variants for strategy in self.strategies)]
        listed = {str(each.get("name")): each for group in groups for each in group}
        if not listed:
            return {ON: True, OFF: False}
        if OFF in listed:
            raise Unmapped(f"features.{self.key}.variants", "one is called off, which is what nobody is served here")
        plain = any(not (strategy.variants or self.variants) for strategy in self.strategies)
        values = {name: _payload(name, each) for name, each in listed.items()} | ({ON: ON} if plain else {})
        reason = (
            "callers get one value, the variant's payload or else its name; a feature that is off gives the empty one"
        )
        self._differs(f"features.{self.key}.variants", reason)
        if all(isinstance(value, dict) for value in values.values()):
            return {**values, OFF: {}}
        texts = {name: _text(listed.get(name), value) for name, value in values.items()}
        return {**texts, OFF: ""}

    def _stickiness(self) -> dict[str, str]:
        split = [each for each in self.strategies if 0 < each.percentage < 100 or each.variants or self.variants]
        found = list(dict.fromkeys(each.stickiness for each in split))
        if len(found) > 1:
            reason = f"strategies hash {', '.join(found)}; a flag hashes one thing here, {found[0]}"
            self._differs(f"features.{self.key}.strategies", reason)
        if found[:1] == ["default"]:
            reason = "without a userId Unleash hashes the session, or rolls a die; here callers get their default"
            self._differs(f"{split[0].field}.parameters.stickiness", reason)
        attribute = attribute_of(found[0]) if found and found[0] not in ("default", "random") else TARGETING_KEY
        return {"stickiness": attribute} if attribute != TARGETING_KEY else {}

    def _tell(self) -> None:
        for strategy in self.strategies:
            if 0 < strategy.percentage < 100:
                reason = "the percentage carries over, and who is in it does not: Unleash hashes otherwise"
                self._differs(f"{strategy.field}.parameters.rollout", reason)
            if strategy.numeric:
                reason = "Unleash takes texts for numbers; here the attribute has to be a number"
                self._differs(f"{strategy.field}.constraints", reason)
            for at, variant in enumerate([*strategy.variants, *self.variants]):
                if variant.get("overrides"):
                    reason = "a variant can't be given to certain people before others; add a rule or a target"
                    self.note(Finding(f"{strategy.field}.variants[{at}].overrides", Loss.LEFT_OUT, reason))

    def _differs(self, where: str, reason: str) -> None:
        self.note(Finding(where, Loss.DIFFERS, reason))


def _kind(name: str, parameters: Mapping[str, Any], field: str) -> tuple[Alternatives, int, str]:
    """Tell whom a strategy takes in before its constraints, what percentage of them, and what is hashed."""
    if name == "default":
        return [()], 100, TARGETING_KEY
    if name == "flexibleRollout":
        stickiness = str(parameters.get("stickiness") or "default")
        return [()], _percentage(parameters.get("rollout", 100), f"{field}.parameters.rollout"), stickiness
    if name in _GRADUAL:
        return [()], _percentage(parameters.get("percentage", 0), f"{field}.parameters.percentage"), _GRADUAL[name]
    if name == "userWithId":
        return _listed(TARGETING_KEY, parameters.get("userIds"), f"{field}.parameters.userIds"), 100, TARGETING_KEY
    if name == "remoteAddress":
        addresses = _listed("remoteAddress", parameters.get("IPs"), f"{field}.parameters.IPs")
        for address in (each for clauses in addresses for clause in clauses for each in clause.values):
            _check_address(address, f"{field}.parameters.IPs")
        return addresses, 100, TARGETING_KEY
    raise Unmapped(field, f"there is nothing like the strategy {name}")


def _listed(attribute: str, value: Any, field: str) -> Alternatives:
    texts = [text.strip() for text in str(value or "").split(",") if text.strip()]
    if not texts:
        raise Unmapped(field, "it names nobody")
    chunks = [texts[at : at + MAX_VALUES] for at in range(0, len(texts), MAX_VALUES)]
    return [(Clause(attribute, "in", tuple(chunk)),) for chunk in chunks]


def _check_address(address: str, field: str) -> None:
    try:
        ip_address(address)
    except ValueError as error:
        raise Unmapped(field, f"{address!r} is not one address: clauses know nothing of networks") from error


def _percentage(value: Any, field: str) -> int:
    try:
        percentage = int(str(value))
    except ValueError as error:
        raise Unmapped(field, f"{value!r} is not a percentage") from error
    if not 0 <= percentage <= 100:
        raise Unmapped(field, f"{value!r} is not a percentage")
    return percentage


def _payload(name: str, variant: Mapping[str, Any]) -> Any:
    payload = variant.get("payload")
    if not isinstance(payload, Mapping) or "value" not in payload:
        return name
    if payload.get("type") != "json":
        return str(payload["value"])
    try:
        value = read_json(str(payload["value"]))
    except DocumentError:
        value = None
    return value if isinstance(value, dict) else str(payload["value"])


def _text(variant: Mapping[str, Any] | None, value: Any) -> str:
    return str((variant or {}).get("payload", {}).get("value", "")) if isinstance(value, dict) else str(value)


def _rule(clauses: tuple[Clause, ...], split: Split) -> dict[str, Any]:
    conditions = [clause_document(clause) for clause in clauses]
    served = [variant for variant, weight in split if weight]
    if len(served) == 1:
        return {"if": conditions, "serve": served[0]}
    return {"if": conditions, "split": split_document(split)}


def _rollout(split: Split, on: str) -> dict[str, Any]:
    weights = dict(split)
    if set(weights) <= {on, OFF}:
        return {"percentage": weights.get(on, 0) / WEIGHTS}
    return {"split": split_document(split)}
