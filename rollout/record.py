"""The nouns of an emergency rollback: what is asked for, what is told, and the record that grows into a receipt.

The record is a JSON document from its first moment: the journal keeps it after every step, so that a rollback that was
killed goes on from it, and at the end it is signed as the receipt. Knows nothing of stores, clocks or signatures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypedDict

from flags.fields import text
from foundation.health import Status as CheckStatus
from messenger.formats import YAML_FLAG

STEPS = ("preflight", "kill", "converge", "restart", "queues", "verify", "receipt")
"""The steps in the order in which they run."""

RestartMode = Literal["unacknowledged", "all", "none"]
QueueMode = Literal["transcode", "drain", "quarantine", "purge"]
EventStatus = Literal["progress", "done", "warn", "failed"]

CONFIRMED = "kill confirmed"
"""The check that a replica has the kill; it is there where that failed, and stays until a kill has been confirmed."""

MAX_TEXT = 2_000
"""Characters of a reason and the like; a flag's hold takes no more."""

RECORD_VERSION = 1
"""The version of the receipt's shape: `rollout/schema/receipt.schema.json`."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the person on call asks for.

    Args:
        actor: who asks, as the history shows it.
        reason: why.
        process: where this attempt runs, as `host:pid`.
        flags: keys of the flags to take back.
        every_messaging_flag: take back every flag tagged `messaging`, and those that choose formats, instead.
        restart: which workers are restarted: those that have not acknowledged, all, or none.
        queues: what becomes of YAML frames that wait: rewritten as JSON in place, left for the consumers, set aside, or
            dropped.
        converge_timeout: seconds that instances have to acknowledge.
        restart_timeout: seconds that restarted workers have to come back, for each wave.
        drain_timeout: seconds that consumers have to drain the queues.
        window: seconds for which traffic is watched before it counts as healthy.

    Raises:
        DocumentError: a text that is too long, or that UTF-8 can't carry.
    """

    actor: str
    reason: str = ""
    process: str = ""
    flags: tuple[str, ...] = (YAML_FLAG,)
    every_messaging_flag: bool = False
    restart: RestartMode = "unacknowledged"
    queues: QueueMode = "transcode"
    converge_timeout: float = 3.0
    restart_timeout: float = 30.0
    drain_timeout: float = 60.0
    window: float = 5.0

    def __post_init__(self) -> None:
        """Refuse texts that a hold could not be read back with."""
        for name, value in (("actor", self.actor), ("reason", self.reason), ("process", self.process)):
            text(value, name, limit=MAX_TEXT)


@dataclass(frozen=True, slots=True)
class Note:
    """What a step tells: `progress` while it goes on; `done`, `warn` or `failed` as its last word."""

    status: EventStatus
    detail: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StepEvent:
    """One line of a rollback's story, as the terminal, the journal and the pages show it.

    Args:
        step: one of STEPS.
        status: `progress`, then one of `done`, `warn` (done, with something a person should know) and `failed`.
        detail: one line for a person.
        elapsed: seconds since this attempt started.
        data: figures for machines; `receipt` and `attempt` are always there.
    """

    step: str
    status: EventStatus
    detail: str
    elapsed: float
    data: Mapping[str, Any] = field(default_factory=dict)

    def to_document(self) -> dict[str, Any]:
        """Write plain JSON values."""
        return {
            "step": self.step,
            "status": self.status,
            "detail": self.detail,
            "elapsed": round(self.elapsed, 3),
            "data": dict(self.data),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> StepEvent:
        """Read what `to_document` wrote."""
        return cls(document["step"], document["status"], document["detail"], document["elapsed"], document["data"])


class RequestEntry(TypedDict):
    """What was asked for; of several attempts, by the last one."""

    restart: RestartMode
    queues: QueueMode
    convergeTimeout: float
    window: float


class AttemptEntry(TypedDict):
    """One process that worked on the rollback; `ended` is "" for one that was killed."""

    number: int
    actor: str
    reason: str
    process: str
    started: str
    ended: str
    steps: dict[str, float]
    """Seconds that each step of this attempt took."""


class FlagEntry(TypedDict):
    """A flag that was taken back; `before` and `after` are the revisions of its last write."""

    wasEnabled: bool
    before: str
    after: str
    hold: dict[str, str]


class InstanceEntry(TypedDict):
    """One instance that was live at the kill or since, and how it answered.

    `state` is one of `acknowledged`; `overriding`: its override file decides a killed flag; `missing`: live, and has
    not acknowledged; `gone`: its lease ran out, or it left, before it acknowledged: it sends the fallback by itself;
    `replaced`: restarted, and another instance stands in its slot.
    """

    slot: str
    domain: str
    kind: str
    host: str
    pid: int
    supervisor: str
    state: str
    acknowledged: str
    """The revision that it acknowledged; "" for none."""
    after: float | None
    """Seconds from the kill until its acknowledgement was seen; null for none."""


class RestartEntry(TypedDict):
    """A slot that was to be restarted. `outcome` is one of `asked`, `back`, `not back`, `not restarted`."""

    domain: str
    via: str
    old: list[str]
    new: list[str]
    seconds: float | None
    outcome: str
    why: str
    asked: str
    """When it was asked to restart; "" until it was."""


class QueueCounts(TypedDict):
    """What stood in a domain's queue, by a scan of every frame."""

    frames: int
    messages: int
    yaml: int
    pending: int
    dead: int
    quarantined: int


class QueueEntry(TypedDict):
    """A domain's queue before and after; `cleared` counts frames by what became of them, over all attempts."""

    before: QueueCounts
    after: QueueCounts
    cleared: dict[str, int]


class CheckEntry(TypedDict):
    """What one check found."""

    status: CheckStatus
    detail: str
    remedy: str
    seconds: float


class Record(TypedDict):
    """A rollback as far as it has got. Times are RFC 3339 in UTC."""

    receipt: str
    version: int
    environment: str
    actor: str
    reason: str
    started: str
    request: RequestEntry
    attempts: list[AttemptEntry]
    flags: dict[str, FlagEntry]
    barred: list[str]
    killed: str
    """When the flags were seen killed; "" until then."""
    revision: str
    """The revision that every instance has to acknowledge; "" until the kill."""
    domains: list[str]
    """Domains that had a live worker when the rollback began."""
    instances: dict[str, InstanceEntry]
    restarts: dict[str, RestartEntry]
    queues: dict[str, QueueEntry]
    checks: dict[str, CheckEntry]


def time_text(seconds: float) -> str:
    """Write seconds since 1970 as RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def time_seconds(text: str) -> float:
    """Read back what `time_text` wrote."""
    return datetime.fromisoformat(text).timestamp()


def opened(receipt: str, environment: str, request: Request, now: float) -> Record:
    """Begin the record of a new rollback with its first attempt."""
    return {
        "receipt": receipt,
        "version": RECORD_VERSION,
        "environment": environment,
        "actor": request.actor,
        "reason": request.reason,
        "started": time_text(now),
        "request": _asked(request),
        "attempts": [_attempt(1, request, now)],
        "flags": {},
        "barred": [],
        "killed": "",
        "revision": "",
        "domains": [],
        "instances": {},
        "restarts": {},
        "queues": {},
        "checks": {},
    }


def continued(record: Record, request: Request, now: float) -> Record:
    """Go on with an unfinished rollback: the same receipt, one more attempt, every check to be made anew.

    What an earlier attempt knows of an unconfirmed kill stays: looking at the flag would not show it.
    """
    attempts = [*record["attempts"], _attempt(len(record["attempts"]) + 1, request, now)]
    kept = {name: check for name, check in record["checks"].items() if name == CONFIRMED}
    return {**record, "request": _asked(request), "attempts": attempts, "checks": kept}


def _asked(request: Request) -> RequestEntry:
    return {
        "restart": request.restart,
        "queues": request.queues,
        "convergeTimeout": request.converge_timeout,
        "window": request.window,
    }


def _attempt(number: int, request: Request, now: float) -> AttemptEntry:
    return {
        "number": number,
        "actor": request.actor,
        "reason": request.reason,
        "process": request.process,
        "started": time_text(now),
        "ended": "",
        "steps": {},
    }
