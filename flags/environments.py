"""The environments of an installation: their names, and the port through which they are made and listed.

Whether an environment holds flags is its flag store's business; this knows only that there is such an environment.
Adapters stand in `flags/stores/`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Protocol

from flags.errors import EnvironmentExists
from foundation.errors import DocumentError
from foundation.ids import new_id

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
MAX_DESCRIPTION = 2_000
NAME_RULE = "1 to 63 letters, digits, '.', '_' or '-', starting with a letter or digit"


@dataclass(frozen=True, slots=True)
class Environment:
    """One environment: what it is for, and who made it when (seconds since 1970, by the maker's clock)."""

    name: str
    description: str = ""
    created: float = 0.0
    by: str = ""


class EnvironmentStore(Protocol):
    """Every environment of an installation.

    Every method raises StoreUnreachable when the store does not answer in time.
    """

    def all(self) -> list[Environment]:
        """List the environments by name."""

    def find(self, name: str) -> Environment | None:
        """Read one; None where there is no such environment."""

    def create(self, environment: Environment, *, operation: str, request: str) -> bool:
        """Add an environment; False where this very operation and request have added it before.

        Raises:
            EnvironmentExists: the name is taken.
            IdempotencyMismatch: the operation id was used for another request.
            StoreRefused: the store will not take writes.
        """


def environment_name(value: Any, field: str = "environment") -> str:
    """Take the name of an environment, which becomes part of every key; raises DocumentError."""
    if not (isinstance(value, str) and NAME.fullmatch(value)):
        raise DocumentError(field, "has an invalid name", value=value, expected=NAME_RULE)
    return value


def register(store: EnvironmentStore, environment: Environment) -> None:
    """See that an environment which is served is listed, whoever made it first."""
    try:
        store.create(environment, operation=new_id("op"), request="")
    except EnvironmentExists:
        return
