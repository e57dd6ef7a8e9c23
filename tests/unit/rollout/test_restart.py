"""Restarting workers: in which order, and whom the supervisor is asked for."""

import pytest

from flags.stores.memory_registry import MemoryInstanceRegistry
from rollout.restart import SupervisorRestarter, Target, waves


def target(slot, domain="collections", supervisor="sup"):
    return Target(slot, domain, supervisor, "host-1", (f"{slot}.x",))


def slots(found):
    return [[one.slot for one in wave] for wave in found]


def test_half_of_each_domain_goes_first():
    targets = [target(f"a-{number}", "a") for number in (1, 2, 3)] + [target("b-1", "b")]
    assert slots(waves(targets)) == [["a-1", "a-2", "b-1"], ["a-3"]]


@pytest.mark.parametrize("count", [0, 1])
def test_there_is_no_empty_wave(count):
    assert len(waves([target("a-1")] * count)) == count


def test_a_supervisor_is_asked_through_the_registry():
    registry = MemoryInstanceRegistry("demo")
    hand = SupervisorRestarter(registry)
    assert hand.able(target("a-1"))
    assert not hand.able(target("a-1", supervisor=""))
    assert hand.restart([target("a-1"), target("a-2")]) == {}
    assert registry.restart_generations() == {"a-1": 1, "a-2": 1}
