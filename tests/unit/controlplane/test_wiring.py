"""Which environments a server knows, and what it does to find out."""

import pytest

from controlplane.errors import EnvironmentNotFound
from controlplane.ratelimit import BURST
from controlplane.settings import Settings
from controlplane.wiring import LOOKUPS_A_SECOND, Wiring
from flags.environments import Environment
from flags.stores.memory_environments import MemoryEnvironmentStore
from foundation.clock import ManualClock
from foundation.errors import StoreUnreachable


class WatchedStore(MemoryEnvironmentStore):
    """Tells what it was asked for."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def find(self, name):
        self.asked.append(name)
        return super().find(name)


@pytest.fixture
def clock():
    return ManualClock(start=1_800_000_000.0)


@pytest.fixture
def wiring(clock):
    wiring = Wiring(Settings(environments=("demo", "test")), clock)
    wiring.environments = WatchedStore()
    return wiring


def create(wiring, name):
    wiring.environments.create(Environment(name), operation=name, request="")


def test_what_the_settings_name_is_served_without_asking_the_store(wiring):
    assert wiring.environment("test").environment == "test"
    assert wiring.environments.asked == []


def test_an_environment_that_is_created_later_is_served_from_then_on(wiring):
    with pytest.raises(EnvironmentNotFound, match="'staging'"):
        wiring.environment("staging")
    create(wiring, "staging")
    first = wiring.environment("staging")
    assert first.environment == "staging"
    assert wiring.environment("staging") is first
    assert wiring.environments.asked == ["staging", "staging"]


@pytest.mark.parametrize("name", ["", "a b", "a" * 10_000, "a\n", "{demo}", "demo:meta", "../demo"])
def test_a_name_that_none_can_have_is_refused_without_asking_the_store(wiring, name):
    with pytest.raises(EnvironmentNotFound) as refused:
        wiring.environment(name)
    assert len(str(refused.value)) < 200
    assert wiring.environments.asked == []


def test_made_up_names_cost_no_more_than_a_few_questions_a_second(wiring, clock):
    for number in range(1_000):
        with pytest.raises(EnvironmentNotFound):
            wiring.environment(f"made-up-{number}")
    assert len(wiring.environments.asked) == BURST * LOOKUPS_A_SECOND
    assert wiring.environment("demo")
    create(wiring, "staging")
    with pytest.raises(EnvironmentNotFound):
        wiring.environment("staging")
    clock.advance(1 / LOOKUPS_A_SECOND)
    assert wiring.environment("staging")


def test_a_store_that_does_not_answer_is_not_taken_for_a_missing_environment(wiring):
    class Gone(MemoryEnvironmentStore):
        def find(self, name):
            raise StoreUnreachable("gone")

    wiring.environments = Gone()
    with pytest.raises(StoreUnreachable):
        wiring.environment("staging")
    assert wiring.environment("demo")


def test_the_list_has_what_was_created_and_what_the_settings_name(wiring):
    create(wiring, "staging")
    assert [environment.name for environment in wiring.listed()] == ["demo", "staging", "test"]


def test_a_server_that_starts_registers_what_it_serves_and_leaves_alone_what_is_there(wiring, clock):
    made = Environment("demo", "for trying things out", 1.0, "kim")
    wiring.environments.create(made, operation="1", request="")
    wiring.register("signalbox serve")
    assert wiring.environments.all() == [made, Environment("test", "", clock.now(), "signalbox serve")]
