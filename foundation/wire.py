"""A Redis connection reduced to writing commands and reading answers, for loops in which the client's time counts.

redis-py makes the connection (address, TLS, login, time-outs) and still serves for everything else; here its socket is
used directly, at a fifth of the cost of a command. Between the two nothing may be left unread: read as many answers as
there were commands before the client is used again.
"""

from __future__ import annotations

import socket
import struct
from typing import Any

import hiredis
import redis
from redis import exceptions

PIECE = 65_536

Command = tuple[Any, ...]


def reply_error(text: str) -> redis.ResponseError:
    """Make the exception for an error reply; its text keeps the server's own word in front."""
    known = exceptions.NoScriptError if text.startswith("NOSCRIPT") else redis.ResponseError
    return known(text)


class Wire:
    """Commands and answers over the connection of a client that keeps to a single one.

    Args:
        held: what `redis.Redis.client()` answers with, already connected.
    """

    def __init__(self, held: redis.Redis) -> None:
        connection: Any = held.connection
        self._socket: socket.socket = connection._sock  # noqa: SLF001 - there is no public way to the socket
        self._reader = hiredis.Reader(protocolError=exceptions.InvalidResponse, replyError=reply_error)
        _let_the_kernel_time_out(self._socket)

    def send(self, *commands: Command) -> None:
        """Write the commands in one piece; raises redis-py's ConnectionError or TimeoutError."""
        try:
            self._socket.sendall(b"".join([hiredis.pack_command(command) for command in commands]))
        except (TimeoutError, BlockingIOError) as error:
            raise exceptions.TimeoutError("timed out while writing") from error
        except OSError as error:
            raise exceptions.ConnectionError(f"the connection broke while writing: {error}") from error

    def receive(self) -> Any:
        """Read one answer, in bytes; raises an error reply as redis-py's ResponseError."""
        while (answer := self._reader.gets()) is False:
            try:
                piece = self._socket.recv(PIECE)
            except (TimeoutError, BlockingIOError) as error:
                raise exceptions.TimeoutError("timed out while reading") from error
            except OSError as error:
                raise exceptions.ConnectionError(f"the connection broke while reading: {error}") from error
            if not piece:
                raise exceptions.ConnectionError("the server closed the connection")
            self._reader.feed(piece)
        if isinstance(answer, redis.ResponseError):
            raise answer
        return answer


def _let_the_kernel_time_out(connected: socket.socket) -> None:
    """Keep the time-out without Python's own way of it, which asks the kernel twice for each read and write."""
    timeout = connected.gettimeout()
    if type(connected) is socket.socket and timeout:
        seconds, microseconds = divmod(round(timeout * 1_000_000), 1_000_000)
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            connected.setsockopt(socket.SOL_SOCKET, option, struct.pack("@ll", seconds, microseconds))
        connected.settimeout(None)
