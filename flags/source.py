"""The ports between a flag client and what feeds it; adapters stand in `flags/sources/`.

A source runs in the client's own thread, hands over snapshots and changes and says how it is doing; it never evaluates.
"""

from __future__ import annotations

import threading
from typing import Protocol, runtime_checkable

from flags.counts import Report
from flags.instances import Instance
from flags.model import Revision, Snapshot
from flags.store import Change


class Feed(Protocol):
    """What a source is given to hand its news to: the client's side of the update protocol."""

    @property
    def cursor(self) -> Revision:
        """The revision the client has applied; ZERO before the first snapshot."""

    @property
    def overrides(self) -> tuple[str, ...]:
        """Keys of the flags that a local override file decides here now; every renewal puts them in the record."""

    def replace(self, snapshot: Snapshot) -> None:
        """Swap in a full snapshot, whatever stood there."""

    def apply(self, change: Change) -> bool:
        """Apply a change of the same epoch whose rev is the cursor's + 1; False asks for a full snapshot instead."""

    def contact(self, sent: float | None = None) -> None:
        """Say that the source is in step with the server right now (a heartbeat).

        `sent` is the monotonic time from before the renewal of the lease was sent: the client counts its own lease from
        then. A source without a registry leaves it out.
        """

    def renewed(self, sent: float) -> None:
        """Say that the lease was renewed by what was sent then, where that is no proof of being in step."""

    def failed(self, error: Exception) -> None:
        """Say that the source could not reach the server; it goes on trying by itself."""


class Source(Protocol):
    """Where a client's flags come from."""

    environment: str
    """Whose flags they are; "" where they are nobody's."""

    heartbeat: float
    """Seconds within which a healthy source calls `contact`; three times this without it and the client is STALE."""

    lease: float
    """Seconds that a renewal lasts; `math.inf` where the source has no registry, and nothing can lapse."""

    def run(self, feed: Feed, instance: Instance | None, stop: threading.Event) -> None:
        """Feed the client until `stop` is set, reconnecting with full jitter; returns only then.

        Where the source has a registry it also renews `instance`'s lease, acknowledges each revision right after the
        feed has applied it, and takes the instance out at the end; None follows without being an instance. It may be
        run anew in a forked child, with another instance: what `run` needs (connections, locks) it makes itself.
        """

    def close(self) -> None:
        """Wake `run` from any wait; safe from another thread, and twice."""


@runtime_checkable
class Reporting(Protocol):
    """A source that can tell the server what was evaluated; others leave evaluations uncounted."""

    def report(self, instance_id: str, report: Report) -> None:
        """Have an instance's report added, once however often it is sent; over a connection other than `run`'s.

        Raises:
            SignalboxError: it did not arrive, or whether it did is not known.
        """
