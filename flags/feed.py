"""The client's side of the update protocol: what it holds, how fresh it is, and whether its lease still stands.

A state machine over what a source hands in (snapshots, changes, heartbeats, failures) and a clock; it does no I/O and
starts nothing. One thread, the source's, hands in; any thread may ask.

                       replace                        3 heartbeats without contact
    INITIALIZING ─────────────────────▶ READY ◀────────────────────────────────────▶ STALE
      │      │ failed                     ▲           contact, replace, apply
      │      └─────────▶ ERROR ───────────┤ replace
      │ restored           │ restored     │
      └────────────────────┴─▶ STALE ─────┘ replace

The lower STALE is that of a client which has the flags of a disk backup and has not heard from its source yet. They are
evaluated, and no revision is claimed for them: it is neither acknowledged nor followed on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from enum import StrEnum

from flags.model import ZERO, Revision, Snapshot
from flags.store import Change
from foundation.clock import Clock

MISSED = 3
"""Heartbeats without contact after which a client is STALE."""

Publish = Callable[[Snapshot, Iterable[str] | None], None]
"""Takes a snapshot into use: all of it, or only the items named, which are all that changed."""


class Status(StrEnum):
    """How a client stands to its source."""

    INITIALIZING = "INITIALIZING"
    READY = "READY"
    STALE = "STALE"
    ERROR = "ERROR"


class ClientFeed:
    """Implements `flags.source.Feed` for one client.

    Args:
        clock: tells the time.
        heartbeat: seconds within which the source makes contact when all is well.
        lease: seconds that a renewal lasts; infinite where nothing can lapse.
        publish: takes each new state into use; the cursor moves after it returns.
        moved: called after every piece of news, since the status may have changed with it.
    """

    def __init__(
        self, clock: Clock, heartbeat: float, lease: float, publish: Publish, moved: Callable[[], None]
    ) -> None:
        self.overrides: tuple[str, ...] = ()
        self.error: Exception | None = None
        self._clock = clock
        self._patience = MISSED * heartbeat
        self._lease = lease
        self._publish = publish
        self._moved = moved
        self._snapshot: Snapshot | None = None
        self._contact = -math.inf
        self._renewed = -math.inf
        self._restored = False

    @property
    def cursor(self) -> Revision:
        """The revision in use; ZERO before the first snapshot, though a backup be in use."""
        return ZERO if self._snapshot is None else self._snapshot.revision

    @property
    def age(self) -> float:
        """Seconds since the last contact; infinite before the first."""
        return self._clock.monotonic() - self._contact

    @property
    def lapsed(self) -> bool:
        """Whether the registry no longer counts this client as live, or never has.

        The lease is counted from before its renewal was sent, so this says so no later than the registry does.
        """
        return self._clock.monotonic() - self._renewed >= self._lease if self._lease < math.inf else False

    @property
    def status(self) -> Status:
        """How the client stands to its source right now."""
        if self._snapshot is None and self._restored:
            return Status.STALE
        if self._snapshot is None:
            return Status.INITIALIZING if self.error is None else Status.ERROR
        return Status.READY if self.age < self._patience else Status.STALE

    def replace(self, snapshot: Snapshot) -> None:
        """Take a full snapshot into use, whatever stood there."""
        kept = _without_versions(snapshot)
        self._publish(kept, None)
        self._snapshot = kept
        self.contact()

    def apply(self, change: Change) -> bool:
        """Take a change into use if it is the very next one; False asks for a full snapshot instead."""
        snapshot = self._snapshot
        if snapshot is None or not _follows(change.revision, snapshot.revision):
            return False
        after = _without_versions(change.onto(snapshot))
        self._publish(after, change.item_keys)
        self._snapshot = after
        self.contact()
        return True

    def contact(self, sent: float | None = None) -> None:
        """Note that the source is in step with the server, and that the lease was renewed by what was sent then."""
        self._contact = self._clock.monotonic()
        self.error = None
        if sent is not None:
            self._renewed = sent
        self._moved()

    def renewed(self, sent: float) -> None:
        """Note that the lease was renewed by what was sent then."""
        self._renewed = sent

    def restored(self) -> None:
        """Note that the flags of a backup are in use until the first snapshot comes."""
        self._restored = True
        self._moved()

    def failed(self, error: Exception) -> None:
        """Note that the source could not reach the server."""
        self.error = error
        self._moved()

    def disown(self) -> None:
        """Forget the lease: after a fork it is the parent's."""
        self._renewed = -math.inf


def _without_versions(snapshot: Snapshot) -> Snapshot:
    """Leave out what only writers need: it takes as much room again as the compiled flags."""
    return Snapshot(snapshot.revision, snapshot.flags, segments=snapshot.segments)


def _follows(revision: Revision, cursor: Revision) -> bool:
    return revision.epoch == cursor.epoch and revision.rev == cursor.rev + 1
