"""How fast a flag is evaluated in a process, beside the SDKs of others and an ideal that somebody might write by hand.

All are loaded with the same 1,003 flags, each in a process of its own, and evaluate the four workloads of
`workloads.py`. The expression is compiled into the timed loop, and the loop's own time is taken off. A sample is some
25 ms of thread CPU time with the collector on. The order is shuffled in every round. A ratio to the ideal is taken with
a sample of the ideal's just before, a ratio to ours within the round; the figure is the median of these ratios.

Ours is a client that follows a Redis and is registered there while it evaluates, and it counts its evaluations. For the
peers everything of the kind is off, as far as they let it be. They need a Python that has them, by default
`.venv-bench/bin/python`, which `make bench` sets up; those that can't be loaded are named, and left out.

Two threads together are compared with one on the wall's clock. What `footprint.py` measures comes along: memory,
loading, one change, and the import.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import footprint
from figures import Figure, Table, report

from foundation.embedded import EmbeddedRedis

HERE = Path(__file__).parent
PEERS_PYTHON = HERE.parent / ".venv-bench" / "bin" / "python"
PEERS = ("statsig", "growthbook", "launchdarkly", "openfeature", "unleash", "flagd")

WORKLOADS = ("W1", "W2", "W3", "W4")
VALUE_LIMITS = {"W1": 1.7, "W2": 1.8, "W3": 1.8, "W4": 1.8}
DETAIL_LIMIT = 4.0
TIMES_FASTER = {"statsig": 10.0, "launchdarkly": 40.0}
TOGETHER = 0.95
"""What two threads have to do together, in terms of one."""

THREAD_ROUNDS, THREAD_MILLISECONDS = 9, 80

Samples = dict[tuple[str, str], list[tuple[float, float]]]
"""By contestant and workload, for each round: the ideal's nanoseconds just before, and its own."""


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--rounds", type=int, default=21, help="samples of each workload (default: 21)")
    parser.add_argument("--milliseconds", type=float, default=25, help="length of a sample (default: 25)")
    parser.add_argument("--peers", default=str(PEERS_PYTHON), help="a Python that has the peers; '' leaves them out")
    options = parser.parse_args()
    with redis_server() as url:
        contestants = start(options.peers, url)
        try:
            samples = measure(contestants, options.rounds, options.milliseconds)
            together = compare_threads(contestants)
        finally:
            for contestant in contestants.values():
                contestant.close()
        peers = {name: contestant.python for name, contestant in contestants.items() if name in PEERS}
        figures, weights = footprint.measure(peers, url)
    lines = [*speed(samples), *times_faster(samples), *together, *figures]
    return report(lines, tables=[standings(samples, contestants), weights], as_json=options.json)


@contextmanager
def redis_server() -> Iterator[str]:
    """Run a private server for ours to follow, in a folder that goes with it, as do the files of the contestants."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TMPDIR"] = folder
        server = EmbeddedRedis(Path(folder, "data"), Path(folder, "run"), "flags", {}, dies_with_owner=True)
        server.start()
        try:
            yield server.url
        finally:
            server.stop()


class Contestant:
    """A child process that evaluates on request; raises EOFError where it did not come up."""

    def __init__(self, name: str, python: str, url: str) -> None:
        self.name, self.python = name, python
        command = [python, str(HERE / "contestant.py"), name, "serve"]
        environment = os.environ | {"SIGNALBOX_REDIS_URL": url}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
        try:
            self.release, self.workloads = self._answer().values()
        except EOFError:
            self.close()
            raise

    def sample(self, workload: str, milliseconds: float, threads: int = 0) -> float:
        """Take one sample: nanoseconds for one evaluation."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps([workload, milliseconds, threads]) + "\n")
        self.process.stdin.flush()
        return float(self._answer())

    def close(self) -> None:
        """End the process and wait for it."""
        self.process.communicate()

    def _answer(self) -> dict[str, str] | float:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise EOFError(f"{self.name} died; its error stands above")
        return json.loads(line)


def start(peers_python: str, url: str) -> dict[str, Contestant]:
    """Start everybody; a peer that can't be is named and left out."""
    contestants = {name: Contestant(name, sys.executable, url) for name in ("ideal", "signalbox")}
    if not Path(peers_python).is_file():
        print(
            f"peers are not measured: there is no {peers_python or 'Python for them'} (make bench sets it up)",
            file=sys.stderr,
        )
        return contestants
    for name in PEERS:
        try:
            contestants[name] = Contestant(name, peers_python, url)
        except EOFError as error:
            print(f"{name} is not measured: {error}", file=sys.stderr)
    return contestants


def measure(contestants: dict[str, Contestant], rounds: int, milliseconds: float) -> Samples:
    """Sample everybody side by side."""
    samples: Samples = {}
    jobs = [(name, workload) for name, contestant in contestants.items() for workload in contestant.workloads]
    chance = random.Random(1)
    for number in range(-1, rounds):  # the first round warms up and is dropped
        chance.shuffle(jobs)
        for name, workload in jobs:
            ideal = contestants["ideal"].sample(workload[:2], milliseconds)
            own = contestants[name].sample(workload, milliseconds)
            if number >= 0:
                samples.setdefault((name, workload), []).append((ideal, own))
        print(f"round {number + 1} of {rounds}", end="\r", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return samples


def compare_threads(contestants: dict[str, Contestant]) -> list[Figure]:
    """Compare what two threads do together with what one does alone."""
    lines = []
    ours = contestants["signalbox"]
    for workload in WORKLOADS:
        ratios = []
        for _ in range(THREAD_ROUNDS):
            alone, beside = (ours.sample(workload, THREAD_MILLISECONDS, threads) for threads in (1, 2))
            ratios.append(alone / beside)
        lines.append(Figure(f"{workload} two threads / one", statistics.median(ratios), "x", least=TOGETHER))
    return lines


# ---- figures


def to_ideal(samples: Samples, name: str, workload: str) -> float:
    """Tell how many times as long as the ideal somebody takes."""
    return statistics.median(own / ideal for ideal, own in samples[name, workload])


def to_ours(samples: Samples, name: str, workload: str) -> float:
    """Tell how many times as long as ours somebody takes."""
    pairs = zip(samples[name, workload], samples["signalbox", workload], strict=True)
    return statistics.median(own / ours for (_, own), (_, ours) in pairs)


def nanoseconds(samples: Samples, name: str, workload: str) -> float:
    """Tell how long somebody takes."""
    return statistics.median(own for _, own in samples[name, workload])


def speed(samples: Samples) -> list[Figure]:
    """Compare ours with the ideal."""
    lines = []
    for kind in ("", " details"):
        for workload in WORKLOADS:
            name = workload + kind
            limit = DETAIL_LIMIT if kind else VALUE_LIMITS[workload]
            ideal = nanoseconds(samples, "ideal", workload)
            note = f"{nanoseconds(samples, 'signalbox', name):.0f} ns against {ideal:.0f} ns"
            title = f"{workload}{kind or ' value'} / ideal"
            lines.append(Figure(title, to_ideal(samples, "signalbox", name), "x", limit=limit, note=note))
    return lines


def times_faster(samples: Samples) -> list[Figure]:
    """Compare ours with the peers: the workload on which ours gains least."""
    lines = []
    for name in PEERS:
        if (name, "W1") in samples:
            ratios = {workload: to_ours(samples, name, workload) for workload in WORKLOADS}
            note = ", ".join(f"{workload} {ratio:.0f}" for workload, ratio in ratios.items())
            lines.append(
                Figure(f"{name} / ours, least", min(ratios.values()), "x", least=TIMES_FASTER.get(name), note=note)
            )
    return lines


def standings(samples: Samples, contestants: dict[str, Contestant]) -> Table:
    """Lay out everybody's times, the quickest first."""
    order = sorted(contestants, key=lambda name: nanoseconds(samples, name, "W2"))
    rows = []
    for name in order:
        row = [name, contestants[name].release]
        for workload in WORKLOADS:
            times = f"{to_ideal(samples, name, workload):.1f}x, {to_ours(samples, name, workload):.1f}x"
            row.append(f"{nanoseconds(samples, name, workload):,.0f} ({times})")
        rows.append(row)
    return Table("ns for one value (x ideal, x ours)", ["", "release", *WORKLOADS], rows)


if __name__ == "__main__":
    sys.exit(main())
