"""Kill: one write disables the flags and puts them on hold; then the queues are barred to their formats.

From the second half on no sender that uses the library, stale, cut off or disobedient, gets such a frame into a queue.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from flags import edits, service
from flags.errors import RevisionConflict, WriteUnconfirmed
from flags.model import Flag, Hold, Revision, Snapshot
from foundation.errors import StoreRefused, StoreUnreachable
from foundation.ids import new_id
from rollout.errors import KillUndone, ReceiptMalformed, ReceiptUnknown
from rollout.record import CONFIRMED, Note, time_text
from rollout.run import Run

WRITES = 3
"""How often the write is tried where no answer comes back: the state of the flags then tells whether it was applied."""


REMEDY = "see to the replicas: a fail-over now could undo the kill; then run the rollback again"


def kill(run: Run) -> Iterator[Note]:
    """Disable and hold the flags, then bar the queues; a queue server that is gone does not hold the flags up."""
    try:
        wrote = _write(run)
    except KillUndone as error:
        # The half that nobody can undo by writing flags: what is chosen wrongly is refused at the queues.
        state = "the queues are barred" if _bar(run) else "the queues could NOT be barred"
        raise KillUndone(f"{error}; {state}") from error
    barred = _bar(run)
    keys = ", ".join(run.keys)
    detail = f"{keys} {'' if wrote else 'was '}disabled and on hold at revision {run.revision}"
    if barred:
        yield Note("done", f"{detail}; queues barred to {', '.join(run.record['barred']) or 'nothing'}", _data(run))
    else:
        yield Note("warn", f"{detail}; the queues could NOT be barred: the queue server does not answer", _data(run))


def _write(run: Run) -> bool:
    """Kill what is not killed, and write anew what may be on no replica; True where anything had to be written."""
    unanswered: StoreUnreachable | None = None
    snapshot = run.ports.store.snapshot()
    doubtful = [key for key in run.keys if _is_doubtful(run, snapshot.flags[key])]
    for written in range(WRITES + 1):
        standing = [key for key in run.keys if not is_killed(snapshot.flags[key])]
        if not standing and (not doubtful or written == WRITES):
            if doubtful:
                run.check(CONFIRMED, "fail", f"killed, and the answer was lost: {unanswered}", REMEDY)
            _note_killed(run, snapshot, wrote=written > 0)
            return written > 0
        if written < WRITES:
            asked = list(dict.fromkeys([*standing, *doubtful]))
            unanswered = _kill(run, asked)
            doubtful = asked if unanswered else []
            snapshot = run.ports.store.snapshot()
    raise unanswered or KillUndone(
        f"{', '.join(standing)}: killed {WRITES} times, and written anew by somebody each time"
    )


def _is_doubtful(run: Run, flag: Flag) -> bool:
    """Tell whether the write that killed a flag may be on no replica: only one more write can tell."""
    if not is_killed(flag) or flag.hold is None:
        return False
    if flag.hold.receipt == run.record["receipt"]:
        # An attempt that did not live to tell of its kill did not live to hear of its replicas either.
        return CONFIRMED in run.record["checks"] or not run.killed
    with suppress(ReceiptUnknown, ReceiptMalformed):
        return CONFIRMED in run.ports.journal.receipt(flag.hold.receipt)["failed"]
    return False


def is_killed(flag: Flag) -> bool:
    """Tell whether nothing but a person's release can bring the flag back."""
    return not flag.enabled and flag.hold is not None


def _kill(run: Run, keys: list[str]) -> StoreUnreachable | None:
    """Write the kill; answers with the error where it is not known whether the write was applied."""
    hold = Hold(run.request.actor, run.request.reason, run.record["receipt"])
    reason = run.request.reason or "emergency rollback"
    try:
        service.change(
            run.ports.store,
            keys,
            lambda flag: edits.kill(flag, hold),
            actor=run.request.actor,
            reason=reason,
            operation=new_id("op"),  # so that a flag that is killed already is written too
        )
    except WriteUnconfirmed as error:
        run.check(CONFIRMED, "fail", str(error), REMEDY)
    except RevisionConflict:
        return None  # written by others as often as the service tries: look again who stands
    except StoreUnreachable as error:
        return error
    else:
        run.record["checks"].pop(CONFIRMED, None)
    return None


def _note_killed(run: Run, snapshot: Snapshot, *, wrote: bool) -> None:
    record = run.record
    for key in run.keys:
        hold = snapshot.flags[key].hold
        record["flags"][key]["after"] = str(snapshot.versions[key])
        record["flags"][key]["hold"] = {"by": hold.by, "reason": hold.reason, "receipt": hold.receipt} if hold else {}
    # Whoever has applied this revision has the kill. One that an earlier attempt named is kept, so that what was
    # acknowledged then still counts; after a restore of the store its epoch is no longer anybody's.
    known = Revision.parse(record["revision"]) if record["revision"] else None
    if wrote or known is None or known.epoch != snapshot.revision.epoch:
        record["revision"] = str(snapshot.revision)
        record["killed"] = time_text(run.ports.clock.now())


def _bar(run: Run) -> bool:
    if not run.words:
        return True
    try:
        run.ports.queues.bar_all(run.words)
    except (StoreUnreachable, StoreRefused) as error:
        run.check("queues barred", "fail", str(error), "bring the queue server back, and run the rollback again")
        return False
    run.record["barred"] = sorted(run.words)
    run.check("queues barred", "pass", f"no queue admits {', '.join(run.record['barred'])}")
    return True


def _data(run: Run) -> dict[str, object]:
    return {"revision": run.record["revision"], "barred": run.record["barred"], "flags": run.keys}
