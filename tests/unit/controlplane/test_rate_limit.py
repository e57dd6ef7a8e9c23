import pytest

from controlplane.ratelimit import BURST, REMEMBERED, RateLimit
from foundation.clock import ManualClock


@pytest.fixture
def clock():
    return ManualClock(start=1_800_000_000.0)


def taken(limit, caller, tries=1_000):
    return sum(limit.take(caller) == 0 for _ in range(tries))


def test_a_caller_gets_a_burst_and_then_its_rate(clock):
    limit = RateLimit(clock, 10)
    assert taken(limit, "a") == 10 * BURST
    for _ in range(5):
        clock.advance(1)
        assert taken(limit, "a") == 10


def test_the_wait_that_is_named_is_long_enough_and_no_longer(clock):
    limit = RateLimit(clock, 10)
    taken(limit, "a")
    wait = limit.take("a")
    assert wait == pytest.approx(0.1)
    clock.advance(wait * 0.9)
    assert limit.take("a") > 0
    clock.advance(wait * 0.2)
    assert limit.take("a") == 0


def test_those_who_are_refused_do_not_make_it_worse(clock):
    limit = RateLimit(clock, 1)
    taken(limit, "a")
    clock.advance(1)
    assert limit.take("a") == 0


def test_callers_do_not_use_up_what_is_anothers(clock):
    limit = RateLimit(clock, 1)
    taken(limit, "a")
    assert limit.take("b") == 0


def test_a_rate_below_one_burst_still_admits_one(clock):
    limit = RateLimit(clock, 0.1)
    assert taken(limit, "a") == 1
    clock.advance(10)
    assert taken(limit, "a") == 1


def test_what_is_remembered_is_bounded(clock):
    limit = RateLimit(clock, 10)
    taken(limit, "busy")
    for number in range(REMEMBERED - 1):
        limit.take(number)
    clock.advance(1)
    limit.take("new")
    assert len(limit._paid_until) <= REMEMBERED
    assert taken(limit, "busy") == 10
