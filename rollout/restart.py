"""Restarting workers: which slots, in which waves, and by whose hand.

The decisions are pure; the two adapters ask the workers' own supervisor through the registry, or run a configured
command (systemctl, kubectl, …). Whether a worker came back is seen in the registry by whoever asked, not here.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from flags.instances import InstanceRegistry
from foundation.errors import SignalboxError
from rollout.errors import RestartFailed

COMMAND_TIMEOUT = 60.0
"""Seconds that a restart command may take."""


@dataclass(frozen=True, slots=True)
class Target:
    """A slot to restart, and the instances that stand in it now; `supervisor` is "" where none is known."""

    slot: str
    domain: str
    supervisor: str
    host: str
    instances: tuple[str, ...]


class Restarter(Protocol):
    """A hand that can restart workers."""

    @property
    def name(self) -> str:
        """What the receipt calls it."""

    def able(self, target: Target) -> bool:
        """Tell whether it can restart this one."""

    def restart(self, targets: Sequence[Target]) -> dict[str, str]:
        """Ask for a restart of each; answers with what went wrong, by slot. Asking twice is harmless."""


@dataclass(frozen=True, slots=True)
class SupervisorRestarter:
    """Raises the restart generation of a slot; the supervisor that forked the worker acts on it."""

    registry: InstanceRegistry
    name: str = "supervisor"

    def able(self, target: Target) -> bool:
        """It can where the worker named a supervisor."""
        return bool(target.supervisor)

    def restart(self, targets: Sequence[Target]) -> dict[str, str]:
        """Ask for a restart of each, in one write."""
        self.registry.request_restart([target.slot for target in targets])
        return {}


@dataclass(frozen=True, slots=True)
class CommandRestarter:
    """Runs a command for each slot, without a shell; `{slot}`, `{domain}` and `{host}` in its words are filled in."""

    words: tuple[str, ...]
    name: str = "command"

    def able(self, target: Target) -> bool:  # noqa: ARG002 - the port's signature
        """It tries any."""
        return True

    def restart(self, targets: Sequence[Target]) -> dict[str, str]:
        """Run it for one slot after the other; a failure does not stop the next."""
        failures = {}
        for target in targets:
            try:
                _run(self._filled(target))
            except SignalboxError as error:
                failures[target.slot] = str(error)
        return failures

    def _filled(self, target: Target) -> list[str]:
        words = list(self.words)
        for place, text in {"{slot}": target.slot, "{domain}": target.domain, "{host}": target.host}.items():
            words = [word.replace(place, text) for word in words]
        return words


def waves(targets: Iterable[Target]) -> list[list[Target]]:
    """Order a restart so that no domain has all its workers down at once: its first half, then the rest.

    A domain with one worker has to do without it for a moment.
    """
    by_domain: dict[str, list[Target]] = {}
    for target in targets:
        by_domain.setdefault(target.domain, []).append(target)
    first = [target for group in by_domain.values() for target in group[: (len(group) + 1) // 2]]
    second = [target for group in by_domain.values() for target in group[(len(group) + 1) // 2 :]]
    return [wave for wave in (first, second) if wave]


def _run(words: list[str]) -> None:
    shown = shlex.join(words)
    try:
        done = subprocess.run(
            words, capture_output=True, timeout=COMMAND_TIMEOUT, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RestartFailed(f"{shown}: {error}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise RestartFailed(f"{shown}: exit {done.returncode}{': ' + said[-1] if said else ''}")
