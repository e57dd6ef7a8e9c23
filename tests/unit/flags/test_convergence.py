"""Whether a revision has arrived everywhere, over made-up lists of who is live."""

from hypothesis import given
from hypothesis import strategies as st

from flags.convergence import converged
from flags.instances import Instance, LiveInstance
from flags.model import Revision

R = Revision(7, 3)
REVISIONS = st.builds(Revision, st.integers(6, 8), st.integers(0, 5))


def live(name, acknowledged, overrides=()):
    return LiveInstance(Instance(name, name, overrides=overrides), acknowledged, 1.0)


def test_it_is_reached_when_all_have_the_same_epoch_and_at_least_the_rev():
    assert converged(R, [live("a", R), live("b", Revision(7, 9))], ["f"]).reached


def test_it_is_reached_where_nobody_is_live():
    assert converged(R, [], ["f"]).reached


def test_an_older_rev_or_another_epoch_however_large_is_missing():
    behind, elsewhere = live("a", Revision(7, 2)), live("b", Revision(8, 9))
    seen = converged(R, [behind, elsewhere, live("c", R)], ["f"])
    assert not seen.reached
    assert seen.missing == (behind, elsewhere)
    assert [one.instance.id for one in seen.acknowledged] == ["c"]


def test_an_override_of_a_flag_concerned_stands_in_the_way_and_of_another_does_not():
    overriding = live("a", R, overrides=("f", "g"))
    assert converged(R, [overriding], ["x"]).reached
    seen = converged(R, [overriding], ["f"])
    assert not seen.reached
    assert seen.overriding == seen.acknowledged == (overriding,)


@given(st.lists(REVISIONS, max_size=6), REVISIONS)
def test_every_live_instance_is_either_there_or_missing(acknowledged, revision):
    instances = [live(str(index), one) for index, one in enumerate(acknowledged)]
    seen = converged(revision, instances, [])
    assert set(seen.acknowledged) | set(seen.missing) == set(instances)
    assert len(seen.acknowledged) + len(seen.missing) == len(instances)
    assert seen.reached == (not seen.missing)
