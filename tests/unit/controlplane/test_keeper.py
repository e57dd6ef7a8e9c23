import pytest

from controlplane.errors import StartFailed
from controlplane.processes import FIRST_PAUSE, LONGEST_PAUSE, SETTLED, Keeper
from foundation.clock import ManualClock


class FakeChild:
    pid = 7

    def __init__(self, name, journal):
        self.name, self._journal = name, journal
        self.running = self.broken = False

    def alive(self):
        return self.running

    def start(self):
        if self.broken:
            raise StartFailed("the disk is full")
        self._journal.append(f"start {self.name}")
        self.running = True

    def stop(self):
        self._journal.append(f"stop {self.name}")
        self.running = False


@pytest.fixture
def clock():
    return ManualClock(start=0.0)


@pytest.fixture
def said():
    return []


@pytest.fixture
def journal():
    return []


@pytest.fixture
def keeper(clock, said):
    return Keeper(clock, said.append)


def kept(keeper, journal, *names):
    children = [FakeChild(name, journal) for name in names]
    for child in children:
        keeper.add(child)
    return children


def test_children_start_in_order_and_stop_in_reverse(keeper, journal):
    kept(keeper, journal, "a", "b")
    keeper.stop()
    assert journal == ["start a", "start b", "stop b", "stop a"]


def test_a_child_that_dies_is_started_again_after_a_pause(keeper, clock, journal, said):
    (child,) = kept(keeper, journal, "a")
    child.running = False
    keeper.tend()
    assert not child.running
    clock.advance(FIRST_PAUSE)
    keeper.tend()
    assert child.running
    assert "ended" in said[0]
    assert "runs again" in said[1]


def test_a_child_that_keeps_dying_waits_longer_each_time_up_to_a_bound(keeper, clock, journal):
    (child,) = kept(keeper, journal, "a")
    pauses = []
    for _ in range(12):
        child.running = False
        keeper.tend()
        pause = 0.0
        while not child.running:
            clock.advance(0.05)
            pause += 0.05
            keeper.tend()
        pauses.append(pause)
    assert pauses[0] <= FIRST_PAUSE + 0.06
    assert max(pauses) <= LONGEST_PAUSE + 0.06
    assert pauses[-1] > 4 * pauses[0]


def test_a_child_that_ran_long_starts_with_the_shortest_pause_again(keeper, clock, journal):
    (child,) = kept(keeper, journal, "a")
    for _ in range(8):
        child.running = False
        keeper.tend()
        clock.advance(LONGEST_PAUSE)
        keeper.tend()
    clock.advance(SETTLED + 1)
    child.running = False
    keeper.tend()
    clock.advance(FIRST_PAUSE)
    keeper.tend()
    assert child.running


def test_a_child_that_can_not_start_again_is_tried_until_it_can(keeper, clock, journal, said):
    (child,) = kept(keeper, journal, "a")
    child.running, child.broken = False, True
    keeper.tend()
    clock.advance(FIRST_PAUSE)
    keeper.tend()
    assert "the disk is full" in said[-1]
    child.broken = False
    clock.advance(LONGEST_PAUSE)
    keeper.tend()
    assert child.running


def test_a_child_that_can_not_start_at_first_is_an_error_and_the_others_are_stopped(keeper, journal):
    kept(keeper, journal, "a")
    broken = FakeChild("b", journal)
    broken.broken = True
    with pytest.raises(StartFailed):
        keeper.add(broken)
    keeper.stop()
    assert journal == ["start a", "stop b", "stop a"]
