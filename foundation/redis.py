"""How every floor talks to Redis: connections that never hang or retry by themselves, scripts, and translated errors.

A retry is the caller's decision, with an operation id: a library that repeats a command whose reply was lost applies it
twice. Knows nothing of what is stored.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from typing import Any
from urllib.parse import unquote, urlsplit

import redis
from redis import exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from foundation.errors import DocumentError, StoreRefused, StoreUnreachable

_SENTINEL_PORT = 26379


def connect(url: str, *, timeout: float = 1.0, block: float = 0.0, decode: bool = False) -> redis.Redis:
    """Make a client for `redis://`, `rediss://`, `unix://` or `redis+sentinel://[:password@]host:port,…/service/db`.

    Nothing is connected yet. A command fails after `timeout` seconds without an answer, and is never repeated.

    Args:
        url: where the server is.
        timeout: seconds to wait for a connection and for an answer.
        block: the longest that a blocking command of this client may wait on the server, in seconds.
        decode: answer with text instead of bytes.

    Raises:
        DocumentError: the URL is malformed.
    """
    options: dict[str, Any] = {
        "socket_timeout": timeout + block,
        "socket_connect_timeout": timeout,
        "decode_responses": decode,
        "retry": Retry(NoBackoff(), 0),
        "health_check_interval": 0,
        "protocol": 2,
    }
    try:
        if url.startswith("redis+sentinel://"):
            return _through_sentinel(url, options)
        return redis.Redis.from_url(url, **options)
    except ValueError as error:
        expected = "redis://host:port/db, rediss://…, unix:///path or redis+sentinel://host:port,…/service/db"
        raise DocumentError("Redis URL", str(error), value=redacted(url), expected=expected) from error


def redacted(url: str) -> str:
    """Show where a URL leads without the password in it."""
    return re.sub(r"(//[^/@]*:)[^/@]*@", r"\1***@", url)


def _through_sentinel(url: str, options: dict[str, Any]) -> redis.Redis:
    parts = urlsplit(url)
    credentials, _, hosts = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    service, _, database = parts.path.strip("/").partition("/")
    if not (hosts and service):
        raise ValueError("names no sentinel or no service")
    login = {"username": unquote(user) or None, "password": unquote(password) or None}
    asked = {name: options[name] for name in ("socket_connect_timeout", "retry", "protocol")}
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        [_address(host) for host in hosts.split(",")],
        sentinel_kwargs={**asked, "socket_timeout": options["socket_connect_timeout"]},
        **options,
    )
    client: redis.Redis = sentinel.master_for(service, db=int(database or 0), **login)  # type: ignore[no-untyped-call]
    return client


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return (host.strip("[]"), int(port)) if host else (text, _SENTINEL_PORT)


_REFUSAL_CLASSES: tuple[tuple[type[redis.RedisError], str], ...] = (
    (exceptions.OutOfMemoryError, "OOM"),
    (exceptions.ReadOnlyError, "READONLY"),
    (exceptions.MasterDownError, "MASTERDOWN"),
    (exceptions.NoPermissionError, "NOPERM"),
    (exceptions.AuthenticationError, "NOAUTH"),
    (exceptions.AuthorizationError, "NOPERM"),
)
# What redis-py has no class for, and what servers before 7 put inside "Error running script … -OOM …".
_REFUSAL_WORDS = re.compile(
    r"(?:^|[ -])(OOM|READONLY|MISCONF|NOREPLICAS|MASTERDOWN|CLUSTERDOWN|NOPERM|NOAUTH|WRONGPASS|BUSY)\b"
)


@contextmanager
def translated(operation: str) -> Iterator[None]:
    """Turn the library's errors into ours; `operation` opens the message. A script's own errors pass as they are.

    Raises:
        StoreUnreachable: no answer in time, or none that could be understood.
        StoreRefused: the server answered that it will not do it.
    """
    try:
        yield
    except redis.RedisError as error:
        ours = translation(operation, error)
        if ours is None:
            raise
        raise ours from error


def translation(operation: str, error: redis.RedisError) -> StoreRefused | StoreUnreachable | None:
    """Put an error of the library in our words; None for one that is a script's own."""
    reason = refusal(error)
    if reason:
        return StoreRefused(reason, f"{operation}: Redis refused ({reason}): {error}")
    if isinstance(error, exceptions.ConnectionError | exceptions.TimeoutError | exceptions.InvalidResponse):
        return StoreUnreachable(f"{operation}: no answer from Redis: {error}")
    return None


def refusal(error: redis.RedisError) -> str:
    """Name the reason for which the server refused a command, such as OOM; "" where the error is no refusal."""
    for kind, word in _REFUSAL_CLASSES:
        if isinstance(error, kind):
            return word
    found = _REFUSAL_WORDS.search(str(error)) if isinstance(error, redis.ResponseError) else None
    return found[1] if found else ""


class Line:
    """One connection, for commands that speak of each other or travel in one piece; made by `held`."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def execute_command(self, *words: Any) -> Any:
        """Send one command; answers with what the server does, or raises redis-py's errors."""
        return self.execute_commands(words)[0]

    def execute_commands(self, *commands: Sequence[Any]) -> list[Any]:
        """Send commands in one piece; raises the first error among the answers, once all have come."""
        try:
            self._connection.send_packed_command(self._connection.pack_commands(commands))
            answers = [self._answer() for _ in commands]
        except BaseException:
            # An answer may still be on its way, and would be taken for that of the next command.
            self._connection.disconnect()
            raise
        for answer in answers:
            if isinstance(answer, redis.ResponseError):
                raise answer
        return answers

    def _answer(self) -> Any:
        try:
            return self._connection.read_response()
        except redis.ResponseError as error:
            return error


@contextmanager
def held(client: redis.Redis) -> Iterator[Line]:
    """Take one connection out of a client's pool, and put it back afterwards.

    It costs a fraction of `client.client()`, which makes a whole client for it.
    """
    pool = client.connection_pool
    connection = pool.get_connection()
    try:
        yield Line(connection)
    finally:
        pool.release(connection)


class Script:
    """A Lua script that ships as a resource of a package, sent whole once and by its digest from then on.

    Args:
        package: import name of the package that holds it.
        names: its file name, ending in `.lua`; of several files, the first ones hold functions for the last.
    """

    def __init__(self, package: str, *names: str) -> None:
        folder = resources.files(package)
        self.source = "\n".join(folder.joinpath(name).read_text("utf-8") for name in names)
        self.sha = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, client: redis.Redis | Line, keys: Sequence[str | bytes] = (), args: Sequence[Any] = ()) -> Any:
        """Run it; a server that does not know it yet gets the source."""
        try:
            return client.execute_command("EVALSHA", self.sha, len(keys), *keys, *args)
        except exceptions.NoScriptError:
            return client.execute_command("EVAL", self.source, len(keys), *keys, *args)
