"""The supervisor: forks workers from a parent that has everything loaded, and sees to it that as many live as should.

The parent holds no thread and no connection when it forks, and it waits for signals instead of handling them, so that
nothing is half done at the moment of a fork. It restarts the dead with back-off, and those whose restart generation
rose.

`supervise` is what a command calls:

    supervise([WorkerPool("collections", 2, "examples.settlement")], Site("demo", flags_url, queue_url))

It blocks until SIGTERM or SIGINT, ends every worker, and answers with the exit code. Any number of pools may be given.
Handlers that refuse what they are asked end it as well: a worker that can't be set up is not tried again and again.
"""

from __future__ import annotations

import gc
import itertools
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from flags.fields import NAME_RULE
from flags.instances import Instance, InstanceRegistry
from flags.stores.redis_registry import RedisInstanceRegistry
from foundation.errors import DocumentError, FoundationError
from foundation.ids import new_id
from foundation.redis import connect
from messenger.child import Child
from messenger.envelope import is_domain
from messenger.formats import FormatPolicy
from messenger.policy import open_flag_policy
from messenger.settings import MessengerSettings
from messenger.worker import Site, WorkerSpec, load_handlers, run_worker

STOP_SIGNALS: set[int] = {signal.SIGTERM, signal.SIGINT}
WAITED: set[int] = {*STOP_SIGNALS, signal.SIGCHLD}
INTERVAL = 0.2
"""Seconds between two looks at the restart generations."""
GRACE = 10.0
"""Seconds that a worker has between SIGTERM and SIGKILL: more than it takes to drain what it has at hand."""

OpenRegistry = Callable[[], AbstractContextManager[InstanceRegistry]]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class WorkerPool:
    """So many workers of one domain.

    Args:
        handlers: import path of a module with `register(messenger)`, or `module:function`.
    """

    domain: str
    count: int
    handlers: str


def to_stderr(line: str) -> None:
    """Say a line to whoever watches the process."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - a supervisor's own voice


class Supervisor:
    """Keeps a set of workers alive until it is told to stop.

    Args:
        specs: the workers.
        main: what a forked worker runs; answers with its exit code.
        open_registry: opens the registry for one look at the restart generations.
        say: told in one line of every death and restart.
        grace: seconds between SIGTERM and SIGKILL.
    """

    def __init__(
        self,
        specs: Sequence[WorkerSpec],
        main: Callable[[WorkerSpec], int],
        open_registry: OpenRegistry,
        say: Say = to_stderr,
        grace: float = GRACE,
    ) -> None:
        self._open_registry, self._say, self._grace = open_registry, say, grace
        self._children = [Child(spec, main) for spec in specs]
        self._generations: dict[str, int] | None = None
        self._look_at = 0.0

    def run(self) -> int:
        """Work until SIGTERM or SIGINT, or until a slot turns out unfit; answers, once every worker is gone, 0 or 1."""
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, WAITED)
        gc.collect()
        gc.freeze()
        try:
            self._watch_generations()
            while not self._round(mask):
                pass
        finally:
            self._end_all()
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return 1 if any(child.unfit for child in self._children) else 0

    def _round(self, mask: Iterable[int]) -> bool:
        """Start who is missing, and wait for news; True where the news is to stop, or that a slot is unfit."""
        for child in self._children:
            if not child.pid and time.monotonic() >= child.start_at:
                child.fork(mask)
        news = signal.sigtimedwait(WAITED, INTERVAL)
        if news is not None and news.si_signo in STOP_SIGNALS:
            return True
        for child in self._children:
            how = child.look()
            if child.unfit:  # the worker has said why
                return True
            if how:
                self._say(f"{child.spec.slot} {how}; it is started again")
        if time.monotonic() >= self._look_at:
            self._watch_generations()
            self._look_at = time.monotonic() + INTERVAL
        return False

    def _watch_generations(self) -> None:
        """End the workers whose restart was asked for since the last look; a registry that is gone asks for nothing."""
        try:
            with self._open_registry() as registry:
                found = registry.restart_generations()
        except FoundationError:
            return
        before = found if self._generations is None else self._generations
        self._generations = found
        for child in self._children:
            if found.get(child.spec.slot, 0) > before.get(child.spec.slot, 0):
                self._say(f"{child.spec.slot} is restarted as asked")
                child.end(self._grace)

    def _end_all(self) -> None:
        for child in self._children:
            child.end(self._grace)
        while any(child.pid for child in self._children):
            for child in self._children:
                child.look()
            signal.sigtimedwait({signal.SIGCHLD}, 0.05)


def supervise(
    pools: Sequence[WorkerPool],
    site: Site,
    *,
    supervisor: str = "",
    settings: MessengerSettings | None = None,
    say: Say = to_stderr,
) -> int:
    """Run pools of workers until SIGTERM or SIGINT; answers with the exit code.

    Args:
        pools: the workers; those of one domain get the slots `<domain>-1`, `<domain>-2`, … that no other supervisor's
            live workers fill.
        site: where they work.
        supervisor: id of this supervisor in the registry. One that is started again under the same id takes its old
            slots; "" is a new id.
        settings: the figures of every worker's messenger.
        say: told in one line which slots are filled, and of every death and restart.

    Raises:
        DocumentError: a pool names no domain, or its handlers can't be loaded.
    """
    for pool in pools:
        if not is_domain(pool.domain):
            raise DocumentError("domain", "is not a valid name", value=pool.domain, expected=NAME_RULE)
        load_handlers(pool.handlers)
    name = supervisor or new_id("sup")
    specs = list(_specs(pools, site, name, settings or MessengerSettings()))
    for pool in pools:
        slots = ", ".join(spec.slot for spec in specs if spec.domain == pool.domain)
        say(f"workers of {pool.domain} in environment {site.environment}: {slots}")
    return Supervisor(specs, _main, lambda: _registry(site), say).run()


def _main(spec: WorkerSpec) -> int:
    def open_policy(site: Site, instance: Instance) -> AbstractContextManager[FormatPolicy]:
        return open_flag_policy(site.flags_url, site.environment, instance, site.overrides)

    return run_worker(spec, open_policy)


@contextmanager
def _registry(site: Site) -> Iterator[InstanceRegistry]:
    with connect(site.flags_url) as client:
        yield RedisInstanceRegistry(client, site.environment)


def _specs(
    pools: Sequence[WorkerPool], site: Site, supervisor: str, settings: MessengerSettings
) -> Iterator[WorkerSpec]:
    taken = _slots_of_others(site, supervisor)
    for pool in pools:
        free = (slot for n in itertools.count(1) if (slot := f"{pool.domain}-{n}") not in taken)
        for slot in itertools.islice(free, pool.count):
            taken.add(slot)
            yield WorkerSpec(site, pool.domain, slot, pool.handlers, supervisor, settings)


def _slots_of_others(site: Site, supervisor: str) -> set[str]:
    """Name the slots that other supervisors' workers fill; none where the registry can't be asked."""
    try:
        with _registry(site) as registry:
            live = [one.instance for one in registry.live()]
    except FoundationError:
        return set()
    return {instance.slot for instance in live if instance.kind == "worker" and instance.supervisor != supervisor}
