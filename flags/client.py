"""The flag client: a source keeps its flags in step with the server, and evaluation never waits for it.

It has threads of its own: one runs the source, one looks at the override file and calls back when the status changes,
and one reports what was evaluated, where the source can do that. Evaluation takes no lock and knows nothing of them.
After a fork the child goes on with the flags that it was handed, as an instance of its own with threads of its own.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

from flags.announcer import Announcer, Off
from flags.backup import Backup
from flags.counts import disown
from flags.errors import FlagsError
from flags.evaluator import Evaluator
from flags.feed import ClientFeed, Status
from flags.identity import after_fork, plain_client
from flags.instances import Instance
from flags.model import ZERO, Revision, Snapshot
from flags.overrides import OverrideFile
from flags.reporting import Reporter
from flags.source import Reporting, Source
from flags.sources.chosen import source_of
from flags.stored import differing
from flags.threads import AFTER_FORK, start_threads, weakly
from flags.view import View
from foundation.clock import SYSTEM, Clock
from foundation.errors import DocumentError

logger = logging.getLogger(__name__)

CLOSE_TIMEOUT = 2.0
"""Seconds that `close` waits for the threads in all; they are daemons, and hold up nothing after it."""


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """What can be chosen about a client: the seconds that `start` waits for the first flags."""

    start_timeout: float = 5.0


DEFAULTS = ClientSettings()


class FlagClient(Evaluator):
    """Evaluates the flags of one environment, kept current by a source.

    Use it as a context manager, plain or `async`, or call `start` and `close`; one that nobody refers to any more ends
    by itself. Before the first flags arrive, and for flags that do not exist, callers get their own default values;
    after contact is lost, the last known flags go on for ever.

    Args:
        source: where the flags come from.
        instance: how this process is to be registered; by default as a plain client of this host and process.
        overrides: path of the local override file, which outranks the source; it need not exist.
        backup: path of a file that keeps the last flags, for a start while the source is away.
        settings: see there.
        clock: tells the time for status, age and lease.
    """

    def __init__(
        self,
        source: Source,
        *,
        instance: Instance | None = None,
        overrides: str | Path | None = None,
        backup: str | Path | None = None,
        settings: ClientSettings = DEFAULTS,
        clock: Clock = SYSTEM,
    ) -> None:
        super().__init__(View())
        self._source = source
        self._given = instance
        self._clock = clock
        self._overrides_path = overrides or None
        self._overridden: Mapping[str, Any] = {}
        self._backup = Backup(backup, source.environment, clock.monotonic) if backup else None
        self._settings = settings
        self._announcer = Announcer()
        self._threads: list[threading.Thread] = []
        self._closed = False
        self._feed = ClientFeed(clock, source.heartbeat, source.lease, weakly(self._publish), weakly(self._moved))
        self._instance = instance or plain_client(clock.now())
        self._counts = self._new_counts()
        self._leaving: View | None = None
        self._renew()
        self._poll_overrides()

    @classmethod
    def from_environment(cls, *, instance: Instance | None = None, settings: ClientSettings = DEFAULTS) -> Self:
        """Make a client of the environment SIGNALBOX_ENV (`demo` where unset).

        It is fed from SIGNALBOX_REDIS_URL, or else over HTTP from SIGNALBOX_URL with SIGNALBOX_TOKEN. Paths are given
        by SIGNALBOX_OVERRIDES and SIGNALBOX_BACKUP.

        Raises:
            DocumentError: neither address is set, or one is malformed.
        """
        overrides, backup = (os.environ.get(f"SIGNALBOX_{name}") or None for name in ("OVERRIDES", "BACKUP"))
        return cls(source_of(os.environ), instance=instance, overrides=overrides, backup=backup, settings=settings)

    @property
    def status(self) -> Status:
        """How the client stands to its source: INITIALIZING, READY, STALE or ERROR."""
        return self._feed.status

    @property
    def age(self) -> float:
        """Seconds since the source last was in step with the server; infinite before the first time."""
        return self._feed.age

    @property
    def lapsed(self) -> bool:
        """Whether the control plane no longer counts this process as live: senders must then use the off variant."""
        return self._feed.lapsed

    @property
    def error(self) -> Exception | None:
        """What keeps the source from the server; None while all is well."""
        return self._feed.error

    @property
    def snapshot(self) -> Snapshot:
        """The flags in use, without overrides; empty before the first ones arrive."""
        return self._view.snapshot or Snapshot()

    @property
    def revision(self) -> Revision:
        """The revision of the flags in use."""
        snapshot = self._view.snapshot
        return ZERO if snapshot is None else snapshot.revision

    @property
    def instance(self) -> Instance:
        """How this process is registered, the flags that the override file decides included."""
        return replace(self._instance, overrides=self._feed.overrides)

    def on_status(self, callback: Callable[[Status], None]) -> Off:
        """Have `callback` called with the status, unless it is INITIALIZING, and with each new one.

        It is called from the client's own thread, within a quarter of a second; what comes back, when called, ends it.
        """
        return self._announcer.on_status(callback)

    def on_change(self, callback: Callable[[frozenset[str]], None]) -> Off:
        """Have `callback` called with the keys of changed flags, once they are in use; else as `on_status`.

        The first flags to arrive are no change. Changes that come quickly one after the other may be told of together.
        """
        return self._announcer.on_change(callback)

    def start(self) -> bool:
        """Start following the source; wait for the first flags, and tell whether they came within `start_timeout`."""
        if self._closed:
            raise FlagsError("the flag client is closed, and can't be started again")
        with self._lock:  # an application and OpenFeature, which has a thread for it, may both start the client
            if not self._threads:
                _LIVE.add(self)
                self._launch()
        self._ready.wait(self._settings.start_timeout)
        return self.status is Status.READY

    def close(self) -> None:
        """Leave the registry and stop following; evaluation goes on with what is there. Never hangs; twice is fine."""
        self._closed = True
        _LIVE.discard(self)
        self._stop.set()
        self._wake.set()
        self._source.close()
        deadline = time.monotonic() + CLOSE_TIMEOUT
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        await _in_thread(self.start)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await _in_thread(self.close)

    def _renew(self) -> None:
        """Make what a fork can't share with its parent: locks, and what is known of the override file."""
        self._lock = threading.Lock()
        self._stop, self._wake, self._ready = threading.Event(), threading.Event(), threading.Event()
        self._overrides = None if self._overrides_path is None else OverrideFile(self._overrides_path)
        self._complaint = ""

    def _launch(self, after: float = 0.0) -> None:
        self._threads = start_threads(self, self._source, self._feed, self._stop, self._wake, after)

    def _tend(self, *, due: bool) -> None:
        """Do what is not in a hurry; `due` is said four times a second."""
        if due:
            self._poll_overrides()
        self._announce()
        self._keep()

    def _relaunch(self) -> None:
        """Go on in a forked child, where no thread but the one that forked exists."""
        now = self._clock.now()
        self._instance = after_fork(self._given, now) if self._given else plain_client(now)
        self._feed.disown()
        self._counts = self._new_counts()
        disown(self._view.outcomes())
        self._renew()
        self._launch(AFTER_FORK)

    def _restore(self) -> None:
        """Take the backup into use, unless the source was quicker."""
        if self._backup is None or self._view.snapshot is not None:
            return
        snapshot = self._backup.load()
        if snapshot is None:
            return
        with self._lock:
            if self._view.snapshot is None:
                self._swap(None, lambda view: view.replaced(snapshot))
        self._feed.restored()

    def _keep(self, *, now: bool = False) -> None:
        """Keep what the source has given on disk; from this thread, so that no change waits for a disk."""
        snapshot = self._view.snapshot
        if self._backup is not None and snapshot is not None:
            self._backup.keep(snapshot, now=now)

    def _publish(self, snapshot: Snapshot, changed: Iterable[str] | None) -> None:
        with self._lock:
            view = self._view
            if changed is None:
                self._swap(None, lambda view: view.replaced(snapshot))
            else:
                self._swap(changed, lambda view: view.changed(snapshot, changed))
        if self._announcer.heeds_changes and view.snapshot is not None:
            self._note(differing(view.snapshot, snapshot) if changed is None else changed)

    def _new_counts(self) -> Reporter | None:
        if not isinstance(self._source, Reporting):
            return None
        return Reporter(partial(self._source.report, self._instance.id))

    def _answered(self, view: View, flag_key: str, *, failed: bool) -> None:
        if self._counts is None:
            return
        if failed:
            self._counts.collector.miss(flag_key)
        elif view is self._leaving or view is not self._view:
            # It may have been compiled for a view that was being replaced, too late for the next one to know of it.
            self._counts.collector.retire(list(view.outcomes((flag_key,))))

    def _swap(self, changed: Iterable[str] | None, following: Callable[[View], View]) -> None:
        """Take the following view into use, which differs in the items named, or in any; the lock has to be held."""
        view = self._leaving = self._view
        if self._counts is not None:
            # Of a few flags the outcomes are listed here, so that not every view of a busy ten seconds is held on to.
            self._counts.collector.retire(view.outcomes() if changed is None else list(view.outcomes(changed)))
        self._use(following(view))
        self._leaving = None

    def _report(self) -> None:
        """Send what was counted since the last time; from a thread of its own, since the server may take its time."""
        if self._counts is not None:
            self._counts.report(self._view.outcomes())

    def _note(self, changed: Iterable[str]) -> None:
        self._announcer.note(changed)
        self._wake.set()

    def _moved(self) -> None:
        # Waking a thread costs more than taking a change into use, and most news changes no status.
        if self._feed.status is not self._announcer.announced:
            self._wake.set()

    def _announce(self) -> None:
        status = self._feed.status
        if status is Status.READY:
            self._ready.set()
        self._announcer.announce(status, self._feed.error, self._view.concerned)

    def _poll_overrides(self) -> None:
        """Take the override file into use where it changed; a broken one is complained of, and changes nothing."""
        if self._overrides is None:
            return
        try:
            values = self._overrides.poll()
        except (DocumentError, OSError) as error:
            self._complain(f"override file {self._overrides_path}: {error}; what was in force before still is")
            return
        if values is not None:
            self._complaint = ""
            self._override(values)

    def _override(self, values: Mapping[str, Any]) -> None:
        if values or self._feed.overrides:
            logger.warning("override file %s decides: %s", self._overrides_path, ", ".join(sorted(values)) or "nothing")
        self._feed.overrides = tuple(sorted(values))
        with self._lock:
            self._swap({*self._overridden, *values}, lambda view: view.overridden(values))
        if self._announcer.heeds_changes:
            self._note(_differing(self._overridden, values))
        self._overridden = values

    def _complain(self, complaint: str) -> None:
        if complaint != self._complaint:
            logger.error(complaint)
        self._complaint = complaint


async def _in_thread(step: Callable[[], object]) -> None:
    import asyncio  # noqa: PLC0415 - who has a running loop has it loaded; for others it would be slow to import

    await asyncio.to_thread(step)


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    return {key for key in {*before, *after} if before.get(key) != after.get(key)}


_LIVE: weakref.WeakSet[FlagClient] = weakref.WeakSet()
"""The started clients of this process, to be started anew in its forks."""


def _relaunch_all() -> None:
    for client in list(_LIVE):
        client._relaunch()  # noqa: SLF001 - the other half of FlagClient


os.register_at_fork(after_in_child=_relaunch_all)
