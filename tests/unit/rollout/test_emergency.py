"""The emergency rollback over twins in memory: what each step does, and what it says where it can't."""

from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace

import pytest

from flags.errors import FlagHeld, RevisionConflict, WriteUnconfirmed
from flags.service import apply, find
from foundation.errors import DocumentError, StoreRefused, StoreUnreachable
from foundation.health import Answer, Check
from messenger.formats import JSON, YAML
from rollout.emergency import EmergencyRollback
from rollout.errors import KillUndone, NothingToRollBack
from rollout.preview import preview
from rollout.receipt import verify
from rollout.record import STEPS, Request
from rollout.release import release
from rollout.steps.preflight import chosen
from tests.unit.rollout.fuse import Killed
from tests.unit.rollout.world import FLAGS, KEY, Idle, World

YAML_FLAG = "useYamlMessaging"


@pytest.fixture
def world():
    return World()


class Broken:
    """A port whose server is gone: every method raises."""

    def __init__(self, error=None):
        self.error = error or StoreUnreachable("no answer from Redis")

    def __getattr__(self, name):
        def fail(*args, **kwargs):
            raise self.error

        return fail


class Partly:
    """A port of which some methods are replaced."""

    def __init__(self, port, **methods):
        self._port = port
        self.__dict__.update(methods)

    def __getattr__(self, name):
        return getattr(self._port, name)


def statuses(events):
    """The last word of each step."""
    return {event.step: event.status for event in events if event.status != "progress"}


def test_a_rollback_with_yaml_waiting_ends_verified_safe(world):
    sent = world.send("collections", 5) + world.send("balance", 2, batch=10)
    rollback, events = world.roll_back()
    assert rollback.exit_code == 0
    assert statuses(events) == dict.fromkeys(STEPS, "done")
    assert world.yaml_left() == 0
    world.consuming = True
    world.turn()
    assert sorted(set(world.handled) & set(sent)) == sorted(sent)


def test_the_flag_is_disabled_and_held_and_the_receipt_is_named_in_the_hold(world):
    rollback, _ = world.roll_back()
    flag = find(world.store, YAML_FLAG).flag
    assert not flag.enabled
    assert (flag.hold.by, flag.hold.reason, flag.hold.receipt) == ("ops@host", "drill", rollback.receipt["receipt"])
    assert find(world.store, "enableBatching").flag.enabled


def test_an_apply_can_not_enable_the_flag_until_it_is_released(world):
    world.roll_back()
    on = {YAML_FLAG: parse_one()}
    with pytest.raises(FlagHeld):
        apply(world.store, on, actor="deploy")
    release(world.store, world.queues, YAML_FLAG, "ops", "all clear")
    assert not find(world.store, YAML_FLAG).flag.enabled
    apply(world.store, on, actor="deploy")
    assert find(world.store, YAML_FLAG).flag.enabled


def parse_one():
    from flags.documents import parse_flag

    return parse_flag(YAML_FLAG, FLAGS[YAML_FLAG])


def test_no_sender_gets_yaml_into_a_queue_until_the_release(world):
    world.roll_back()
    assert world.send("collections", 1) is None
    assert world.send("collections", 1, JSON) is not None
    release(world.store, world.queues, YAML_FLAG, "ops")
    assert world.send("collections", 1) is not None


def test_a_release_leaves_barred_what_another_held_flag_bars(world):
    world.roll_back(every_messaging_flag=True)
    release(world.store, world.queues, "enableBatching", "ops")
    assert world.send("collections", 1, batch=2) is None
    assert world.send("collections", 1, JSON, batch=2) is not None


def test_releasing_twice_is_harmless(world):
    world.roll_back()
    first = release(world.store, world.queues, YAML_FLAG, "ops")
    assert release(world.store, world.queues, YAML_FLAG, "ops").revision == first.revision


def test_all_takes_back_every_flag_tagged_messaging_and_no_other(world):
    rollback, _ = world.roll_back(every_messaging_flag=True)
    assert rollback.exit_code == 0
    assert set(rollback.receipt["flags"]) == {YAML_FLAG, "enableBatching"}
    assert find(world.store, "newPricing").flag.enabled
    assert rollback.receipt["barred"] == [YAML, "batch"]


def test_a_flag_that_is_no_format_is_taken_back_too_and_its_queues_are_left_alone(world):
    world.send("collections", 1)
    rollback, _ = world.roll_back(flags=("newPricing",))
    assert rollback.exit_code == 0
    assert world.yaml_left() == 1
    assert rollback.receipt["barred"] == []


@pytest.mark.parametrize("request_", [{"flags": ("missing",)}, {"flags": ()}])
def test_an_unknown_flag_changes_nothing(world, request_):
    before = world.store.snapshot()
    with pytest.raises(NothingToRollBack, match="useYamlMessaging"):
        world.roll_back(**request_)
    assert world.store.snapshot() == before
    assert world.journal.running() is None


def test_the_receipt_names_every_instance_and_when_it_acknowledged(world):
    rollback, _ = world.roll_back()
    entries = rollback.receipt["instances"]
    assert {entry["slot"] for entry in entries.values()} == {"balance-1", "balance-2", "collections-1", "collections-2"}
    assert {entry["state"] for entry in entries.values()} == {"acknowledged"}
    assert {entry["acknowledged"] for entry in entries.values()} == {rollback.receipt["revision"]}
    assert all(entry["after"] >= 0 for entry in entries.values())


def test_the_receipt_is_signed_kept_twice_and_its_key_is_vouched_for(world):
    rollback, _ = world.roll_back()
    name = rollback.receipt["receipt"]
    verify(world.journal.receipt(name), world.journal.vouched()[KEY.key_id])
    assert world.archive.kept[name] == world.journal.receipt(name) == rollback.receipt
    assert world.journal.running() is None


def test_a_worker_that_applies_nothing_any_more_is_restarted_and_named(world):
    world.worker("collections-1").deaf = True
    rollback, events = world.roll_back()
    assert rollback.exit_code == 0
    assert statuses(events)["converge"] == "warn"
    entry = rollback.receipt["restarts"]["collections-1"]
    assert (entry["outcome"], entry["via"], entry["old"]) == ("back", "supervisor", ["collections-1.2"])
    assert rollback.receipt["instances"]["collections-1.2"]["state"] == "replaced"
    assert rollback.receipt["instances"][entry["new"][0]]["state"] == "acknowledged"


def test_a_worker_that_died_and_was_replaced_by_its_supervisor_is_not_waited_for(world):
    dead = world.worker("collections-1")
    dead.stuck = True
    world.start("collections-1", "collections")
    world.turn()
    rollback, _ = world.roll_back()
    assert rollback.exit_code == 0
    assert world.clock.monotonic() < 1.0
    assert rollback.receipt["instances"][dead.instance.id]["state"] == "replaced"
    assert rollback.receipt["restarts"] == {}


def test_a_worker_that_hangs_until_its_lease_is_over_is_restarted_all_the_same(world):
    world.worker("balance-2").stuck = True
    rollback, _ = world.roll_back(converge_timeout=10.0)
    assert rollback.exit_code == 0
    assert rollback.receipt["restarts"]["balance-2"]["outcome"] == "back"


def test_a_worker_nobody_can_restart_is_named_and_fails_the_check_while_it_lives(world):
    world.start("loner-1", "collections", supervisor="").deaf = True
    rollback, _ = world.roll_back()
    assert rollback.exit_code == 1
    assert rollback.receipt["restarts"]["loner-1"]["outcome"] == "not restarted"
    assert rollback.receipt["failed"] == ["instances"]


def test_a_worker_that_is_gone_for_good_is_a_warning_where_others_do_its_work(world):
    loner = world.start("loner-1", "collections", supervisor="")
    world.turn()
    loner.stuck = True
    rollback, _ = world.roll_back(converge_timeout=10.0)
    assert rollback.exit_code == 0
    assert rollback.receipt["instances"][loner.instance.id]["state"] == "gone"
    assert rollback.receipt["checks"]["restarts"]["status"] == "warn"


def test_a_worker_that_does_not_come_back_fails_the_rollback(world):
    world.worker("collections-1").stuck = True
    rollback, _ = world.roll_back(ports=world.ports(restarters=(Idle(),)), restart_timeout=5.0)
    assert rollback.exit_code == 1
    assert rollback.receipt["restarts"]["collections-1"]["outcome"] == "not back"
    assert "restarts" in rollback.receipt["failed"]


def test_a_restart_command_that_fails_is_quoted(world):
    world.worker("collections-1").deaf = True
    hand = Partly(Idle(), restart=lambda targets: {target.slot: "exit 1: no such unit" for target in targets})
    rollback, _ = world.roll_back(ports=world.ports(restarters=(hand,)))
    assert rollback.exit_code == 1
    assert rollback.receipt["restarts"]["collections-1"]["why"] == "exit 1: no such unit"


def test_restart_all_restarts_every_worker_by_halves(world):
    waves = []
    hand = world.ports().restarters[0]
    spy = Partly(hand, restart=lambda targets: waves.append([one.slot for one in targets]) or hand.restart(targets))
    rollback, _ = world.roll_back(ports=world.ports(restarters=(spy,)), restart="all")
    assert rollback.exit_code == 0
    assert waves == [["balance-1", "collections-1"], ["balance-2", "collections-2"]]
    assert {entry["outcome"] for entry in rollback.receipt["restarts"].values()} == {"back"}


def test_restart_none_restarts_nobody_and_says_who_is_without_the_kill(world):
    world.worker("collections-1").deaf = True
    rollback, events = world.roll_back(restart="none")
    assert rollback.exit_code == 1
    assert rollback.receipt["restarts"] == {}
    assert any("collections-1" in event.detail for event in events if event.step == "restart")


def test_an_instance_with_an_override_file_is_not_believed(world):
    world.start("odd-1", "collections", overrides=(YAML_FLAG,))
    rollback, _ = world.roll_back()
    assert rollback.exit_code == 1
    assert "override file" in rollback.receipt["checks"]["instances"]["remedy"]
    assert rollback.receipt["restarts"] == {}


def test_what_can_not_be_decoded_is_set_aside_and_not_dropped(world):
    world.send("collections", 3)
    world.send_garbage("collections")
    rollback, _ = world.roll_back()
    assert rollback.exit_code == 0
    entry = rollback.receipt["queues"]["collections"]
    assert entry["cleared"] == {"transcoded": 3, "quarantined": 1}
    assert (entry["before"]["yaml"], entry["after"]["yaml"], entry["after"]["frames"]) == (4, 0, 3)


@pytest.mark.parametrize(("mode", "word"), [("quarantine", "quarantined"), ("purge", "purged")])
def test_yaml_is_set_aside_or_dropped_where_that_is_asked_for(world, mode, word):
    world.send("collections", 3)
    rollback, _ = world.roll_back(queues=mode)
    assert rollback.exit_code == 0
    entry = rollback.receipt["queues"]["collections"]
    assert (entry["cleared"], entry["after"]["frames"]) == ({word: 3}, 0)


def test_drain_waits_for_the_consumers(world):
    world.send("collections", 3)
    world.consuming = True
    rollback, _ = world.roll_back(queues="drain")
    assert rollback.exit_code == 0


def test_drain_without_consumers_gives_up_and_says_what_is_left(world):
    world.send("orphan", 3)
    rollback, _ = world.roll_back(queues="drain", drain_timeout=5.0)
    assert rollback.exit_code == 1
    assert rollback.receipt["failed"] == ["no YAML"]
    assert rollback.receipt["queues"]["orphan"]["after"]["yaml"] == 3


def test_frames_written_past_the_library_are_found(world):
    stray = iter(range(1000))

    def write_past():
        contents = world.queues._contents["orphan"]
        contents.streams["normal"].frames[f"9{next(stray)}-0"] = (0.0, garbage())

    world.send("orphan", 1)
    world.meanwhile = write_past
    rollback, _ = world.roll_back()
    assert rollback.exit_code == 1
    assert "past the library" in rollback.receipt["checks"]["no YAML"]["remedy"]


def garbage():
    from messenger.frame import Frame

    return Frame("stray", YAML, "identity", 1, "0-0", b"a: 1\n", "rogue")


def test_a_domain_that_lost_its_workers_fails_the_rollback(world):
    for worker in list(world.workers):
        if worker.instance.domain == "balance":
            worker.stuck = True
    rollback, _ = world.roll_back(ports=world.ports(restarters=()), converge_timeout=10.0)
    assert rollback.exit_code == 1
    assert "worker/balance" in rollback.receipt["failed"]
    assert rollback.receipt["checks"]["probe/collections"]["status"] == "pass"


def test_a_worker_that_is_live_and_handles_nothing_fails_its_probe(world):
    world.consume = lambda instance: None
    rollback, _ = world.roll_back()
    assert rollback.exit_code == 1
    assert rollback.receipt["failed"] == ["probe/balance", "probe/collections"]


def traffic(received, errors=0, decode_failures=0):
    return SimpleNamespace(
        domain="collections", received=received, errors=errors, decode_failures=decode_failures, latency_p95=1.0
    )


class Reports:
    """Traffic as it was before the watch, and as it is in the watched window."""

    def __init__(self, before, after):
        self.before, self.after, self.windows = before, after, []

    def domains(self, window):
        self.windows.append(window)
        return [self.before if len(self.windows) == 1 else self.after]


@pytest.mark.parametrize(
    ("received", "errors", "status"),
    [(1000, 0, "pass"), (1000, 1, "pass"), (1000, 2, "fail"), (50, 1, "warn"), (0, 0, "pass")],
)
def test_only_errors_of_the_watched_window_count(world, received, errors, status):
    reports = Reports(traffic(500, errors=400), traffic(received, errors))
    rollback, _ = world.roll_back(ports=world.ports(traffic=reports), window=7.0)
    assert rollback.receipt["checks"]["traffic/collections"]["status"] == status
    assert (rollback.exit_code, reports.windows[1]) == (1 if status == "fail" else 0, 7.0)


def test_frames_that_can_not_be_read_count_as_errors(world):
    rollback, _ = world.roll_back(ports=world.ports(traffic=Reports(traffic(1), traffic(1000, 0, 2))))
    assert rollback.receipt["failed"] == ["traffic/collections"]


def test_a_window_of_nothing_watches_nothing(world):
    rollback, _ = world.roll_back(ports=world.ports(traffic=Reports(traffic(1), traffic(1000, 999))), window=0.0)
    assert rollback.exit_code == 0
    assert "as asked" in rollback.receipt["checks"]["traffic"]["detail"]


def test_without_traffic_nobody_waits_and_the_receipt_says_so(world):
    started = world.clock.monotonic()
    rollback, _ = world.roll_back(window=1000.0)
    assert world.clock.monotonic() - started < 100
    assert "probes alone" in rollback.receipt["checks"]["traffic"]["detail"]


def test_no_check_of_the_installation_holds_safety_up(world):
    check = Check("control plane", 1.0, lambda: 1 / 0)
    rollback, _ = world.roll_back(ports=world.ports(checks=(check,)))
    assert rollback.exit_code == 0
    assert rollback.receipt["checks"]["control plane"]["status"] == "warn"


@pytest.mark.parametrize("texts", [{"reason": "x" * 2001}, {"reason": "\ud800"}, {"actor": "\udfff"}])
def test_a_text_that_no_hold_can_be_read_back_with_is_refused(texts):
    with pytest.raises(DocumentError):
        Request(**{"actor": "ops"} | texts)


def test_a_flag_that_is_written_anew_each_time_it_is_killed_is_said_and_the_lead_let_go(world):
    def undo():
        from flags import edits, service

        if world.journal.running():
            service.change(world.store, [YAML_FLAG], edits.release, actor="someone")
            service.change(world.store, [YAML_FLAG], edits.enable, actor="someone")

    class Undone:
        environment = "demo"

        def __getattr__(self, name):
            undo()
            return getattr(world.store, name)

    with pytest.raises(KillUndone, match="the queues are barred"):
        world.roll_back(ports=world.ports(store=Undone()))
    assert world.journal.running().lease_left <= 0
    assert world.send("collections", 1) is None


class Writing:
    """A store whose writes go wrong in some way, one way after the other."""

    def __init__(self, store, *outcomes):
        self._store, self._outcomes = store, list(outcomes)
        self.environment = store.environment

    def snapshot(self):
        return self._store.snapshot()

    def write(self, write):
        error, applied = self._outcomes.pop(0) if self._outcomes else (None, True)
        written = self._store.write(write) if applied else None
        if error is not None:
            raise error
        return written


LOST = StoreUnreachable("no answer from Redis")


@pytest.mark.parametrize("applied", [False, True])
def test_a_lost_answer_to_the_kill_is_made_good_by_looking(world, applied):
    rollback, _ = world.roll_back(ports=world.ports(store=Writing(world.store, (LOST, applied))))
    assert rollback.exit_code == 0
    assert not find(world.store, YAML_FLAG).flag.enabled


def test_a_kill_that_never_gets_an_answer_ends_with_store_unreachable_and_lets_go(world):
    ports = world.ports(store=Writing(world.store, *[(LOST, False)] * 3))
    rollback, _ = world.roll_back(ports=ports)
    assert (rollback.exit_code, rollback.receipt) == (3, None)
    assert world.journal.running().lease_left <= 0


def test_a_kill_that_no_replica_confirmed_is_done_and_not_verified(world):
    ports = world.ports(store=Writing(world.store, (WriteUnconfirmed("no replica"), True)))
    rollback, _ = world.roll_back(ports=ports)
    assert (rollback.exit_code, rollback.receipt["failed"]) == (1, ["kill confirmed"])


def test_a_kill_that_no_replica_confirmed_is_written_again_by_the_next_run(world):
    unconfirmed = (WriteUnconfirmed("no replica"), True)
    first, _ = world.roll_back(ports=world.ports(store=Writing(world.store, unconfirmed)))
    second, _ = world.roll_back(ports=world.ports(store=Writing(world.store, unconfirmed)))
    assert second.receipt["failed"] == first.receipt["failed"] == ["kill confirmed"]
    third, _ = world.roll_back()
    assert (third.exit_code, third.receipt["failed"]) == (0, [])
    assert find(world.store, YAML_FLAG).flag.hold.receipt == third.receipt["receipt"]


@pytest.mark.parametrize("told", [False, True], ids=["before it tells", "after it has told"])
def test_a_kill_that_no_replica_confirmed_is_written_again_by_the_next_attempt(world, told):
    outcome = WriteUnconfirmed("no replica") if told else Killed()
    store = Writing(world.store, (outcome, True))
    steps = EmergencyRollback(world.ports(store=store), Request(actor="first")).run()
    with suppress(Killed):
        next(event for event in steps if event.step == "kill")
    steps.close()
    before = find(world.store, YAML_FLAG).version
    rollback, _ = world.roll_back()
    assert (rollback.exit_code, len(rollback.receipt["attempts"])) == (0, 2)
    assert find(world.store, YAML_FLAG).version != before


def test_a_kill_whose_answers_are_all_lost_is_done_and_not_verified(world):
    rollback, _ = world.roll_back(ports=world.ports(store=Writing(world.store, *[(LOST, True)] * 3)))
    assert (rollback.exit_code, rollback.receipt["failed"]) == (1, ["kill confirmed"])


def test_writers_that_come_between_are_met_by_trying_again(world):
    conflict = RevisionConflict(YAML_FLAG, "1-1", "1-2")
    rollback, _ = world.roll_back(ports=world.ports(store=Writing(world.store, *[(conflict, False)] * 15)))
    assert rollback.exit_code == 0


def test_a_rollback_that_comes_between_a_release_and_its_queues_keeps_them_barred(world):
    world.roll_back()
    comes = iter([world.roll_back])

    def release_all(words, bars):
        next(comes, lambda: None)()
        return world.queues.release_all(words, bars)

    release(world.store, Partly(world.queues, release_all=release_all), YAML_FLAG, "ops")
    assert find(world.store, YAML_FLAG).flag.hold is not None
    assert world.send("collections", 1) is None


def test_a_release_that_dies_when_a_rollback_has_come_between_leaves_the_queues_barred(world):
    world.roll_back()

    def release_all(words, bars):
        world.roll_back()
        world.queues.release_all(words, bars)
        raise Killed

    with pytest.raises(Killed):
        release(world.store, Partly(world.queues, release_all=release_all), YAML_FLAG, "ops")
    assert find(world.store, YAML_FLAG).flag.hold is not None
    assert world.send("collections", 1) is None


class Command:
    """A hand that starts the workers of a slot anew, as a restart command does."""

    name = "command"

    def __init__(self, world, failure=""):
        self.world, self.failure, self.asked = world, failure, []

    def able(self, target):
        return True

    def restart(self, targets):
        self.asked += [target.slot for target in targets]
        if self.failure:
            return {target.slot: self.failure for target in targets}
        for target in targets:
            self.world.workers.remove(self.world.worker(target.slot))
            self.world.start(target.slot, target.domain, supervisor="")
        return {}


def test_a_slot_that_its_supervisor_does_not_bring_back_is_restarted_by_the_next_hand(world):
    world.worker("collections-1").deaf = True
    command = Command(world)
    rollback, _ = world.roll_back(ports=world.ports(restarters=(Idle(), command)), restart_timeout=5.0)
    assert (rollback.exit_code, command.asked) == (0, ["collections-1"])
    entry = rollback.receipt["restarts"]["collections-1"]
    assert (entry["outcome"], entry["via"], entry["why"]) == ("back", "command", "")
    assert entry["seconds"] > 5.0


def test_a_slot_that_no_hand_brings_back_fails_and_says_what_each_has_met(world):
    world.worker("collections-1").deaf = True
    hands = (Idle(), Command(world, "exit 1: no such unit"))
    rollback, _ = world.roll_back(ports=world.ports(restarters=hands), restart_timeout=5.0)
    entry = rollback.receipt["restarts"]["collections-1"]
    assert "restarts" in rollback.receipt["failed"]
    assert entry["outcome"] == "not back"
    assert entry["why"] == "did not come back with the kill within 5 s of being asked by idle; exit 1: no such unit"


def test_all_takes_back_the_flags_that_choose_formats_whatever_is_left_of_their_tags(world):
    from flags import service

    keys = [YAML_FLAG, "enableBatching"]
    service.change(world.store, keys, lambda flag: replace(flag, tags=()), actor="setup")
    rollback, _ = world.roll_back(every_messaging_flag=True)
    assert set(rollback.receipt["flags"]) == set(keys)


def test_no_messaging_flag_at_all_is_nothing_to_roll_back(world):
    rules = {"newPricing": world.store.snapshot().flags["newPricing"]}
    with pytest.raises(NothingToRollBack, match="messaging"):
        chosen(Request("ops", "", "p", every_messaging_flag=True), rules)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"restart": "none"}, "not asked for"),
        ({"restart": "unacknowledged"}, "those that have not acknowledged"),
        ({"flags": ("newPricing",)}, "nothing to clear"),
    ],
)
def test_a_dry_run_follows_what_is_asked(world, request_, said):
    assert said in " ".join(event.detail for event in preview(world.ports(), Request(actor="ops", **request_)))


def test_a_control_plane_that_is_down_is_a_warning(world):
    check = Check("control plane", 1.0, lambda: Answer("warn", "does not answer"))
    rollback, events = world.roll_back(ports=world.ports(checks=(check,)))
    assert rollback.exit_code == 0
    assert statuses(events)["verify"] == "warn"
    assert rollback.receipt["checks"]["control plane"]["status"] == "warn"


def test_without_a_flags_server_nothing_is_claimed_and_the_queues_are_barred(world):
    gone = Broken()
    ports = world.ports(store=gone, registry=gone, journal=gone)
    rollback, events = world.roll_back(ports=ports)
    assert (rollback.exit_code, rollback.receipt) == (3, None)
    assert [event.status for event in events] == ["failed"]
    assert world.send("collections", 1) is None


def test_without_any_server_it_says_so_and_ends(world):
    gone = Broken()
    ports = world.ports(store=gone, registry=gone, journal=gone, queues=gone, clearing=gone, traffic=gone)
    rollback, _ = world.roll_back(ports=ports)
    assert rollback.exit_code == 3


def test_a_store_that_answers_and_takes_no_writes_is_found_before_anything_is_done(world):
    full = Partly(world.journal, take=Broken(StoreRefused("OOM", "Redis refused (OOM)")).take)
    rollback, _ = world.roll_back(ports=world.ports(journal=full))
    assert rollback.exit_code == 3
    assert find(world.store, YAML_FLAG).flag.enabled


def test_without_a_queue_server_the_flags_are_killed_all_the_same(world):
    gone = Broken()
    rollback, events = world.roll_back(ports=world.ports(queues=gone, clearing=gone, traffic=gone))
    assert rollback.exit_code == 1
    assert not find(world.store, YAML_FLAG).flag.enabled
    assert {"queues barred", "queues", "queue server", "no YAML"} <= set(rollback.receipt["failed"])
    assert statuses(events)["kill"] == "warn"
    assert {entry["state"] for entry in rollback.receipt["instances"].values()} == {"acknowledged"}


def test_a_flags_server_that_dies_after_the_kill_leaves_a_receipt_on_disk_and_clean_queues(world):
    world.send("collections", 3)
    ports = world.ports()
    gone = Broken()
    switch = SimpleNamespace(dead=False)

    def mortal(port):
        class Mortal:
            def __getattr__(self, name):
                return getattr(gone if switch.dead else port, name)

        return Mortal()

    def bar_all(words):
        switch.dead = True
        world.queues.bar_all(words)

    ports = world.ports(
        store=mortal(world.store),
        registry=mortal(world.registry),
        journal=mortal(world.journal),
        queues=Partly(world.queues, bar_all=bar_all),
    )
    rollback, events = world.roll_back(ports=ports)
    assert rollback.exit_code == 1
    assert world.yaml_left() == 0
    assert world.archive.kept[rollback.receipt["receipt"]] == rollback.receipt
    assert {"journal", "converge", "restart", "flags server", "instances"} <= set(rollback.receipt["failed"])
    assert events[-1].status == "failed"
    again, _ = world.roll_back()
    assert (again.exit_code, again.receipt["receipt"]) == (0, rollback.receipt["receipt"])


def test_a_step_that_breaks_in_an_unforeseen_way_fails_its_check_and_not_the_others(world):
    world.send("collections", 1)
    broken = Broken(RuntimeError("a bug"))
    rollback, _ = world.roll_back(ports=world.ports(clearing=broken))
    assert rollback.exit_code == 1
    assert rollback.receipt["checks"]["queues"]["detail"] == "RuntimeError: a bug"
    assert rollback.receipt["checks"]["probe/collections"]["status"] == "pass"


def test_a_full_disk_is_a_warning_since_the_store_keeps_the_receipt(world):
    world.archive.full = True
    rollback, events = world.roll_back()
    assert rollback.exit_code == 0
    assert (events[-1].step, events[-1].status) == ("receipt", "warn")
    assert world.journal.receipt(rollback.receipt["receipt"]) == rollback.receipt


def test_pulling_the_lever_again_proves_again_and_writes_no_flag(world):
    first, _ = world.roll_back()
    before = world.store.snapshot()
    second, _ = world.roll_back()
    assert world.store.snapshot() == before
    assert second.exit_code == 0
    assert second.receipt["receipt"] != first.receipt["receipt"]
    assert second.receipt["flags"][YAML_FLAG]["hold"]["receipt"] == first.receipt["receipt"]
    assert not second.receipt["flags"][YAML_FLAG]["wasEnabled"]


def test_the_journal_tells_what_the_caller_was_told(world):
    rollback, events = world.roll_back()
    told = [event for _, event in world.journal.events(rollback.receipt["receipt"])]
    assert [event.to_document() for event in told] == [event.to_document() for event in events]


def test_a_dry_run_tells_every_step_and_changes_nothing(world):
    world.send("collections", 3)
    before = world.store.snapshot()
    events = list(preview(world.ports(), Request(actor="ops", restart="all")))
    assert [event.step for event in events] == list(STEPS)
    said = " ".join(event.detail for event in events)
    assert "would disable and hold useYamlMessaging" in said
    assert "3 YAML frames: collections 3" in said
    assert "would restart balance-1" in said
    assert world.store.snapshot() == before
    assert (world.yaml_left(), world.journal.running(), world.journal.receipts()) == (3, None, [])
    assert world.send("collections", 1) is not None


def test_consumers_that_a_flags_server_just_back_has_not_heard_from_are_waited_for(world):
    back_at = world.clock.monotonic() + 2.5
    Silent(world, until=back_at)
    rollback, _ = world.roll_back()
    assert rollback.exit_code == 0
    assert world.clock.monotonic() >= back_at
    assert rollback.receipt["domains"] == ["balance", "collections"]
    assert rollback.receipt["checks"]["instances"]["detail"].startswith("all 4 live instances")


def test_a_consumer_that_never_registers_is_not_proven_safe(world):
    Silent(world, "collections-1.2")
    rollback, _ = world.roll_back(restart="none")
    assert rollback.receipt["failed"] == ["instances"]
    assert "collections-1.2" in rollback.receipt["checks"]["instances"]["detail"]


def test_a_domain_whose_consumers_never_register_is_missed(world):
    Silent(world, "collections-1.2", "collections-2.3")
    rollback, _ = world.roll_back()
    assert set(rollback.receipt["failed"]) == {"instances", "worker/collections"}


def test_nothing_is_claimed_of_workers_where_nobody_is_live():
    world = World()
    world.workers.clear()
    world.clock.advance(10)
    rollback, _ = world.roll_back()
    assert rollback.exit_code == 0
    check = rollback.receipt["checks"]["instances"]
    assert (check["status"], "nobody is live" in check["detail"]) == ("warn", True)


class Silent:
    """Keeps instances (all, where none is named) out of the registry, where none of them stands any more."""

    def __init__(self, world, *names, until=float("inf")):
        renew = world.registry.renew

        def renew_later(instance, acknowledged, lease):
            if world.clock.monotonic() >= until or (names and instance.id not in names):
                renew(instance, acknowledged, lease)

        world.registry.renew = renew_later
        for worker in world.workers:
            if not names or worker.instance.id in names:
                world.registry.leave(worker.instance.id)
