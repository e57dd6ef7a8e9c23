"""Ports to listen on: finding free ones, and keeping others off them while our children share them."""

from __future__ import annotations

import socket

from controlplane.errors import StartFailed

TRIED = 100
"""Ports that are tried, from the first on."""


class Reservation:
    """A port that is ours: who does not ask to share it can't bind it, whether or not one of ours listens on it."""

    def __init__(self, host: str, port: int) -> None:
        """Take the port; raises OSError where somebody has it."""
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        try:
            # Connections of an earlier run that are still winding down are no reason to refuse; another owner is.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((host, port))
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        except OSError:
            self._socket.close()
            raise
        self.host, self.port = host, int(self._socket.getsockname()[1])

    @property
    def address(self) -> str:
        """Host and port, as in 127.0.0.1:8080."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()


def reserve(host: str, port: int) -> Reservation:
    """Take exactly this port; raises StartFailed where it can't be had."""
    try:
        return Reservation(host, port)
    except OSError as error:
        raise StartFailed(f"port {port} of {host} can't be used: {error.strerror or error}") from error


def reserve_from(host: str, first: int) -> Reservation:
    """Take the first free port from `first` on; raises StartFailed where there is none near."""
    for port in range(first, min(first + TRIED, 65_536)):
        try:
            return Reservation(host, port)
        except OSError:
            continue
    raise StartFailed(f"none of the ports {first} to {first + TRIED - 1} of {host} is free: name one with --port")
