"""Converge: wait until every live instance has acknowledged the kill, and name those that have not."""

from __future__ import annotations

from collections.abc import Iterator

from rollout import rollcall
from rollout.record import Note
from rollout.run import Run, named

SLICE = 0.05
"""Seconds between two looks: how exactly the time of an acknowledgement is known."""


def converge(run: Run) -> Iterator[Note]:
    """Call the roll until everyone has answered or time is up."""
    clock, told = run.ports.clock, -1
    deadline = clock.monotonic() + run.request.converge_timeout
    while True:
        left = deadline - clock.monotonic()
        live = run.ports.registry.wait_acknowledged(run.revision, max(0.0, min(SLICE, left)))
        rollcall.call(run.record, live, run.since_kill)
        for instance_id in rollcall.bury(run.record, live):
            run.ports.registry.leave(instance_id)
        if left <= 0 or not any(_state(run, one.instance.id) == "missing" for one in live):
            break
        answered = sum(rollcall.answered(run.record, one) for one in live)
        if answered != told:
            told = answered
            yield Note("progress", f"{answered} of {len(live)} live instances have acknowledged {run.revision}")
    yield _last_word(run)


def _last_word(run: Run) -> Note:
    states: dict[str, list[str]] = {}
    for entry in run.record["instances"].values():
        states.setdefault(entry["state"], []).append(entry["slot"])
    if not states:
        return Note("done", "nobody is live who would have to acknowledge")
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
