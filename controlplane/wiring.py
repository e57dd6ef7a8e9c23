"""Opens the adapters of an environment from settings, each at its first use, so that nobody loads what it doesn't need.

The one place of the control plane that names the Redis adapters.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from controlplane.errors import EnvironmentNotFound, NotConnected
from controlplane.settings import Settings, environment_name

if TYPE_CHECKING:
    from flags.instances import InstanceRegistry
    from flags.source import Source
    from flags.store import FlagStore
    from messenger.queue import QueueServer
    from messenger.queues.telemetry import TelemetryStore
    from rollout.journal import Journal


class Connection:
    """The stores of one environment, each opened when it is first asked for.

    Opening raises NotConnected where no address is known; a server that does not answer shows at the first call.
    """

    def __init__(self, settings: Settings, environment: str | None = None) -> None:
        self.settings = settings
        self.environment = environment_name(environment or settings.environment)

    @cached_property
    def store(self) -> FlagStore:
        """The flags."""
        from flags.stores.redis import RedisFlagStore  # noqa: PLC0415 - opened at first use

        return RedisFlagStore(self.redis_url, self.environment)

    @cached_property
    def registry(self) -> InstanceRegistry:
        """The live instances."""
        from flags.stores.redis import RedisInstanceRegistry  # noqa: PLC0415 - opened at first use

        return RedisInstanceRegistry(self.redis_url, self.environment)

    def source(self) -> Source:
        """Make something that follows the flags without being an instance itself."""
        from flags.sources.redis import RedisSource  # noqa: PLC0415 - opened at first use

        return RedisSource(self.redis_url, self.environment)

    @cached_property
    def queues(self) -> QueueServer:
        """The queues of every domain."""
        from messenger.queues.streams import RedisQueueServer  # noqa: PLC0415 - opened at first use

        return RedisQueueServer(self.queue_url, self.environment)

    @cached_property
    def telemetry(self) -> TelemetryStore:
        """What messengers report about their traffic."""
        from messenger.queues.telemetry import TelemetryStore  # noqa: PLC0415 - opened at first use

        return TelemetryStore(self.queue_url, self.environment)

    @cached_property
    def journal(self) -> Journal:
        """What rollbacks remember."""
        from rollout.journals.redis import RedisJournal  # noqa: PLC0415 - opened at first use

        return RedisJournal(self.redis_url, self.environment)

    @property
    def redis_url(self) -> str:
        """Address of the flags server; raises NotConnected where none is known."""
        return _known(self.settings.redis_url, "SIGNALBOX_REDIS_URL", self.settings)

    @property
    def queue_url(self) -> str:
        """Address of the queue server; raises NotConnected where none is known."""
        return _known(self.settings.queue_url, "SIGNALBOX_QUEUE_URL", self.settings)


class Wiring:
    """The connections of a server: one for each environment that it serves, kept for the life of the process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._connections = {name: self.connect(name) for name in settings.environments}

    def connect(self, name: str) -> Connection:
        """Make the connection of one environment; tests put twins in memory here."""
        return Connection(self.settings, name)

    def environment(self, name: str) -> Connection:
        """Find a served environment; raises EnvironmentNotFound for any other."""
        connection = self._connections.get(name)
        if connection is None:
            raise EnvironmentNotFound(f"no environment {name[:70]!r} on this server")
        return connection


def _known(url: str, variable: str, settings: Settings) -> str:
    if not url:
        raise NotConnected(
            f"no address is known: set {variable}, or run in the folder of a running `signalbox up` "
            f"(there is no {settings.ready_file})"
        )
    return url
