"""One contestant of `evaluate.py` in a process of its own: no heap, collector or thread is shared with another.

contestant.py NAME serve          answers requests for samples, a line of JSON each
contestant.py NAME weigh COUNT    loads so many flags, and tells what that took in memory and time
contestant.py NAME prepare COUNT  writes the flags in the contestant's format (all those of the workloads for 0)
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import importlib.metadata
import json
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from peers import Contestant
from workloads import VARIABLES, Record, all_flags, all_records, fault, once_each, rules

Clock = Callable[[], int]
Loop = Callable[[list[Record], Clock], int]

LOOP = """
def run(records, clock):
    started = clock()
    for {variables} in records:
        {statement}
    return clock() - started
"""


def main() -> None:
    """Do what the command line says."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what an SDK prints must not be taken for an answer
    name, command, *rest = sys.argv[1:]
    module = importlib.import_module(f"peers.{name}")
    if command == "prepare":
        count = int(rest[0])
        os.write(answers.fileno(), pickle.dumps(module.prepare(rules(count) if count else all_flags())))
    elif command == "weigh":
        answers.write(json.dumps(weigh(name, module, int(rest[0]))) + "\n")
    else:
        serve(name, module, answers)
    answers.close()
    os._exit(0)  # some SDKs' threads would hold up the end


def prepared(name: str, count: int) -> Any:
    """Have the flags written by another process: what that leaves behind in the heap would hide what loading takes."""
    command = [sys.executable, __file__, name, "prepare", str(count)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return pickle.loads(done.stdout)  # noqa: S301 - it is our own


# ---- speed


def serve(name: str, module: Any, answers: Any) -> None:
    """Load the flags of all workloads, check the answers, and take samples until there are no more requests."""
    contestant = module.load(prepared(name, 0))
    sampler = Sampler(contestant)
    print(json.dumps({"release": release(module), "workloads": list(contestant.expressions)}), file=answers)
    for line in sys.stdin:
        print(sampler.sample(*json.loads(line)), file=answers)
    contestant.close()


def release(module: Any) -> str:
    """Tell what is measured of a peer, and which version; "" for what stands in this repository."""
    distribution = getattr(module, "DISTRIBUTION", "")
    return f"{distribution} {importlib.metadata.version(distribution)}" if distribution else ""


class Sampler:
    """Takes samples of a contestant, once its answers have been found right."""

    def __init__(self, contestant: Contestant) -> None:
        self.contestant = contestant
        self.records = all_records()
        self.offsets = dict.fromkeys(self.records, 0)
        self.counts: dict[tuple[str, float], int] = {}
        for workload in contestant.expressions:
            self.check(workload)

    def check(self, workload: str) -> None:
        """Make sure that what is timed is right, and the same twice."""
        if workload not in self.records:
            return
        source = f"[({self.contestant.expressions[workload]}) for {VARIABLES[workload]} in records]"
        names = self.contestant.names | {"records": self.records[workload]}
        answers, again = (eval(source, dict(names)) for _ in range(2))  # noqa: S307 - the expressions are in peers/
        wrong = fault(workload, self.records[workload], answers) or ("not sticky" if answers != again else "")
        if wrong:
            raise SystemExit(f"{workload}: {wrong}")

    def sample(self, workload: str, milliseconds: float, threads: int) -> float:
        """Time one workload: nanoseconds for one evaluation.

        Where `threads` is 0 this is CPU time, without the loop's own. For the comparison of threads, 1 or 2 of them, it
        is the time on the wall, all of them together, loop and all.
        """
        run = loop(workload, self.contestant.expressions[workload], self.contestant.names)
        if (workload, milliseconds) not in self.counts:
            self.counts[workload, milliseconds] = self.calibrated(run, workload, milliseconds)
        count = self.counts[workload, milliseconds]
        if threads:
            return together(run, [self.take(workload, count) for _ in range(threads)])
        records = self.take(workload, count)
        gc.collect()
        took = run(records, time.thread_time_ns) - loop(workload, "pass", {})(records, time.thread_time_ns)
        return took / count

    def calibrated(self, run: Loop, workload: str, milliseconds: float) -> int:
        """Find how many evaluations take about so long."""
        count, took = 100, 0
        while took < milliseconds * 1e6 / 8:
            count *= 4
            took = run(self.take(workload, count), time.perf_counter_ns)
        return max(100, round(count * milliseconds * 1e6 / took))

    def take(self, workload: str, count: int) -> list[Record]:
        """Take the next records, round and round."""
        records, offset = self.records[workload[:2]], self.offsets[workload[:2]]
        self.offsets[workload[:2]] = (offset + count) % len(records)
        return (records * (2 + count // len(records)))[offset : offset + count]


def loop(workload: str, statement: str, names: dict[str, Any]) -> Loop:
    """Compile a timed loop around a statement."""
    scope = dict(names)
    exec(LOOP.format(variables=VARIABLES[workload[:2]], statement=statement), scope)  # noqa: S102 - as above
    run: Loop = scope["run"]
    return run


def together(run: Loop, shares: list[list[Record]]) -> float:
    """Run a loop in as many threads as there are shares: nanoseconds on the wall for one evaluation."""
    begin = threading.Barrier(len(shares) + 1)
    ends: list[int] = []

    def work(records: list[Record]) -> None:
        begin.wait()
        run(records, time.perf_counter_ns)
        ends.append(time.perf_counter_ns())

    workers = [threading.Thread(target=work, args=(share,)) for share in shares]
    for worker in workers:
        worker.start()
    gc.collect()
    started = time.perf_counter_ns()
    begin.wait()
    for worker in workers:
        worker.join()
    return (max(ends) - started) / sum(len(share) for share in shares)


# ---- weight


def weigh(name: str, module: Any, count: int) -> dict[str, float]:
    """Load flags with a rule each: bytes of resident memory for a flag when loaded and when each was asked for twice.

    A client of one flag is loaded before, and closed, so that the libraries are in memory already.
    """
    module.load(prepared(name, 1)).close()
    flags, records = prepared(name, count), once_each(count)
    before = resident()
    started = time.perf_counter()
    contestant = module.load(flags)
    took = time.perf_counter() - started
    loaded = resident() - before
    loop("W4", contestant.expressions["W4"], contestant.names)(records, time.perf_counter_ns)
    used = resident() - before
    return {"loaded": loaded / count, "used": used / count, "milliseconds": took * 1000}


def resident() -> int:
    """Tell the bytes of this process that are in memory, once everything that can be given back was."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
