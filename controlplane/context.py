"""What every view can reach: the settings, the connections, the accounts. One object per application, no globals."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask, current_app

from controlplane.accounts import Accounts
from controlplane.liveflags import LiveEnvironments
from controlplane.settings import Settings
from controlplane.wiring import Connection, Wiring
from foundation.clock import Clock

_EXTENSION, _LIVE = "signalbox", "signalbox live flags"


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
        app.extensions[_LIVE] = LiveEnvironments(self.clock)


def services(app: Flask | None = None) -> Services:
    """What an application, that of this request unless named, was built from."""
    found = (app or current_app).extensions[_EXTENSION]
    assert isinstance(found, Services)  # noqa: S101 - tells the type checker what `attach` put there
    return found


def connection(environment: str) -> Connection:
    """The stores of an environment; raises EnvironmentNotFound where there is none of that name."""
    return services().wiring.environment(environment)


def live_flags(app: Flask | None = None) -> LiveEnvironments:
    """The flags that an application, that of this request unless named, evaluates from memory."""
    found = (app or current_app).extensions[_LIVE]
    assert isinstance(found, LiveEnvironments)  # noqa: S101 - tells the type checker what `attach` put there
    return found
