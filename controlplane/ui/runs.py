"""A rollback's events and receipt, folded into what a page shows. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rollout.record import STEPS

_TONES = {"progress": "running", "done": "clear", "warn": "caution", "failed": "danger"}


@dataclass(frozen=True, slots=True)
class Step:
    """One step as it stands: its last word, and the seconds it took so far; None before it began."""

    name: str
    status: str
    detail: str
    seconds: float | None

    @property
    def title(self) -> str:
        """The step's name as a heading."""
        return self.name.capitalize()

    @property
    def tone(self) -> str:
        """Its lamp."""
        return _TONES.get(self.status, "waiting")


def steps(events: Sequence[Mapping[str, Any]], *, running: bool = False) -> list[Step]:
    """Fold the events of the last attempt into the seven steps; those that have not begun wait.

    While a rollback is running, the first step that has not told anything yet is the one at work.
    """
    attempt = max((_attempt(event) for event in events), default=1)
    found: dict[str, Step] = {}
    began: dict[str, float] = {}
    ended = 0.0
    for event in events:
        if _attempt(event) != attempt:
            continue
        name = event["step"]
        start = began.setdefault(name, ended)
        ended = event["elapsed"]
        found[name] = Step(name, event["status"], event["detail"], ended - start)
    told = [found.get(name, Step(name, "waiting", "", None)) for name in STEPS]
    silent = next((index for index, step in enumerate(told) if step.status == "waiting"), None)
    if running and silent is not None and not any(step.status == "progress" for step in told):
        told[silent] = Step(told[silent].name, "progress", "", 0.0)
    return told


def outcome(run: Mapping[str, Any]) -> tuple[str, str]:
    """Say how a rollback stands: its lamp, and words."""
    match run["state"], run["exit"]:
        case "running", _:
            return "running", "Running"
        case "interrupted", _:
            return "danger", "Interrupted"
        case _, 0:
            return "clear", "Verified safe"
    return "caution", "Done, not verified"


def _attempt(event: Mapping[str, Any]) -> int:
    return int(event["data"].get("attempt", 1))
