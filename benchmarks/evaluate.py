"""How fast a flag is evaluated in a process, as a ratio to an ideal closure that somebody might write by hand.

Both are loaded with the same 1,003 flags, each in a process of its own (no shared heap or collector), and evaluate:

    W1  a flag that is simply on
    W2  a flag at 50%
    W3  a flag at a percentage of its own in each of five domains
    W4  one of 1,000 flags with a rule of three conditions, which half of the calls meet

The expression is compiled into the timed loop, and the loop's own time is taken off. A sample is some 25 ms of thread
CPU time with the collector on. Each of ours is divided by one of the ideal's taken just before, and the figure is the
median of these ratios.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from figures import Figure, report

DOMAINS = {"collections": 100, "distributions": 50, "balance": 10, "free-play": 0, "adjustment": 0}
COUNTRIES, PLAN, AMOUNT = ("EE", "FI", "LV"), "gold", 100
RULES = 1_000
RECORDS = 10_000

VARIABLES = {"W1": "k", "W2": "k", "W3": "k, d", "W4": "f, k, country, plan, amount"}
IDEAL = {
    "W1": "ev('w1', k)",
    "W2": "ev('w2', k)",
    "W3": "ev('w3', k, {'domain': d})",
    "W4": "ev(f, k, {'country': country, 'plan': plan, 'amount': amount})",
}
SIGNALBOX = {
    "W1": "client.get_boolean_value('w1', False, {'targetingKey': k})",
    "W2": "client.get_boolean_value('w2', False, {'targetingKey': k})",
    "W3": "client.get_boolean_value('w3', False, {'targetingKey': k, 'domain': d})",
    "W4": "client.get_string_value(f, 'none', {'targetingKey': k, 'country': country, 'plan': plan, 'amount': amount})",
}
DETAILS = {name: expression.replace("_value(", "_details(") for name, expression in SIGNALBOX.items()}

TARGETS = {"W3": 2.0}
"""What is promised now; the others only inform."""

LOOP = """
def run(records, clock):
    started = clock()
    for {variables} in records:
        {statement}
    return clock() - started
"""


def main() -> int:
    """Measure and report, or, as a child, answer the parent's requests for samples."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--rounds", type=int, default=21, help="samples of each workload (default: 21)")
    parser.add_argument("--milliseconds", type=float, default=25, help="length of a sample (default: 25)")
    parser.add_argument("--contestant", choices=sorted(CONTESTANTS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contestant:
        serve(*CONTESTANTS[options.contestant]())
        return 0
    return report(measure(options.rounds, options.milliseconds), as_json=options.json)


# The parent: asks for samples in pairs.


class Contestant:
    """A child process that evaluates on request."""

    def __init__(self, name: str) -> None:
        command = [sys.executable, __file__, "--contestant", name]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.sample("ready", 0)

    def sample(self, workload: str, milliseconds: float) -> float:
        """Take one sample: nanoseconds of CPU for one evaluation."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps([workload, milliseconds]) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit("a contestant died; its error stands above")
        return float(answer)

    def close(self) -> None:
        """End the process and wait for it."""
        self.process.communicate()


def measure(rounds: int, milliseconds: float) -> list[Figure]:
    """Sample both contestants side by side."""
    ideal, ours = Contestant("ideal"), Contestant("signalbox")
    samples: dict[str, list[tuple[float, float]]] = {}
    workloads = [*SIGNALBOX, *(f"{name} details" for name in DETAILS)]
    order = random.Random(1)
    for number in range(-1, rounds):  # the first round warms up and is dropped
        order.shuffle(workloads)
        for workload in workloads:
            pair = ideal.sample(workload[:2], milliseconds), ours.sample(workload, milliseconds)
            if number >= 0:
                samples.setdefault(workload, []).append(pair)
        print(f"round {number + 1} of {rounds}", end="\r", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    ideal.close()
    ours.close()
    return [figure(workload, samples[workload]) for workload in sorted(samples, key=lambda name: (len(name), name))]


def figure(workload: str, pairs: list[tuple[float, float]]) -> Figure:
    """Condense the samples of one workload."""
    ratio = statistics.median(ours / ideal for ideal, ours in pairs)
    ideal, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    note = f"{ours:.0f} ns against {ideal:.0f} ns"
    return Figure(f"evaluate {workload}", ratio, "x", limit=TARGETS.get(workload), note=note)


# The children: each evaluates the same flags in its own way.


def serve(names: dict[str, Any], statements: dict[str, str], close: Callable[[], None]) -> None:
    """Answer requests for samples until there are no more."""
    records = make_records()
    for line in sys.stdin:
        workload, milliseconds = json.loads(line)
        answer = 0.0 if workload == "ready" else sample(names, statements[workload], records, workload, milliseconds)
        print(answer, flush=True)
    close()


def sample(
    names: dict[str, Any], statement: str, records: dict[str, list[Any]], workload: str, milliseconds: float
) -> float:
    """Time one workload: nanoseconds of CPU for one evaluation, without the loop."""
    variables = VARIABLES[workload[:2]]
    run, empty = compiled(variables, statement, names), compiled(variables, "pass", {})
    batch = records[workload[:2]]
    run(batch, time.thread_time_ns)
    once = run(batch, time.thread_time_ns)
    repeated = batch * max(1, round(milliseconds * 1e6 / once))
    gc.collect()
    return float(run(repeated, time.thread_time_ns) - empty(repeated, time.thread_time_ns)) / len(repeated)


def compiled(variables: str, statement: str, names: dict[str, Any]) -> Callable[[list[Any], Callable[[], int]], int]:
    """Compile a timed loop around a statement."""
    scope = dict(names)
    exec(LOOP.format(variables=variables, statement=statement), scope)  # noqa: S102 - the statements stand above
    run: Callable[[list[Any], Callable[[], int]], int] = scope["run"]
    return run


def make_records() -> dict[str, list[Any]]:
    """Make the calls of each workload; half of W4's miss exactly one condition."""
    chance = random.Random(7)
    keys = [f"corr_{number}" for number in chance.sample(range(10**9, 10**10), RECORDS)]
    domains = list(DOMAINS)
    rules = []
    for index, key in enumerate(keys):
        country, plan, amount = chance.choice(COUNTRIES), PLAN, chance.randrange(AMOUNT, 5_000)
        if index % 2:
            missed = chance.randrange(3)
            country = "SE" if missed == 0 else country
            plan = "silver" if missed == 1 else plan
            amount = chance.randrange(AMOUNT) if missed == 2 else amount
        rules.append((f"flag_{chance.randrange(RULES):05d}", key, country, plan, amount))
    by_domain = [(key, domains[index % len(domains)]) for index, key in enumerate(keys)]
    return {"W1": keys, "W2": keys, "W3": by_domain, "W4": rules}


def ideal() -> tuple[dict[str, Any], dict[str, str], Callable[[], None]]:
    """Make the ideal: a look-up, a closure, a hash, a comparison; no reasons, no types, no errors, no telemetry."""
    import mmh3  # noqa: PLC0415 - the other contestant brings its own

    hashed, everyone = mmh3.hash, 1 << 32
    bounds = {domain: int(percentage * everyone / 100) for domain, percentage in DOMAINS.items()}.get
    countries = frozenset(COUNTRIES)

    def rule(value: str) -> Callable[[str, Any], str]:
        return lambda key, c: (  # noqa: ARG005 - all closures are called alike
            value if c["country"] in countries and c["plan"] == PLAN and c["amount"] >= AMOUNT else "default"
        )

    flags: dict[str, Callable[[str, Any], Any]] = {f"flag_{i:05d}": rule(f"v_{i}") for i in range(RULES)}
    flags["w1"] = lambda key, context: True  # noqa: ARG005
    flags["w2"] = lambda key, context: hashed(key, 77, False) < everyone // 2  # noqa: ARG005
    flags["w3"] = lambda key, context: hashed(key, 77, False) < bounds(context["domain"], 0)
    get, nothing = flags.get, lambda key, context: None  # noqa: ARG005

    def evaluate(name: str, key: str, context: Any = None) -> Any:
        return get(name, nothing)(key, context)

    return {"ev": evaluate}, IDEAL, lambda: None


def signalbox() -> tuple[dict[str, Any], dict[str, str], Callable[[], None]]:
    """Make a client of a file of the same flags."""
    from flags.client import FlagClient  # noqa: PLC0415 - the ideal does without
    from flags.sources.file import FileSource  # noqa: PLC0415

    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name, "flags.json")
    path.write_text(json.dumps({"flags": flag_documents()}))
    client = FlagClient(FileSource(path))
    if not client.start():
        raise SystemExit(f"the client did not start: {client.error}")
    check(client, make_records())

    def close() -> None:
        client.close()
        folder.cleanup()

    return {"client": client}, SIGNALBOX | {f"{name} details": statement for name, statement in DETAILS.items()}, close


def flag_documents() -> dict[str, Any]:
    """Write the flags as a user would."""
    simple = {"enabled": True, "variants": {"on": True, "off": False}, "offVariant": "off"}
    conditions = [
        {"attribute": "country", "operator": "in", "values": list(COUNTRIES)},
        {"attribute": "plan", "operator": "equals", "values": [PLAN]},
        {"attribute": "amount", "operator": "gte", "values": [AMOUNT]},
    ]
    rules = {
        f"flag_{index:05d}": {
            "enabled": True,
            "variants": {"on": f"v_{index}", "off": "default"},
            "offVariant": "off",
            "rollout": {"percentage": 0},
            "rules": [{"if": conditions, "serve": "on"}],
        }
        for index in range(RULES)
    }
    return rules | {
        "w1": simple,
        "w2": simple | {"rollout": {"percentage": 50}},
        "w3": simple | {"rollout": {"percentage": 0, "domains": DOMAINS}},
    }


def check(client: Any, records: dict[str, list[Any]]) -> None:
    """Make sure that what is timed is right."""
    assert all(client.get_boolean_value("w1", False, {"targetingKey": key}) for key in records["W1"])
    on = sum(client.get_boolean_value("w2", False, {"targetingKey": key}) for key in records["W2"])
    assert abs(on / RECORDS - 0.5) < 0.03, on
    for flag, key, country, plan, amount in records["W4"]:
        context = {"targetingKey": key, "country": country, "plan": plan, "amount": amount}
        met = country in COUNTRIES and plan == PLAN and amount >= AMOUNT
        expected = f"v_{int(flag[5:])}" if met else "default"
        assert client.get_string_value(flag, "none", context) == expected


CONTESTANTS = {"ideal": ideal, "signalbox": signalbox}

if __name__ == "__main__":
    sys.exit(main())
