"""What a propagation is compared with: a bare fan-out of stream entries, with one write back from each instance.

bare  each instance is a loop of two calls of redis-py: `xread`, which blocks, and `hset` back. This is what anyone
      would write in Python, over the same client library, so the targets are ratios to it.
raw   the same loop over a bare socket, with commands packed and answers parsed in C: what the server itself takes,
      and no Python client can reach.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import hiredis

from foundation.embedded import EmbeddedRedis
from foundation.redis import connect

PATIENCE = 30.0


def run_loops(kind: str, server: EmbeddedRedis, numbers: range, answered: Any, over: Any) -> None:
    """Run loops until it is over, each of which notes when its write back was answered."""
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


def entry_writer(url: str, kind: str, fields: dict[str, str], answered: Any) -> Callable[[], float]:
    """Make the function that adds one entry and tells when the last HSET was answered: seconds."""
    client: Any = connect(url)

    def write() -> float:
        started = time.monotonic()
        client.xadd(f"{kind}:log", fields, maxlen=10_000)
        while min(answered) < started:
            if time.monotonic() > started + PATIENCE:
                raise SystemExit(f"a {kind} instance does not answer")
            time.sleep(0.0005)
        return float(max(answered)) - started

    return write
