"""What codecs, compression and templates cost, as ratios to the standard library's json on the same messages.

Every message is unlike any other, since one object many times makes YAML look fast. A sample encodes and decodes one
message, or a batch of 24 or 240 (10 KB and 100 KB), again and again for some 20 ms of thread CPU time. Each is divided
by a sample of json.dumps and json.loads taken just before, and the figure is the median of these ratios.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
import zlib
from collections.abc import Callable
from typing import Any

import yaml
from figures import Figure, report
from jsonschema import Draft202012Validator

from messenger.codecs import MAX_BODY_BYTES, decode, encode
from messenger.codecs.yaml_dialect import keeps_to_dialect
from messenger.compression import compress, decompress
from messenger.envelope import Envelope
from messenger.formats import GZIP, JSON, YAML, ZSTD
from messenger.templates import templates, validate

SIZES = {"one message": 1, "batch of 24": 24, "batch of 240": 240}
TARGETS = {JSON: 1.0, YAML: 2.5}
"""Encode and decode; YAML at twice json's time leaves a batch over Redis five times faster than json one by one."""
CHECK_TARGET = 0.75
LEVELS = (6, 9)
TYPE = "SETTLEMENT_PROCESSED"

Run = Callable[[], Any]


def main() -> int:
    """Measure everything and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--rounds", type=int, default=15, help="samples of each figure (default: 15)")
    options = parser.parse_args()
    figures = [figure for size in SIZES for figure in codec_figures(size, options.rounds)]
    figures += [*check_figures(options.rounds), *compression_figures(options.rounds)]
    return report(figures, as_json=options.json)


def codec_figures(size: str, rounds: int) -> list[Figure]:
    """Encode and decode in each codec, and where YAML's time goes."""
    document = batch(SIZES[size])
    text, body = json.dumps(document), encode(YAML, document)
    yardstick = both(lambda: json.dumps(document), lambda: json.loads(text))

    def ratio(run: Run) -> float:
        return compare(run, yardstick, rounds)

    def pyyaml() -> None:
        yaml.load(yaml.dump(document, Dumper=yaml.CSafeDumper), Loader=yaml.CSafeLoader)

    def trip(content_type: str) -> Run:
        written = encode(content_type, document)
        return both(lambda: encode(content_type, document), lambda: decode(content_type, written))

    tell(f"codecs, {size}")
    return [
        Figure(f"JSON, {size}", ratio(trip(JSON)), "x", TARGETS[JSON]),
        Figure(f"YAML, {size}", ratio(trip(YAML)), "x", TARGETS[YAML], note=f"{len(body):,} bytes"),
        Figure("  encode", ratio(lambda: encode(YAML, document)), "x"),
        Figure("  decode", ratio(lambda: decode(YAML, body)), "x"),
        Figure("  of that the guard", ratio(lambda: keeps_to_dialect(body)), "x"),
        Figure("  PyYAML with libyaml instead", ratio(pyyaml), "x"),
    ]


def check_figures(rounds: int) -> list[Figure]:
    """Check a message against its template."""
    document = message(1)
    envelope, text = Envelope.from_document(document), json.dumps(document)
    yardstick = both(lambda: json.dumps(document), lambda: json.loads(text))
    judge = Draft202012Validator(templates()[TYPE].schema)
    tell("templates")
    return [
        Figure("template check", compare(lambda: validate(envelope), yardstick, rounds), "x", CHECK_TARGET),
        Figure("  jsonschema instead", compare(lambda: judge.is_valid(envelope.payload), yardstick, rounds), "x"),
    ]


def compression_figures(rounds: int) -> list[Figure]:
    """Compress and decompress a batch of 100: both as ours does, then gzip at other levels."""
    document = batch(100)
    body, text = encode(JSON, document), json.dumps(document)
    yardstick = both(lambda: json.dumps(document), lambda: json.loads(text))
    tell("compression")

    def figure(name: str, pack: Callable[[bytes], bytes], unpack: Callable[[bytes], bytes]) -> Figure:
        packed = pack(body)
        run = both(lambda: pack(body), lambda: unpack(packed))
        note = f"{len(body) / len(packed):.1f} times smaller"
        return Figure(f"{name}, batch of 100", compare(run, yardstick, rounds), "x", note=note)

    ours = [
        figure(
            encoding,
            lambda plain, encoding=encoding: compress(encoding, plain)[1],
            lambda packed, encoding=encoding: decompress(encoding, packed, MAX_BODY_BYTES),
        )
        for encoding in (GZIP, ZSTD)
    ]
    return ours + [
        figure(
            f"  gzip {level} instead",
            lambda plain, level=level: zlib.compress(plain, level, wbits=31),
            lambda packed: zlib.decompress(packed, 31),
        )
        for level in LEVELS
    ]


def batch(count: int) -> dict[str, Any]:
    """Make one message, or a batch of them."""
    if count == 1:
        return message(0)
    return {"type": "MESSAGE_BATCH", "messages": [message(number) for number in range(count)], "batchId": "frm_1"}


def message(number: int) -> dict[str, Any]:
    """Make a settlement of some 430 bytes that differs from every other."""
    rng = random.Random(number)
    return {
        "type": TYPE,
        "version": "1.0",
        "messageId": f"msg_{rng.getrandbits(80):020x}",
        "correlationId": f"corr_{rng.getrandbits(80):020x}",
        "timestamp": f"2025-01-26T15:{rng.randrange(60):02}:{rng.randrange(60):02}.{rng.randrange(1000):03}Z",
        "payload": {
            "settlementId": f"PEN_{rng.randrange(10**6):06}",
            "customerId": f"CUST_{rng.randrange(10**6):06}",
            "amount": rng.randrange(1, 10**7) / 100,
            "paymentMethod": rng.choice(["wire_transfer", "card", "cash"]),
            "processedAt": f"2025-01-26T15:{rng.randrange(60):02}:00Z",
            "confirmationNumber": f"CONF_PEN_{rng.randrange(10**10):010}",
        },
        "metadata": {"sourceDomain": "collections", "targetDomain": "balance", "priority": "high", "ttl": 300000},
    }


def both(one: Run, other: Run) -> Run:
    """Join two steps."""

    def run() -> None:
        one()
        other()

    return run


def compare(run: Run, yardstick: Run, rounds: int) -> float:
    """Tell how many times the yardstick's time a run takes."""
    turns, yard_turns = calibrated(run), calibrated(yardstick)
    ratios = []
    for _ in range(rounds):
        expected = sample(yardstick, yard_turns)
        ratios.append(sample(run, turns) / expected)
    return statistics.median(ratios)


def calibrated(run: Run, seconds: float = 0.02) -> int:
    """Find how many turns make a sample."""
    run()
    return max(1, int(seconds / max(1e-7, sample(run, 3))))


def sample(run: Run, turns: int) -> float:
    """Take the CPU seconds of one turn, as the mean of so many."""
    started = time.thread_time()
    for _ in range(turns):
        run()
    return (time.thread_time() - started) / turns


def tell(what: str) -> None:
    """Say on standard error what is being measured."""
    print(f"measuring {what}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
