"""How many messages a second go from one process to another through Redis, encode to acknowledge, as ratios in one run.

The yardstick, 1x, is what the seed does in Python's plainest words: one message at a time, `json.dumps` and XADD with
redis-py in one process, XREADGROUP, `json.loads` and XACK in another. Ours are real WorkerMessengers in two processes,
with flags evaluated for each message, admission, deduplication, telemetry and all: one by one, in batches, and in
batches of YAML. The yardstick checks no message against a template, and neither do these; the last line does, on both
sides, as workers do unless they are told otherwise.

Every message is a settlement unlike any other, since a batch of one object many times makes YAML look fast. A round
runs each arm once, in turn; a ratio is taken within its round, and the figure is the median over the rounds. The clock
runs from the first send until the last message is acknowledged.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import multiprocessing.connection
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import redis
from figures import Figure, report

from flags.client import FlagClient
from flags.instances import Instance
from flags.sources.file import FileSource
from foundation.embedded import EmbeddedRedis
from foundation.ids import new_id
from messenger.envelope import timestamp
from messenger.formats import BATCHING_FLAG, COMPRESSION_FLAG, YAML_FLAG
from messenger.messenger import WorkerMessenger
from messenger.policy import FlagPolicy
from messenger.queues.streams import RedisQueueServer
from messenger.queues.telemetry import TelemetryStore
from messenger.settings import MessengerSettings

ENVIRONMENT = "bench"
FALLBACKS = {YAML_FLAG: "json", COMPRESSION_FLAG: "uncompressed", BATCHING_FLAG: "individual"}
TYPE = "SETTLEMENT_UPDATE"
PATIENCE = 120.0
"""Seconds after which a run that has not finished has failed."""


@dataclass(frozen=True)
class Arm:
    """One way of passing messages.

    Args:
        messages: how many a run sends.
        percentages: of the flags that are not at 0; None for the yardstick, which has no flags.
        least: what its ratio should be.
        validate: whether messages are checked against their template.
    """

    name: str
    messages: int
    percentages: Mapping[str, int] | None = None
    least: float | None = None
    validate: bool = False


ARMS = (
    Arm("plain redis-py, JSON one by one", 2_000),
    Arm("one by one, JSON", 2_000, {}),
    Arm("batched, JSON", 20_000, {BATCHING_FLAG: 100}, 6.0),
    Arm("batched, YAML", 20_000, {BATCHING_FLAG: 100, YAML_FLAG: 100}, 3.0),
    Arm("batched, JSON, templates checked", 20_000, {BATCHING_FLAG: 100}, validate=True),
)


def settlement(n: int, dice: random.Random) -> dict[str, Any]:
    """Make the payload of one settlement, about 400 bytes as JSON."""
    stake = round(dice.uniform(5, 500), 2)
    amount = round(stake * dice.uniform(1.2, 4), 2)
    return {
        "settlement": {
            "id": f"PEN_{n:07}",
            "customerId": f"CUST_{dice.randrange(100_000):05}",
            "amount": amount,
            "status": dice.choice(["completed", "pending", "processing"]),
            "event": f"{dice.choice(TEAMS)} vs {dice.choice(TEAMS)}",
            "betType": dice.choice(["moneyline", "spread", "parlay", "total"]),
            "stake": stake,
            "payout": amount,
        },
        "processing": {
            "processedBy": f"Agent {dice.choice(TEAMS)}",
            "processingTime": dice.randrange(5_000),
            "retryCount": dice.randrange(3),
            "queuePosition": n % 1_000,
        },
    }


TEAMS = ("Chiefs", "Bills", "Ravens", "Lions", "Eagles", "Packers", "49ers", "Dolphins")


def envelope(payload: dict[str, Any]) -> dict[str, Any]:
    """Make the message that the yardstick sends: the same fields as ours."""
    return {
        "type": TYPE,
        "version": "1.0",
        "messageId": new_id("msg"),
        "correlationId": new_id("corr"),
        "timestamp": timestamp(time.time()),
        "payload": payload,
        "metadata": {"sourceDomain": "collections", "targetDomain": "balance", "priority": "normal"},
    }


def send_plainly(url: str, arm: Arm, gate: Connection) -> None:
    """Send one by one, as somebody would without Signalbox."""
    payloads = _payloads(arm)
    with redis.Redis.from_url(url) as client:
        client.ping()
        _at_the_gate(gate)
        for payload in payloads:
            client.xadd("plain", {"body": json.dumps(envelope(payload))})


def receive_plainly(url: str, arm: Arm, gate: Connection) -> None:
    """Receive and acknowledge one by one, as somebody would without Signalbox."""
    with redis.Redis.from_url(url, socket_timeout=PATIENCE) as client:
        client.xgroup_create("plain", "workers", mkstream=True)
        _at_the_gate(gate)
        left = arm.messages
        while left:
            for _, entries in client.xreadgroup("workers", "balance-1", {"plain": ">"}, count=1, block=5_000):
                for entry, fields in entries:
                    json.loads(fields[b"body"])
                    client.xack("plain", "workers", entry)
                    left -= 1
        gate.send(time.monotonic())


def send_ours(url: str, arm: Arm, gate: Connection) -> None:
    """Send through a messenger."""
    payloads = _payloads(arm)
    with _messenger(url, "collections", arm) as messenger:
        messenger.send("WARM_UP", {}, target="balance").wait(PATIENCE)
        _at_the_gate(gate)
        for payload in payloads:
            messenger.send(TYPE, payload, target="balance")
        messenger.flush(PATIENCE)


def receive_ours(url: str, arm: Arm, gate: Connection) -> None:
    """Handle through a messenger, until the last message is settled."""
    server = RedisQueueServer(url, ENVIRONMENT)
    with _messenger(url, "balance", arm) as messenger:
        messenger.on("*", lambda _message, _send: None)
        messenger.start()
        _at_the_gate(gate)
        queue = server.queue("balance")
        while messenger.metrics()["received"] < arm.messages + 1 or queue.state(scan=False).handled < arm.messages + 1:
            time.sleep(0.002)
        gate.send(time.monotonic())


def _messenger(url: str, domain: str, arm: Arm) -> WorkerMessenger:
    flags = {
        key: {"enabled": True, "rolloutPercentage": (arm.percentages or {}).get(key, 0), "fallback": fallback}
        for key, fallback in FALLBACKS.items()
    }
    with tempfile.TemporaryDirectory(prefix="sb-bench-") as folder:
        (Path(folder) / "flags.json").write_text(json.dumps({"flags": flags}))
        client = FlagClient(FileSource(Path(folder) / "flags.json"))
        client.start()
    server = RedisQueueServer(url, ENVIRONMENT)
    name, settings = new_id(domain), MessengerSettings(validate=arm.validate)
    reporter = partial(TelemetryStore(url, ENVIRONMENT).report, Instance(name, name, domain=domain))
    return WorkerMessenger(
        server, domain, instance_id=name, policy=FlagPolicy(client), reporter=reporter, settings=settings
    )


def _payloads(arm: Arm) -> list[dict[str, Any]]:
    dice = random.Random(7)
    return [settlement(n, dice) for n in range(arm.messages)]


def _at_the_gate(gate: Connection) -> None:
    gate.send("ready")
    gate.recv()


def rate(url: str, arm: Arm) -> float:
    """Run one arm on an empty server; answers with messages a second."""
    with redis.Redis.from_url(url) as client:
        client.flushall()
    plain = arm.percentages is None
    roles: tuple[Callable[..., None], ...] = (receive_plainly, send_plainly) if plain else (receive_ours, send_ours)
    gates, processes = [], []
    for role in roles:
        here, there = multiprocessing.Pipe()
        process = multiprocessing.Process(target=role, args=(url, arm, there), daemon=True)
        process.start()
        gates.append(here)
        processes.append(process)
        if here.recv() != "ready":
            raise RuntimeError(f"{arm.name} did not get ready")
    started = time.monotonic()
    for gate in gates:
        gate.send("go")
    multiprocessing.connection.wait([gates[0], *(process.sentinel for process in processes)], PATIENCE)
    for process in processes[1:]:
        process.join(PATIENCE)
        if process.exitcode != 0:
            raise RuntimeError(f"{arm.name}: the sender failed")
    if not gates[0].poll(PATIENCE):
        raise RuntimeError(f"{arm.name} did not finish within {PATIENCE:g} s")
    seconds: float = gates[0].recv() - started
    processes[0].join(PATIENCE)
    return arm.messages / seconds


def measure(url: str, rounds: int) -> list[Figure]:
    """Run every arm in turn, so many times, and compare each with the yardstick of its own round."""
    ratios: dict[str, list[float]] = {arm.name: [] for arm in ARMS}
    rates: dict[str, list[float]] = {arm.name: [] for arm in ARMS}
    for number in range(1, rounds + 1):
        for arm in ARMS:
            rates[arm.name].append(rate(url, arm))
            ratios[arm.name].append(rates[arm.name][-1] / rates[ARMS[0].name][-1])
            print(f"round {number}/{rounds}: {arm.name}: {rates[arm.name][-1]:,.0f}/s", file=sys.stderr)
    return [
        Figure(
            arm.name,
            statistics.median(ratios[arm.name]),
            "x",
            least=arm.least,
            note=f"{statistics.median(rates[arm.name]):,.0f} messages/s",
        )
        for arm in ARMS
    ]


def main() -> int:
    """Measure and report; 1 where a figure falls short of its target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--rounds", type=int, default=5, help="how often each arm runs (default 5)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sb-bench-") as folder:
        server = EmbeddedRedis(Path(folder), Path(folder), "queues", {"save": "", "appendonly": "no"})
        server.start()
        try:
            figures = measure(server.url, arguments.rounds)
        finally:
            server.stop()
    return report(figures, as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
