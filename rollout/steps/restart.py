"""Restart: those that have not acknowledged, all, or none; then wait until each slot is back and has the kill.

A worker that comes back with the kill acknowledged is on the fallback: it evaluates the flag as disabled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flags.instances import LiveInstance
from rollout import rollcall
from rollout.record import Note, RestartEntry, time_seconds, time_text
from rollout.restart import Restarter, Target, waves
from rollout.run import Run, named

POLL = 0.05
"""Seconds between two looks for workers that come back."""


def restart(run: Run) -> Iterator[Note]:
    """Restart what is to be restarted, wave by wave."""
    live = run.ports.registry.live()
    rollcall.call(run.record, live, run.since_kill)
    _recall(run, live)
    targets = rollcall.targets(run.record, live, run.request.restart)
    for target in targets:
        _plan(run, target)
    able = [target for target in targets if _entry(run, target.slot)["outcome"] == "asked"]
    for wave in waves(able) if run.request.restart == "all" else [able] if able else []:
        yield from _restart_wave(run, wave)
    live = run.ports.registry.live()
    rollcall.call(run.record, live, run.since_kill)
    yield _last_word(run, rollcall.unanswered(run.record, live))


def _recall(run: Run, live: Sequence[LiveInstance]) -> None:
    """See who is back of those that an earlier attempt has asked to restart; what it only planned is planned anew."""
    record = run.record
    record["restarts"] = {slot: entry for slot, entry in record["restarts"].items() if entry["asked"]}
    for slot, entry in record["restarts"].items():
        if entry["outcome"] != "back" and not _is_back(run, slot, entry["old"], live):
            entry["why"] = "asked for by an earlier attempt, and not back yet"


def _plan(run: Run, target: Target) -> None:
    hand = _hand(run, target)
    entry: RestartEntry = {
        "domain": target.domain,
        "via": hand.name if hand else "",
        "old": sorted({*target.instances, *(_known(run, target.slot))}),
        "new": [],
        "seconds": None,
        "outcome": "asked" if hand else "not restarted",
        "why": "" if hand else "it named no supervisor, and no restart command is configured",
        "asked": "",
    }
    run.record["restarts"][target.slot] = entry


def _known(run: Run, slot: str) -> list[str]:
    """Name what an earlier attempt found standing in the slot: when it comes back, it comes back as none of those."""
    entry = run.record["restarts"].get(slot)
    return entry["old"] if entry else []


def _hand(run: Run, target: Target) -> Restarter | None:
    return next((hand for hand in run.ports.restarters if hand.able(target)), None)


def _restart_wave(run: Run, wave: Sequence[Target]) -> Iterator[Note]:
    """Ask one hand after the other: a supervisor may be as dead as its workers, and nobody can see that from here."""
    left = list(wave)
    for hand in run.ports.restarters:
        mine = [target for target in left if hand.able(target)]
        if mine:
            yield from _ask(run, hand, mine)
            left = [target for target in left if _entry(run, target.slot)["outcome"] != "back"]


def _ask(run: Run, hand: Restarter, wave: Sequence[Target]) -> Iterator[Note]:
    for target in wave:
        entry = _entry(run, target.slot)
        entry.update({"via": hand.name, "asked": entry["asked"] or time_text(run.ports.clock.now())})
    # Told, and so kept, before anybody is asked: whoever goes on from here knows what may be restarting.
    slots = [target.slot for target in wave]
    yield Note("progress", f"restarting {named(slots)} by {hand.name}", {"slots": slots})
    failures = hand.restart(wave)
    for slot, why in failures.items():
        entry = _entry(run, slot)
        # Where an earlier hand was asked and it did not come back, that is what it still is.
        outcome = "not back" if entry["outcome"] == "not back" else "not restarted"
        entry.update({"outcome": outcome, "why": "; ".join(filter(None, [entry["why"], why]))})
    yield from _await_wave(run, [target for target in wave if target.slot not in failures])


def _await_wave(run: Run, wave: Sequence[Target]) -> Iterator[Note]:
    clock = run.ports.clock
    deadline = clock.monotonic() + run.request.restart_timeout
    waiting = list(wave)
    while waiting and clock.monotonic() < deadline:
        live = run.ports.registry.live()
        back = [target for target in waiting if _is_back(run, target.slot, target.instances, live)]
        waiting = [target for target in waiting if target not in back]
        for target in back:
            new = _entry(run, target.slot)["new"]
            yield Note("progress", f"{target.slot} is back and has the kill", {"slot": target.slot, "new": new})
        if waiting:
            run.ports.pause(POLL)
    for target in waiting:
        entry = _entry(run, target.slot)
        why = (
            f"did not come back with the kill within {run.request.restart_timeout:g} s of being asked by {entry['via']}"
        )
        entry.update({"outcome": "not back", "why": "; ".join(filter(None, [entry["why"], why]))})


def _is_back(run: Run, slot: str, old: Sequence[str], live: Sequence[LiveInstance]) -> bool:
    entry = _entry(run, slot)
    new = [
        one.instance.id
        for one in live
        if one.instance.slot == slot and one.instance.id not in entry["old"] and rollcall.answered(run.record, one)
    ]
    # Two supervisors may each fill a slot of this name.
    places = {run.record["instances"][name]["supervisor"] for name in old}
    if len(new) < len(places):
        return False
    seconds = run.ports.clock.now() - time_seconds(entry["asked"])
    entry.update({"outcome": "back", "why": "", "new": new, "seconds": round(max(0.0, seconds), 3)})
    for name in entry["old"]:
        run.record["instances"][name]["state"] = "replaced"
        # Killed in its sleep it could not leave by itself; if it does live, it registers again with its next renewal.
        run.ports.registry.leave(name)
    return True


def _last_word(run: Run, unanswered: list[str]) -> Note:
    left = named([run.record["instances"][name]["slot"] for name in unanswered])
    if run.request.restart == "none":
        return Note("warn" if left else "done", f"not asked for{'; still without the kill: ' + left if left else ''}")
    outcomes: dict[str, list[str]] = {}
    for slot, entry in sorted(run.record["restarts"].items()):
        outcomes.setdefault(entry["outcome"], []).append(slot)
    said = "; ".join(f"{outcome}: {named(slots)}" for outcome, slots in sorted(outcomes.items()))
    failed = outcomes.keys() - {"back"} or left
    return Note("warn" if failed else "done", said or "nothing had to be restarted", {"outcomes": outcomes})


def _entry(run: Run, slot: str) -> RestartEntry:
    return run.record["restarts"][slot]
