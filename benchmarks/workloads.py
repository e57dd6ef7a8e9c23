"""What every contestant of `evaluate.py` is loaded with, what it is asked, and what is right.

W1  a flag that is simply on
W2  a flag at 50%
W3  a flag at a percentage of its own in each of five domains
W4  one of 1,000 flags with a rule of three conditions, which half of the calls meet
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

DOMAINS = {"collections": 100, "distributions": 50, "balance": 10, "free-play": 0, "adjustment": 0}
COUNTRIES, PLAN, AMOUNT = ["EE", "FI", "LV"], "gold", 100
DEFAULT = "default"
"""What a flag with a rule serves where the rule does not hold."""

RULES = 1_000
RECORDS = 10_000

VARIABLES = {"W1": "k", "W2": "k", "W3": "k, d", "W4": "f, k, country, plan, amount"}
"""The names that a contestant's expression for each workload may use."""

Record = Any
"""The values of those names for one call: one value, or a tuple."""


@dataclass(frozen=True, slots=True)
class Spec:
    """A flag in nobody's format; `value` is what a rule serves where it holds."""

    key: str
    kind: Literal["on", "half", "domains", "rule"]
    value: str = ""


def rules(count: int) -> list[Spec]:
    """Make flags with a rule each."""
    return [Spec(f"flag_{number:05d}", "rule", f"v_{number}") for number in range(count)]


def all_flags() -> list[Spec]:
    """Make the flags of all workloads."""
    return [*rules(RULES), Spec("w1", "on"), Spec("w2", "half"), Spec("w3", "domains")]


def all_records() -> dict[str, list[Record]]:
    """Make the calls of each workload; half of W4's miss exactly one condition."""
    chance = random.Random(7)
    keys = [f"corr_{number}" for number in chance.sample(range(10**9, 10**10), RECORDS)]
    domains = list(DOMAINS)
    targeted = []
    for index, key in enumerate(keys):
        country, plan, amount = chance.choice(COUNTRIES), PLAN, chance.randrange(AMOUNT, 5_000)
        if index % 2:
            missed = chance.randrange(3)
            country = "SE" if missed == 0 else country
            plan = "silver" if missed == 1 else plan
            amount = chance.randrange(AMOUNT) if missed == 2 else amount
        targeted.append((f"flag_{chance.randrange(RULES):05d}", key, country, plan, amount))
    by_domain = [(key, domains[index % len(domains)]) for index, key in enumerate(keys)]
    return {"W1": keys, "W2": keys, "W3": by_domain, "W4": targeted}


def once_each(count: int) -> list[Record]:
    """Make two calls of W4's kind for each of so many flags: one that its rule meets, one that it does not."""
    return [(f"flag_{number:05d}", "k", country, PLAN, AMOUNT) for number in range(count) for country in ("EE", "SE")]


def fault(workload: str, records: Sequence[Record], answers: Sequence[Any]) -> str:
    """Tell what is wrong with the answers to a workload's calls; "" where nothing is."""
    if workload == "W1":
        return "" if all(answer is True for answer in answers) else "not on for everyone"
    if workload == "W2":
        return _off_target("half", answers, 50)
    if workload == "W3":
        groups = {domain: [a for (_, d), a in zip(records, answers, strict=True) if d == domain] for domain in DOMAINS}
        return "".join(_off_target(domain, group, DOMAINS[domain]) for domain, group in groups.items())
    wrong = sum(answer != _served(*record) for record, answer in zip(records, answers, strict=True))
    return f"{wrong} wrong answers" if wrong else ""


def _off_target(name: str, answers: Sequence[Any], percentage: int) -> str:
    share = 100 * sum(bool(answer) for answer in answers) / len(answers)
    bound = 0 if percentage in (0, 100) else 4
    return "" if abs(share - percentage) <= bound else f"{name} is at {share:.1f}%; "


def _served(flag: str, key: str, country: str, plan: str, amount: int) -> str:  # noqa: ARG001 - a record's values
    return f"v_{int(flag[5:])}" if country in COUNTRIES and plan == PLAN and amount >= AMOUNT else DEFAULT
