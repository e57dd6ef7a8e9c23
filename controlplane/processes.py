"""Child processes that are kept running: started in order, restarted when they die, stopped in reverse, all of them.

Each child leads a process group of its own: Ctrl-C reaches only us, and what a child leaves behind can be swept away.
Knows nothing of what the children do. One thread only: the kernel ties a child to the thread that started it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from foundation import stopping
from foundation.clock import Clock
from foundation.errors import SignalboxError
from foundation.lifetime import dies_with_parent
from messenger.backoff import Backoff

POLL = 0.1
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 10.0
SETTLED = 30.0
"""A child that ran for so many seconds starts again with the shortest pause."""


class Child(Protocol):
    """Something that runs as a process of its own; `foundation.embedded.EmbeddedRedis` is one."""

    name: str

    @property
    def pid(self) -> int:
        """Its process id; 0 before the first start."""

    def alive(self) -> bool:
        """Tell whether its process runs."""

    def start(self) -> None:
        """Start it; raises a SignalboxError where that is not possible."""

    def stop(self) -> None:
        """End it and wait for its end."""


class Command:
    """A child that is a command line.

    Args:
        name: what it is called in messages; its log is `<name>.log`.
        arguments: the command line.
        environ: its environment variables, all of them.
        log: where its output goes; None shares ours.
        grace: seconds from SIGTERM to SIGKILL.
    """

    def __init__(
        self, name: str, arguments: Sequence[str], environ: Mapping[str, str], *, log: Path | None, grace: float = 10.0
    ) -> None:
        self.name, self.log = name, log
        self._arguments, self._environ, self._grace = list(arguments), dict(environ), grace
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process id; 0 before the first start."""
        return self._process.pid if self._process else 0

    def alive(self) -> bool:
        """Tell whether its process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, without waiting for it to be of use."""
        self._sweep()
        with contextlib.ExitStack() as opened:
            output = opened.enter_context(self.log.open("ab")) if self.log else None
            self._process = subprocess.Popen(
                self._arguments,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT if output else None,
                start_new_session=True,
                preexec_fn=dies_with_parent(),  # noqa: PLW1509 - it takes no lock
            )

    def stop(self) -> None:
        """End it politely, then by force, and whatever it left behind."""
        if self._process is None:
            return
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(self._grace)
        self._sweep()
        self._process.wait()

    def _sweep(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)


@dataclass(slots=True)
class _Kept:
    child: Child
    backoff: Backoff = field(default_factory=lambda: Backoff(FIRST_PAUSE, LONGEST_PAUSE))
    started: float = 0.0
    due: float | None = None
    """When a dead child is started again (monotonic); None while it runs."""


class Keeper:
    """Keeps children running until told to stop.

    Args:
        clock: its monotonic time decides when a dead child is due.
        say: is told in one line whatever happens to a child.
    """

    def __init__(self, clock: Clock, say: Callable[[str], None]) -> None:
        self._clock, self._say = clock, say
        self._kept: list[_Kept] = []

    def add(self, child: Child) -> None:
        """Start a child and keep it from now on."""
        kept = _Kept(child)
        self._kept.append(kept)
        self._start(kept)

    def tend(self) -> None:
        """Look at every child once: note who died, start again who is due."""
        for kept in self._kept:
            if kept.due is None and not kept.child.alive():
                self._note_death(kept)
            if kept.due is not None and self._clock.monotonic() >= kept.due:
                self._restart(kept)

    def run(self, stop: StopSignal) -> None:
        """Tend the children until `stop` is set."""
        while not stop.wait(POLL):
            self.tend()

    def stop(self) -> None:
        """Stop every child, the last one started first."""
        for kept in reversed(self._kept):
            kept.child.stop()
        self._kept.clear()

    def _start(self, kept: _Kept) -> None:
        kept.child.start()
        kept.started, kept.due = self._clock.monotonic(), None

    def _note_death(self, kept: _Kept) -> None:
        now = self._clock.monotonic()
        if now - kept.started > SETTLED:
            kept.backoff.reset()
        pause = kept.backoff.next()
        kept.due = now + pause
        self._say(f"{kept.child.name} (process {kept.child.pid}) ended; starting it again in {pause:.1f} s")

    def _restart(self, kept: _Kept) -> None:
        try:
            self._start(kept)
        except (SignalboxError, OSError) as error:
            kept.due = self._clock.monotonic() + kept.backoff.next()
            self._say(f"{kept.child.name} can't start: {error}")
        else:
            self._say(f"{kept.child.name} runs again (process {kept.child.pid})")


class StopSignal(stopping.StopSignal):
    """Is set by SIGTERM, Ctrl-C and the end of the terminal, unless nohup wants us to outlive that."""

    def __init__(self) -> None:
        outlives = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        super().__init__((signal.SIGTERM, signal.SIGINT, *(() if outlives else (signal.SIGHUP,))))
