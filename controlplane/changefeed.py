"""The flags of an environment as SDKs are sent them: a snapshot, then each change, and a replay for who comes back.

One reader for each environment and process follows the store, and hands its news to `ChangeFeed` as it would to a flag
client; any number of streams read from that.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from itertools import dropwhile

from controlplane.broadcast import Channel, Subscriber, encode
from flags.model import ZERO, Revision, Snapshot
from flags.snapshots import change_document, snapshot_document
from flags.store import Change
from foundation.errors import DocumentError

REPLAY = 1_000
"""Changes that are kept for those who come back."""


class ChangeFeed:
    """Takes news of the flags from a source and passes it on; implements `flags.source.Feed`.

    Args:
        changed: is told each revision right after it was passed on.
    """

    overrides: tuple[str, ...] = ()

    def __init__(self, changed: Callable[[Revision], None]) -> None:
        self.channel = Channel()
        self.ready = threading.Event()
        self._changed = changed
        self._lock = threading.Lock()
        self._snapshot = Snapshot()
        self._in_step = False
        self._written: tuple[Revision, bytes] | None = None
        """The last snapshot as it was sent: all who come after a change get the same."""
        self._recent: deque[tuple[Revision, bytes]] = deque(maxlen=REPLAY)
        """The last changes, each with the revision that it follows on."""

    @property
    def cursor(self) -> Revision:
        """The revision that was passed on last."""
        return self._snapshot.revision

    def replace(self, snapshot: Snapshot) -> None:
        """Start anew from a snapshot, and send it to everybody."""
        with self._lock:
            known = snapshot.revision == self._snapshot.revision and self.ready.is_set()
            self._snapshot, self._in_step = snapshot, True
            if not known:
                self._recent.clear()
                self.channel.publish(self._whole())
            self.ready.set()
        if not known:
            self._changed(snapshot.revision)

    def apply(self, change: Change) -> bool:
        """Pass on the next change; False where it is not the next one."""
        with self._lock:
            before = self._snapshot
            if change.revision != Revision(before.revision.epoch, before.revision.rev + 1):
                return False
            self._snapshot = change.onto(before)
            event = encode("change", change_document(change), str(change.revision))
            self._recent.append((before.revision, event))
            self.channel.publish(event)
        self._changed(change.revision)
        return True

    def contact(self, sent: float | None = None) -> None:  # noqa: ARG002 - there is no lease here
        """Nothing is sent for a heartbeat of the source: streams have their own, which say so."""
        self._in_step = True

    def renewed(self, sent: float) -> None:
        """Do nothing: who only follows is no instance."""

    def failed(self, error: Exception) -> None:  # noqa: ARG002 - readers need to know that, not why
        """A source that can't reach the store goes on trying; streams stay open on what is known, and say so."""
        self._in_step = False

    def join(self, last_event_id: str) -> tuple[Subscriber, list[bytes]]:
        """Add a reader; answers with its place and what it is sent first.

        One that names a revision which is still remembered gets the changes since; any other gets everything.
        """
        with self._lock:
            return self.channel.join(), self._since(last_event_id)

    def beat(self) -> bytes:
        """Make the heartbeat: the revision for a reader to check its own against, and whether the store answers."""
        return encode("heartbeat", {"revision": str(self.cursor), "in_step": self._in_step})

    def _since(self, last_event_id: str) -> list[bytes]:
        last = _revision(last_event_id)
        if last == self._snapshot.revision != ZERO:
            return [self.beat()]
        missed = list(dropwhile(lambda recent: recent[0] != last, self._recent))
        return [event for _, event in missed] or [self._whole()]

    def _whole(self) -> bytes:
        revision = self._snapshot.revision
        if self._written is None or self._written[0] != revision:
            self._written = revision, encode("snapshot", snapshot_document(self._snapshot), str(revision))
        return self._written[1]


def _revision(text: str) -> Revision:
    try:
        return Revision.parse(text)
    except DocumentError:
        return ZERO
