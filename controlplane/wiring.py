"""Opens the adapters of an environment from settings, each at its first use, so that nobody loads what it doesn't need.

The one place of the control plane that names the Redis adapters.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from controlplane.errors import EnvironmentNotFound, NotConnected
from controlplane.ratelimit import RateLimit
from controlplane.settings import Settings, environment_name
from flags.environments import NAME, Environment, register
from foundation.clock import SYSTEM, Clock

if TYPE_CHECKING:
    from flags.environments import EnvironmentStore
    from flags.instances import InstanceRegistry
    from flags.source import Source
    from flags.store import FlagStore
    from flags.usage import EvaluationCounts
    from messenger.queue import QueueServer
    from messenger.queues.telemetry import TelemetryStore
    from rollout.journal import Journal


LOOKUPS_A_SECOND = 25.0
"""How often a process asks the store for an environment that it has not met, and for a moment more.

Who asks for one made-up name after the other is told that there is none without any more work.
"""


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

    @cached_property
    def counts(self) -> EvaluationCounts:
        """What clients have evaluated."""
        from flags.stores.redis_counts import RedisEvaluationCounts  # noqa: PLC0415 - opened at first use

        return RedisEvaluationCounts(self.redis_url, self.environment)

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
    """The connections of a server: one for each environment that is asked for, kept for the life of the process.

    Those that the settings name are there from the start; others are found once somebody has created them.
    """

    def __init__(self, settings: Settings, clock: Clock = SYSTEM) -> None:
        self.settings = settings
        self._clock = clock
        self._lookups = RateLimit(clock, LOOKUPS_A_SECOND)
        self._connections = {name: self.connect(name) for name in settings.environments}

    @cached_property
    def environments(self) -> EnvironmentStore:
        """The environments of this installation."""
        from flags.stores.redis_environments import RedisEnvironmentStore  # noqa: PLC0415 - opened at first use

        return RedisEnvironmentStore(_known(self.settings.redis_url, "SIGNALBOX_REDIS_URL", self.settings))

    def connect(self, name: str) -> Connection:
        """Make the connection of one environment; tests put twins in memory here."""
        return Connection(self.settings, name)

    def environment(self, name: str) -> Connection:
        """Find an environment; raises EnvironmentNotFound where there is none of that name."""
        connection = self._connections.get(name)
        if connection is None:
            if not self._exists(name):
                raise EnvironmentNotFound(f"no environment {name[:70]!r} on this server")
            connection = self._connections.setdefault(name, self.connect(name))
        return connection

    def listed(self) -> list[Environment]:
        """List every environment by name: those that were created, and those that the settings name."""
        named = {name: Environment(name) for name in self.settings.environments}
        found = named | {environment.name: environment for environment in self.environments.all()}
        return [found[name] for name in sorted(found)]

    def register(self, by: str) -> None:
        """See that the environments which the settings name are known to every other server and command too."""
        for name in self.settings.environments:
            register(self.environments, Environment(name, created=self._clock.now(), by=by))

    def _exists(self, name: str) -> bool:
        if not NAME.fullmatch(name) or self._lookups.take("an unknown environment"):
            return False
        return self.environments.find(name) is not None


def _known(url: str, variable: str, settings: Settings) -> str:
    if not url:
        raise NotConnected(
            f"no address is known: set {variable}, or run in the folder of a running `signalbox up` "
            f"(there is no {settings.ready_file})"
        )
    return url
