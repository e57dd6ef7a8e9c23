"""The instance registry's twin in memory: the same promises, kept in one process."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from flags.convergence import has
from flags.instances import LEASE_MARGIN, Instance, LiveInstance
from flags.model import Revision
from foundation.clock import SYSTEM, Clock

_SLICE = 0.01
"""Seconds between two looks at a clock that may be another than the machine's."""


@dataclass(frozen=True, slots=True)
class _Lease:
    instance: Instance
    acknowledged: Revision
    ends: float


class MemoryInstanceRegistry:
    """The instances of one environment, in this process's memory; leases run on the clock it is given."""

    def __init__(self, environment: str, clock: Clock = SYSTEM) -> None:
        self.environment = environment
        self._clock = clock
        self._changed = threading.Condition()
        self._leases: dict[str, _Lease] = {}
        self._generations: dict[str, int] = {}

    def renew(self, instance: Instance, acknowledged: Revision, lease: float) -> None:
        """Register or renew an instance for `lease` seconds and record what it has applied, in one step."""
        ends = self._clock.monotonic() + lease + LEASE_MARGIN
        with self._changed:
            self._leases[instance.id] = _Lease(instance, acknowledged, ends)
            self._changed.notify_all()

    def leave(self, instance_id: str) -> None:
        """Take an instance out at once; unknown ids are ignored."""
        with self._changed:
            self._leases.pop(instance_id, None)
            self._changed.notify_all()

    def live(self) -> list[LiveInstance]:
        """List the instances whose lease has not run out, by slot and id; those past it are evicted."""
        with self._changed:
            return self._live()

    def wait_acknowledged(self, revision: Revision, timeout: float) -> list[LiveInstance]:
        """Wait until every live instance has acknowledged `revision` or time is up; answers with who is live then."""
        give_up = self._clock.monotonic() + timeout
        with self._changed:
            while True:
                live = self._live()
                if all(has(one.acknowledged, revision) for one in live) or self._clock.monotonic() >= give_up:
                    return live
                self._changed.wait(_SLICE)

    def request_restart(self, slots: Sequence[str]) -> dict[str, int]:
        """Raise the restart generation of each slot; answers with the new generations."""
        with self._changed:
            for slot in slots:
                self._generations[slot] = self._generations.get(slot, 0) + 1
            return {slot: self._generations[slot] for slot in slots}

    def restart_generations(self) -> dict[str, int]:
        """Read the restart generation of every slot that was ever asked to restart."""
        with self._changed:
            return dict(self._generations)

    def _live(self) -> list[LiveInstance]:
        now = self._clock.monotonic()
        self._leases = {name: lease for name, lease in self._leases.items() if lease.ends > now}
        live = [LiveInstance(one.instance, one.acknowledged, one.ends - now) for one in self._leases.values()]
        return sorted(live, key=lambda one: (one.instance.slot, one.instance.id))
