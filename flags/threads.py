"""A client's threads: one runs its source, one tends to what is not in a hurry, and one reports what was evaluated.

They hold the client for no longer than a step, so that one which nobody refers to any more is collected, and they end.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable
from typing import ParamSpec, Protocol

from flags.feed import ClientFeed
from flags.instances import Instance
from flags.reporting import pause
from flags.source import Reporting, Source
from foundation.lateimports import LATE

logger = logging.getLogger(__name__)
Told = ParamSpec("Told")

POLL = 0.25
"""Seconds between looks at the override file and at the clock."""

AFTER_FORK = 0.1
"""Seconds that a fork's threads wait before they do anything.

`subprocess` with a `preexec_fn` forks as any other does, and then runs another program in the fork: that must not have
become an instance meanwhile, which could neither evaluate nor take leave.
"""


class Tended(Protocol):
    """What the threads need of a client."""

    @property
    def instance(self) -> Instance:
        """How this process is registered."""

    def _restore(self) -> None: ...

    def _tend(self, *, due: bool) -> None: ...

    def _keep(self, *, now: bool = False) -> None: ...

    def _report(self) -> None: ...


def start_threads(
    client: Tended,
    source: Source,
    feed: ClientFeed,
    stop: threading.Event,
    wake: threading.Event,
    after: float = 0.0,
) -> list[threading.Thread]:
    """Start the threads, which begin `after` seconds; `wake` has the client tended to.

    They end when `stop` is set, and when the client is gone.
    """
    me = weakref.ref(client)
    parts = ((_follow, (me, source, feed, stop), "source"), (_watch, (me, stop, wake), "watch"))
    threads = [
        threading.Thread(target=_later, args=(after, stop, run, *args), name=f"signalbox-{name}", daemon=True)
        for run, args, name in parts
    ]
    if isinstance(source, Reporting):  # it begins with a pause anyway, and has something to do though `stop` come soon
        threads.append(threading.Thread(target=_report, args=(me, stop), name="signalbox-report", daemon=True))
    for thread in threads:
        thread.start()
    weakref.finalize(client, _let_go, stop, wake).atexit = False
    return threads


def weakly(method: Callable[Told, None]) -> Callable[Told, None]:
    """Make a function that calls the method for as long as its client exists."""
    reference = weakref.WeakMethod(method)

    def call(*args: Told.args, **kwargs: Told.kwargs) -> None:
        live = reference()
        if live is not None:
            live(*args, **kwargs)

    return call


def _later(after: float, stop: threading.Event, run: Callable[..., None], *args: object) -> None:
    if not stop.wait(after):
        run(*args)


def _follow(me: weakref.ref[Tended], source: Source, feed: ClientFeed, stop: threading.Event) -> None:
    """Run the source, again where it fails, until the client is closed or gone."""
    with LATE:
        "".encode("idna")  # with which sockets look names up: codecs are imported at their first use
    while not stop.is_set() and (client := me()):
        instance = client.instance
        del client
        try:
            source.run(feed, instance, stop)
        except Exception as error:
            logger.exception("the source of the flags failed; it is run again")
            feed.failed(error)
        stop.wait(source.heartbeat)


def _watch(me: weakref.ref[Tended], stop: threading.Event, wake: threading.Event) -> None:
    """Tend to the client until it is closed or gone."""
    if client := me():
        client._restore()  # noqa: SLF001 - Tended is a part of the client
        del client
    due = time.monotonic()
    while not stop.is_set() and (client := me()):
        is_due = time.monotonic() >= due
        client._tend(due=is_due)  # noqa: SLF001 - the same
        del client
        if is_due:
            due = time.monotonic() + POLL
        wake.wait(max(0.0, due - time.monotonic()))
        wake.clear()
    if client := me():
        client._keep(now=True)  # noqa: SLF001 - the same


def _report(me: weakref.ref[Tended], stop: threading.Event) -> None:
    """Have what was evaluated reported now and then, and once more when the client is closed."""
    over = False
    while not over:
        over = stop.wait(pause())
        if client := me():
            client._report()  # noqa: SLF001 - the same
            del client


def _let_go(stop: threading.Event, wake: threading.Event) -> None:
    stop.set()
    wake.set()
