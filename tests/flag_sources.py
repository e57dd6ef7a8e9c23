"""A source of flags that does as a test tells it, and short ways to make what it hands over."""

import threading

from flags.documents import parse_flag
from flags.model import Revision, Snapshot


def flag(key="k", on="yaml", **parts):
    document = {"enabled": True, "variants": {"on": on, "off": "json"}, "offVariant": "off", **parts}
    return parse_flag(key, document)


def snapshot(*flags, rev=1):
    return Snapshot(Revision(1, rev), {flag.key: flag for flag in flags})


class PuppetSource:
    """A source that hands over what the test tells it to, from the client's own thread."""

    heartbeat = 1.0

    def __init__(self, first=None, lease=3.0):
        self.lease = lease
        self.first = first
        self.feed = None
        self.instance = None
        self.runs = 0
        self.failures = 0
        self.closed = threading.Event()

    def run(self, feed, instance, stop):
        self.feed, self.instance = feed, instance
        self.runs += 1
        if self.failures:
            self.failures -= 1
            raise RuntimeError("a fault of the source")
        if self.first:
            feed.replace(self.first)
        stop.wait()

    def close(self):
        self.closed.set()
