"""The pauses between tries."""

from messenger.backoff import Backoff


def pauses(jitter, count):
    backoff = Backoff(0.1, 1.0, lambda: jitter)
    return [round(backoff.next(), 6) for _ in range(count)]


def test_each_pause_is_twice_the_one_before_up_to_the_longest():
    assert pauses(1.0, 6) == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_jitter_takes_off_up_to_half():
    assert pauses(0.0, 6) == [0.05, 0.1, 0.2, 0.4, 0.5, 0.5]


def test_after_a_success_it_begins_again():
    backoff = Backoff(0.1, 1.0, lambda: 1.0)
    backoff.next()
    backoff.next()
    backoff.reset()

    assert backoff.next() == 0.1


def test_a_thousand_failures_do_not_overflow():
    assert pauses(1.0, 1_500)[-1] == 1.0
