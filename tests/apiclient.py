"""The web application for tests: over twins in memory or over Redis, with a user and a token of every role."""

import threading
from functools import cache

from werkzeug.security import generate_password_hash

from controlplane.account_stores import MemoryAccountStore, RedisAccountStore
from controlplane.accounts import SDK, Accounts, Role, User, new_token
from controlplane.app import create_app
from controlplane.context import Services
from controlplane.settings import Settings
from controlplane.wiring import Connection, Wiring
from flags.model import ZERO
from flags.stores.memory import MemoryFlagStore
from flags.stores.memory_counts import MemoryEvaluationCounts
from flags.stores.memory_environments import MemoryEnvironmentStore
from flags.stores.memory_registry import MemoryInstanceRegistry
from foundation.clock import ManualClock
from foundation.redis import connect
from messenger.queues.memory import MemoryQueueServer
from rollout.journals.memory import MemoryJournal

ROLES = ("viewer", "operator", "admin")
SCOPES = (*ROLES, SDK)
PASSWORD = "correct horse battery staple"


class QuietTelemetry:
    """Telemetry of an environment in which nobody sends anything."""

    def instances(self, window):
        return []

    def domains(self, window):
        return []

    def flows(self, window):
        return []


class StoreSource:
    """A source over a store in memory: looks again and again."""

    heartbeat, lease = 1.0, float("inf")

    def __init__(self, store):
        self._store = store
        self._closed = threading.Event()

    def run(self, feed, instance, stop):
        assert instance is None
        while not (stop.is_set() or self._closed.is_set()):
            snapshot = self._store.snapshot()
            if snapshot.revision != feed.cursor or feed.cursor == ZERO:
                feed.replace(snapshot)
            stop.wait(0.005)

    def close(self):
        self._closed.set()


class MemoryConnection(Connection):
    """An environment whose stores are twins in memory."""

    def __init__(self, settings, environment, clock):
        super().__init__(settings, environment)
        self.store = MemoryFlagStore(self.environment, clock)
        self.registry = MemoryInstanceRegistry(self.environment, clock)
        self.counts = MemoryEvaluationCounts(self.environment, lambda: self.store.snapshot().flags, clock)
        self.queues = MemoryQueueServer(self.environment, clock)
        self.journal = MemoryJournal(self.environment, clock)
        self.telemetry = QuietTelemetry()

    def source(self):
        return StoreSource(self.store)


class MemoryWiring(Wiring):
    """Environments in memory."""

    def __init__(self, settings, clock):
        self.clock = clock
        self.environments = MemoryEnvironmentStore()
        super().__init__(settings, clock)

    def connect(self, name):
        return MemoryConnection(self.settings, name, self.clock)


def services_in_memory(**settings):
    """Build an application's services over twins in memory."""
    clock = ManualClock(start=1_800_000_000.0)
    known = Settings(url="http://localhost", **settings)
    return Services(known, MemoryWiring(known, clock), Accounts(MemoryAccountStore(clock), clock), clock)


def services_over(redis_url, *, users_url="", **settings):
    """Build an application's services over a Redis that serves flags, queues and, unless they have their own, users."""
    clock = ManualClock(start=1_800_000_000.0)
    known = Settings(url="http://localhost", redis_url=redis_url, queue_url=redis_url, **settings)
    return Services(known, Wiring(known), Accounts(RedisAccountStore(connect(users_url or redis_url)), clock), clock)


class Api:
    """A client of the application, with tokens of every scope."""

    def __init__(self, services, make=create_app):
        self.services = services
        self.connection = services.wiring.environment(services.settings.environment)
        self.app = make(services)
        self.app.testing = True
        self.tokens = {scope: new_token(scope) for scope in SCOPES}
        for scope, token in self.tokens.items():
            services.accounts.admit_token(token, scope)
        for role in ROLES:
            self.add_user(role, role)

    def add_user(self, name, role="viewer"):
        """Add a user whose password is PASSWORD."""
        self.services.accounts._store.save_user(User(name, password_hash(), Role.parse(role)))

    def call(self, method, path, *, scope="admin", headers=None, **options):
        """Send a request with the token of a scope (None: without any); a path without a slash is the environment's."""
        headers = dict(headers or {})
        if scope:
            headers["Authorization"] = f"Bearer {self.tokens[scope]}"
        target = path if path.startswith("/") else f"/api/v1/environments/demo/{path}"
        return self.app.test_client(use_cookies=False).open(target, method=method, headers=headers, **options)

    def get(self, path, **options):
        return self.call("GET", path, **options)

    def post(self, path, body=None, **options):
        return self.call("POST", path, json={} if body is None else body, **options)


@cache
def password_hash():
    """Hash the password once: a safe hash takes its time."""
    return generate_password_hash(PASSWORD, method="scrypt:1024:8:1")
