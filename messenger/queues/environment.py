"""What the queues of one environment share on their server: which there are, and what is barred in all of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import redis

from foundation.redis import translated
from messenger.queues import scripts
from messenger.queues.entries import words_of


class Bars(NamedTuple):
    """What is barred in the whole environment, numbered by its changes, and the domains that have a queue by then."""

    generation: str
    words: frozenset[str]
    domains: tuple[str, ...]


class Environment:
    """The keys that all queues of an environment share."""

    def __init__(self, client: redis.Redis, name: str) -> None:
        self.name = name
        self._client = client
        self._keys = [f"sb:{{{name}}}:queues", f"sb:{{{name}}}:barred", f"sb:{{{name}}}:barred:generation"]

    def enroll(self, domain: str) -> Bars:
        """Enter a domain among those that have a queue."""
        return self._call("enroll", domain)

    def bar(self, words: frozenset[str]) -> Bars:
        """Bar words in what queues find when they are opened."""
        return self._call("bar", *sorted(words))

    def release(self, words: frozenset[str], seen: str = "") -> Bars | None:
        """Release words in what queues find when they are opened; None where the generation is not the one `seen`."""
        reply = self._ask("release", seen, *sorted(words))
        return None if reply is None else _bars(reply)

    def look(self) -> Bars:
        """Read what is there."""
        return self._call("look")

    def _call(self, *arguments: str) -> Bars:
        return _bars(self._ask(*arguments))

    def _ask(self, *arguments: str) -> Any:
        with translated(f"reach the queues of {self.name}"):
            return scripts.ENVIRONMENT(self._client, self._keys, arguments)


def _bars(reply: Any) -> Bars:
    return Bars(reply[0].decode(), words_of(reply[1]), tuple(sorted(domain.decode() for domain in reply[2])))
