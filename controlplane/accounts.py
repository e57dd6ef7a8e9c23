"""Who may come in: users, their sessions and their roles, tokens for machines, and the brake on guessing passwords.

Knows no HTTP. Secrets are kept only as hashes: scrypt for passwords, SHA-256 for session ids and the secrets of tokens
(random and long, so a fast hash is enough). Adapters of the port stand in `controlplane/account_stores.py`.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import secrets
from dataclasses import dataclass, replace
from functools import cache
from typing import Protocol, Self

from werkzeug.security import check_password_hash, generate_password_hash

from controlplane import tickets
from controlplane.errors import NotAuthenticated, SettingsInvalid, TooManyAttempts
from foundation.clock import Clock
from foundation.errors import StoreUnreachable

SESSION_IDLE = 8 * 3600.0
"""Seconds without use after which the store forgets a session."""
SESSION_LIFE = 7 * 24 * 3600.0
SESSION_TOUCH = 60.0
"""A session's last use is written down at most this often, in seconds."""

ATTEMPT_WINDOW = 900.0
"""Failed sign-ins are forgotten after this many seconds without another."""
ATTEMPTS_OF_PAIR, ATTEMPTS_OF_ADDRESS = 5, 20
"""How many sign-ins may fail before waits begin: for one user from one address, and from one address in all."""
WAIT_OF_PAIR, WAIT_OF_ADDRESS = 900.0, 5.0
"""The longest wait of either kind, in seconds. Behind a proxy everybody may come from one address, so its wait is
short: enough to make trying many users useless, too little to keep the others out."""

TOKEN_TRUST = 2.0
"""Seconds for which a token that was found good is not looked up again: a fleet that comes at once shares a look."""
TOKENS_TRUSTED = 10_000
TOKEN_GRACE = 3600.0
"""Seconds for which a token that was found good stays so while the store does not answer: flags are evaluated from
memory then, and who was let in before still is."""

SDK = "sdk"
"""The scope of a token that may read flags, and nothing else."""


class Role(enum.IntEnum):
    """What a person or a machine may do; each includes those below it."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3

    @classmethod
    def parse(cls, name: str) -> Self:
        """Read a role's name; raises SettingsInvalid for any other word."""
        try:
            return cls[name.upper()]
        except KeyError:
            raise SettingsInvalid(f"{name!r} is not a role: viewer, operator or admin") from None


@dataclass(frozen=True, slots=True)
class User:
    """A person: their name, the scrypt hash of their password, their role."""

    name: str
    password_hash: str
    role: Role


@dataclass(frozen=True, slots=True)
class Token:
    """A machine's key: `scope` is a role's name or `sdk`; `digest` is the SHA-256 of its secret; times since 1970."""

    id: str
    name: str
    scope: str
    digest: str
    created: float


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that signed in: whose it is, its CSRF token, when it began and was last used (s since 1970)."""

    user: str
    csrf: str
    created: float
    seen: float


@dataclass(frozen=True, slots=True)
class Attempts:
    """Sign-ins that failed under one key, and when the last one did (s since 1970)."""

    count: int = 0
    last: float = 0.0


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking: `role` is None for the scope `sdk`; `csrf` is empty for tokens, which need none."""

    name: str
    role: Role | None
    csrf: str = ""

    def may(self, role: Role) -> bool:
        """Tell whether this one has at least the role."""
        return self.role is not None and self.role >= role


@dataclass(frozen=True, slots=True)
class _Trusted:
    """A token's bearer, with the (monotonic) times at which the token was last found good, and last asked about."""

    principal: Principal
    found: float
    looked: float


class AccountStore(Protocol):
    """Where accounts are kept. Every method raises StoreUnreachable when the store does not answer in time."""

    def user(self, name: str) -> User | None:
        """Find a user."""

    def save_user(self, user: User) -> None:
        """Add or replace a user."""

    def token(self, token_id: str) -> Token | None:
        """Find a token."""

    def save_token(self, token: Token) -> None:
        """Add a token."""

    def session(self, key: str) -> Session | None:
        """Find a session that has not expired, by the hash of its id."""

    def save_session(self, key: str, session: Session, seconds: float) -> None:
        """Keep a session for so many seconds."""

    def touch_session(self, key: str, session: Session, seconds: float) -> None:
        """Keep a session that is still there for so many seconds more; one that was forgotten stays forgotten."""

    def drop_session(self, key: str) -> None:
        """Forget a session; unknown keys are ignored."""

    def attempts(self, key: str) -> Attempts:
        """Read the failed sign-ins under a key."""

    def count_attempt(self, key: str, now: float, seconds: float) -> None:
        """Count one more failed sign-in; all are forgotten after so many seconds without another."""

    def forgive(self, key: str) -> None:
        """Forget the failed sign-ins under a key."""


class Accounts:
    """Signs people in and out, and tells who a session id or a token belongs to."""

    def __init__(self, store: AccountStore, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._trusted: dict[str, _Trusted] = {}

    def add_user(self, name: str, password: str, role: Role) -> None:
        """Add a user, or give an existing one this password and role."""
        self._store.save_user(User(name, generate_password_hash(password, method="scrypt"), role))

    def has_user(self, name: str) -> bool:
        """Tell whether a user of this name exists."""
        return self._store.user(name) is not None

    def admit_token(self, text: str, name: str) -> None:
        """Let the bearer of a token in from now on, under this name; the secret in it is not kept.

        Raises:
            SettingsInvalid: it is not what `new_token` makes.
        """
        scope, token_id, secret = _parts(text)
        if not token_id or (scope != SDK and scope.upper() not in Role.__members__):
            raise SettingsInvalid("not a token: expected sb_<scope>_<id>_<secret>")
        self._store.save_token(Token(token_id, name, scope, hashed(secret), self._clock.now()))

    def sign_in(self, name: str, password: str, address: str, *, replaces: str = "") -> str:
        """Check a password and open a session; answers with its id, which is not kept.

        `replaces` is the session id that the browser came with: it ends, so that nobody can plant one beforehand.

        Raises:
            TooManyAttempts: wait first.
            NotAuthenticated: no such user, or another password; the two are not told apart.
        """
        brakes = (
            (hashed(f"{name}@{address}"), ATTEMPTS_OF_PAIR, WAIT_OF_PAIR),
            (hashed(address), ATTEMPTS_OF_ADDRESS, WAIT_OF_ADDRESS),
        )
        for brake in brakes:
            self._refuse_guessing(*brake)
        user = self._store.user(name)
        matches = check_password_hash(user.password_hash if user else _nobodys_hash(), password)
        if user is None or not matches:
            for key, _, _ in brakes:
                self._store.count_attempt(key, self._clock.now(), ATTEMPT_WINDOW)
            raise NotAuthenticated("the user name or the password is wrong")
        self._store.forgive(brakes[0][0])
        self.sign_out(replaces)
        return self._open_session(user)

    def sign_out(self, session_id: str) -> None:
        """End a session; unknown ids are ignored."""
        if session_id:
            self._store.drop_session(hashed(session_id))

    def by_session(self, session_id: str) -> Principal:
        """Tell who a session belongs to; raises NotAuthenticated where it is unknown or ran out."""
        key, now = hashed(session_id), self._clock.now()
        session = self._store.session(key)
        if session is None or now - session.created > SESSION_LIFE:
            raise NotAuthenticated("the session has ended: sign in again")
        user = self._store.user(session.user)
        if user is None:
            raise NotAuthenticated("the session's user is gone")
        if now - session.seen > SESSION_TOUCH:
            self._store.touch_session(key, replace(session, seen=now), SESSION_IDLE)
        return Principal(user.name, user.role, session.csrf)

    def by_token(self, text: str) -> Principal:
        """Tell who a token belongs to; raises NotAuthenticated where it is malformed, unknown or has a wrong secret."""
        key, now = hashed(text), self._clock.monotonic()
        trusted = self._trusted.get(key)
        if trusted is None or now - trusted.looked >= TOKEN_TRUST:
            trusted = self._look_again(text, trusted, now)
            if len(self._trusted) >= TOKENS_TRUSTED:
                self._trusted.clear()
            self._trusted[key] = trusted
        return trusted.principal

    def ticket(self, text: str, path: str) -> str:
        """Make what stands for a good token in an address with this path; nothing is looked up."""
        _, token_id, secret = _parts(text)
        return tickets.issue(token_id, hashed(secret), path, self._clock.now())

    def by_ticket(self, ticket: str, path: str) -> Principal:
        """Tell who a ticket belongs to; raises NotAuthenticated where it is wrong, old, or its token is gone."""
        token_id = tickets.token_id_of(ticket)
        token = self._store.token(token_id) if token_id else None
        if token is None or not tickets.is_good(ticket, token.digest, path, self._clock.now()):
            raise NotAuthenticated("the ticket in the address is not valid, or has expired")
        return _machine(token)

    def _look_again(self, text: str, trusted: _Trusted | None, now: float) -> _Trusted:
        try:
            return _Trusted(self._look_up(text), now, now)
        except StoreUnreachable:
            if trusted is None or now - trusted.found >= TOKEN_GRACE:
                raise
            return replace(trusted, looked=now)

    def _look_up(self, text: str) -> Principal:
        scope, token_id, secret = _parts(text)
        token = self._store.token(token_id) if token_id else None
        if token is None or token.scope != scope or not hmac.compare_digest(token.digest, hashed(secret)):
            raise NotAuthenticated("the token is not valid")
        return _machine(token)

    def _refuse_guessing(self, key: str, allowed: int, longest: float) -> None:
        attempts = self._store.attempts(key)
        if attempts.count < allowed:
            return
        wait = min(2.0 ** min(attempts.count - allowed, 30), longest) - (self._clock.now() - attempts.last)
        if wait > 0:
            raise TooManyAttempts(wait)

    def _open_session(self, user: User) -> str:
        session_id, now = secrets.token_urlsafe(32), self._clock.now()
        session = Session(user.name, secrets.token_urlsafe(24), now, now)
        self._store.save_session(hashed(session_id), session, SESSION_IDLE)
        return session_id


def new_token(scope: str) -> str:
    """Make up a token for a role's name or for `sdk`; it opens nothing until it is admitted."""
    return f"sb_{scope}_{secrets.token_hex(6)}_{secrets.token_hex(24)}"


def _machine(token: Token) -> Principal:
    return Principal(f"token:{token.name}", None if token.scope == SDK else Role.parse(token.scope))


def _parts(token: str) -> tuple[str, str, str]:
    """Take a token apart into scope, id and secret; all empty where it is malformed."""
    match token.split("_"):
        case ["sb", scope, token_id, secret]:
            return scope, token_id, secret
    return "", "", ""


def hashed(secret: str) -> str:
    """Hash a long random secret for keeping."""
    return hashlib.sha256(secret.encode()).hexdigest()


@cache
def _nobodys_hash() -> str:
    """Something to check against where there is no such user, so that an answer takes as long as for one who exists."""
    return generate_password_hash(secrets.token_hex(16), method="scrypt")
