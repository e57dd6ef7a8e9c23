"""That nothing in an environment refers to what is not there: after any calls, and however two writers interleave.

Writers are run through `flags.service`, over memory and over Redis. Two race by one of them writing between the other's
reading and its write, at the store's port, where all races are decided.
"""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from flags import edits, service
from flags.definitions import Definitions
from flags.documents import parse_flag
from flags.errors import FlagsError
from flags.model import Flag, Hold, Prerequisite
from flags.references import MAX_CHAIN, MAX_EVALUATIONS
from flags.segments import parse_segment
from flags.stores.memory import MemoryFlagStore
from flags.stores.redis import RedisFlagStore
from foundation.clock import ManualClock
from foundation.errors import DocumentError
from foundation.redis import connect

KEYS = ("a", "b", "c", "d")
SEGMENTS = ("s", "t")
VARIANTS = {"on": True, "off": False, "third": True}
REFUSED = (FlagsError, DocumentError)


def flag(key, needs=(), segments=(), variants=("on", "off"), **parts):
    """A flag that needs others to be on, or on or third, and asks about segments."""
    document = {
        "enabled": True,
        "variants": {name: VARIANTS[name] for name in variants},
        "offVariant": "off",
        "onVariant": "on",
        "prerequisites": [{"flag": each.rstrip("!"), "variants": ["third" if "!" in each else "on"]} for each in needs],
        "rules": [{"if": [{"segment": name}], "serve": "on"} for name in segments],
    }
    return parse_flag(key, document | parts)


def segment(key):
    return parse_segment(key, {"if": [{"attribute": "plan", "operator": "exists"}]})


def broken(snapshot):
    """Everything that refers to what it must not, found the slow way."""
    flags = {key: each for key, each in snapshot.flags.items() if not each.archived}
    segments = {key for key, each in snapshot.segments.items() if not each.archived}
    for each in flags.values():
        for prerequisite in each.prerequisites:
            if prerequisite.flag not in flags:
                yield f"{each.key} needs {prerequisite.flag}, which is not there"
            elif not set(prerequisite.variants) <= set(flags[prerequisite.flag].variants):
                yield f"{each.key} needs variants that {prerequisite.flag} lacks"
        for clause in (clause for each_rule in each.rules for clause in each_rule.clauses):
            if clause.operator == "segment" and clause.values[0] not in segments:
                yield f"{each.key} asks about {clause.values[0]}, which is not there"
        if longest(flags, each.key, ()) > MAX_CHAIN:
            yield f"the chain of {each.key} is too long, or a circle"


def longest(flags, key, above):
    if key in above or len(above) > MAX_CHAIN:
        return MAX_CHAIN + 1
    needed = [each.flag for each in flags[key].prerequisites if each.flag in flags]
    return 1 + max((longest(flags, each, (*above, key)) for each in needed), default=0)


@pytest.fixture(params=["memory", "redis"])
def store(request):
    if request.param == "memory":
        yield MemoryFlagStore("test", ManualClock())
        return
    store = RedisFlagStore(request.getfixturevalue("redis_url"), "test")
    yield store
    store.close()


class Between:
    """A store in which somebody else acts once, between the reading and the writing of whoever uses it."""

    def __init__(self, store, act):
        self._store, self._act = store, act
        self.environment, self.snapshot, self.history = store.environment, store.snapshot, store.history

    def write(self, write):
        act, self._act = self._act, lambda _: None
        act(self._store)
        return self._store.write(write)


def create(*items):
    return lambda store: [service.create(store, item, actor="x") for item in items]


def needing(key, *needs):
    wanted = tuple(Prerequisite(each, ("on",)) for each in needs)
    return lambda store: service.change(store, [key], lambda flag: replace(flag, prerequisites=wanted), actor="x")


def without_third(flag):
    return replace(flag, variants={name: value for name, value in flag.variants.items() if name != "third"})


def asking(key, segment):
    rules = flag(key, segments=[segment]).rules
    return lambda store: service.change(store, [key], lambda before: replace(before, rules=rules), actor="x")


def archiving(key):
    return lambda store: service.change(store, [key], edits.archive, actor="x")


def archiving_segment(key):
    return lambda store: service.change_segment(store, key, lambda each: replace(each, archived=True), actor="x")


def pruning_to(*flags):
    wanted = Definitions({each.key: each for each in flags}, {})
    return lambda store: service.apply(store, wanted, actor="x", prune=True)


RACES = {
    "a circle of two": (create(flag("a"), flag("b")), needing("a", "b"), needing("b", "a")),
    "a circle of three": (create(flag("a"), flag("b"), flag("c", ["a"])), needing("a", "b"), needing("b", "c")),
    "a flag is archived that a new one needs": (create(flag("a")), archiving("a"), create(flag("b", ["a"]))),
    "a flag is archived that one comes to need": (create(flag("a"), flag("b")), archiving("a"), needing("b", "a")),
    "a segment is archived that is asked about": (
        create(segment("s"), flag("a")),
        archiving_segment("s"),
        asking("a", "s"),
    ),
    "a variant goes that a new flag needs": (
        create(flag("a", variants=("on", "off", "third"))),
        lambda store: service.change(store, ["a"], without_third, actor="x"),
        create(flag("b", ["a!"])),
    ),
    "a flag is restored whose prerequisite is archived": (
        lambda store: [create(flag("a"), flag("b", ["a"]))(store), archiving("b")(store)],
        archiving("a"),
        lambda store: service.change(store, ["b"], edits.restore, actor="x"),
    ),
    "a chain grows at both ends": (
        create(flag("f19"), flag("g"), *(flag(f"f{at}", [f"f{at + 1}"]) for at in range(18, 0, -1)), flag("top")),
        needing("f19", "g"),
        needing("top", "f1"),
    ),
    "a chain grows in the middle and below": (
        create(*(flag(f"f{at}", [f"f{at + 1}"] if at not in (10, 20) else []) for at in range(20, 0, -1)), flag("g")),
        needing("f10", "f11"),
        needing("f20", "g"),
    ),
}


@pytest.mark.parametrize("turned", [False, True], ids=["", "the other way round"])
@pytest.mark.parametrize("race", RACES.values(), ids=RACES)
def test_of_two_writers_who_together_would_break_a_reference_one_is_refused(store, race, turned):
    begin, one, other = race
    begin(store)
    first, second = (other, one) if turned else (one, other)
    with pytest.raises(REFUSED):
        second(Between(store, first))
    assert list(broken(store.snapshot())) == []


def test_what_is_needed_since_it_was_looked_at_is_not_pruned(store):
    create(flag("a"), flag("b"))(store)
    pruning_to(flag("b"))(Between(store, needing("b", "a")))  # which the file takes back
    assert list(broken(store.snapshot())) == []
    needing("b")(store)
    with pytest.raises(DocumentError, match="is archived"):
        needing("b", "a")(Between(store, pruning_to(flag("b"), flag("c"))))


def test_a_race_that_breaks_nothing_is_decided_for_both(store):
    create(flag("a"), flag("b"), flag("c"))(store)
    archiving("a")(Between(store, create(flag("d", ["b"]))))
    needing("b", "c")(Between(store, archiving("d")))
    flags = store.snapshot().flags
    assert [flags[key].archived for key in "abcd"] == [True, False, False, True]
    assert flags["b"].prerequisites == (Prerequisite("c", ("on",)),)


def test_a_kill_rests_on_nothing_and_yields_to_no_other_writer(store):
    create(flag("a"), flag("b", ["a"]))(store)
    hold = Hold("ops", "drill")
    busy = Between(store, lambda store: [create(flag(f"other-{at}"))(store) for at in range(20)])
    service.change(
        busy, ["a"], lambda flag: edits.kill(flag, hold), actor="x", expected=service.find(store, "a").version
    )
    assert store.snapshot().flags["a"].hold == hold


# ---- chains


def test_a_chain_may_not_grow_too_long_at_its_lower_end_either(store):
    chain = [flag(f"f{at}", [f"f{at + 1}"] if at < MAX_CHAIN else []) for at in range(MAX_CHAIN, 0, -1)]
    create(*chain, flag("g"))(store)
    with pytest.raises(DocumentError, match=r"flags\.f1\.prerequisites: form too long a chain"):
        needing(f"f{MAX_CHAIN}", "g")(store)
    with pytest.raises(DocumentError, match="too long a chain"):
        create(flag("top", ["f1"]))(store)


def test_prerequisites_that_multiply_are_refused(store):
    ladder = [[f"{side}{level}" for side in "lr"] for level in range(10)]
    steps = [create(*(flag(key, lower) for key in upper)) for lower, upper in pairwise([[], *ladder])]
    for step in steps[:9]:
        step(store)
    with pytest.raises(DocumentError, match=f"too long a chain; .* {MAX_EVALUATIONS:,} evaluations"):
        steps[9](store)  # each of its flags would take 1 + 511 + 511


def test_what_came_past_the_checks_can_be_put_away_and_put_right(store):
    version = store.write(service.Write("past", tuple(service.Edit(flag(k, n), None) for k, n in CIRCLE), "x")).revision
    assert list(broken(store.snapshot()))
    service.change(store, ["a"], edits.disable, actor="x", expected=version)
    needing("c", *())(store)  # which only leads into the circle
    archiving("c")(store)
    needing("a")(store)
    assert list(broken(store.snapshot())) == []


CIRCLE = [("a", ["b"]), ("b", ["a"]), ("c", ["a"])]


def test_an_archived_flag_of_a_circle_stands_in_nobodys_way(store):
    create(flag("a"), flag("b", ["a"]))(store)
    archiving("b")(store)
    with pytest.raises(DocumentError, match="is archived"):
        needing("a", "b")(store)


# ---- any sequence of calls


@st.composite
def flags(draw):
    key = draw(st.sampled_from(KEYS))
    others = [other + mark for other in KEYS if other != key for mark in ("", "!")]
    needs = draw(st.lists(st.sampled_from(others), max_size=2, unique_by=lambda other: other[0]))
    segments = draw(st.lists(st.sampled_from(SEGMENTS), max_size=1))
    return flag(key, needs, segments, draw(st.sampled_from([("on", "off"), ("on", "off", "third")])))


FLAGS = flags()


class Callers(RuleBasedStateMachine):
    """Anything that callers may ask of an environment, with a second caller in between now and then."""

    make = staticmethod(lambda: MemoryFlagStore("test", ManualClock()))

    @initialize()
    def begin(self):
        self.store = self.make()

    def ask(self, call, between=None):
        def meanwhile(store):
            if between is not None:
                self.ask(lambda _: service.apply(store, {between.key: between}, actor="y"))

        try:
            call(Between(self.store, meanwhile))
        except REFUSED:
            return

    OTHERS = st.none() | FLAGS

    @rule(item=FLAGS | st.sampled_from(SEGMENTS).map(segment), between=OTHERS)
    def create(self, item, between):
        self.ask(create(item), between)

    @rule(wanted=FLAGS, between=OTHERS)
    def change(self, wanted, between):
        self.ask(lambda store: service.change(store, [wanted.key], lambda _: wanted, actor="x"), between)

    @rule(
        wanted=st.lists(FLAGS, max_size=3),
        segments=st.lists(st.sampled_from(SEGMENTS).map(segment), max_size=2),
        prune=st.booleans(),
        between=OTHERS,
    )
    def apply(self, wanted, segments, prune, between):
        definitions = Definitions({each.key: each for each in wanted}, {each.key: each for each in segments})
        self.ask(lambda store: service.apply(store, definitions, actor="x", prune=prune), between)

    @rule(
        keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=2),
        edit=st.sampled_from([edits.archive, edits.restore, edits.enable, edits.disable, edits.release, without_third]),
        between=OTHERS,
    )
    def edit(self, keys, edit, between):
        self.ask(lambda store: service.change(store, keys, edit, actor="x"), between)

    @rule(key=st.sampled_from(SEGMENTS), archived=st.booleans(), between=OTHERS)
    def edit_segment(self, key, archived, between):
        def edit(store):
            return service.change_segment(store, key, lambda each: replace(each, archived=archived), actor="x")

        self.ask(edit, between)

    @rule(key=st.sampled_from(KEYS), back=st.integers(0, 5), between=OTHERS)
    def revert(self, key, back, between):
        history = self.store.history(key)
        revision = history[back].revision if back < len(history) else None
        self.ask(lambda store: service.revert(store, key, revision, actor="x"), between)

    @invariant()
    def nothing_is_broken(self):
        if hasattr(self, "store"):
            snapshot = self.store.snapshot()
            assert list(broken(snapshot)) == []
            assert all(isinstance(each, Flag) for each in snapshot.flags.values())

    def teardown(self):
        if isinstance(getattr(self, "store", None), RedisFlagStore):
            self.store.close()


def run(machine, examples):
    machine.TestCase.settings = settings(
        max_examples=examples, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    machine.TestCase().runTest()


def test_whatever_is_called_nothing_refers_to_what_is_not_there():
    run(Callers, 150)


def test_whatever_is_called_over_redis_nothing_refers_to_what_is_not_there(redis_url):
    def make():
        with connect(redis_url) as client:
            client.flushall()
        return RedisFlagStore(redis_url, "test")

    class CallersOverRedis(Callers):
        pass

    CallersOverRedis.make = staticmethod(make)
    run(CallersOverRedis, 25)
