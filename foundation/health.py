"""The health-check port: a named question with a time limit and an answer that says what to do.

Checks live in the package they check; the rollback's verification, `signalbox doctor` and `/readyz` run them.
"""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Status = Literal["pass", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """A health check: its name, the seconds it may take, and the function that answers."""

    name: str
    timeout: float
    run: Callable[[], Answer]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a check found, and, where it is not well, what to do."""

    status: Status
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A check's answer with the time it took, in seconds."""

    name: str
    status: Status
    detail: str
    remedy: str
    seconds: float


def run_checks(checks: Sequence[Check]) -> list[CheckResult]:
    """Run the checks side by side; one that raises or overruns its time-out fails, and never holds up the others.

    A check that overruns is abandoned, not stopped: it must bound its own I/O too.
    """
    pool = concurrent.futures.ThreadPoolExecutor(max_workers=max(1, len(checks)), thread_name_prefix="health")
    started = time.monotonic()
    try:
        futures = [(check, pool.submit(_timed, check)) for check in checks]
        return [_collect(check, future, started) for check, future in futures]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _timed(check: Check) -> tuple[Answer, float]:
    started = time.monotonic()
    answer = check.run()
    return answer, time.monotonic() - started


def _collect(check: Check, future: concurrent.futures.Future[tuple[Answer, float]], started: float) -> CheckResult:
    try:
        answer, seconds = future.result(timeout=max(0.0, started + check.timeout - time.monotonic()))
    except TimeoutError:
        return CheckResult(check.name, "fail", f"no answer within {check.timeout:g} s", "", check.timeout)
    except Exception as error:  # noqa: BLE001 - a check may fail in any way; the result names it
        return CheckResult(check.name, "fail", f"{type(error).__name__}: {error}", "", time.monotonic() - started)
    return CheckResult(check.name, answer.status, answer.detail, answer.remedy, seconds)
