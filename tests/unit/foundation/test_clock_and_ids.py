"""Clocks that a test can hold, and names that sort or repeat as promised."""

import re

import pytest

from foundation import SYSTEM, ManualClock, derived_id, new_id


def test_a_manual_clock_moves_only_when_told():
    clock = ManualClock(start=100)
    assert (clock.now(), clock.monotonic()) == (100, 0)
    clock.advance(2.5)
    assert (clock.now(), clock.monotonic()) == (102.5, 2.5)
    with pytest.raises(ValueError, match="can't go back"):
        clock.advance(-1)


def test_the_system_clock_never_goes_back():
    assert SYSTEM.monotonic() <= SYSTEM.monotonic()
    assert SYSTEM.now() > 1_700_000_000


def test_fresh_ids_are_unique_safe_in_urls_and_sort_by_time(monkeypatch):
    assert len({new_id() for _ in range(10_000)}) == 10_000
    assert re.fullmatch(r"msg_[0-9a-z]{26}", new_id("msg"))
    moments = [1, 1_700_000_000, 1_700_000_001, 2_000_000_000, 4_000_000_000]
    ids = []
    for moment in moments:
        monkeypatch.setattr("time.time_ns", lambda moment=moment: moment * 1_000_000_000)
        ids.append(new_id("x"))
    assert ids == sorted(ids)


def test_a_derived_id_is_the_same_each_time_and_another_for_another_cause_or_index():
    assert derived_id("msg_a", 0) == derived_id("msg_a", 0)
    assert len({derived_id(cause, index) for cause in ("msg_a", "msg_b", "msg_a1") for index in range(12)}) == 36
    assert re.fullmatch(r"msg_[0-9a-z]{26}", derived_id(derived_id("msg_a", 3), 1))


def test_a_derived_id_never_changes_between_versions():
    assert derived_id("msg_01jg3k", 7) == "msg_6dd79ztszhr02y2nnd2n9g465x"
