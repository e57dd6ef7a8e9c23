from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messenger.batching import MAX_BYTES, MODES, Batch, Batcher, Lane
from messenger.formats import ADAPTIVE, FIXED, SINGLE, YAML, Format
from tests.json_values import LAW

LANE = Lane("balance", "normal", Format(batching=ADAPTIVE))
FIXED_LANE = LANE._replace(format=Format(batching=FIXED))

LANES = st.builds(
    Lane,
    target=st.sampled_from(["balance", "distributions"]),
    priority=st.sampled_from(["high", "low"]),
    format=st.builds(
        Format,
        content_type=st.sampled_from([YAML, Format().content_type]),
        batching=st.sampled_from([SINGLE, ADAPTIVE, FIXED]),
        revision=st.sampled_from(["1-1", "1-2"]),
    ),
)
STEPS = st.lists(
    st.tuples(st.just("add"), LANES, st.integers(0, 400)) | st.tuples(st.just("wait"), st.floats(0, 0.2)), max_size=60
)


def add_all(batcher, lane, count, now=0.0, size=0):
    return [batch for number in range(count) for batch in batcher.add(number, lane, now, size)]


def test_a_message_that_goes_alone_is_ready_at_once():
    lane = LANE._replace(format=Format(batching=SINGLE))
    batcher = Batcher()
    assert batcher.add("a", lane, 0.0) == [Batch(lane, ("a",))]
    assert (len(batcher), batcher.next_due(), batcher.drain()) == (0, None, [])


def test_an_adaptive_lane_holds_what_came_while_the_sender_was_busy_and_is_due_at_once():
    batcher = Batcher()
    assert add_all(batcher, LANE, 3, now=5.0) == []
    assert (len(batcher), batcher.next_due()) == (3, 5.0)
    assert batcher.due(5.0) == [Batch(LANE, (0, 1, 2))]
    assert batcher.due(5.0) == []


def test_an_adaptive_lane_closes_at_a_hundred_messages():
    batcher = Batcher()
    assert [len(batch.items) for batch in add_all(batcher, LANE, 250)] == [100, 100]
    assert len(batcher) == 50


def test_a_fixed_lane_closes_at_ten_messages_or_after_a_tenth_of_a_second():
    batcher = Batcher()
    assert [batch.items for batch in add_all(batcher, FIXED_LANE, 13)] == [tuple(range(10))]
    assert batcher.next_due() == 0.1
    assert batcher.due(0.09) == []
    assert batcher.due(0.1) == [Batch(FIXED_LANE, (10, 11, 12))]


def test_the_tenth_of_a_second_is_counted_from_the_first_message():
    batcher = Batcher()
    batcher.add("a", FIXED_LANE, 1.0)
    batcher.add("b", FIXED_LANE, 1.09)
    assert batcher.next_due() == pytest.approx(1.1)


def test_a_lane_closes_before_it_holds_too_many_bytes():
    batcher = Batcher(max_bytes=100)
    assert add_all(batcher, LANE, 4, size=30) == [Batch(LANE, (0, 1, 2))]
    assert batcher.add("large", LANE, 0.0, size=99) == [Batch(LANE, (3,))]
    assert batcher.add("huge", LANE, 0.0, size=1_000) == [Batch(LANE, ("large",)), Batch(LANE, ("huge",))]
    assert Batcher().add("x", LANE, 0.0, MAX_BYTES) == [Batch(LANE, ("x",))]


@pytest.mark.parametrize(
    "change", [{"content_type": YAML}, {"compression": "gzip"}, {"batching": FIXED}, {"revision": "1-2"}]
)
def test_a_change_of_format_closes_the_open_lane_and_sends_it_first(change):
    other = LANE._replace(format=replace(LANE.format, **change))
    batcher = Batcher()
    batcher.add("old", LANE, 0.0)
    assert batcher.add("new", other, 0.0) == [Batch(LANE, ("old",))]
    assert batcher.drain() == [Batch(other, ("new",))]


def test_a_message_that_goes_alone_does_not_overtake_the_open_lane():
    alone = LANE._replace(format=Format(batching=SINGLE))
    batcher = Batcher()
    batcher.add("old", LANE, 0.0)
    assert batcher.add("new", alone, 0.0) == [Batch(LANE, ("old",)), Batch(alone, ("new",))]


def test_lanes_of_other_targets_and_priorities_are_left_open():
    batcher = Batcher()
    lanes = [LANE, LANE._replace(target="distributions"), LANE._replace(priority="high")]
    for lane in lanes:
        assert batcher.add(lane.target, lane, 0.0) == []
    assert [batch.lane for batch in batcher.drain()] == lanes


def test_what_is_due_first_comes_first():
    batcher = Batcher()
    batcher.add("late", FIXED_LANE, 0.05)
    batcher.add("early", FIXED_LANE._replace(target="distributions"), 0.0)
    assert batcher.next_due() == 0.1
    assert [batch.items for batch in batcher.due(1.0)] == [("early",), ("late",)]


@LAW
@given(STEPS)
def test_nothing_is_lost_doubled_or_overtaken_and_no_cap_is_passed(steps):
    batcher, now, sent = Batcher(max_bytes=1_000), 0.0, []
    added = []
    for number, (step, *arguments) in enumerate(steps):
        if step == "wait":
            now += arguments[0]
            sent += batcher.due(now)
            assert batcher.next_due() is None or batcher.next_due() > now
        else:
            lane, size = arguments
            added.append((lane, number, size))
            sent += batcher.add((number, size), lane, now, size)
    held = len(batcher)
    assert held == len(added) - sum(len(batch.items) for batch in sent)
    sent += batcher.drain()
    for batch in sent:
        assert 1 <= len(batch.items) <= MODES[batch.lane.format.batching].messages
        assert len(batch.items) == 1 or sum(size for _, size in batch.items) <= 1_000
    for slot in {(lane.target, lane.priority) for lane, _, _ in added}:
        went_in = [(number, lane) for lane, number, _ in added if (lane.target, lane.priority) == slot]
        came_out = [
            (number, batch.lane)
            for batch in sent
            if (batch.lane.target, batch.lane.priority) == slot
            for number, _ in batch.items
        ]
        assert came_out == went_in
