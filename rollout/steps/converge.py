"""Converge: wait until every live instance has acknowledged the kill, and name those that have not.

Waits as well for consumers that the registry does not know: a flags server that was away hears from them in a moment.
"""

from __future__ import annotations

from collections.abc import Iterator

from rollout import rollcall
from rollout.members import unproven
from rollout.record import Note
from rollout.run import Run, named

SLICE = 0.05
"""Seconds between two looks: how exactly the time of an acknowledgement is known."""

POLL = 0.2
RECONNECT = 4.0
"""Seconds that a consumer has to register: longer than the longest pause between two tries to connect, and than the
lease at its queue, so that whoever is still a member by then has renewed it and lives."""


def converge(run: Run) -> Iterator[Note]:
    """Call the roll until everyone has answered or time is up; then once more where somebody was not on it."""
    yield from _call(run)
    if strangers := unproven(run, run.ports.registry.live()):
        yield Note("progress", f"waiting for consumers that have not registered: {named(sorted(strangers))}")
        _await_registration(run)
        yield from _call(run)
    yield _last_word(run)


def _call(run: Run) -> Iterator[Note]:
    clock, told = run.ports.clock, -1
    deadline = clock.monotonic() + run.request.converge_timeout
    while True:
        left = deadline - clock.monotonic()
        live = run.ports.registry.wait_acknowledged(run.revision, max(0.0, min(SLICE, left)))
        rollcall.call(run.record, live, run.since_kill)
        for instance_id in rollcall.bury(run.record, live):
            run.ports.registry.leave(instance_id)
        if left <= 0 or not any(_state(run, one.instance.id) == "missing" for one in live):
            return
        answered = sum(rollcall.answered(run.record, one) for one in live)
        if answered != told:
            told = answered
            yield Note("progress", f"{answered} of {len(live)} live instances have acknowledged {run.revision}")


def _await_registration(run: Run) -> None:
    clock = run.ports.clock
    deadline = clock.monotonic() + RECONNECT
    while unproven(run, run.ports.registry.live()) and clock.monotonic() < deadline:
        run.ports.pause(POLL)


def _last_word(run: Run) -> Note:
    states: dict[str, list[str]] = {}
    for entry in run.record["instances"].values():
        states.setdefault(entry["state"], []).append(entry["slot"])
    if not states:
        return Note("warn", "nobody is live who could acknowledge")
    data = {"states": {state: len(slots) for state, slots in states.items()}}
    acknowledged = len(states.pop("acknowledged", []))
    states.pop("replaced", None)
    slowest = max((entry["after"] or 0.0 for entry in run.record["instances"].values()), default=0.0)
    detail = f"{acknowledged} acknowledged within {slowest:.2f} s"
    if not states:
        return Note("done", f"every live instance has the kill: {detail}", data)
    rest = "; ".join(f"{state}: {named(slots)}" for state, slots in sorted(states.items()))
    return Note("warn", f"{detail}; {rest}", data)


def _state(run: Run, instance_id: str) -> str:
    return run.record["instances"][instance_id]["state"]
