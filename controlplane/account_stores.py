"""Keeps accounts: in Redis, outside any environment, and in memory for tests.

Keys on the flags server: `sb:users` and `sb:tokens` (hashes of JSON), `sb:sessions:<hash>` (JSON that expires),
`sb:attempts:<hash>` (hash `count, last` that expires).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from controlplane.accounts import Attempts, Role, Session, Token, User
from foundation.redis import translated

if TYPE_CHECKING:
    import redis

    from foundation.clock import Clock


class MemoryAccountStore:
    """Accounts in the memory of one process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._users: dict[str, User] = {}
        self._tokens: dict[str, Token] = {}
        self._sessions: dict[str, tuple[Session, float]] = {}
        self._attempts: dict[str, tuple[Attempts, float]] = {}

    def user(self, name: str) -> User | None:
        """Find a user."""
        return self._users.get(name)

    def save_user(self, user: User) -> None:
        """Add or replace a user."""
        self._users[user.name] = user

    def token(self, token_id: str) -> Token | None:
        """Find a token."""
        return self._tokens.get(token_id)

    def save_token(self, token: Token) -> None:
        """Add a token."""
        self._tokens[token.id] = token

    def session(self, key: str) -> Session | None:
        """Find a session that has not expired."""
        session, expires = self._sessions.get(key, (None, 0.0))
        return session if expires > self._clock.now() else None

    def save_session(self, key: str, session: Session, seconds: float) -> None:
        """Keep a session for so many seconds."""
        self._sessions[key] = (session, self._clock.now() + seconds)

    def touch_session(self, key: str, session: Session, seconds: float) -> None:
        """Keep a session that is still there for so many seconds more."""
        if self.session(key):
            self.save_session(key, session, seconds)

    def drop_session(self, key: str) -> None:
        """Forget a session."""
        self._sessions.pop(key, None)

    def attempts(self, key: str) -> Attempts:
        """Read the failed sign-ins under a key."""
        attempts, expires = self._attempts.get(key, (Attempts(), 0.0))
        return attempts if expires > self._clock.now() else Attempts()

    def count_attempt(self, key: str, now: float, seconds: float) -> None:
        """Count one more failed sign-in."""
        self._attempts[key] = (Attempts(self.attempts(key).count + 1, now), self._clock.now() + seconds)

    def forgive(self, key: str) -> None:
        """Forget the failed sign-ins under a key."""
        self._attempts.pop(key, None)


class RedisAccountStore:
    """Accounts in Redis; expiry is the server's."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client

    def user(self, name: str) -> User | None:
        """Find a user."""
        kept = self._field("sb:users", name)
        return kept and User(name, kept["password_hash"], Role.parse(kept["role"]))

    def save_user(self, user: User) -> None:
        """Add or replace a user."""
        self._keep("sb:users", user.name, {"password_hash": user.password_hash, "role": user.role.name.lower()})

    def token(self, token_id: str) -> Token | None:
        """Find a token."""
        kept = self._field("sb:tokens", token_id)
        return kept and Token(**kept)

    def save_token(self, token: Token) -> None:
        """Add a token."""
        self._keep("sb:tokens", token.id, asdict(token))

    def session(self, key: str) -> Session | None:
        """Find a session that has not expired."""
        with translated("read a session"):
            text = self._redis.get(f"sb:sessions:{key}")
        return Session(**json.loads(text)) if isinstance(text, bytes) else None

    def save_session(self, key: str, session: Session, seconds: float) -> None:
        """Keep a session for so many seconds."""
        with translated("write a session"):
            self._redis.set(f"sb:sessions:{key}", json.dumps(asdict(session)), px=int(seconds * 1000))

    def touch_session(self, key: str, session: Session, seconds: float) -> None:
        """Keep a session that is still there for so many seconds more."""
        with translated("touch a session"):
            self._redis.set(f"sb:sessions:{key}", json.dumps(asdict(session)), px=int(seconds * 1000), xx=True)

    def drop_session(self, key: str) -> None:
        """Forget a session."""
        with translated("end a session"):
            self._redis.delete(f"sb:sessions:{key}")

    def attempts(self, key: str) -> Attempts:
        """Read the failed sign-ins under a key."""
        with translated("read failed sign-ins"):
            kept: Any = self._redis.hgetall(f"sb:attempts:{key}")
        return Attempts(int(kept[b"count"]), float(kept[b"last"])) if kept else Attempts()

    def count_attempt(self, key: str, now: float, seconds: float) -> None:
        """Count one more failed sign-in."""
        name = f"sb:attempts:{key}"
        with translated("count a failed sign-in"), self._redis.pipeline(transaction=True) as pipe:
            pipe.hincrby(name, "count", 1)
            pipe.hset(name, "last", repr(now))
            pipe.pexpire(name, int(seconds * 1000))
            pipe.execute()

    def forgive(self, key: str) -> None:
        """Forget the failed sign-ins under a key."""
        with translated("forgive failed sign-ins"):
            self._redis.delete(f"sb:attempts:{key}")

    def _field(self, name: str, key: str) -> Any:
        with translated("read an account"):
            text = self._redis.hget(name, key)
        return json.loads(text) if isinstance(text, bytes) else None

    def _keep(self, name: str, key: str, value: dict[str, Any]) -> None:
        with translated("write an account"):
            self._redis.hset(name, key, json.dumps(value))
