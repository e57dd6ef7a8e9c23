"""Health checks of an installation's two servers: do they answer, and are they set up for what they carry.

`/readyz` asks the first question, `signalbox doctor` both. Each check bounds its own waiting.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import redis

from controlplane.settings import Settings
from foundation.embedded import OLDEST
from foundation.errors import SignalboxError
from foundation.health import Answer, Check
from foundation.redis import connect, translated

TIMEOUT = 3.0
SKEW = 1.0
"""Seconds by which two clocks may differ before it is worth a word."""

PATCHED = {
    "Redis": ((6, 2, 20), (7, 2, 11), (7, 4, 6), (8, 0, 4), (8, 2, 2)),
    "Valkey": ((7, 2, 11), (8, 0, 6), (8, 1, 4)),
}
"""The first releases of each line in which known holes in the script engine are closed (CVE-2025-49844 and its kin)."""

WANTED: Mapping[str, Mapping[str, str]] = {
    "flags": {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"},
    "queues": {"appendonly": "yes", "maxmemory-policy": "noeviction"},
}
"""Settings that keep the promises: no acknowledged flag write is lost; a full server refuses and forgets nothing."""


def reachability(settings: Settings) -> list[Check]:
    """Ask whether both servers answer."""
    return [Check(f"{name} server", TIMEOUT, _pinging(url)) for name, url in _servers(settings).items() if url]


def setup(settings: Settings) -> list[Check]:
    """Ask whether both servers are of a good version, set up well, and agree with us about the time."""
    checks = []
    for name, url in _servers(settings).items():
        if url:
            checks.append(Check(f"{name} server version", TIMEOUT, _version(url)))
            checks.append(Check(f"{name} server settings", TIMEOUT, _settings(url, WANTED[name])))
            checks.append(Check(f"{name} server clock", TIMEOUT, _clock(url)))
    return checks


def _servers(settings: Settings) -> dict[str, str]:
    return {"flags": settings.redis_url, "queues": settings.queue_url}


def _pinging(url: str) -> Callable[[], Answer]:
    def run() -> Answer:
        with connect(url) as client:
            try:
                with translated("ping"):
                    client.ping()
            except SignalboxError as error:
                return Answer("fail", str(error), "start the server, or correct its address")
        return Answer("pass", "answers")

    return run


def _version(url: str) -> Callable[[], Answer]:
    def run() -> Answer:
        with connect(url) as client, translated("ask the server about itself"):
            info = client.info("server")
        product = "Valkey" if "valkey_version" in info else "Redis"
        return judged(product, str(info[f"{product.lower()}_version"]))

    return run


def judged(product: str, text: str) -> Answer:
    """Judge the version of a server: too old to work, with known holes, or well."""
    version = tuple(int(part) for part in text.split(".")[:3] if part.isdigit())
    if version < OLDEST:
        return Answer("fail", f"{product} {text}", "upgrade to Redis 6.2 or newer")
    patched = PATCHED[product]
    line = next((release for release in patched if release[:2] == version[:2]), None)
    if version < (line or patched[-1]):
        remedy = "upgrade to the newest patch release: holes in the script engine are known (CVE-2025-49844)"
        return Answer("warn", f"{product} {text}", remedy)
    return Answer("pass", f"{product} {text}")


def _settings(url: str, wanted: Mapping[str, str]) -> Callable[[], Answer]:
    def run() -> Answer:
        with connect(url, decode=True) as client:
            try:
                found = {name: client.config_get(name).get(name, "") for name in wanted}
            except redis.ResponseError as error:
                return Answer("warn", f"can't be read: {error}", "compare them by hand: " + _said(wanted))
        wrong = {name: found[name] for name in wanted if found[name] != wanted[name]}
        if wrong:
            return Answer("warn", _said(wrong), "set " + _said({name: wanted[name] for name in wrong}))
        return Answer("pass", _said(found))

    return run


def _clock(url: str) -> Callable[[], Answer]:
    def run() -> Answer:
        with connect(url) as client:
            client.ping()  # the connection's own time is not the answer's
            before = time.time()
            seconds, micros = client.time()
            after = time.time()
        skew = seconds + micros / 1e6 - (before + after) / 2
        if abs(skew) > SKEW:
            return Answer("warn", f"{skew:+.3f} s apart from this host", "let both hosts keep time by NTP")
        return Answer("pass", f"{skew:+.3f} s apart from this host")

    return run


def _said(settings: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value or 'empty'}" for name, value in settings.items())
