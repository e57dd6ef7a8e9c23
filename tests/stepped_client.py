"""A flag client whose source runs step by step: the real code in a thread of its own, which moves only when it is told.

A source asks its `stop` event before each round whether to go on. Here that question is where it waits to be moved, and
its pauses take no time, so that a test decides who does what before whom, and no second is lost.
"""

import threading

from flags.client import FlagClient
from flags.instances import Instance

PATIENCE = 20.0
"""Seconds that one step may take; far beyond any time-out in it."""


class Baton:
    """Stands for the `stop` event of a source, and holds it at each `is_set` until it is moved on."""

    def __init__(self):
        self._ended = False
        self._mine, self._theirs = threading.Semaphore(0), threading.Semaphore(0)

    def is_set(self):
        self._mine.release()
        self._theirs.acquire()
        return self._ended

    def wait(self, timeout=None):
        return self._ended

    def set(self):
        self._ended = True

    def release(self):
        self._theirs.release()

    def returned(self):
        return self._mine.acquire(timeout=PATIENCE)


class Watched(FlagClient):
    """A client that shows each state that it takes into use."""

    def __init__(self, source, instance, seen):
        self._seen = seen
        super().__init__(source, instance=instance)

    def _publish(self, snapshot, changed):
        super()._publish(snapshot, changed)
        self._seen(self)


class SteppedClient:
    """One client of a source, moved by hand.

    Args:
        source: where its flags come from.
        name: its instance's id and slot.
        seen: called, in the client's own thread, with the client after each state that it took into use.
    """

    def __init__(self, source, name, seen):
        self.name = name
        self.client = Watched(source, Instance(name, name), seen)
        self._baton, self._moving, self._failure = Baton(), False, None
        self._thread = threading.Thread(target=self._run, args=(source,), daemon=True)
        self._thread.start()
        assert self._baton.returned()

    @property
    def revision(self):
        return self.client.revision

    def go(self):
        """Let it make a step, and don't wait for the end of it."""
        self.rest()
        self._moving = True
        self._baton.release()

    def rest(self):
        """Wait for the end of its step, if it is in one."""
        if self._moving:
            assert self._baton.returned(), f"{self.name} hangs"
            self._moving = False
        assert self._failure is None, f"{self.name} failed: {self._failure!r}"

    def step(self, count=1):
        """Let it make so many steps."""
        for _ in range(count):
            self.go()
            self.rest()

    def end(self):
        """Let it leave."""
        self.rest()
        self._baton.set()
        while self._thread.is_alive():
            self._baton.release()
            self._thread.join(0.0005)
        assert self._failure is None, f"{self.name} failed: {self._failure!r}"

    def _run(self, source):
        try:
            source.run(self.client._feed, self.client.instance, self._baton)
        except Exception as error:  # noqa: BLE001 - it is raised where the test looks
            self._failure = error
            self._baton._mine.release()
