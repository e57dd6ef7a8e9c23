"""How long a write takes to be in force everywhere, as a ratio to the least that Redis itself could do it in.

    ours  one flag is written through the store; the time ends when `wait_acknowledged` answers that every one of the
          instances has it. Each instance is a whole flag client with a connection of its own, which reads the change,
          checks it, compiles it, takes it into use and acknowledges it, renewing its lease.
    bare  one entry of the same size is added to a stream; each instance is a loop over a raw socket that waits in XREAD
          and answers with one HSET. The time ends when the last of them has the answer to its HSET.

Both have as many connections, in as many processes, over the same server, which writes its append-only file through to
the disk at every write. They take turns: each pair is one write of either. The ratio at p50 has a target; p99 is shown.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import socket
import statistics
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
from foundation.redis import connect

ENVIRONMENT = "bench"
FLAGS = 100
TARGET = 2.0
PATIENCE = 30.0
WARM_UP = 10

FORK = multiprocessing.get_context("fork")


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--instances", type=int, default=100, help="connections of either kind (default: 100)")
    parser.add_argument("--processes", type=int, default=4, help="processes they are spread over (default: 4)")
    parser.add_argument("--pairs", type=int, default=300, help="writes of either kind (default: 300)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedRedis(
            Path(folder, "data"), Path(folder, "run"), "flags", {"appendonly": "yes", "appendfsync": "always"}
        )
        server.start()
        try:
            pairs = measure(server, options)
        finally:
            server.stop()
    return report(figures(pairs, options), as_json=options.json)


def measure(server: EmbeddedRedis, options: argparse.Namespace) -> list[tuple[float, float]]:
    """Take turns; answers with seconds of (bare, ours)."""
    flag = fill(server.url)
    done = FORK.Array("d", options.instances, lock=False)
    over = FORK.Event()
    shares = [range(first, options.instances, options.processes) for first in range(options.processes)]
    children = [FORK.Process(target=ours, args=(server.url, share, over)) for share in shares]
    children += [FORK.Process(target=bare, args=(str(server.socket), share, done)) for share in shares]
    for child in children:
        child.start()
    try:
        write_ours = our_writer(server.url, flag, options.instances)
        write_bare = bare_writer(server.url, flag, done)
        pairs = []
        for number in range(-WARM_UP, options.pairs):
            pair = write_bare(), write_ours()
            if number >= 0:
                pairs.append(pair)
            print(f"pair {number + 1} of {options.pairs}", end="\r", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        return pairs
    finally:
        over.set()
        for child in children[: options.processes]:
            child.join(PATIENCE)
        for child in children:
            child.kill()
            child.join()


def figures(pairs: list[tuple[float, float]], options: argparse.Namespace) -> list[Figure]:
    """Condense the pairs."""
    bare_times, our_times = (sorted(column) for column in zip(*pairs, strict=True))
    spread = f"{options.instances} instances in {options.processes} processes, {options.pairs} pairs"
    lines = []
    for name, part, limit in (("p50", 0.50, TARGET), ("p99", 0.99, None)):
        mine, least = quantile(our_times, part), quantile(bare_times, part)
        note = f"{mine * 1000:.1f} ms against {least * 1000:.1f} ms; {spread}"
        lines.append(Figure(f"propagate {name}", mine / least, "x", limit=limit, note=note))
    paired = statistics.median(mine / least for least, mine in pairs)
    lines.append(Figure("propagate, median of the pairs' own ratios", paired, "x"))
    return lines


def quantile(ordered: list[float], part: float) -> float:
    """Take the value below which this part of an ordered list lies."""
    return ordered[min(len(ordered) - 1, round(part * (len(ordered) - 1)))]


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


# ---- bare


def bare(path: str, numbers: range, done: Any) -> None:
    """Run bare loops until killed."""
    for number in numbers:
        threading.Thread(target=bare_loop, args=(path, number, done), daemon=True).start()
    threading.Event().wait()


def bare_loop(path: str, number: int, done: Any) -> None:
    """Wait for an entry, answer with one HSET, note the time, for ever."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        reader = hiredis.Reader()

        def ask(*words: str | bytes) -> Any:
            connection.sendall(hiredis.pack_command(words))
            while (answer := reader.gets()) is False:
                reader.feed(connection.recv(65536))
            return answer

        cursor: bytes = b"0-0"
        while True:
            answer = ask("XREAD", "BLOCK", "0", "STREAMS", "bare:log", cursor)
            cursor = answer[0][1][-1][0]
            ask("HSET", "bare:acked", str(number), cursor)
            done[number] = time.monotonic()


def bare_writer(url: str, flag: Flag, done: Any) -> Callable[[], float]:
    """Make the function that adds one entry and tells when the last HSET was answered."""
    client = connect(url)
    text = flag_json(flag)

    def write() -> float:
        started = time.monotonic()
        client.xadd("bare:log", {flag.key: text}, maxlen=10_000)
        while min(done) < started:
            if time.monotonic() > started + PATIENCE:
                raise SystemExit("a bare instance does not answer")
            time.sleep(0.0005)
        return float(max(done)) - started

    return write


if __name__ == "__main__":
    sys.exit(main())
