"""How long a write takes to be in force everywhere, as a ratio to a bare fan-out over the same connections.

    ours  one of 30 flags is written through the store; the time ends when `wait_acknowledged` answers that every one of
          the instances has it. Each instance is a whole flag client with a connection of its own, which reads the
          change, checks it, compiles it, takes it into use and acknowledges it, renewing its lease.
    bare  one entry of the same size is added to a stream; each instance is a loop of two calls of redis-py: `xread`,
          which blocks, and `hset` back. The time ends when the last of them has the answer to its HSET.
    raw   the same loop over a bare socket, with commands packed and answers parsed in C: what the server itself takes,
          and no Python client can reach. It is shown, and has no target.

All have as many connections, in as many processes, over the same server, which writes its append-only file through to
the disk at every write. They take turns: each round is one write of each kind, with a rest before it in which the last
one's stragglers come to an end. The ratio at p50 has a target; p99 is shown beside it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import hiredis
from figures import Figure, report

from flags.client import FlagClient
from flags.convergence import converged
from flags.documents import flag_json, parse_flag
from flags.instances import Instance
from flags.model import Flag
from flags.sources.redis import RedisSource
from flags.store import Edit, Write
from flags.stores.redis import RedisFlagStore, RedisInstanceRegistry
from foundation.embedded import EmbeddedRedis
from foundation.ids import new_id
from foundation.lifetime import dies_with_parent
from foundation.redis import connect

ENVIRONMENT = "bench"
FLAGS = 30
TARGET = 2.0
PATIENCE = 30.0
WARM_UP = 10
REST = 0.02

FORK = multiprocessing.get_context("fork")
TIE = dies_with_parent()
"""Called first by each child, so that a benchmark that is killed leaves nobody behind."""


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--instances", type=int, default=100, help="connections of each kind (default: 100)")
    parser.add_argument("--processes", type=int, default=4, help="processes they are spread over (default: 4)")
    parser.add_argument("--rounds", type=int, default=200, help="writes of each kind (default: 200)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = {"appendonly": "yes", "appendfsync": "always"}
        server = EmbeddedRedis(Path(folder, "data"), Path(folder, "run"), "flags", config, dies_with_owner=True)
        server.start()
        try:
            times = measure(server, options)
        finally:
            server.stop()
    return report(figures(times, options), as_json=options.json)


def measure(server: EmbeddedRedis, options: argparse.Namespace) -> dict[str, list[float]]:
    """Take turns; answers with the seconds of each write, by kind."""
    flag = fill(server.url)
    over = FORK.Event()
    shares = [range(first, options.instances, options.processes) for first in range(options.processes)]
    answered = {kind: FORK.Array("d", options.instances, lock=False) for kind in LOOPS}
    children = [FORK.Process(target=ours, args=(server.url, share, over)) for share in shares]
    for kind in LOOPS:
        children += [FORK.Process(target=fan_out, args=(kind, server, share, answered[kind], over)) for share in shares]
    for child in children:
        child.start()
    try:
        writers = {"ours": our_writer(server.url, flag, options.instances)}
        writers |= {kind: entry_writer(server.url, kind, flag, answered[kind]) for kind in LOOPS}
        times: dict[str, list[float]] = {kind: [] for kind in writers}
        for number in range(-WARM_UP, options.rounds):
            for kind, write in writers.items():
                time.sleep(REST)
                took = write()
                if number >= 0:
                    times[kind].append(took)
            print(f"round {number + 1} of {options.rounds}", end="\r", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        return times
    finally:
        over.set()
        for child in children:
            child.join(PATIENCE)
            child.kill()


def figures(times: dict[str, list[float]], options: argparse.Namespace) -> list[Figure]:
    """Condense the times into ratios."""
    spread = f"{options.instances} instances in {options.processes} processes, {options.rounds} rounds"
    lines = []
    for other, target in (("bare", TARGET), ("raw", None)):
        for name, part, limit in (("p50", 0.50, target), ("p99", 0.99, None)):
            mine, least = quantile(times["ours"], part), quantile(times[other], part)
            note = f"{mine * 1000:.1f} ms against {least * 1000:.1f} ms; {spread}"
            lines.append(Figure(f"propagate {name} / {other}", mine / least, "x", limit=limit, note=note))
    return lines


def quantile(values: list[float], part: float) -> float:
    """Take the value below which this part of a list lies."""
    return sorted(values)[round(part * (len(values) - 1))]


# ---- ours


def fill(url: str) -> Flag:
    """Write the flags; answers with the one that will change."""
    document = {
        "enabled": True,
        "variants": {"on": "yaml", "off": "json"},
        "offVariant": "off",
        "rollout": {"percentage": 0, "domains": {"collections": 10, "distributions": 50}},
    }
    flags = [parse_flag(f"flag{number}", document) for number in range(FLAGS)]
    store = RedisFlagStore(url, ENVIRONMENT)
    store.write(Write(new_id(), tuple(Edit(flag, None) for flag in flags), "bench"))
    store.close()
    return flags[0]


def ours(url: str, numbers: range, over: Any) -> None:
    """Run flag clients until it is over."""
    TIE()
    clients = []
    for number in numbers:
        instance = Instance(f"w-{number}.{new_id()[-6:]}", f"w-{number}", "worker", "collections", "bench", os.getpid())
        clients.append(FlagClient(RedisSource(url, ENVIRONMENT), instance=instance))
        clients[-1].start()
    over.wait()
    for client in clients:
        client.close()


def our_writer(url: str, flag: Flag, instances: int) -> Callable[[], float]:
    """Make the function that writes once and tells how long it took to be everywhere."""
    store, registry = RedisFlagStore(url, ENVIRONMENT), RedisInstanceRegistry(url, ENVIRONMENT)
    deadline = time.monotonic() + PATIENCE
    while len(registry.live()) < instances:
        if time.monotonic() > deadline:
            raise SystemExit(f"only {len(registry.live())} of {instances} instances came up")
        time.sleep(0.05)
    expected = store.snapshot().versions[flag.key]
    count = 0

    def write() -> float:
        nonlocal expected, count
        count += 1
        edit = Edit(replace(flag, description=f"change {count}"), expected)
        started = time.monotonic()
        expected = store.write(Write(new_id(), (edit,), "bench")).revision
        live = registry.wait_acknowledged(expected, PATIENCE)
        took = time.monotonic() - started
        if len(live) != instances or not converged(expected, live, [flag.key]).reached:
            raise SystemExit(f"revision {expected} is not everywhere: {len(live)} of {instances} live")
        return took

    return write


# ---- what it is compared with


def fan_out(kind: str, server: EmbeddedRedis, numbers: range, answered: Any, over: Any) -> None:
    """Run loops until it is over."""
    TIE()
    for number in numbers:
        threading.Thread(target=LOOPS[kind], args=(server, number, answered), daemon=True).start()
    over.wait()
    os._exit(0)  # the loops are blocked for good


def bare_loop(server: EmbeddedRedis, number: int, answered: Any) -> None:
    """Wait for an entry, answer with one HSET, note the time, for ever: as anyone would write it."""
    client: Any = connect(server.url, block=PATIENCE * 100)
    cursor = b"0-0"
    while True:
        answer = client.xread({"bare:log": cursor}, block=0)
        cursor = answer[0][1][-1][0]
        client.hset("bare:acked", str(number), cursor)
        answered[number] = time.monotonic()


def raw_loop(server: EmbeddedRedis, number: int, answered: Any) -> None:
    """Do the same with as little Python as there can be."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(server.socket))
        reader = hiredis.Reader()

        def ask(*words: str | bytes) -> Any:
            connection.sendall(hiredis.pack_command(words))
            while (answer := reader.gets()) is False:
                reader.feed(connection.recv(65536))
            return answer

        cursor = b"0-0"
        while True:
            answer = ask("XREAD", "BLOCK", "0", "STREAMS", "raw:log", cursor)
            cursor = answer[0][1][-1][0]
            ask("HSET", "raw:acked", str(number), cursor)
            answered[number] = time.monotonic()


LOOPS: dict[str, Callable[[EmbeddedRedis, int, Any], None]] = {"bare": bare_loop, "raw": raw_loop}


def entry_writer(url: str, kind: str, flag: Flag, answered: Any) -> Callable[[], float]:
    """Make the function that adds one entry and tells when the last HSET was answered."""
    client = connect(url)
    text = flag_json(flag)

    def write() -> float:
        started = time.monotonic()
        client.xadd(f"{kind}:log", {flag.key: text}, maxlen=10_000)
        while min(answered) < started:
            if time.monotonic() > started + PATIENCE:
                raise SystemExit(f"a {kind} instance does not answer")
            time.sleep(0.0005)
        return float(max(answered)) - started

    return write


if __name__ == "__main__":
    sys.exit(main())
