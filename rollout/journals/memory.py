"""The journal in memory: the faithful twin of the Redis adapter, for tests."""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping

from foundation.clock import Clock
from rollout.errors import AttemptSuperseded, ReceiptUnknown
from rollout.journal import LEASE, Lead, Running
from rollout.receipt import Receipt
from rollout.record import Record, StepEvent


class MemoryJournal:
    """The rollbacks of one environment in this process's memory; safe to share between threads."""

    def __init__(self, environment: str, clock: Clock) -> None:
        self.environment = environment
        self._clock = clock
        self._lock = threading.Lock()
        self._record: Record | None = None
        self._until = 0.0
        self._events: dict[str, list[StepEvent]] = {}
        self._receipts: dict[str, Receipt] = {}
        self._keys: dict[str, str] = {}

    def running(self) -> Running | None:
        """Read the rollback that has not ended."""
        with self._lock:
            return self._running()

    def take(self, record: Record) -> Lead:
        """Begin a rollback, or take over the unfinished one."""
        lead = Lead(record["receipt"], len(record["attempts"]))
        with self._lock:
            running = self._running()
            before = Lead(lead.receipt, lead.attempt - 1)
            free = lead.attempt == 1 if running is None else running.lead == before and running.lease_left <= 0
            if not free:
                raise AttemptSuperseded(f"another process was quicker to take {lead.receipt}")
            self._keep(record)
        return lead

    def commit(self, lead: Lead, record: Record, event: StepEvent) -> None:
        """Keep the record and tell the event."""
        with self._lock:
            self._check(lead)
            self._keep(record)
            self._events.setdefault(lead.receipt, []).append(event)

    def renew(self, lead: Lead) -> None:
        """Give a sign of life."""
        with self._lock:
            self._check(lead)
            self._until = self._clock.monotonic() + LEASE

    def let_go(self, lead: Lead) -> None:
        """Leave an unfinished rollback to whoever comes next."""
        with self._lock:
            running = self._running()
            if running and running.lead == lead:
                self._until = self._clock.monotonic()

    def finish(self, lead: Lead, receipt: Receipt, event: StepEvent) -> None:
        """Keep the receipt, tell the last event and end the rollback."""
        with self._lock:
            self._check(lead)
            self._receipts[lead.receipt] = copy.deepcopy(receipt)
            self._events.setdefault(lead.receipt, []).append(event)
            self._record = None

    def events(self, receipt_id: str, after: str = "0-0") -> list[tuple[str, StepEvent]]:
        """Read what was told after a cursor."""
        with self._lock:
            told = enumerate(self._events.get(receipt_id, []), start=1)
            return [(f"{number}-0", event) for number, event in told if number > int(after.partition("-")[0])]

    def receipts(self) -> list[Receipt]:
        """Read every receipt, oldest first."""
        with self._lock:
            return [copy.deepcopy(self._receipts[name]) for name in sorted(self._receipts)]

    def receipt(self, receipt_id: str) -> Receipt:
        """Read one receipt."""
        with self._lock:
            if receipt_id not in self._receipts:
                raise ReceiptUnknown(f"no receipt {receipt_id!r} in environment {self.environment!r}")
            return copy.deepcopy(self._receipts[receipt_id])

    def vouch(self, key_id: str, public_key: str) -> None:
        """Remember a public key."""
        with self._lock:
            self._keys[key_id] = public_key

    def vouched(self) -> Mapping[str, str]:
        """Read the public keys."""
        with self._lock:
            return dict(self._keys)

    def _running(self) -> Running | None:
        if self._record is None:
            return None
        return Running(copy.deepcopy(self._record), self._until - self._clock.monotonic())

    def _keep(self, record: Record) -> None:
        self._record = copy.deepcopy(record)
        self._until = self._clock.monotonic() + LEASE

    def _check(self, lead: Lead) -> None:
        running = self._running()
        if running is None or running.lead != lead:
            raise AttemptSuperseded(f"attempt {lead.attempt} of {lead.receipt} no longer leads")
