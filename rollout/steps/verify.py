"""Verify: health checks side by side, a watch on the traffic, and last of all once more what was to be achieved.

"Could not measure" is not "measured bad": without traffic the probes alone speak, and the receipt says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from flags.instances import LiveInstance
from foundation.errors import StoreRefused, StoreUnreachable
from foundation.health import Status, run_checks
from rollout import rollcall
from rollout.health import checks
from rollout.members import unproven
from rollout.ports import DomainCounts
from rollout.record import Note
from rollout.run import Run, named
from rollout.steps.kill import is_killed
from rollout.steps.queues import look

PAST = 60.0
"""Seconds of traffic before the watch: where there was none, there is nothing to wait for."""

LAG = 2.0
"""Seconds after which no report holds anything from before: they come every second, into buckets of a second."""

ERROR_RATE = 0.001
MEASURABLE = 100
"""An error rate above this fails a domain; a single error among fewer messages than this is a warning."""


def verify(run: Run) -> Iterator[Note]:
    """Run every check; each one that fails is a reason for exit code 1."""
    busy = _busy(run)
    extra = {check.name for check in run.ports.checks}
    for result in run_checks(checks(run, _live(run))):
        run.checked(replace(result, status="warn") if result.status == "fail" and result.name in extra else result)
    yield Note("progress", _said(run))
    if busy:
        yield Note("progress", f"watching the traffic for {run.request.window:g} s")
        _measured(run, "traffic", _watch)
    for name, check in _LAST.items():
        _measured(run, name, check)
    yield _last_word(run)


def _live(run: Run) -> list[LiveInstance]:
    try:
        return run.ports.registry.live()
    except (StoreUnreachable, StoreRefused):
        return []  # the check of the flags server, and that of the instances, say so


def _measured(run: Run, name: str, check: Callable[[Run, str], None]) -> None:
    try:
        check(run, name)
    except (StoreUnreachable, StoreRefused) as error:
        run.check(name, "fail", f"could not be measured: {error}", "run the rollback again")


def _busy(run: Run) -> bool:
    """Tell whether there is traffic to watch; where it can't be told, that is a warning."""
    try:
        busy = any(one.received for one in run.ports.traffic.domains(PAST))
    except (StoreUnreachable, StoreRefused) as error:
        run.check("traffic", "warn", f"could not be measured: {error}")
        return False
    if not busy:
        run.check("traffic", "pass", "none in the last minute: the probes alone speak")
    elif not run.request.window:
        run.check("traffic", "pass", "not watched, as asked: the probes alone speak")
    return busy and run.request.window > 0


def _watch(run: Run, name: str) -> None:
    run.ports.pause(LAG + run.request.window)
    for one in run.ports.traffic.domains(run.request.window):
        _rate(run, f"{name}/{one.domain}", one)


def _rate(run: Run, name: str, one: DomainCounts) -> None:
    if not one.received:
        run.check(name, "pass", "no message in the window: the probe alone speaks")
        return
    errors = one.errors + one.decode_failures
    said = f"{errors} errors in {one.received} messages, 95% of them within {one.latency_p95:.0f} ms"
    if errors <= one.received * ERROR_RATE:
        run.check(name, "pass", said)
    else:
        status: Status = "fail" if one.received >= MEASURABLE else "warn"
        run.check(name, status, said, f"look at the errors and dead letters of {one.domain}")


def _flags_held(run: Run, name: str) -> None:
    flags = run.ports.store.snapshot().flags
    loose = [key for key in run.keys if key in flags and not is_killed(flags[key])]
    if loose:
        run.check(name, "fail", f"{named(loose)} was released meanwhile", "run the rollback again")
    else:
        run.check(name, "pass", f"{named(run.keys)} disabled and on hold")


def _instances(run: Run, name: str) -> None:
    live = run.ports.registry.live()
    rollcall.call(run.record, live, run.since_kill)
    missing = [one.instance.slot for one in live if not rollcall.answered(run.record, one)]
    if not missing:
        _nobody_else(run, name, live)
        return
    overriding = [one.instance.slot for one in live if set(one.instance.overrides) & set(run.keys)]
    remedy = "restart them by hand, then run the rollback again"
    if overriding:
        remedy = f"take the override file of {named(overriding)} away, then run the rollback again"
    run.check(name, "fail", f"live without the kill: {named(missing)}", remedy)


def _nobody_else(run: Run, name: str, live: list[LiveInstance]) -> None:
    """Everybody who is registered has the kill: which proves nothing about those who are not."""
    if strangers := unproven(run, live):
        remedy = "wait until `signalbox instances` shows them, or restart them by hand; then run the rollback again"
        run.check(name, "fail", f"consuming, and not registered: {named(sorted(strangers))}", remedy)
    elif live:
        run.check(name, "pass", f"all {len(live)} live instances have acknowledged {run.revision}")
    else:
        remedy = "if there should be workers, start them and run the rollback again"
        run.check(name, "warn", "nobody is live: the kill stands, and no worker has proven that it has it", remedy)


def _restarts(run: Run, name: str) -> None:
    entries = run.record["restarts"]
    lost = [slot for slot, entry in entries.items() if entry["outcome"] == "not back"]
    left = [slot for slot, entry in entries.items() if entry["outcome"] in {"not restarted", "asked"}]
    if lost:
        run.check(name, "fail", f"not back with the kill: {named(lost)}", "look at their supervisor")
    elif left:
        reasons = "; ".join(f"{slot}: {entries[slot]['why']}" for slot in left[:3])
        run.check(name, "warn", f"not restarted: {named(left)} ({reasons})", "restart them by hand")
    elif entries:
        run.check(name, "pass", f"{len(entries)} restarted and back with the kill")


def _no_yaml(run: Run, name: str) -> None:
    if not run.clears_yaml:
        return
    domains = run.ports.queues.domains()
    left = [domain for domain in domains if look(run, domain)["yaml"]]
    if left:
        remedy = "somebody writes past the library: look into the queue, stop it, and run the rollback again"
        run.check(name, "fail", f"YAML stands in {named(left)}", remedy)
    else:
        run.check(name, "pass", f"every frame of {len(domains)} queues looked at")


def _said(run: Run) -> str:
    results = run.record["checks"]
    failed = [name for name, check in results.items() if check["status"] == "fail"]
    return f"{len(results) - len(failed)} of {len(results)} checks well{': not ' + named(failed) if failed else ''}"


def _last_word(run: Run) -> Note:
    results = run.record["checks"]
    by_status = {status: sorted(name for name in results if results[name]["status"] == status) for status in _STATUSES}
    data: dict[str, list[str]] = {status: names for status, names in by_status.items() if names}
    if by_status["fail"]:
        why = "; ".join(f"{name}: {results[name]['detail']}" for name in by_status["fail"][:3])
        return Note("failed", f"NOT verified: {why}", data)
    if by_status["warn"]:
        return Note("warn", f"verified, with warnings: {named(by_status['warn'])}", data)
    return Note("done", f"verified: {len(results)} checks passed", data)


_STATUSES: tuple[Status, ...] = ("pass", "warn", "fail")

_LAST: Mapping[str, Callable[[Run, str], None]] = {
    "flags held": _flags_held,
    "instances": _instances,
    "restarts": _restarts,
    "no YAML": _no_yaml,
}
"""Looked at last, in this order: what the rollback was to achieve."""
