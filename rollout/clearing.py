"""The port for clearing YAML out of one domain's queue; the work itself is the messenger's."""

from __future__ import annotations

from collections import Counter
from typing import Protocol


class Clearing(Protocol):
    """Clears a domain's queue of YAML; each method counts frames by what became of them, and may be run again.

    What can't be decoded is set aside, never dropped. Raises StoreUnreachable or StoreRefused as the queue port does.
    """

    def transcode(self, domain: str) -> Counter[str]:
        """Rewrite YAML frames as JSON in place: order, pending state and count of deliveries stay."""

    def quarantine(self, domain: str) -> Counter[str]:
        """Set YAML frames aside, to be replayed later."""

    def purge(self, domain: str) -> Counter[str]:
        """Drop YAML frames for good."""
