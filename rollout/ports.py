"""What an emergency rollback reaches the world through, in one bundle that entry points and tests put together."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from flags.instances import InstanceRegistry
from flags.store import FlagStore
from foundation.clock import SYSTEM, Clock
from foundation.health import Check
from foundation.signing import SigningKey
from messenger.queue import QueueServer
from rollout.journal import Journal
from rollout.receipt import Receipt
from rollout.restart import Restarter


class Clearing(Protocol):
    """Clears a domain's queue of YAML. What can't be decoded is set aside, never dropped.

    Each method answers with frames by what became of them, over all runs under the same operation, so that a run that
    was killed loses no count. Raises StoreUnreachable or StoreRefused as the queue port does.
    """

    def transcode(self, domain: str, operation: str) -> Mapping[str, int]:
        """Rewrite YAML frames as JSON in place: order, pending state and count of deliveries stay."""

    def quarantine(self, domain: str, operation: str) -> Mapping[str, int]:
        """Set YAML frames aside, to be replayed later."""

    def purge(self, domain: str, operation: str) -> Mapping[str, int]:
        """Drop YAML frames for good."""


class DomainCounts(Protocol):
    """What is used of one domain's traffic."""

    @property
    def domain(self) -> str:
        """Which one."""

    @property
    def received(self) -> int:
        """Messages taken out of its queue."""

    @property
    def errors(self) -> int:
        """Handler failures."""

    @property
    def decode_failures(self) -> int:
        """Frames that could not be read."""

    @property
    def latency_p95(self) -> float:
        """Milliseconds from the append to the end of the handler."""


class Traffic(Protocol):
    """What messengers report about their traffic."""

    def domains(self, window: float) -> Sequence[DomainCounts]:
        """Sum up the last `window` seconds, by domain."""


class Archive(Protocol):
    """Where receipts are kept on this host."""

    def keep(self, receipt: Receipt) -> str:
        """Keep a receipt, whatever stood there; answers with where. Raises OSError."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The hands of a rollback.

    Args:
        store, registry, journal: the flags server.
        queues, clearing, traffic: the queue server.
        restarters: asked in this order, each that is able, until a worker is back.
        checks: further health checks of the installation, such as the control plane's; none of them holds safety up.
        archive: receipts on this host.
        key: signs the receipt.
        pause: waits for some seconds.
    """

    store: FlagStore
    registry: InstanceRegistry
    journal: Journal
    queues: QueueServer
    clearing: Clearing
    traffic: Traffic
    restarters: tuple[Restarter, ...]
    checks: tuple[Check, ...]
    archive: Archive
    key: SigningKey
    clock: Clock = SYSTEM
    pause: Callable[[float], None] = time.sleep
