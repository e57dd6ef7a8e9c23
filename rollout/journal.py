"""The port through which a rollback remembers what it does: the running record, its events, and the receipts.

Adapters stand in `rollout/journals/`. Every write names the attempt that makes it, and is refused once another attempt
has taken the rollback over. A record and the event that tells of it are kept in one step: what is told has happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from rollout.receipt import Receipt
from rollout.record import Record, StepEvent

LEASE = 2.0
"""Seconds without a sign of life after which another process may take a rollback over."""


@dataclass(frozen=True, slots=True)
class Lead:
    """The right to write: this attempt of this rollback."""

    receipt: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Running:
    """The rollback that has not ended: its record, and the seconds for which its process may still be at work.

    `lease_left` is 0 or less once nobody is: killed, cut off, or it has let go.
    """

    record: Record
    lease_left: float

    @property
    def lead(self) -> Lead:
        """The attempt that leads, or led last."""
        return Lead(self.record["receipt"], len(self.record["attempts"]))


class Journal(Protocol):
    """The rollbacks of one environment.

    Every method raises StoreUnreachable when the store does not answer in time; those that write raise StoreRefused
    when it will not take writes, and AttemptSuperseded where the lead has passed to another process.
    """

    environment: str

    def running(self) -> Running | None:
        """Read the rollback that has not ended, if there is one."""

    def take(self, record: Record) -> Lead:
        """Begin a rollback, or take over the unfinished one whose next attempt the record has just got.

        Raises AttemptSuperseded where another process was quicker, or is still at work on it.
        """

    def commit(self, lead: Lead, record: Record, event: StepEvent) -> None:
        """Keep the record as it stands now and tell the event, in one step."""

    def renew(self, lead: Lead) -> None:
        """Give a sign of life."""

    def let_go(self, lead: Lead) -> None:
        """Leave an unfinished rollback to whoever comes next, at once; a lead that has passed on is ignored."""

    def finish(self, lead: Lead, receipt: Receipt, event: StepEvent) -> None:
        """Keep the receipt, tell the last event and end the rollback, in one step."""

    def events(self, receipt_id: str, after: str = "0-0") -> list[tuple[str, StepEvent]]:
        """Read what was told after a cursor, in order: (cursor, event)."""

    def receipts(self) -> list[Receipt]:
        """Read every receipt, oldest first."""

    def receipt(self, receipt_id: str) -> Receipt:
        """Read one receipt; raises ReceiptUnknown."""

    def vouch(self, key_id: str, public_key: str) -> None:
        """Remember a public key that signs receipts of this environment."""

    def vouched(self) -> Mapping[str, str]:
        """Read the public keys that sign receipts of this environment, by key id."""
