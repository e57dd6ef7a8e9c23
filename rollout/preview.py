"""A dry run: what a rollback would find and do, told in its own steps, with nothing written anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from flags.instances import LiveInstance
from flags.model import Snapshot
from messenger.formats import YAML
from rollout import rollcall
from rollout.ports import Ports
from rollout.record import Record, Request, StepEvent, opened
from rollout.run import named, words_of
from rollout.steps.kill import is_killed
from rollout.steps.preflight import chosen, note_flags
from rollout.steps.queues import counts_of


def preview(ports: Ports, request: Request) -> Iterator[StepEvent]:
    """Tell what each step would do.

    Raises:
        NothingToRollBack: the request names no flag of this environment.
        StoreUnreachable: a server does not answer.
    """
    started = ports.clock.monotonic()
    for step, detail in _steps(ports, request):
        yield StepEvent(step, "done", detail, ports.clock.monotonic() - started)


def _steps(ports: Ports, request: Request) -> Iterator[tuple[str, str]]:
    snapshot = ports.store.snapshot()
    keys = chosen(request, snapshot.flags)
    live = ports.registry.live()
    record = opened("", ports.store.environment, request, ports.clock.now())
    note_flags(record, snapshot, keys)
    record["revision"] = str(snapshot.revision)
    rollcall.call(record, live, 0.0)
    domains = named(sorted(rollcall.manned(live)), limit=20)
    yield "preflight", f"the flags server answers; {len(live)} live; no write was tried"
    yield "kill", _kill(snapshot, keys)
    yield "converge", f"would wait up to {request.converge_timeout:g} s for {_slots(live)}"
    yield "restart", _restart(record, live, request)
    yield "queues", _queues(ports, keys, request)
    yield "verify", f"would send a probe through {domains or 'no queue: no worker is live'}"
    yield "receipt", "a dry run leaves none"


def _kill(snapshot: Snapshot, keys: list[str]) -> str:
    standing = [key for key in keys if not is_killed(snapshot.flags[key])]
    words = ", ".join(sorted(words_of(keys))) or "nothing"
    flags = f"would disable and hold {named(standing)}" if standing else f"{named(keys)}: disabled and on hold already"
    return f"{flags}; queues would be barred to {words}"


def _restart(record: Record, live: list[LiveInstance], request: Request) -> str:
    if request.restart == "none":
        return "not asked for"
    if request.restart == "unacknowledged":
        return "would restart those that have not acknowledged by then"
    slots = [target.slot for target in rollcall.targets(record, live, "all")]
    return f"would restart {named(slots, limit=20) or 'nobody: no worker is live'}"


def _queues(ports: Ports, keys: list[str], request: Request) -> str:
    if YAML not in words_of(keys):
        return "nothing to clear: every receiver reads what these flags choose"
    found = {}
    for domain in ports.queues.domains():
        with closing(ports.queues.queue(domain)) as queue:
            found[domain] = counts_of(queue.state(scan=True))["yaml"]
    waiting = named([f"{domain} {count}" for domain, count in found.items() if count], limit=8)
    return f"would {request.queues} {sum(found.values())} YAML frames: {waiting}" if waiting else "no YAML frame waits"


def _slots(live: list[LiveInstance]) -> str:
    return named([one.instance.slot for one in live], limit=8) or "nobody"
