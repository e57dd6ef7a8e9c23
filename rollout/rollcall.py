"""The roll call: who was live at the kill or since, how each has answered, and who is still to be restarted.

Pure: takes what the registry sees and keeps the record's list of instances true to it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from flags.convergence import converged, has
from flags.instances import Instance, LiveInstance
from flags.model import Revision
from rollout.record import InstanceEntry, Record, RestartMode
from rollout.restart import Target

WORKER = "worker"


def enter(record: Record, instances: Iterable[Instance]) -> None:
    """Put instances on the list, each once."""
    for instance in instances:
        record["instances"].setdefault(instance.id, _entry(instance))


def call(record: Record, live: Collection[LiveInstance], seconds: float) -> None:
    """Note who has answered by now, `seconds` after the kill."""
    enter(record, (one.instance for one in live))
    standing = {one.instance.id: one for one in live}
    for instance_id, entry in record["instances"].items():
        one = standing.get(instance_id)
        if one is not None:
            _answer(record, entry, one, seconds)
        elif not _covers(entry["acknowledged"], record["revision"]):
            entry["state"] = "replaced" if entry["state"] == "replaced" else "gone"


def manned(live: Iterable[LiveInstance]) -> set[str]:
    """Name the domains that have a live worker."""
    return {one.instance.domain for one in live if one.instance.kind == WORKER and one.instance.domain}


def answered(record: Record, one: LiveInstance) -> bool:
    """Tell whether a live instance has the kill, and no override file decides otherwise."""
    return converged(Revision.parse(record["revision"]), [one], record["flags"]).reached


def unanswered(record: Record, live: Collection[LiveInstance]) -> list[str]:
    """Name the instances that never answered and whose slot nobody fills who has."""
    filled = {one.instance.slot for one in live if answered(record, one)}
    return [
        instance_id
        for instance_id, entry in record["instances"].items()
        if entry["state"] == "missing" or (entry["state"] == "gone" and entry["slot"] not in filled)
    ]


def bury(record: Record, live: Collection[LiveInstance]) -> list[str]:
    """Note as replaced, and name, who counts as live and can't be: its own supervisor has filled its slot anew.

    A supervisor starts no second process beside the first; a process that was killed can't leave by itself.
    """
    filled = {(one.instance.supervisor, one.instance.slot) for one in live if answered(record, one)}
    dead = [
        one.instance.id
        for one in live
        if one.instance.supervisor
        and (one.instance.supervisor, one.instance.slot) in filled
        and not answered(record, one)
    ]
    for instance_id in dead:
        record["instances"][instance_id]["state"] = "replaced"
    return dead


def targets(record: Record, live: Collection[LiveInstance], mode: RestartMode) -> list[Target]:
    """Choose the slots to restart; what an earlier attempt has restarted is not restarted again."""
    if mode == "none":
        return []
    chosen = unanswered(record, live)
    if mode == "all":
        chosen += [one.instance.id for one in live if one.instance.id not in chosen]
    slots: dict[str, list[str]] = {}
    for instance_id in chosen:
        entry = record["instances"][instance_id]
        if entry["kind"] == WORKER and not _restarted(record, entry["slot"], instance_id):
            slots.setdefault(entry["slot"], []).append(instance_id)
    return [_target(record, slot, instances) for slot, instances in sorted(slots.items())]


def _answer(record: Record, entry: InstanceEntry, one: LiveInstance, seconds: float) -> None:
    if not _covers(str(one.acknowledged), record["revision"]):
        entry["state"] = "missing"
        return
    if entry["after"] is None or not _covers(entry["acknowledged"], record["revision"]):
        entry["after"] = round(max(0.0, seconds), 3)
    entry["acknowledged"] = str(one.acknowledged)
    overriding = set(one.instance.overrides) & record["flags"].keys()
    entry["state"] = "overriding" if overriding else "acknowledged"


def _covers(acknowledged: str, revision: str) -> bool:
    return bool(acknowledged) and has(Revision.parse(acknowledged), Revision.parse(revision))


def _restarted(record: Record, slot: str, instance_id: str) -> bool:
    entry = record["restarts"].get(slot)
    return entry is not None and entry["outcome"] == "back" and instance_id in {*entry["old"], *entry["new"]}


def _target(record: Record, slot: str, instances: list[str]) -> Target:
    entries = [record["instances"][instance_id] for instance_id in instances]
    supervisor = next((entry["supervisor"] for entry in entries if entry["supervisor"]), "")
    return Target(slot, entries[0]["domain"], supervisor, entries[0]["host"], tuple(instances))


def _entry(instance: Instance) -> InstanceEntry:
    return {
        "slot": instance.slot,
        "domain": instance.domain,
        "kind": instance.kind,
        "host": instance.host,
        "pid": instance.pid,
        "supervisor": instance.supervisor,
        "state": "missing",
        "acknowledged": "",
        "after": None,
    }
