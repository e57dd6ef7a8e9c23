"""A signal stops a loop whenever it comes."""

import signal
import sys

import pytest

from foundation.stopping import StopSignal


@pytest.fixture
def stop():
    before = signal.getsignal(signal.SIGTERM)
    yield StopSignal([signal.SIGTERM])
    signal.signal(signal.SIGTERM, before)


def test_a_wait_without_a_signal_ends_with_its_time(stop):
    assert (stop.wait(0.01), stop.is_set()) == (False, False)


def test_what_is_set_is_not_waited_for(stop):
    signal.raise_signal(signal.SIGTERM)
    assert (stop.wait(60), stop.is_set()) == (True, True)


def test_a_signal_at_any_line_of_a_wait_ends_it(stop):
    """A handler that took a lock would meet one that the very line it interrupts holds."""

    def too_long(*_):
        raise AssertionError("the handler waits for what it has interrupted")

    def interrupt(_frame, event, _argument):
        if event == "line":
            signal.raise_signal(signal.SIGTERM)
        return interrupt

    before, traced = signal.signal(signal.SIGALRM, too_long), sys.gettrace()
    signal.setitimer(signal.ITIMER_REAL, 5)
    sys.settrace(interrupt)
    try:
        ended = stop.wait(60)
    finally:
        sys.settrace(traced)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert ended
