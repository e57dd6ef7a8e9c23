"""A rollback that dies at any call of any port is finished by the next one; two at once are one."""

import itertools
import threading

import pytest

from flags.service import find
from rollout.emergency import EmergencyRollback
from rollout.errors import AttemptSuperseded
from rollout.journal import LEASE
from rollout.receipt import verify
from rollout.record import STEPS, Request
from tests.support import eventually
from tests.unit.rollout.fuse import PORTS, Fuse, Killed
from tests.unit.rollout.world import KEY, Idle, World

YAML_FLAG = "useYamlMessaging"


def fused(world, fuse):
    return world.ports(**{name: fuse.wrap(getattr(world.ports(), name)) for name in PORTS})


def troubled():
    """A world with something to do in every step."""
    world = World()
    world.send("collections", 3)
    world.send("balance", 2, batch=5)
    world.send_garbage("balance")
    world.worker("collections-1").deaf = True
    return world


def calls_of_a_whole_rollback():
    world, fuse = troubled(), Fuse()
    rollback, _ = world.roll_back(ports=fused(world, fuse), converge_timeout=0.2)
    assert rollback.exit_code == 0
    return fuse.count


@pytest.mark.parametrize("after", [False, True], ids=["before it", "after it"])
def test_killed_at_any_call_and_run_again_it_ends_safe_with_one_receipt(after):
    total = calls_of_a_whole_rollback()
    assert total > 40
    for calls in range(1, total + 1):
        world, fuse = troubled(), Fuse(calls, after=after)
        with pytest.raises(Killed):
            world.roll_back(ports=fused(world, fuse), converge_timeout=0.2)
        unfinished, finished = world.journal.running(), world.journal.receipts()
        rollback, _ = world.roll_back(converge_timeout=0.2)
        assert rollback.exit_code == 0, (calls, rollback.receipt["failed"])
        assert world.yaml_left() == 0
        assert not find(world.store, YAML_FLAG).flag.enabled
        verify(rollback.receipt, KEY.public_key)
        assert len(world.journal.receipts()) == len(finished) + 1
        attempts = [(one["number"], bool(one["ended"])) for one in rollback.receipt["attempts"]]
        if unfinished:
            assert rollback.receipt["receipt"] == unfinished.record["receipt"]
            assert attempts == [(1, False), (2, True)]
            assert {entry["outcome"] for entry in rollback.receipt["restarts"].values()} == {"back"}
        else:
            assert attempts == [(1, True)]


def test_what_only_the_first_attempt_saw_is_in_the_receipt_of_the_second():
    world = troubled()
    lever = EmergencyRollback(world.ports(), Request(actor="first@host", reason="it burns"))
    next(event for event in lever.run() if event.data.get("domain") == "balance")
    rollback, _ = world.roll_back(actor="second@host")
    receipt = rollback.receipt
    assert rollback.exit_code == 0
    assert [attempt["actor"] for attempt in receipt["attempts"]] == ["first@host", "second@host"]
    assert (receipt["actor"], receipt["reason"]) == ("first@host", "it burns")
    assert receipt["flags"][YAML_FLAG]["wasEnabled"]
    assert receipt["queues"]["balance"]["before"]["yaml"] == 3
    assert receipt["queues"]["balance"]["cleared"] == {"transcoded": 2, "quarantined": 1}
    assert receipt["restarts"]["collections-1"]["outcome"] == "back"


def test_a_flag_that_was_brought_back_between_two_attempts_is_killed_again():
    from flags import edits, service

    world = troubled()
    next(event for event in EmergencyRollback(world.ports(), Request(actor="first")).run() if event.step == "converge")
    service.change(world.store, [YAML_FLAG], edits.release, actor="someone")
    service.change(world.store, [YAML_FLAG], edits.enable, actor="someone")
    rollback, _ = world.roll_back()
    assert rollback.exit_code == 0
    assert not find(world.store, YAML_FLAG).flag.enabled
    assert rollback.receipt["revision"] == str(find(world.store, YAML_FLAG).version)


def test_a_second_lever_pulled_meanwhile_follows_the_first_and_ends_with_its_receipt():
    world = troubled()
    first = EmergencyRollback(world.ports(), Request(actor="first@host", process="host:1"))
    steps = first.run()
    told = list(itertools.islice(steps, 2))
    ports = world.ports(pause=lambda seconds: told.extend(itertools.islice(steps, 3)))
    second = EmergencyRollback(ports, Request(actor="second@host"))
    seen = list(second.run())
    assert list(steps) == []
    assert "host:1 is at it (attempt 1): following" in seen[0].detail
    assert seen[0].data["following"] == "joined"
    assert seen[1:] == told
    assert (second.exit_code, second.receipt) == (0, first.receipt)
    assert len(first.receipt["attempts"]) == 1


def test_a_follower_that_wants_more_flags_goes_on_by_itself():
    world = troubled()
    steps = EmergencyRollback(world.ports(), Request(actor="first@host")).run()
    next(steps)
    second = EmergencyRollback(
        world.ports(pause=lambda seconds: (list(itertools.islice(steps, 3)), world.pause(seconds))),
        Request(actor="second@host", every_messaging_flag=True),
    )
    told = list(second.run())
    assert second.exit_code == 0
    assert told[0].data["following"] == "queued"
    assert set(second.receipt["flags"]) == {YAML_FLAG, "enableBatching"}
    assert len(world.journal.receipts()) == 2


def test_one_that_slept_while_another_took_over_writes_nothing_more_and_follows():
    world = troubled()
    sleeper = EmergencyRollback(world.ports(), Request(actor="sleeper@host"))
    steps = sleeper.run()
    next(steps)
    # What SIGSTOP does: no sign of life, until the lease is over.
    lead = world.journal.running().lead
    world.journal.let_go(lead)
    taker, _ = world.roll_back(actor="taker@host")
    list(steps)
    assert taker.exit_code == sleeper.exit_code == 0
    assert taker.receipt["receipt"] == lead.receipt


def test_the_lease_is_kept_while_a_step_takes_its_time():
    world = World()
    busy, go_on = threading.Event(), threading.Event()

    class Slow:
        def domains(self, window):
            busy.set()
            go_on.wait(10)
            return []

    runner = threading.Thread(target=lambda: world.roll_back(ports=world.ports(traffic=Slow())))
    runner.start()
    assert busy.wait(10)
    before = world.journal.running()
    world.clock.advance(LEASE - 0.5)
    eventually(lambda: world.journal.running().lease_left > LEASE - 0.1, message="no sign of life")
    assert world.journal.running().lead == before.lead
    go_on.set()
    runner.join(10)


def test_an_attempt_that_ends_early_lets_go_at_once():
    world = World()
    steps = EmergencyRollback(world.ports(), Request(actor="ops")).run()
    next(steps)
    steps.close()
    assert world.journal.running().lease_left <= 0


def test_every_attempt_says_how_long_its_steps_took():
    world = troubled()
    rollback, _ = world.roll_back()
    (attempt,) = rollback.receipt["attempts"]
    assert set(attempt["steps"]) == set(STEPS) - {"receipt"}


def test_what_was_only_planned_when_an_attempt_died_is_not_in_the_receipt_of_the_next():
    world = World()
    steps = EmergencyRollback(world.ports(), Request(actor="first@host", restart="all")).run()
    next(event for event in steps if event.step == "restart")
    steps.close()
    assert world.journal.running().record["restarts"]["balance-2"]["asked"] == ""
    rollback, _ = world.roll_back()
    assert rollback.exit_code == 0
    assert set(rollback.receipt["restarts"]) == {"balance-1", "collections-1"}


def test_a_restart_that_nobody_waits_for_any_more_is_a_warning():
    world = troubled()
    steps = EmergencyRollback(world.ports(restarters=(Idle(),)), Request(actor="first@host")).run()
    next(event for event in steps if event.step == "restart")
    steps.close()
    world.worker("collections-1").deaf = False
    rollback, _ = world.roll_back(restart="none")
    assert rollback.exit_code == 0
    assert rollback.receipt["checks"]["restarts"]["status"] == "warn"


def test_a_lead_that_has_passed_on_is_refused():
    world = World()
    lever = EmergencyRollback(world.ports(), Request(actor="ops"))
    steps = lever.run()
    next(steps)
    running = world.journal.running()
    with pytest.raises(AttemptSuperseded):
        world.journal.take(running.record)
