"""How long a toggle takes to be seen by one client: from the request to the control plane until the SDK answers so.

    signalbox   PATCH …/flags/KEY, and a `FlagClient` that follows the same control plane over HTTP
    unleash     POST …/environments/development/on, and Unleash's Python SDK at its fastest refresh, once a second

A client that polls may have looked just before, or be about to: there is a pause of random length before each toggle.

The tokens come from the environment: SIGNALBOX_TOKEN and SIGNALBOX_SDK_TOKEN, or UNLEASH_ADMIN_TOKEN and
UNLEASH_CLIENT_TOKEN.
"""

from __future__ import annotations

import json
import logging
import os
import random
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError

PATIENCE = 30.0
KEY = "signalbox-bench"
REFRESH = 1
"""Seconds between two looks of Unleash's SDK: it takes no less."""

Toggle = Callable[[bool], None]
Seen = Callable[[], bool]


def main() -> None:
    """Toggle so many times; print the seconds of each as JSON."""
    kind, url, rounds = sys.argv[1:]
    toggle, seen = KINDS[kind](url.rstrip("/"))
    chance = random.Random(1)
    taken = []
    for number in range(-2, int(rounds)):  # the first ones warm up and are dropped
        time.sleep(chance.uniform(0.1, REFRESH + 0.1))
        taken.append(timed(toggle, seen, number % 2 == 0))
        print(f"{kind}: toggle {number + 1} of {rounds}", end="\r", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print(json.dumps(taken[2:]), flush=True)
    os._exit(0)


def timed(toggle: Toggle, seen: Seen, wanted: bool) -> float:
    """Toggle, and watch until it is seen; the request's answer may come after that."""
    started = time.monotonic()
    request = threading.Thread(target=toggle, args=(wanted,))
    request.start()
    while seen() is not wanted:
        if time.monotonic() > started + PATIENCE:
            raise SystemExit("a toggle was never seen")
        time.sleep(0.0005)
    took = time.monotonic() - started
    request.join()
    return took


def call(method: str, url: str, token: str, body: Any = None) -> int:
    """Send a request with a JSON body; answers with the status."""
    headers = {"Authorization": token, "Content-Type": "application/json"}
    data = json.dumps(body or {}).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method)) as answer:  # noqa: S310 - the benchmark's own servers
            answer.read()
            return int(answer.status)
    except HTTPError as error:
        error.read()
        return error.code


def signalbox(url: str) -> tuple[Toggle, Seen]:
    """Make a flag and a client of it."""
    from flags.client import FlagClient  # noqa: PLC0415 - Unleash does without
    from flags.sources.http import HttpSource  # noqa: PLC0415

    token, environment = f"Bearer {os.environ['SIGNALBOX_TOKEN']}", os.environ.get("SIGNALBOX_ENV") or "demo"
    flags = f"{url}/api/v1/environments/{environment}/flags"
    document = {"enabled": True, "variants": {"on": True, "off": False}, "offVariant": "off"}
    expect(call("POST", flags, token, {"key": KEY, **document}), 201, 409)
    client = FlagClient(HttpSource(url, environment, os.environ["SIGNALBOX_SDK_TOKEN"]))
    if not client.start():
        raise SystemExit(f"the client did not start: {client.error}")

    def toggle(on: bool) -> None:
        expect(call("PATCH", f"{flags}/{KEY}", token, {"enabled": on, "reason": "bench"}), 200)

    return toggle, lambda: client.get_boolean_value(KEY, False)


def unleash(url: str) -> tuple[Toggle, Seen]:
    """Make a flag and a client of it."""
    logging.disable(logging.WARNING)
    from UnleashClient import UnleashClient  # noqa: PLC0415 - ours does without

    token, client_token = os.environ["UNLEASH_ADMIN_TOKEN"], os.environ["UNLEASH_CLIENT_TOKEN"]
    features = f"{url}/api/admin/projects/default/features"
    there = f"{features}/{KEY}/environments/development"
    if expect(call("POST", features, token, {"name": KEY, "type": "kill-switch"}), 201, 409) == 201:
        strategy = {"name": "default", "constraints": [], "parameters": {}}
        expect(call("POST", f"{there}/strategies", token, strategy), 200)
    client = UnleashClient(
        f"{url}/api",
        app_name="bench",
        custom_headers={"Authorization": client_token},
        refresh_interval=REFRESH,
        disable_metrics=True,
        disable_registration=True,
    )
    client.initialize_client()

    def toggle(on: bool) -> None:
        expect(call("POST", f"{there}/{'on' if on else 'off'}", token), 200)

    return toggle, lambda: bool(client.is_enabled(KEY))


def expect(status: int, *good: int) -> int:
    """Make sure of an answer's status."""
    if status not in good:
        raise SystemExit(f"a request was answered with {status}")
    return status


KINDS = {"signalbox": signalbox, "unleash": unleash}

if __name__ == "__main__":
    main()
