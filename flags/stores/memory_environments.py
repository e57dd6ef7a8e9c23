"""The environments of an installation in this process's memory, for tests and for trying things out."""

from __future__ import annotations

import threading

from flags.environments import Environment, environment_name
from flags.errors import EnvironmentExists
from flags.stores.writing import mismatch


class MemoryEnvironmentStore:
    """Every environment, in the memory of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._environments: dict[str, Environment] = {}
        self._done: dict[str, tuple[str, str]] = {}

    def all(self) -> list[Environment]:
        """List the environments by name."""
        with self._lock:
            return sorted(self._environments.values(), key=lambda environment: environment.name)

    def find(self, name: str) -> Environment | None:
        """Read one; None where there is no such environment."""
        return self._environments.get(name)

    def create(self, environment: Environment, *, operation: str, request: str) -> bool:
        """Add an environment; raises EnvironmentExists or IdempotencyMismatch."""
        name = environment_name(environment.name)
        with self._lock:
            if operation in self._done:
                if self._done[operation] != (name, request):
                    raise mismatch(operation)
                return False
            if name in self._environments:
                raise EnvironmentExists(name)
            self._environments[name] = environment
            self._done[operation] = (name, request)
            return True
