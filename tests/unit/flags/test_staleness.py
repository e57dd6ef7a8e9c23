"""When a flag is called stale, and when nothing is said: what was not measured is not held against it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.counts import NO_VARIANT
from flags.staleness import Stale, StaleReason, needed_by_others, stale
from flags.usage import DAY, Served
from tests.flag_sources import flag

NOW = 1_800_000_000.0  # 2027-01-15 08:00 UTC
LONG = NOW - 400 * DAY
K = flag("k")


def ago(days):
    return NOW - days * DAY


def served(since=400, **last):
    """What was served, by variant and days ago."""
    times = {variant.strip("_"): ago(days) for variant, days in last.items()}
    return Served(NOW, None if since is None else ago(since), {"k": times} if times else {})


def found(*args, changed=LONG, **parts):
    return stale(K, *args, changed, **parts)


def test_a_flag_that_serves_several_variants_is_in_order():
    assert found(served(on=0, off=1)) is None


def test_a_flag_that_is_not_evaluated_is_stale_from_its_last_evaluation_on():
    assert found(served(on=31, off=40)) == Stale(StaleReason.NOT_EVALUATED, ago(31))
    assert found(served(on=29, off=29)) is None


def test_a_flag_that_never_was_is_stale_from_its_last_change_on_or_from_when_counting_began():
    assert found(served(), changed=ago(40)) == Stale(StaleReason.NOT_EVALUATED, ago(40))
    assert found(served(35), changed=ago(40)) == Stale(StaleReason.NOT_EVALUATED, ago(35))
    assert found(served(), changed=None) == Stale(StaleReason.NOT_EVALUATED, ago(400))


@pytest.mark.parametrize("told", [served(None), served(29), served(29, on=0)])
def test_nothing_is_said_before_counts_have_been_kept_for_that_long(told):
    assert found(told) is None


def test_a_new_flag_is_not_stale():
    assert found(served(), changed=ago(29)) is None


def test_a_flag_that_serves_one_variant_alone_is_stale_since_it_served_another():
    assert found(served(on=0, off=45)) == Stale(StaleReason.SAME_VARIANT, ago(45), "on")
    assert found(served(on=0, off=30)) == Stale(StaleReason.SAME_VARIANT, ago(30), "on")
    assert found(served(on=0, off=29)) is None
    assert found(served(on=0)) == Stale(StaleReason.SAME_VARIANT, ago(400), "on")


def test_who_has_just_changed_a_flag_is_not_told_that_it_is_settled():
    assert found(served(on=0, off=45), changed=ago(10)) is None
    assert found(served(on=0, off=45), changed=ago(40)) == Stale(StaleReason.SAME_VARIANT, ago(40), "on")


def test_callers_who_got_their_default_ask_for_a_flag_and_are_served_no_variant():
    assert found(Served(NOW, LONG, {"k": {NO_VARIANT: ago(1)}})) is None
    told = Served(NOW, LONG, {"k": {NO_VARIANT: ago(1), "on": ago(2)}})
    assert found(told) == Stale(StaleReason.SAME_VARIANT, LONG, "on")


def test_a_flag_that_others_need_is_asked_for_without_being_counted():
    others = [flag("a", prerequisites=[{"flag": "k", "variants": ["on"]}])]
    assert needed_by_others(others) == {"k"}
    assert needed_by_others([replace(others[0], archived=True)]) == set()
    assert found(served(), needed=True) is None
    assert found(served(on=0), needed=True).reason is StaleReason.SAME_VARIANT


def test_a_temporary_flag_is_stale_once_its_day_is_over_whatever_it_serves():
    told = served(on=0, off=0)
    for expires, since in (("2027-01-14", 1_799_971_200.0), ("2026-01-01", 1_767_312_000.0)):
        temporary = flag("k", lifetime="temporary", expires=expires)
        assert stale(temporary, told, NOW) == Stale(StaleReason.EXPIRED, since)
        assert stale(temporary, served(None), NOW) == Stale(StaleReason.EXPIRED, since)
    for parts in ({"expires": "2027-01-15"}, {"expires": "9999-12-31"}, {}):
        assert stale(flag("k", lifetime="temporary", **parts), told, NOW) is None


def test_an_archived_flag_is_out_of_the_way_already():
    assert stale(replace(K, archived=True), served(on=40), LONG) is None


def test_the_days_can_be_chosen():
    assert found(served(on=8, off=8), days=7).reason is StaleReason.NOT_EVALUATED
    assert found(served(on=8, off=8), days=9) is None


TIMES = st.none() | st.floats(0, 400).map(ago)


MOMENTS = st.fixed_dictionaries(dict.fromkeys(("since", "changed", "on", "off", NO_VARIANT), TIMES))


@given(MOMENTS, st.integers(1, 90), st.booleans())
def test_a_mark_is_never_younger_than_the_days(moments, days, needed):
    last = {name: moments[name] for name in ("on", "off", NO_VARIANT) if moments[name] is not None}
    told = Served(NOW, moments["since"], {"k": last} if last else {})
    mark = stale(K, told, moments["changed"], days=days, needed=needed)
    if mark is None:
        return
    assert mark.since <= NOW - days * DAY
    assert told.since is not None
    late = {name for name, at in last.items() if at > NOW - days * DAY}
    assert late - {NO_VARIANT} == ({mark.variant} if mark.reason is StaleReason.SAME_VARIANT else set())
    assert late == set() or mark.reason is StaleReason.SAME_VARIANT
