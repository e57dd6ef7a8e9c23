"""A slot's process: forked, watched, ended. One object for the slot, however many processes fill it one after another.

Knows nothing of why a process should run or end; the supervisor does.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from foundation.lifetime import dies_with_parent
from messenger.backoff import Backoff
from messenger.worker import UNFIT_EXIT, WorkerSpec

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
SETTLED = 10.0
"""Seconds after which a worker counts as well started: its next death is its first."""


@dataclass(slots=True, eq=False)
class Child:
    """The process of one slot.

    Args:
        spec: what fills the slot.
        main: what a forked process runs; answers with its exit code.
        pid: of the process; 0 where there is none.
        start_at: when a missing process is due, on the monotonic clock.
        unfit: whether its first process ended with UNFIT_EXIT, so that another one would be in vain.
    """

    spec: WorkerSpec
    main: Callable[[WorkerSpec], int]
    pid: int = 0
    start_at: float = 0.0
    unfit: bool = False
    _first: bool = True
    _started: float = 0.0
    _kill_at: float = 0.0
    _ending: bool = False
    _frozen: bool = False
    _backoff: Backoff = field(default_factory=lambda: Backoff(FIRST_PAUSE, LONGEST_PAUSE))

    def fork(self, mask: Iterable[int]) -> None:
        """Start the process, with `mask` as its blocked signals; it dies with this one."""
        tie = dies_with_parent(signal.SIGKILL)
        sys.stdout.flush()
        sys.stderr.flush()
        self._started, self._ending, self._frozen = time.monotonic(), False, False
        self.pid = os.fork()
        if self.pid:
            return
        code = 1
        try:
            tie()
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            code = self.main(self.spec)
        except BaseException:  # noqa: BLE001 - nothing of the parent's stack may run in the child
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def end(self, grace: float) -> None:
        """Ask the process to end, and see to it after `grace` seconds; a frozen one ends now, without finishing."""
        self.start_at = 0.0
        if self.pid and not self._ending:
            self._ending, self._kill_at = True, time.monotonic() + grace
            os.kill(self.pid, signal.SIGKILL if self._frozen else signal.SIGTERM)

    def look(self) -> str:
        """See how the process is; answers with how it ended, or "" while it has not."""
        if not self.pid:
            return ""
        pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
        if pid and (os.WIFEXITED(status) or os.WIFSIGNALED(status)):
            return self._ended(status)
        if pid:
            self._frozen = os.WIFSTOPPED(status)
        if self._ending and (self._frozen or time.monotonic() >= self._kill_at):
            os.kill(self.pid, signal.SIGKILL)
        return ""

    def _ended(self, status: int) -> str:
        self.pid = 0
        self.unfit = self._first and os.WIFEXITED(status) and os.WEXITSTATUS(status) == UNFIT_EXIT
        self._first = False
        if self._ending or time.monotonic() - self._started >= SETTLED:
            self._backoff.reset()
        self.start_at = time.monotonic() + (0.0 if self._ending else self._backoff.next())
        if os.WIFSIGNALED(status):
            return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
        return f"ended with {os.WEXITSTATUS(status)}"
