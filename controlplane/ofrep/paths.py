"""Where OFREP is served: below the address of each environment in the API, and at the root for the first one.

Clients are given a base address and append `/ofrep/v1/…` themselves, so a path is what all of them can choose by.
"""

from __future__ import annotations

from controlplane.api.blueprint import ENVIRONMENT

_OFREP = "/ofrep/v1"
EVALUATE = f"{_OFREP}/evaluate/flags"
EVALUATE_IN = f"{ENVIRONMENT}{EVALUATE}"
EVENTS_IN = f"{ENVIRONMENT}{_OFREP}/events"
