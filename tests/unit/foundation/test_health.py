"""Health checks: side by side, in bounded time, and each failure named."""

import threading
import time

from foundation.health import Answer, Check, run_checks


def check(name, run, timeout=5.0):
    return Check(name, timeout, run)


def test_answers_come_in_the_order_of_the_checks_with_what_to_do():
    results = run_checks(
        [
            check("disk", lambda: Answer("warn", "nearly full", "make room")),
            check("redis", lambda: Answer("pass", "ok")),
        ]
    )
    assert [(one.name, one.status, one.detail, one.remedy) for one in results] == [
        ("disk", "warn", "nearly full", "make room"),
        ("redis", "pass", "ok", ""),
    ]
    assert run_checks([]) == []


def test_a_check_that_raises_fails_by_the_error_s_name():
    def broken():
        raise OSError("no such disk")

    (result,) = run_checks([check("disk", broken)])
    assert (result.status, result.detail) == ("fail", "OSError: no such disk")


def test_checks_run_side_by_side():
    together = threading.Barrier(3)

    def meet():
        together.wait(10)
        return Answer("pass", "met")

    assert [one.status for one in run_checks([check(str(number), meet) for number in range(3)])] == ["pass"] * 3


def test_a_check_that_overruns_fails_and_does_not_hold_up_the_others():
    release = threading.Event()

    def hang():
        release.wait(30)
        return Answer("pass", "too late")

    began = time.monotonic()
    results = run_checks([check("slow", hang, timeout=0.05), check("quick", lambda: Answer("pass", "ok"))])
    release.set()
    assert [(one.status, one.detail) for one in results] == [("fail", "no answer within 0.05 s"), ("pass", "ok")]
    assert time.monotonic() - began < 5
