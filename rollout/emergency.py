"""The emergency rollback: one pull at the lever, told as it goes, remembered so that any process can finish it.

One process leads; whoever else pulls the lever meanwhile follows it, and takes over if it falls silent. This module
must never load the web application.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from flags.model import Snapshot
from foundation.errors import SignalboxError, StoreRefused, StoreUnreachable
from foundation.ids import new_id
from messenger.formats import WORDS_OF_FLAG
from rollout.attempt import Attempt
from rollout.errors import AttemptSuperseded, ReceiptUnknown
from rollout.journal import LEASE, Journal, Lead, Running
from rollout.ports import Ports
from rollout.receipt import Receipt
from rollout.record import EventStatus, Record, Request, StepEvent, continued, opened
from rollout.run import Run, words_of
from rollout.steps.preflight import chosen, note_flags

__all__ = ["EmergencyRollback", "Request", "StepEvent"]

UNREACHABLE = 3
"""The exit code where no store answers or takes writes."""

FOLLOW = 0.1
"""Seconds between two looks at a rollback that another process leads."""


class EmergencyRollback:
    """One pull at the lever.

    `run` tells each step as it goes; when it has ended, `exit_code` is 0 verified safe, 1 done but not verified, or 3
    store unreachable, `receipt` is the signed receipt where there is one, and `kept` says where this host keeps it.
    """

    def __init__(self, ports: Ports, request: Request) -> None:
        self.receipt: Receipt | None = None
        self.kept = ""
        self.exit_code = UNREACHABLE
        self._ports, self._request = ports, request
        self._started = ports.clock.monotonic()

    def run(self) -> Iterator[StepEvent]:
        """Do it, or follow whoever is doing it.

        Raises:
            NothingToRollBack: the request names no flag of this environment; nothing was changed.
            KillUndone: somebody writes the flag anew as often as it is killed; the message says whether the queues are
                barred.
        """
        while self.receipt is None:
            try:
                snapshot = self._ports.store.snapshot()
                keys = chosen(self._request, snapshot.flags)
                running = self._ports.journal.running()
                if running is not None and running.lease_left > 0:
                    yield from self._follow(running, keys)
                else:
                    yield from self._lead(snapshot, keys, running)
            except AttemptSuperseded:
                continue
            except (StoreUnreachable, StoreRefused) as error:
                yield self._out_of_reach(error)
                return

    def _lead(self, snapshot: Snapshot, keys: list[str], running: Running | None) -> Iterator[StepEvent]:
        record = self._record(running)
        for key in [key for key in record["flags"] if key not in snapshot.flags]:
            del record["flags"][key]
        note_flags(record, snapshot, keys)
        lead = self._ports.journal.take(record)
        attempt = Attempt(Run(self._ports, self._request, record, lead), self._started)
        with _kept_alive(self._ports.journal, lead):
            yield from attempt.run()
        self.receipt, self.kept = attempt.receipt, attempt.kept
        self.exit_code = attempt.receipt["exit"]

    def _record(self, running: Running | None) -> Record:
        now = self._ports.clock.now()
        if running is not None:
            return continued(running.record, self._request, now)
        return opened(new_id("rb"), self._ports.journal.environment, self._request, now)

    def _follow(self, running: Running, keys: list[str]) -> Iterator[StepEvent]:
        journal, lead = self._ports.journal, running.lead
        who = running.record["attempts"][-1]["process"] or "another process"
        following = self._event("preflight", "progress", f"{who} is at it (attempt {lead.attempt}): following", lead)
        covered = set(keys) <= running.record["flags"].keys()
        yield replace(following, data={**following.data, "following": "joined" if covered else "queued"})
        story = _story(journal, lead)
        still: Running | None = running
        while still is not None and still.lead == lead and still.lease_left > 0:
            yield from next(story)
            self._ports.pause(FOLLOW)
            still = journal.running()
        yield from next(story)
        with suppress(ReceiptUnknown):
            receipt = journal.receipt(lead.receipt)
            # What it took back may be less than what is asked for here; the rest is another rollback.
            if set(keys) <= set(receipt["flags"]):
                self.receipt, self.exit_code = receipt, receipt["exit"]

    def _out_of_reach(self, error: SignalboxError) -> StepEvent:
        """Say what to do instead; the queues, where they can be reached, are barred all the same."""
        words = words_of(list(WORDS_OF_FLAG if self._request.every_messaging_flag else self._request.flags))
        barred = ""
        if words:
            with suppress(StoreUnreachable, StoreRefused):
                self._ports.queues.bar_all(words)
                barred = f"; the queue server answers: no queue takes {', '.join(sorted(words))} any more"
        return self._event("preflight", "failed", f"{error}{barred}", None)

    def _event(self, step: str, status: EventStatus, detail: str, lead: Lead | None) -> StepEvent:
        data = {"receipt": lead.receipt, "attempt": lead.attempt} if lead else {}
        return StepEvent(step, status, detail, self._ports.clock.monotonic() - self._started, data)


def _story(journal: Journal, lead: Lead) -> Iterator[list[StepEvent]]:
    """Tell, each time it is asked, what an attempt has told since the last time."""
    cursor = "0-0"
    while True:
        news = journal.events(lead.receipt, cursor)
        cursor = news[-1][0] if news else cursor
        yield [event for _, event in news if event.data.get("attempt") == lead.attempt]


@contextmanager
def _kept_alive(journal: Journal, lead: Lead) -> Iterator[None]:
    """Give signs of life while a step is busy, and let go at once where this attempt ends early."""
    done = threading.Event()

    def breathe() -> None:
        while not done.wait(LEASE / 6):
            with suppress(StoreUnreachable, StoreRefused, AttemptSuperseded):
                journal.renew(lead)

    breath = threading.Thread(target=breathe, name="rollback-lease", daemon=True)
    breath.start()
    try:
        yield
    finally:
        done.set()
        breath.join()
        with suppress(StoreUnreachable, StoreRefused):
            journal.let_go(lead)
