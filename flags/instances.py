"""The nouns and the port of the instance registry: who is live, and which revision each has applied.

Adapters stand in `flags/stores/`; whether everyone has a revision is decided in `flags.convergence`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from flags.model import ZERO, Revision

LEASE_MARGIN = 0.5
"""Seconds that a registry counts an instance as live past its lease.

An instance counts its own lease from before it sent the renewal, so it always knows first that the lease ran out; the
margin covers what it had looked up just before, and clocks that do not run at quite the same pace.
"""


@dataclass(frozen=True, slots=True)
class Instance:
    """One live SDK client or worker process, as it describes itself.

    Args:
        id: unique to this process and start, such as `collections-1.k3v9`.
        slot: the place it fills, the same after a restart, such as `collections-1`.
        kind: `worker` or `sdk`.
        domain: the domain it works for; "" for a plain client.
        host, pid: where it runs.
        started: seconds since 1970.
        supervisor: id of the supervisor that can restart it; "" where there is none.
        capabilities: opaque words of the floor above (the formats it can decode).
        overrides: keys of the flags that a local override file decides here.
    """

    id: str
    slot: str
    kind: str = "sdk"
    domain: str = ""
    host: str = ""
    pid: int = 0
    started: float = 0.0
    supervisor: str = ""
    capabilities: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LiveInstance:
    """An instance as the registry sees it.

    Args:
        instance: its own description.
        acknowledged: the newest revision it said it has applied.
        lease_left: seconds until it counts as gone, by the store's clock, LEASE_MARGIN included.
    """

    instance: Instance
    acknowledged: Revision = ZERO
    lease_left: float = 0.0


class InstanceRegistry(Protocol):
    """The instances of one environment. Every method raises StoreUnreachable when the store does not answer in time."""

    environment: str

    def renew(self, instance: Instance, acknowledged: Revision, lease: float) -> None:
        """Register or renew an instance for `lease` seconds and record what it has applied, in one step."""

    def leave(self, instance_id: str) -> None:
        """Take an instance out at once; unknown ids are ignored."""

    def live(self) -> list[LiveInstance]:
        """List the instances whose lease has not run out, by slot and id; those past it are evicted."""

    def wait_acknowledged(self, revision: Revision, timeout: float) -> list[LiveInstance]:
        """Wait until every live instance has acknowledged `revision` or time is up; answer with `live()` as it is then.

        Membership is read again after the last acknowledgement.
        """

    def request_restart(self, slots: Sequence[str]) -> dict[str, int]:
        """Raise the restart generation of each slot; answer with the new generations. Supervisors act on it."""

    def restart_generations(self) -> dict[str, int]:
        """Read the restart generation of every slot that was ever asked to restart."""
