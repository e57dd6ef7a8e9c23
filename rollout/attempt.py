"""One attempt at a rollback: its steps in their order, each told and remembered, and the receipt at the end.

Every attempt runs every step: each looks at what is, does what is missing, and is quick where nothing is. Once the
flags are killed, whatever goes wrong is a failed check in the receipt and no reason to stop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from foundation.errors import SignalboxError, StoreRefused, StoreUnreachable
from rollout.errors import AttemptSuperseded
from rollout.receipt import Receipt, build, sign
from rollout.record import EventStatus, Note, StepEvent, time_text
from rollout.run import Run
from rollout.steps.converge import converge
from rollout.steps.kill import kill
from rollout.steps.preflight import preflight
from rollout.steps.queues import queues
from rollout.steps.restart import restart
from rollout.steps.verify import verify

_STEPS: tuple[tuple[str, Callable[[Run], Iterator[Note]]], ...] = (
    ("preflight", preflight),
    ("kill", kill),
    ("converge", converge),
    ("restart", restart),
    ("queues", queues),
    ("verify", verify),
)
REMEDY = "bring the flags server back, and run the rollback again"


class Attempt:
    """This process's attempt, from the first step to the receipt.

    When `run` has ended, `receipt` is the signed receipt and `kept` says where this host keeps it.
    """

    def __init__(self, run: Run, started: float) -> None:
        self._run, self._started = run, started
        self._silent = False
        self.receipt: Receipt = {}
        self.kept = ""

    def run(self) -> Iterator[StepEvent]:
        """Go through the steps; raises AttemptSuperseded once another process leads."""
        for name, step in _STEPS:
            yield from self._step(name, step)
        yield self._seal()

    def _step(self, name: str, step: Callable[[Run], Iterator[Note]]) -> Iterator[StepEvent]:
        run, began = self._run, self._now()
        attempt = run.record["attempts"][-1]
        try:
            for note in step(run):
                attempt["steps"][name] = round(self._now() - began, 3)
                yield self._tell(name, note)
        except AttemptSuperseded:
            raise
        except Exception as error:  # a step may fail in any way, and those after it are needed all the more
            if not run.killed:
                raise
            attempt["steps"][name] = round(self._now() - began, 3)
            said = str(error) if isinstance(error, SignalboxError) else f"{type(error).__name__}: {error}"
            run.check(name, "fail", said, "run the rollback again")
            yield self._tell(name, Note("failed", said))

    def _tell(self, step: str, note: Note) -> StepEvent:
        event = self._event(step, note.status, note.detail, note.data)
        try:
            if not self._silent:
                self._run.ports.journal.commit(self._run.lead, self._run.record, event)
        except (StoreUnreachable, StoreRefused) as error:
            if not self._run.killed:
                raise
            # The flags are killed; what is left can be done, and proven on this host's disk, without the journal.
            self._silent = True
            self._run.check("journal", "fail", str(error), REMEDY)
        return event

    def _seal(self) -> StepEvent:
        """Sign the receipt and keep it: on this host first, so that it is never the store that has the only half."""
        self._run.record["attempts"][-1]["ended"] = time_text(self._run.ports.clock.now())
        self._sign()
        problem = self._keep()
        event = self._event("receipt", "warn" if problem else "done", self._summary(problem), {"kept": self.kept})
        ports = self._run.ports
        try:
            ports.journal.vouch(ports.key.key_id, ports.key.public_key)
            ports.journal.finish(self._run.lead, self.receipt, event)
        except (StoreUnreachable, StoreRefused) as error:
            self._run.check("journal", "fail", str(error), REMEDY)
            self._sign()
            problem = self._keep() or f"not in the store: {error}"
            return self._event("receipt", "failed", self._summary(problem), {"kept": self.kept})
        return event

    def _sign(self) -> None:
        self.receipt = sign(build(self._run.record, self._run.ports.clock.now()), self._run.ports.key)

    def _keep(self) -> str:
        try:
            self.kept = self._run.ports.archive.keep(self.receipt)
        except OSError as error:
            return f"not on this host's disk: {error}"
        return ""

    def _summary(self, problem: str) -> str:
        verdict = "safe" if self.receipt["exit"] == 0 else f"NOT verified ({', '.join(self.receipt['failed'])})"
        return f"{verdict}: {self._run.lead.receipt} signed{'; ' + problem if problem else ''}"

    def _event(self, step: str, status: EventStatus, detail: str, data: Mapping[str, Any]) -> StepEvent:
        lead = self._run.lead
        told = {"receipt": lead.receipt, "attempt": lead.attempt, **data}
        return StepEvent(step, status, detail, self._now() - self._started, told)

    def _now(self) -> float:
        return self._run.ports.clock.monotonic()
