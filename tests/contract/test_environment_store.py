"""What every store of environments promises, run over memory and over Redis; and what only a server can break."""

import threading

import pytest

from flags.environments import Environment, register
from flags.errors import EnvironmentExists, IdempotencyMismatch
from flags.stores.memory_environments import MemoryEnvironmentStore
from flags.stores.redis_environments import RedisEnvironmentStore
from foundation.errors import DocumentError, StoreRefused, StoreUnreachable

STAGING = Environment("staging", "before production, ünïcode", 1_800_000_000.25, "kim@host")


@pytest.fixture(params=["memory", "redis"])
def store(request):
    if request.param == "memory":
        yield MemoryEnvironmentStore()
        return
    store = RedisEnvironmentStore(request.getfixturevalue("redis_url"))
    yield store
    store.close()


def create(store, name, operation=None, request="r"):
    return store.create(Environment(name), operation=operation or f"op of {name}", request=request)


def test_what_was_created_is_found_as_it_was_made(store):
    assert store.create(STAGING, operation="1", request="r")
    assert store.find("staging") == STAGING
    assert store.find("production") is None


def test_environments_are_listed_by_name(store):
    assert store.all() == []
    for name in ("staging", "demo", "production"):
        create(store, name)
    assert [environment.name for environment in store.all()] == ["demo", "production", "staging"]


def test_a_taken_name_is_refused_and_keeps_what_it_was(store):
    store.create(STAGING, operation="1", request="r")
    with pytest.raises(EnvironmentExists, match="'staging' already exists"):
        create(store, "staging", operation="2")
    assert store.find("staging") == STAGING


def test_the_same_operation_again_changes_nothing_and_is_no_conflict(store):
    assert create(store, "staging", operation="1")
    assert not create(store, "staging", operation="1")


@pytest.mark.parametrize(("name", "request_"), [("staging", "another"), ("production", "r")])
def test_an_operation_id_that_was_used_for_something_else_is_refused(store, name, request_):
    create(store, "staging", operation="1")
    with pytest.raises(IdempotencyMismatch):
        create(store, name, operation="1", request=request_)
    assert [environment.name for environment in store.all()] == ["staging"]


@pytest.mark.parametrize("name", ["", "a b", "-a", "a" * 64, "a\n", "ä", "a/b", "{a}", "*"])
def test_a_name_that_could_not_be_part_of_a_key_is_refused(store, name):
    with pytest.raises(DocumentError, match="environment: has an invalid name"):
        create(store, name)
    assert store.all() == []


def test_of_many_who_create_the_same_name_at_once_one_does(store):
    outcomes = []

    def attempt(number):
        try:
            outcomes.append(create(store, "staging", operation=str(number)))
        except EnvironmentExists:
            outcomes.append(None)

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes, key=str) == [None] * 7 + [True]


def test_registering_what_is_served_lists_it_and_leaves_alone_what_was_made_before(store):
    store.create(STAGING, operation="1", request="r")
    for name in ("staging", "demo"):
        register(store, Environment(name, "another"))
    assert store.all() == [Environment("demo", "another"), STAGING]


def test_a_server_that_is_gone_or_full_is_told_apart_from_a_missing_environment(make_redis):
    server = make_redis(config={"min-replicas-to-write": "1"})
    store = RedisEnvironmentStore(server.url)
    with pytest.raises(StoreRefused):
        create(store, "staging")
    server.kill()
    with pytest.raises(StoreUnreachable):
        store.find("staging")
    store.close()
