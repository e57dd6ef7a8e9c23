"""What every floor stands on; only its pure part is re-exported, so that importing it loads no Redis and no YAML."""

from foundation.clock import SYSTEM, Clock, ManualClock
from foundation.errors import (
    DocumentError,
    FoundationError,
    ServerUnavailable,
    SignalboxError,
    SignatureInvalid,
    StoreRefused,
    StoreUnreachable,
)
from foundation.ids import derived_id, new_id

__all__ = [
    "SYSTEM",
    "Clock",
    "DocumentError",
    "FoundationError",
    "ManualClock",
    "ServerUnavailable",
    "SignalboxError",
    "SignatureInvalid",
    "StoreRefused",
    "StoreUnreachable",
    "derived_id",
    "new_id",
]
