"""What 10,000 flags take: memory, loading them, changing one of them; and what `import flags` takes.

Memory is resident memory (RSS) of a fresh process once 10,000 flags with a rule each are loaded, less that before, when
one flag was loaded and let go; it is measured for ours, the ideal and the peers alike, after a collection, and with
freed memory given back. It is taken twice: with the flags loaded, and after each was asked for twice, once met by its
rule and once not, so that nobody gains by putting work off. Ours is a client that read them from Redis.

Loading is the time from `FlagClient(RedisSource(…))` until `start` returns: connecting, reading and compiling. A change
is timed from its text in the log until it is in force: parse it, and `ClientFeed.apply`.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from figures import Figure, Table

FLAGS = 10_000
REPEATS = 5
CHANGES = 500
IMPORTS = 15

MEMORY_LIMIT = 2.0
LOAD_LIMIT, CHANGE_LIMIT, IMPORT_LIMIT = 300.0, 1.0, 40.0
UNWANTED = ("flask", "yaml", "redis")

HERE = Path(__file__).parent

Weights = list[dict[str, float]]


def measure(peers: Mapping[str, str], url: str) -> tuple[list[Figure], Table]:
    """Measure ours with targets, and the peers, given the Python that has each, for information."""
    pythons = {"ideal": sys.executable, "signalbox": sys.executable, **peers}
    weights = {name: weigh(name, python, url) for name, python in pythons.items()}
    lines = [
        memory(weights, "loaded", "loaded"),
        memory(weights, "used", "in use"),
        Figure(f"load {FLAGS:,} flags", typical(weights["signalbox"], "milliseconds"), "ms", limit=LOAD_LIMIT),
        *changes(),
        *imports(),
    ]
    return lines, table(weights)


def weigh(name: str, python: str, url: str) -> Weights:
    """Load a contestant in fresh processes."""
    command = [python, str(HERE / "contestant.py"), name, "weigh", str(FLAGS)]
    environment = os.environ | {"SIGNALBOX_REDIS_URL": url}
    runs = []
    for number in range(REPEATS):
        print(f"weighing {name}, {number + 1} of {REPEATS}    ", end="\r", file=sys.stderr, flush=True)
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment)
        runs.append(json.loads(done.stdout))
    print(file=sys.stderr)
    return runs


def typical(runs: Weights, what: str) -> float:
    """Take the median of several runs."""
    return statistics.median(run[what] for run in runs)


def memory(weights: Mapping[str, Weights], what: str, words: str) -> Figure:
    """Compare ours with the ideal."""
    ours, ideal = (typical(weights[name], what) for name in ("signalbox", "ideal"))
    note = f"{ours:,.0f} bytes a flag against {ideal:,.0f}"
    return Figure(f"memory of {FLAGS:,} flags {words} / ideal", ours / ideal, "x", limit=MEMORY_LIMIT, note=note)


def table(weights: Mapping[str, Weights]) -> Table:
    """Lay out what everybody takes."""
    rows = [
        [
            name,
            f"{typical(runs, 'loaded') * FLAGS / 2**20:.1f}",
            f"{typical(runs, 'used') * FLAGS / 2**20:.1f}",
            f"{typical(runs, 'milliseconds'):.0f}",
        ]
        for name, runs in weights.items()
    ]
    return Table(f"{FLAGS:,} flags with a rule each", ["", "MiB loaded", "MiB in use", "ms to load"], rows)


def changes() -> list[Figure]:
    """Time single changes in a fresh process."""
    done = subprocess.run([sys.executable, __file__], stdout=subprocess.PIPE, check=True)
    taken = sorted(json.loads(done.stdout))
    title = f"one change among {FLAGS:,} flags"
    p99 = taken[round(0.99 * (len(taken) - 1))]
    return [
        Figure(f"{title}, p50", statistics.median(taken), "ms", limit=CHANGE_LIMIT),
        Figure(f"{title}, p99", p99, "ms", note="a full collection may fall into it"),
    ]


def imports() -> list[Figure]:
    """Take the CPU time of `import flags` in fresh processes, and look for what it must not load."""
    code = "import sys, time; t = time.process_time(); import flags; print(time.process_time() - t, *sys.modules)"
    taken, loaded = [], set[str]()
    for _ in range(IMPORTS):
        done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
        seconds, *modules = done.stdout.split()
        taken.append(float(seconds) * 1000)
        loaded.update(modules)
    unwanted = loaded.intersection(UNWANTED)
    note = f"{', '.join(sorted(unwanted)) or 'none'} of {', '.join(UNWANTED)} loaded"
    limit = 0.0 if unwanted else IMPORT_LIMIT
    return [Figure("import flags", statistics.median(taken), "ms", limit=limit, note=note)]


# ---- in a process of its own


def time_changes() -> list[float]:
    """Apply changes to a client of 10,000 flags: milliseconds for each."""
    from peers.signalbox import document  # noqa: PLC0415 - the parent does without
    from workloads import rules  # noqa: PLC0415

    from flags.client import FlagClient  # noqa: PLC0415
    from flags.documents import flag_from_json, flag_json, parse_flag  # noqa: PLC0415
    from flags.model import Revision, Snapshot  # noqa: PLC0415
    from flags.store import Change  # noqa: PLC0415

    flags = {spec.key: parse_flag(spec.key, document(spec)) for spec in rules(FLAGS)}
    first = Revision(1, 1)
    source = Held(Snapshot(first, flags, dict.fromkeys(flags, first)))
    taken = []
    with FlagClient(source) as client:
        for number, key in enumerate(list(flags)[:CHANGES]):
            text = flag_json(parse_flag(key, {**document(rules(1)[0]), "description": f"change {number}"}))
            started = time.perf_counter()
            applied = source.feed.apply(Change(Revision(1, 2 + number), {key: flag_from_json(key, text)}))
            taken.append((time.perf_counter() - started) * 1000)
            assert applied
            assert client.get_string_value(key, "none", {"country": "EE", "plan": "gold", "amount": 100}) == "v_0"
    return taken


class Held:
    """A source that hands over one snapshot, and leaves the rest to whoever holds it."""

    lease = float("inf")
    heartbeat = 3600.0

    def __init__(self, snapshot: Any) -> None:
        self.snapshot = snapshot
        self.feed: Any = None
        self._over = threading.Event()

    def run(self, feed: Any, instance: Any, stop: threading.Event) -> None:  # noqa: ARG002 - the port's signature
        """Feed the client once."""
        feed.replace(self.snapshot)
        self.feed = feed
        self._over.wait()

    def close(self) -> None:
        """Let `run` return."""
        self._over.set()


if __name__ == "__main__":
    print(json.dumps(time_changes()))
