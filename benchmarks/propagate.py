"""How long a write takes to be in force everywhere.

**Over Redis**, at 1, 10, 100 and 500 instances: one of 30 flags is written through the store, and the time ends when
`wait_acknowledged` answers that every instance has it. Each instance is a whole flag client with a connection of its
own, which reads the change, checks it, compiles it, takes it into use and acknowledges it, renewing its lease. The
targets, for p50 and for p99, are ratios to `bare`, a fan-out of entries of the same size in which each instance is two
calls of redis-py; `raw` is shown beside it (both are in `fanout.py`). All have as many connections, in as many
processes, over the same server, which writes its append-only file through to the disk at every write. They take turns:
each round is one write of each kind, with a rest before it in which the last one's stragglers come to an end.

**Over HTTP**, at 1,000 instances: the same write, for clients that follow a whole `signalbox up` through the streams of
its control plane, and acknowledge by a request each.

**Beside Unleash**, one client over HTTP each: from the request that toggles a flag until the SDK serves the other
value (`toggles.py`). It needs a running server: `benchmarks/unleash.sh start` starts one, and prints what to set.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from fanout import LOOPS, entry_writer, run_loops
from figures import Figure, report
from fleet import NotEverywhere, acknowledged_writer, fill, run_clients, wait_live

from flags.documents import flag_json
from flags.sources.http import HttpSource
from flags.sources.redis import RedisSource
from flags.stores.redis import RedisInstanceRegistry
from foundation.embedded import EmbeddedRedis
from foundation.errors import SignalboxError
from foundation.lifetime import dies_with_parent

ENVIRONMENT = "bench"
SIZES = (1, 10, 100, 500)
TARGET = 1.5
"""What a write may take, in terms of the bare fan-out's."""

UNLEASH_TIMES = 50.0
PATIENCE = 60.0
WARM_UP = 10
REST = 0.02

HERE = Path(__file__).parent
PEERS_PYTHON = HERE.parent / ".venv-bench" / "bin" / "python"
FORK = multiprocessing.get_context("fork")
TIE = dies_with_parent()
"""Called first by each child, so that a benchmark that is killed leaves nobody behind."""


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument(
        "--instances", type=int, nargs="*", default=SIZES, help="connections of each kind (default: 1 10 100 500)"
    )
    parser.add_argument("--processes", type=int, default=4, help="processes they are spread over (default: 4)")
    parser.add_argument("--rounds", type=int, default=200, help="writes of each kind (default: 200)")
    parser.add_argument("--http", type=int, default=1_000, help="clients over HTTP (default: 1000, 0 for none)")
    parser.add_argument("--http-rounds", type=int, default=20, help="writes for them (default: 20)")
    parser.add_argument("--toggles", type=int, default=30, help="toggles beside Unleash (default: 30)")
    parser.add_argument("--unleash", default=os.environ.get("UNLEASH_URL", ""), help="address of its server")
    parser.add_argument("--peers", default=str(PEERS_PYTHON), help="a Python that has Unleash's SDK")
    options = parser.parse_args()
    with control_plane() as ready:
        over_control_plane = beside_unleash(ready, options)
        if options.http:
            over_control_plane += over_http(ready, options)
    lines = [line for instances in options.instances for line in over_redis(instances, options)]
    return report(lines + over_control_plane, as_json=options.json)


def percentiles(name: str, seconds: list[float], note: str = "") -> list[Figure]:
    """Show times as they are."""
    parts = (("p50", 0.5), ("p99", 0.99))
    return [Figure(f"{name}, {title}", quantile(seconds, part) * 1000, "ms", note=note) for title, part in parts]


def quantile(values: list[float], part: float) -> float:
    """Take the value below which this part of a list lies."""
    return sorted(values)[round(part * (len(values) - 1))]


@contextmanager
def children(targets: list[Callable[[Any], None]]) -> Iterator[None]:
    """Run functions in processes of their own, each with the event that ends them."""
    over = FORK.Event()
    started = [FORK.Process(target=tied, args=(target, over)) for target in targets]
    for child in started:
        child.start()
    try:
        yield
    finally:
        over.set()
        for child in started:
            child.join(PATIENCE)
            child.kill()


def tied(target: Callable[[Any], None], over: Any) -> None:
    """Run a function in a process that ends with its parent."""
    TIE()
    target(over)


def shares(instances: int, processes: int) -> list[range]:
    """Spread numbers over processes."""
    return [range(first, instances, processes) for first in range(min(instances, processes))]


# ---- over Redis


def over_redis(instances: int, options: argparse.Namespace) -> list[Figure]:
    """Compare one fleet with what is as large."""
    with tempfile.TemporaryDirectory() as folder:
        config = {"appendonly": "yes", "appendfsync": "always"}
        server = EmbeddedRedis(Path(folder, "data"), Path(folder, "run"), "flags", config, dies_with_owner=True)
        server.start()
        try:
            times = take_turns(server, instances, options)
        finally:
            server.stop()
    return ratios(instances, times)


def take_turns(server: EmbeddedRedis, instances: int, options: argparse.Namespace) -> dict[str, list[float]]:
    """Write in turns; answers with the seconds of each write, by kind."""
    flag = fill(server.url, ENVIRONMENT)
    answered = {kind: FORK.Array("d", instances, lock=False) for kind in LOOPS}
    source = partial(RedisSource, server.url, ENVIRONMENT)
    targets: list[Callable[[Any], None]] = []
    for share in shares(instances, options.processes):
        targets.append(partial(run_clients, source, share))
        targets += [partial(run_loops, kind, server, share, answered[kind]) for kind in LOOPS]
    with children(targets):
        writers = {"ours": acknowledged_writer(server.url, ENVIRONMENT, flag, instances)}
        entry = {flag.key: flag_json(flag)}
        writers |= {kind: entry_writer(server.url, kind, entry, answered[kind]) for kind in LOOPS}
        times: dict[str, list[float]] = {kind: [] for kind in writers}
        for number in range(-WARM_UP, options.rounds):
            for kind, write in writers.items():
                time.sleep(REST)
                took = write()
                if number >= 0:
                    times[kind].append(took)
            progress(f"{instances} instances over Redis", number + 1, options.rounds)
        return times


def ratios(instances: int, times: dict[str, list[float]]) -> list[Figure]:
    """Condense the times of one fleet."""
    lines = []
    for other, target in (("bare", TARGET), ("raw", None)):
        for name, part in (("p50", 0.50), ("p99", 0.99)):
            mine, least = quantile(times["ours"], part), quantile(times[other], part)
            note = f"{mine * 1000:.1f} ms against {least * 1000:.1f} ms"
            title = f"Redis, {instances} instances, {name} / {other}"
            lines.append(Figure(title, mine / least, "x", limit=target, note=note))
    return lines


def progress(what: str, number: int, rounds: int) -> None:
    """Say how far it is."""
    print(f"{what}: {max(0, number)} of {rounds}", end="\n" if number == rounds else "\r", file=sys.stderr, flush=True)


# ---- over HTTP


@contextmanager
def control_plane() -> Iterator[dict[str, Any]]:
    """Run the whole product; hands over its addresses and logins."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "ready.json")
        up = [sys.executable, "-m", "controlplane.cli", "up", "--no-demo", "--data-dir", folder + "/data"]
        process = subprocess.Popen([*up, "--ready-file", str(file)], stdout=subprocess.DEVNULL, preexec_fn=TIE)  # noqa: PLW1509 - as the product itself does
        try:
            deadline = time.monotonic() + PATIENCE
            while not file.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit("signalbox up did not become ready")
                time.sleep(0.1)
            yield json.loads(file.read_text())
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)


def over_http(ready: dict[str, Any], options: argparse.Namespace) -> list[Figure]:
    """Time writes to a fleet that follows the control plane.

    A machine that does not get round to every client within a lease loses some for a moment. Such a write is not timed,
    but counted, and the next one waits for the whole fleet.
    """
    environment = ready["environment"]
    flag = fill(ready["redis_url"], environment)
    source = partial(HttpSource, ready["url"], environment, ready["sdk_token"], timeout=10)
    targets = [partial(run_clients, source, share) for share in shares(options.http, options.processes)]
    registry = RedisInstanceRegistry(ready["redis_url"], environment, timeout=PATIENCE)
    times, lapsed = [], 0
    with children(targets):
        try:
            write = acknowledged_writer(ready["redis_url"], environment, flag, options.http)
            for number in range(-2, options.http_rounds):
                time.sleep(0.5)
                try:
                    took = write()
                    if number >= 0:
                        times.append(took)
                except NotEverywhere:
                    lapsed += 1
                    wait_live(registry, options.http)
                progress(f"{options.http} instances over HTTP", number + 1, options.http_rounds)
        except (NotEverywhere, SignalboxError) as error:
            print(f"HTTP, {options.http} instances, broke off: {error}", file=sys.stderr)
    note = f"{lapsed} more writes found leases run out" if lapsed else ""
    return percentiles(f"HTTP, {options.http} instances, acknowledged by all", times, note) if times else []


# ---- beside Unleash


def beside_unleash(ready: dict[str, Any], options: argparse.Namespace) -> list[Figure]:
    """Compare how long one toggle takes to be seen."""
    tokens = {"SIGNALBOX_TOKEN": ready["admin_token"], "SIGNALBOX_SDK_TOKEN": ready["sdk_token"]}
    environment = {"SIGNALBOX_ENV": ready["environment"], **tokens}
    ours = toggles("signalbox", sys.executable, ready["url"], options.toggles, environment)
    lines = percentiles("toggle seen, ours over HTTP", ours)
    if not options.unleash or not Path(options.peers).is_file():
        why = "no --unleash URL" if not options.unleash else f"there is no {options.peers}"
        print(f"Unleash is not measured: {why}", file=sys.stderr)
        return lines
    theirs = toggles("unleash", options.peers, options.unleash, options.toggles, {})
    ratio = quantile(theirs, 0.5) / quantile(ours, 0.5)
    return [
        *lines,
        *percentiles("toggle seen, Unleash", theirs),
        Figure("toggle seen, Unleash / ours, p50", ratio, "x", least=UNLEASH_TIMES),
    ]


def toggles(kind: str, python: str, url: str, rounds: int, environment: dict[str, str]) -> list[float]:
    """Have toggles timed by a process of their own."""
    command = [python, str(HERE / "toggles.py"), kind, url, str(rounds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=os.environ | environment)
    seconds: list[float] = json.loads(done.stdout)
    return seconds


if __name__ == "__main__":
    sys.exit(main())
