"""One worker process: a messenger with its handlers, fed by flags and queues, until it is told to stop.

It puts together what others own and installs the process's signal handlers; nothing below knows that it is a process.
"""

from __future__ import annotations

import importlib
import logging
import os
import secrets
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from flags.instances import Instance
from foundation.errors import DocumentError
from foundation.stopping import StopSignal
from messenger.errors import QueueFull
from messenger.formats import FormatPolicy
from messenger.messenger import WorkerMessenger
from messenger.queues.streams import RedisQueueServer
from messenger.queues.telemetry import TelemetryStore
from messenger.settings import MessengerSettings

WATCH_INTERVAL = 0.5
OVERDUE_EXIT = 75
"""Exit code of a worker that ended itself because a handler did not come back."""
UNFIT_EXIT = 78
"""Exit code of a worker whose handlers refuse to be set up as they are asked: another try would end alike."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where workers work: the environment, and the two servers of it.

    Args:
        environment: namespace of flags, instances and queues.
        flags_url: Redis of the flags.
        queue_url: Redis of queues and telemetry.
        overrides: path of a local override file; "" where there is none.
    """

    environment: str
    flags_url: str
    queue_url: str
    overrides: str = ""


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """One worker: the slot that it fills, and what it runs.

    Args:
        handlers: import path of a module with `register(messenger)`, or `module:function`.
        supervisor: id of who can restart it; "" where nobody can.
    """

    site: Site
    domain: str
    slot: str
    handlers: str
    supervisor: str = ""
    settings: MessengerSettings = field(default_factory=MessengerSettings)


OpenPolicy = Callable[[Site, Instance], AbstractContextManager[FormatPolicy]]
"""Opens the format policy of an instance, which is registered and acknowledges revisions while it is open."""

Register = Callable[[WorkerMessenger], Any]


def run_worker(spec: WorkerSpec, open_policy: OpenPolicy) -> int:
    """Work until SIGTERM or SIGINT, finish what is at hand, leave registry and queue; answers with the exit code.

    A handler that overruns its time can't be stopped: the process ends itself, and its frames go to others. Handlers
    that refuse the domain or their settings with a DocumentError end it with UNFIT_EXIT.
    """
    stop = StopSignal()
    logging.basicConfig(format=f"{spec.slot}: %(message)s", level=logging.WARNING)
    register, instance = load_handlers(spec.handlers), describe(spec)
    try:
        with _messenger(spec, instance, open_policy) as messenger:
            try:
                register(messenger)
            except DocumentError as error:
                logging.getLogger(__name__).error("%s [%s]", error, error.code)  # noqa: TRY400 - said in one line
                return UNFIT_EXIT
            messenger.start()
            while not stop.wait(WATCH_INTERVAL):
                if messenger.overdue:
                    _end(spec)
    except QueueFull:
        logging.getLogger(__name__).exception("left with messages unsent")
        return 1
    return 0


def describe(spec: WorkerSpec) -> Instance:
    """Describe this process as the instance that fills a slot."""
    return Instance(
        id=f"{spec.slot}.{secrets.token_hex(4)}",
        slot=spec.slot,
        kind="worker",
        domain=spec.domain,
        host=socket.gethostname(),
        pid=os.getpid(),
        started=time.time(),
        supervisor=spec.supervisor,
        capabilities=tuple(sorted(spec.settings.words)),
    )


def load_handlers(path: str) -> Register:
    """Find `register` of a module, or the function that `module:function` names; the working folder is looked in first.

    Raises DocumentError where there is none.
    """
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    name, _, function = path.partition(":")
    try:
        found = getattr(importlib.import_module(name), function or "register")
    except (ImportError, AttributeError) as error:
        expected = "a module with a function register(messenger), or module:function"
        raise DocumentError("handlers", f"can't be loaded: {error}", value=path, expected=expected) from error
    if not callable(found):
        raise DocumentError("handlers", "is not a function", value=path)
    register: Register = found
    return register


@contextmanager
def _messenger(spec: WorkerSpec, instance: Instance, open_policy: OpenPolicy) -> Iterator[WorkerMessenger]:
    site = spec.site
    with (
        closing(RedisQueueServer(site.queue_url, site.environment)) as server,
        closing(TelemetryStore(site.queue_url, site.environment)) as telemetry,
        open_policy(site, instance) as policy,
        WorkerMessenger(
            server,
            spec.domain,
            instance_id=instance.id,
            policy=policy,
            reporter=partial(telemetry.report, instance),
            settings=spec.settings,
        ) as messenger,
    ):
        yield messenger


def _end(spec: WorkerSpec) -> None:
    seconds = spec.settings.handler_timeout
    logging.getLogger(__name__).error("a handler has been running for more than %g s: this process ends", seconds)
    logging.shutdown()
    os._exit(OVERDUE_EXIT)
