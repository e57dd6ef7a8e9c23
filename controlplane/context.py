"""What every view can reach: the settings, the connections, the accounts. One object per application, no globals."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask, current_app

from controlplane.accounts import Accounts
from controlplane.settings import Settings
from controlplane.wiring import Connection, Wiring
from foundation.clock import Clock

_EXTENSION = "signalbox"


@dataclass(frozen=True, slots=True)
class Services:
    """What an application was built from."""

    settings: Settings
    wiring: Wiring
    accounts: Accounts
    clock: Clock

    def attach(self, app: Flask) -> None:
        """Make this reachable from the views of an application."""
        app.extensions[_EXTENSION] = self


def services() -> Services:
    """What the application of this request was built from."""
    found = current_app.extensions[_EXTENSION]
    assert isinstance(found, Services)  # noqa: S101 - tells the type checker what `attach` put there
    return found


def connection(environment: str) -> Connection:
    """The stores of an environment; raises EnvironmentNotFound where there is none of that name."""
    return services().wiring.environment(environment)
