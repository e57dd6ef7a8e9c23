"""The JSON documents that the API, the pages and the commands show, made from the nouns of the floors below. Pure.

Times are seconds since 1970, percentages are numbers from 0 to 100, revisions are texts `epoch-rev`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from flags.convergence import Convergence, has
from flags.documents import flag_document
from flags.explanation import Explanation
from flags.instances import LiveInstance
from flags.items import item_document
from flags.model import WEIGHT_TOTAL, Flag, Item, Revision, Rollout, Segment
from flags.percentages import percentage_of
from flags.segments import segment_document
from flags.store import HistoryEntry
from messenger.compression import beginning
from messenger.errors import PoisonFrame
from messenger.frame import Frame
from messenger.queue import DeadLetter, Delivery, QueueState
from rollout.journal import Running
from rollout.receipt import Receipt
from rollout.record import StepEvent, time_seconds

if TYPE_CHECKING:
    from messenger.queues.telemetry import DomainTraffic, InstanceTraffic

Json = dict[str, Any]

MAX_BODY_SHOWN = 4_000
"""Characters of a frame's body that are shown."""

STALE_WORDS = {
    "expired": "past its day",
    "not_evaluated": "nobody asks for it",
    "same_variant": "always the same variant",
}
"""How the reasons for which a flag is stale are said."""

_DEFAULTS: Json = {
    "description": "",
    "prerequisites": [],
    "targets": {},
    "rules": [],
    "rollout": None,
    "stickiness": "",
    "salt": "",
    "tags": [],
    "owner": "",
    "lifetime": "permanent",
    "expires": "",
    "metadata": {},
    "hold": None,
    "archived": False,
}


def flag_shape(flag: Flag, version: Revision, last: HistoryEntry | None) -> Json:
    """Show a flag: its document with every field in place, its version, who wrote it last, and its percentages."""
    return {
        "key": flag.key,
        **_DEFAULTS,
        **flag_document(flag),
        "onVariant": flag.on_variant,
        "version": str(version),
        "changed": {"at": last.at, "by": last.actor, "reason": last.reason} if last else None,
        "percentages": percentages_shape(flag),
    }


def segment_shape(segment: Segment, version: Revision, last: HistoryEntry | None, used: Sequence[str]) -> Json:
    """Show a segment: its document, its version, who wrote it last, and the flags that refer to it."""
    return {
        "key": segment.key,
        "description": "",
        "archived": False,
        **segment_document(segment),
        "version": str(version),
        "changed": {"at": last.at, "by": last.actor, "reason": last.reason} if last else None,
        "flags": list(used),
    }


def percentages_shape(flag: Flag) -> Json:
    """Show how much of the traffic gets the on variant; a flag without a rollout serves it to everyone.

    Of a flag with a split, the default is the on variant's part of it, and can't be set as such.
    """
    rollout = flag.rollout or Rollout(WEIGHT_TOTAL)
    split = sum(weight for variant, weight in rollout.split if variant == flag.on_variant)
    domains = {domain: percentage_of(weight) for domain, weight in sorted(rollout.domains.items())}
    return {"default": percentage_of(split if rollout.split else rollout.weight), "domains": domains}


def explanation_shape(explanation: Explanation) -> Json:
    """Show an evaluation with every step on the way; `value` is None where it failed."""
    detail = explanation.detail
    return {
        "value": detail.value,
        "variant": detail.variant,
        "reason": detail.reason,
        "error_code": detail.error_code,
        "error_message": detail.error_message,
        "metadata": dict(detail.metadata),
        "steps": [
            {"question": step.question, "decided": step.decided, "words": step.words, **step.data}
            for step in explanation.steps
        ],
    }


def entry_shape(entry: HistoryEntry) -> Json:
    """Show one write of a flag's history."""
    return {
        "revision": str(entry.revision),
        "at": entry.at,
        "actor": entry.actor,
        "reason": entry.reason,
        "before": item_document(entry.before) if entry.before else None,
        "after": item_document(entry.after),
        "summary": summary(entry.before, entry.after),
    }


def summary(before: Item | None, after: Item) -> str:
    """Say in a line what a write did."""
    if before is None:
        return "created"
    if isinstance(before, Segment) or isinstance(after, Segment):
        return ", ".join(_reworded(before, after)) or "written again, unchanged"
    said = [*_switched(before, after), *_moved(before.rollout, after.rollout), *_reworded(before, after)]
    return ", ".join(said) or "written again, unchanged"


def convergence_shape(convergence: Convergence) -> Json:
    """Show how far a revision has got; `missing` are the slots of those that lack it, or override a flag concerned."""
    unproven = {each.instance.id: each.instance.slot for each in (*convergence.missing, *convergence.overriding)}
    live = len(convergence.acknowledged) + len(convergence.missing)
    return {
        "reached": convergence.reached,
        "acknowledged": live - len(unproven),
        "live": live,
        "missing": sorted(unproven.values()),
    }


def instance_shape(live: LiveInstance, revision: Revision, traffic: InstanceTraffic | None) -> Json:
    """Show a live instance beside the environment's revision; `traffic` is None where nothing was reported."""
    instance, acknowledged = live.instance, live.acknowledged
    same_epoch = acknowledged.epoch == revision.epoch
    return {
        "id": instance.id,
        "slot": instance.slot,
        "kind": instance.kind,
        "domain": instance.domain,
        "host": instance.host,
        "pid": instance.pid,
        "started": instance.started,
        "acknowledged": str(acknowledged),
        "in_sync": has(acknowledged, revision),
        "behind": max(0, revision.rev - acknowledged.rev) if same_epoch else revision.rev,
        "lease_left": round(live.lease_left, 3),
        "overrides": list(instance.overrides),
        "traffic": instance_traffic_shape(traffic) if traffic else None,
    }


def instance_traffic_shape(traffic: InstanceTraffic) -> Json:
    """Show what an instance sent and handled in the window; latencies in ms, the rate in messages a second."""
    shape = asdict(traffic)
    for name in ("instance_id", "slot", "domain"):
        del shape[name]
    return shape


def domain_shape(traffic: DomainTraffic) -> Json:
    """Show the traffic of one domain in the window."""
    return asdict(traffic)


def running_shape(running: Running) -> Json:
    """Show a rollback that has not ended: `running`, or `interrupted` where nobody is at work on it any more."""
    state = "running" if running.lease_left > 0 else "interrupted"
    return {**_rollback(running.record), "state": state, "ended": None, "exit": None, "failed": []}


def receipt_shape(receipt: Receipt) -> Json:
    """Show a rollback that has ended, by its receipt: `exit` is 0 where it was verified safe, else 1."""
    return {
        **_rollback(receipt),
        "state": "done",
        "ended": time_seconds(receipt["ended"]),
        "exit": receipt["exit"],
        "failed": receipt["failed"],
    }


def event_shape(cursor: str, event: StepEvent) -> Json:
    """Show one event of a rollback; `cursor` is where a reader goes on after it."""
    return {"cursor": cursor, **event.to_document()}


def queue_shape(state: QueueState) -> Json:
    """Show what stands where in a domain's queue."""
    members = [
        {"consumer": each.consumer, "words": sorted(each.words), "lease_left": round(each.lease_left, 3)}
        for each in state.members
    ]
    return {
        **asdict(state),
        "admits": sorted(state.admits),
        "barred": sorted(state.barred),
        "members": members,
        "oldest": round(state.oldest, 3),
    }


def delivery_shape(delivery: Delivery) -> Json:
    """Show a frame that stands in a queue."""
    return {
        "entry": delivery.entry,
        "priority": delivery.priority,
        "appended": delivery.appended,
        "deliveries": delivery.deliveries,
        **_frame(delivery.frame),
    }


def letter_shape(letter: DeadLetter) -> Json:
    """Show a dead letter."""
    return {
        "id": letter.id,
        "priority": letter.priority,
        "reason": letter.reason,
        "detail": letter.detail,
        "deliveries": letter.deliveries,
        "at": letter.at,
        **_frame(letter.frame),
    }


def _frame(frame: Frame) -> Json:
    """Show a frame; `body` is text, shortened, or None where it can't be unpacked."""
    return {
        "content_type": frame.content_type,
        "content_encoding": frame.content_encoding,
        "count": frame.count,
        "sender": frame.sender,
        "bytes": len(frame.body),
        "body": _body(frame),
    }


def _body(frame: Frame) -> str | None:
    try:
        text = beginning(frame.content_encoding, frame.body, 4 * MAX_BODY_SHOWN)
    except PoisonFrame:
        return None
    return text.decode("utf-8", "replace")[:MAX_BODY_SHOWN]


def _rollback(record: Mapping[str, Any]) -> Json:
    return {
        "id": record["receipt"],
        "actor": record["actor"],
        "reason": record["reason"],
        "started": time_seconds(record["started"]),
        "flags": sorted(record["flags"]),
    }


def _switched(before: Flag, after: Flag) -> Iterable[str]:
    if before.enabled != after.enabled:
        yield "enabled" if after.enabled else "disabled"
    if before.hold != after.hold:
        yield "put on hold" if after.hold else "released"
    if before.archived != after.archived:
        yield "archived" if after.archived else "restored"


def _moved(before: Rollout | None, after: Rollout | None) -> Iterable[str]:
    old, new = before or Rollout(WEIGHT_TOTAL), after or Rollout(WEIGHT_TOTAL)
    if old.weight != new.weight:
        yield f"default {percentage_of(old.weight)}% → {percentage_of(new.weight)}%"
    if old.split != new.split:
        yield "split changed"
    for domain in sorted({*old.domains, *new.domains}):
        if old.domains.get(domain) != new.domains.get(domain):
            yield f"{domain} {_said(old.domains, domain)} → {_said(new.domains, domain)}"


def _reworded(before: Item, after: Item) -> Iterable[str]:
    for name in _NAMED:
        if getattr(before, name, None) != getattr(after, name, None):
            yield f"{name.replace('_', ' ')} changed"


_NAMED = (
    *("description", "clauses", "prerequisites", "targets", "rules", "stickiness", "tags", "owner"),
    *("temporary", "expires", "metadata", "variants", "salt", "off_variant", "on_variant"),
)


def _said(domains: Mapping[str, int], domain: str) -> str:
    return f"{percentage_of(domains[domain])}%" if domain in domains else "as default"
