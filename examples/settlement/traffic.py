"""A steady trickle of made-up requests at the gateway, until it is told to stop.

python -m examples.settlement.traffic --gateway 127.0.0.1:8090 --rate 5
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import logging
import random
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

CLIENTS = 4
"""Requests under way at once."""

_log = logging.getLogger("traffic")


def requests(dice: random.Random) -> Iterator[tuple[str, dict[str, Any]]]:
    """Make paths and bodies: of ten, seven settlements, two bonuses and an adjustment, in shuffled order."""
    start = datetime.now(UTC).strftime("%y%m%d%H%M%S")
    for number in itertools.count():
        name, customer = f"{start}_{number}", f"CUST_{dice.randrange(1000):03}"
        kind = dice.randrange(10)
        if kind < 7:
            stake = dice.randrange(10_00, 500_00) / 100
            body = {"settlementId": f"PEN_{name}", "event": "Chiefs vs Bills", "betType": "moneyline", "stake": stake}
            yield "/collections/process-settlement", {**body, "customerId": customer, "amount": round(stake * 1.67, 2)}
        elif kind < 9:
            body = {"transactionId": f"FP_{name}", "customerId": customer, "bonusType": "welcome_bonus"}
            yield "/free-play/issue-bonus", {**body, "amount": dice.randrange(5_00, 50_00) / 100}
        else:
            body = {"adjustmentId": f"ADJ_{name}", "customerId": customer, "reason": "duplicate_credit"}
            yield "/adjustments/request", {**body, "amount": -dice.randrange(1_00, 20_00) / 100}


def post(gateway: str, path: str, body: dict[str, Any]) -> tuple[int, bytes]:
    """Send one request; answers with the status and the whole body."""
    connection = http.client.HTTPConnection(gateway, timeout=30)
    try:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def await_gateway(gateway: str) -> None:
    """Wait until the gateway is there at all: workers take a moment to start."""
    while True:
        connection = http.client.HTTPConnection(gateway, timeout=2)
        try:
            connection.connect()
        except OSError:
            time.sleep(0.2)
        else:
            return
        finally:
            connection.close()


def client(gateway: str, rate: float, dice: random.Random) -> None:
    """Send requests at a rate, one after the other; a gateway that is away is tried again."""
    away = False
    for path, body in requests(dice):
        started = time.monotonic()
        try:
            status, answer = post(gateway, path, body)
        except (OSError, http.client.HTTPException) as error:
            if not away:
                _log.warning("the gateway does not answer, and is tried again: %s", error)
            away = True
            time.sleep(1)
            continue
        away = False
        if status != 200:
            _log.warning("%s answered %s: %s", path, status, answer[:500].decode(errors="replace"))
        time.sleep(max(0.0, dice.expovariate(rate) - (time.monotonic() - started)))


def main() -> None:
    """Read the command line and send until killed."""
    parser = argparse.ArgumentParser(description="A steady trickle of made-up requests at the gateway.")
    parser.add_argument("--gateway", default="127.0.0.1:8090", metavar="HOST:PORT")
    parser.add_argument("--rate", type=float, default=6.0, metavar="R", help="requests a second, all together")
    parser.add_argument("--seed", type=int, default=None, help="makes the requests the same each time")
    options = parser.parse_args()
    logging.basicConfig(format="traffic: %(message)s", level=logging.WARNING)
    await_gateway(options.gateway)
    each = options.rate / CLIENTS
    seeds = random.Random(options.seed)
    clients = [(options.gateway, each, random.Random(seeds.random())) for _ in range(CLIENTS)]
    threads = [threading.Thread(target=client, args=arguments, daemon=True) for arguments in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
