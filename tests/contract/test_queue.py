"""What every queue promises, over memory and over Redis."""

import itertools
import threading
import time

import pytest

from foundation.errors import DocumentError, StoreRefused, StoreUnreachable
from foundation.redis import connect
from messenger.errors import PoisonFrame, QueueFull
from messenger.formats import ALL_WORDS, FALLBACK_WORDS, GZIP, IDENTITY, JSON, YAML, ZSTD
from messenger.frame import Frame
from messenger.queue import DeadLetter, Handled, QueueLimits, Settlement
from messenger.queues import waiting
from messenger.queues.entries import GROUP
from messenger.queues.memory import MemoryQueueServer
from messenger.queues.streams import RedisQueueServer
from tests.support import eventually

JSON_ONLY = ALL_WORDS - {YAML}
YAML_WORD = frozenset({YAML})
numbers = itertools.count()


@pytest.fixture(params=["memory", "redis"])
def open_server(request):
    """A function that opens the environment's queue server; with the same limits it is the same one."""
    servers = []
    memory = {}

    def make(limits=None):
        if request.param == "redis":
            server = RedisQueueServer(request.getfixturevalue("redis_url"), "test", limits)
        else:
            server = memory.setdefault(limits, MemoryQueueServer("test", limits=limits))
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def server(open_server):
    return open_server()


@pytest.fixture
def queue(server):
    return server.queue("collections")


def frame(body="x", *, content_type=JSON, encoding=IDENTITY, count=1, name=None):
    return Frame(name or f"frm_{next(numbers)}", content_type, encoding, count, "7-3", str(body).encode(), "me")


def append(queue, *frames, priority="normal"):
    return queue.append([(priority, one) for one in frames])


def take(queue, consumer="ann", limit=10, block=0):
    return queue.receive(consumer, limit, block)


def bodies(places):
    return [place.frame.body.decode() for place in places]


def handled(delivery, *names, result=b"{}", finished=True):
    return Settlement(delivery, tuple(Handled(name, result) for name in names), finished=finished)


def letter(delivery, name, reason="handler"):
    return DeadLetter(name, delivery.frame, delivery.priority, reason, "it broke", delivery.deliveries, 0.0)


def bury(queue, *names, frames=None):
    for name, one in zip(names, frames or [frame(name) for name in names], strict=True):
        append(queue, one)
        (delivery,) = take(queue)
        queue.settle("ann", [Settlement(delivery, letters=(letter(delivery, name),))])


def standing(queue):
    """Both ways of counting, which must agree."""
    proof, running = queue.state(), queue.state(scan=False)
    assert (proof.frames_by_type, proof.messages) == (
        {name: frames for name, frames in running.frames_by_type.items() if frames},
        running.messages,
    )
    return proof


def waits(queue):
    """Whether a receive is blocked on this handle, where the adapter can tell."""
    return not hasattr(queue, "_waiter") or (queue._waiter and queue._waiter._blocked)


class TestAppendingAndReceiving:
    def test_what_was_appended_comes_back_as_it_was(self, queue):
        sent = Frame("frm_a", YAML, GZIP, 3, "17-42", bytes(range(256)), "collections-1.k3")
        assert append(queue, sent, priority="high") == [None]
        (delivery,) = take(queue)
        assert (delivery.frame, delivery.priority, delivery.deliveries) == (sent, "high", 1)
        assert abs(delivery.appended - queue.now()) < 5

    def test_frames_of_one_priority_keep_their_order(self, queue):
        for start in range(0, 50, 10):
            append(queue, *(frame(start + step) for step in range(10)))
        received = [body for _ in range(10) for body in bodies(take(queue, limit=7))]
        assert received == [str(number) for number in range(50)]

    def test_no_two_consumers_get_the_same_frame(self, queue):
        append(queue, *(frame(number) for number in range(10)))
        first, second = bodies(take(queue, "ann", 4)), bodies(take(queue, "bob", 10))
        assert (len(first), len(second)) == (4, 6)
        assert not set(first) & set(second)

    def test_a_receive_takes_no_more_than_its_limit(self, queue):
        for priority in ("low", "normal", "high"):
            append(queue, frame(priority), frame(priority), priority=priority)
        assert bodies(take(queue, limit=3)) == ["high", "high", "normal"]
        assert take(queue, limit=0) == []

    def test_high_comes_first_and_low_does_not_starve(self, queue):
        for priority in ("low", "normal", "high"):
            append(queue, *(frame(priority) for _ in range(40)), priority=priority)
        order = [body for _ in range(40) for body in bodies(take(queue, limit=1))]
        assert order[:3] == ["high"] * 3
        assert {name: order.count(name) for name in ("high", "normal", "low")} == {"high": 30, "normal": 5, "low": 5}

    def test_a_receive_waits_for_the_first_frame(self, queue, server):
        sender = server.queue("collections")

        def send():
            eventually(lambda: waits(queue))
            append(sender, frame("late"), priority="low")

        thread = threading.Thread(target=send)
        thread.start()
        assert bodies(take(queue, block=10)) == ["late"]
        thread.join()

    def test_a_receive_gives_up_when_its_time_is_over(self, queue):
        append(queue, frame())
        take(queue)
        started = time.monotonic()
        assert take(queue, block=0.05) == []
        assert time.monotonic() - started >= 0.05

    def test_closing_wakes_a_receive_and_leaves_other_handles_alone(self, queue, server, monkeypatch):
        monkeypatch.setattr(waiting, "SLICE", 60)  # so that nothing but the close can end it
        other = server.queue("collections")
        got = []
        thread = threading.Thread(target=lambda: got.append(take(queue, block=60)))
        thread.start()
        eventually(lambda: waits(queue))
        queue.close()
        thread.join(10)
        assert got == [[]]
        append(other, frame("still there"))
        assert bodies(take(other)) == ["still there"]
        assert take(queue) == []

    def test_a_priority_that_nobody_reads_is_refused(self, queue):
        with pytest.raises(ValueError, match="urgent"):
            queue.append([("high", frame()), ("urgent", frame())])
        assert take(queue) == []

    def test_a_frame_id_is_taken_once(self, queue):
        one, two = frame("one"), frame("two")
        assert append(queue, one) == [None]
        assert append(queue, one, two, two) == [None, None, None]
        assert bodies(take(queue)) == ["one", "two"]

    def test_a_frame_id_is_recognised_after_the_frame_was_settled(self, queue):
        one = frame()
        append(queue, one)
        queue.settle("ann", [handled(take(queue)[0], "m1")])
        append(queue, one)
        assert take(queue) == []

    def test_a_full_queue_takes_none_of_a_group(self, open_server):
        queue = open_server(QueueLimits(frames=5)).queue("collections")
        append(queue, *(frame(number) for number in range(3)))
        take(queue, limit=1)
        with pytest.raises(QueueFull):
            append(queue, frame(), frame(), frame(), priority="high")
        assert standing(queue).messages == 3
        append(queue, frame("fits"), frame("too"))
        assert bodies(take(queue)) == ["1", "2", "fits", "too"]

    def test_what_a_handler_sends_passes_the_bound_and_counts(self, open_server):
        queue = open_server(QueueLimits(frames=2)).queue("collections")
        append(queue, frame("a"), frame("b"))
        assert queue.append([("normal", frame("c")), ("normal", frame("d"))], bounded=False) == [None, None]
        assert standing(queue).messages == 4
        with pytest.raises(QueueFull):
            append(queue, frame())
        queue.bar(YAML_WORD)
        assert queue.append([("normal", frame(content_type=YAML))], bounded=False)[0].refused == YAML_WORD
        assert bodies(take(queue)) == ["a", "b", "c", "d"]

    def test_a_retried_append_passes_a_full_queue(self, open_server):
        queue = open_server(QueueLimits(frames=1)).queue("collections")
        one = frame()
        append(queue, one)
        assert append(queue, one) == [None]

    def test_a_retried_append_is_recognised_though_its_format_is_barred_by_now(self, queue):
        taken, late = frame(content_type=YAML), frame(content_type=YAML)
        append(queue, taken)
        queue.bar(YAML_WORD)
        first, second = append(queue, taken, late)
        assert (first, second.refused) == (None, YAML_WORD)
        assert queue.state().refused == 1
        assert [place.frame for place in take(queue)] == [taken]

    def test_settling_makes_room(self, open_server):
        queue = open_server(QueueLimits(frames=1)).queue("collections")
        append(queue, frame())
        queue.settle("ann", [handled(take(queue)[0], "m1")])
        append(queue, frame())

    def test_queues_come_into_being_with_their_first_append_or_join(self, server):
        server.queue("idle").state()
        append(server.queue("balance"), frame())
        server.queue("adjustment").join("ann", ALL_WORDS, 60)
        assert server.domains() == ["adjustment", "balance"]
        assert server.queue("adjustment").state().messages == 0

    def test_a_name_that_could_leave_its_keys_is_refused(self, server):
        with pytest.raises(DocumentError):
            server.queue("a}b")


class TestAdmission:
    def test_a_queue_nobody_joined_takes_all_that_this_build_writes(self, queue):
        assert append(queue, frame(content_type=YAML, encoding=GZIP, count=2)) == [None]
        assert queue.state().admits == ALL_WORDS

    def test_what_nobody_can_decode_is_refused(self, queue):
        (refusal,) = append(queue, frame(content_type="text/plain"))
        assert refusal.refused == {"text/plain"}

    def test_a_member_that_lacks_a_format_narrows_the_queue(self, queue):
        queue.join("ann", ALL_WORDS, 60)
        queue.join("bob", JSON_ONLY, 60)
        good, bad, better = append(queue, frame("a"), frame("b", content_type=YAML), frame("c"))
        assert (good, better) == (None, None)
        assert (bad.refused, bad.admits) == (YAML_WORD, JSON_ONLY)
        assert bodies(take(queue)) == ["a", "c"]
        assert queue.state().refused == 1

    def test_batches_and_compression_are_words_too(self, queue):
        queue.join("bob", FALLBACK_WORDS, 60)
        refusals = append(queue, frame(count=2), frame(encoding=GZIP), frame(encoding=ZSTD), frame())
        assert [refusal and set(refusal.refused) for refusal in refusals] == [{"batch"}, {GZIP}, {ZSTD}, None]

    def test_a_member_of_a_release_before_zstd_narrows_the_queue_until_it_leaves(self, queue):
        queue.join("ann", ALL_WORDS, 60)
        queue.join("old", ALL_WORDS - {ZSTD}, 60)
        refusals = append(queue, frame(encoding=GZIP), frame(encoding=ZSTD))
        assert [refusal and set(refusal.refused) for refusal in refusals] == [None, {ZSTD}]
        queue.leave("old")
        assert append(queue, frame(encoding=ZSTD)) == [None]

    def test_json_is_admitted_whatever_the_members_say(self, queue):
        queue.join("odd", YAML_WORD, 60)
        queue.bar(FALLBACK_WORDS)
        assert append(queue, frame()) == [None]

    def test_the_queue_widens_when_the_member_leaves(self, queue):
        queue.join("ann", ALL_WORDS, 60)
        queue.join("bob", JSON_ONLY, 60)
        queue.leave("bob")
        assert append(queue, frame(content_type=YAML)) == [None]

    def test_the_queue_widens_when_the_members_lease_is_over(self, queue):
        queue.join("bob", JSON_ONLY, 0.1)
        queue.join("ann", ALL_WORDS, 60)
        assert queue.state().admits == JSON_ONLY

        def wide():
            queue.join("ann", ALL_WORDS, 60)
            return queue.state().admits == ALL_WORDS

        eventually(wide)
        assert [member.consumer for member in queue.state().members] == ["ann"]

    def test_without_members_the_last_known_holds(self, queue):
        queue.join("bob", JSON_ONLY, 60)
        queue.leave("bob")
        assert queue.state().admits == JSON_ONLY

    def test_members_with_nothing_in_common_leave_json_alone(self, server, queue):
        queue.join("ann", YAML_WORD, 0.05)
        queue.join("bob", frozenset({GZIP}), 0.05)
        assert queue.state().admits == FALLBACK_WORDS
        eventually(lambda: not queue.state().members)
        server.bar_all(frozenset({"batch"}))
        server.release_all(frozenset({"batch"}))
        assert queue.state().admits == FALLBACK_WORDS

    def test_a_member_can_learn_a_format(self, queue):
        queue.join("bob", JSON_ONLY, 60)
        queue.join("bob", ALL_WORDS, 60)
        assert queue.state().admits == ALL_WORDS
        (member,) = queue.state().members
        assert (member.consumer, member.words) == ("bob", ALL_WORDS)
        assert 0 < member.lease_left <= 60

    def test_a_bar_stops_a_format_until_it_is_released(self, queue):
        queue.join("ann", ALL_WORDS, 60)
        queue.bar(YAML_WORD)
        assert append(queue, frame(content_type=YAML))[0].refused == YAML_WORD
        queue.join("ann", ALL_WORDS, 60)
        queue.join("bob", ALL_WORDS, 60)
        assert queue.state().barred == YAML_WORD
        assert queue.state().admits == JSON_ONLY
        queue.release(YAML_WORD)
        assert append(queue, frame(content_type=YAML)) == [None]

    def test_a_release_admits_no_more_than_the_members_decode(self, queue):
        queue.join("bob", JSON_ONLY, 60)
        queue.bar(YAML_WORD | {GZIP})
        queue.release(YAML_WORD | {GZIP})
        assert queue.state().admits == JSON_ONLY

    def test_a_bar_everywhere_reaches_queues_that_are_there_and_those_to_come(self, server, open_server):
        there = server.queue("there")
        append(there, frame())
        server.bar_all(YAML_WORD)
        for queue in (there, server.queue("to-come"), open_server().queue("elsewhere")):
            assert append(queue, frame(content_type=YAML))[0].refused == YAML_WORD
            assert queue.state().barred == YAML_WORD
        assert server.queue("unborn").state().admits == JSON_ONLY

    def test_a_release_that_has_not_seen_the_last_bar_releases_nothing(self, server, queue):
        queue.join("ann", ALL_WORDS, 60)
        server.bar_all(YAML_WORD)
        seen = server.bars()
        server.bar_all(YAML_WORD)
        assert not server.release_all(YAML_WORD, seen)
        assert append(queue, frame(content_type=YAML))[0].refused == YAML_WORD
        assert server.release_all(YAML_WORD, server.bars())
        assert append(queue, frame(content_type=YAML)) == [None]

    def test_a_release_everywhere_reaches_all_of_them(self, server):
        queues = [server.queue("one"), server.queue("two")]
        append(queues[0], frame())
        server.bar_all(YAML_WORD | {GZIP})
        queues[1].bar(YAML_WORD)
        server.release_all(YAML_WORD)
        for queue in queues:
            assert append(queue, frame(content_type=YAML)) == [None]
            assert queue.state().barred == {GZIP}

    def test_a_queue_can_not_release_what_is_barred_everywhere(self, server, queue):
        server.bar_all(YAML_WORD)
        queue.release(YAML_WORD)
        assert append(queue, frame(content_type=YAML))[0].refused == YAML_WORD

    def test_repeating_a_bar_changes_nothing(self, server, queue):
        for _ in range(3):
            server.bar_all(YAML_WORD)
            queue.bar(YAML_WORD)
        queue.release(YAML_WORD)
        server.release_all(YAML_WORD)
        assert queue.state().admits == ALL_WORDS


class TestSettling:
    def test_a_settled_frame_is_gone_and_its_result_is_kept(self, queue):
        append(queue, frame())
        (delivery,) = take(queue)
        queue.settle("ann", [handled(delivery, "m1", result=b'{"ok":1}')])
        assert queue.seen(["m1", "m2"]) == [True, False]
        assert [row[1:] for row in queue.results()] == [("m1", b'{"ok":1}')]
        state = standing(queue)
        assert (state.messages, state.handled, state.duplicates) == (0, 1, 0)
        assert queue.claim("bob", 0, 10) == []

    def test_results_can_be_read_on_from_a_cursor(self, queue):
        append(queue, frame(count=5))
        queue.settle("ann", [handled(take(queue)[0], "m1", "m2", "m3")])
        (cursor, first, _), (_, second, _) = queue.results(limit=2)
        assert (first, second) == ("m1", "m2")
        assert [name for _, name, _ in queue.results(after=cursor)] == ["m2", "m3"]

    def test_a_message_without_a_result_is_marked_all_the_same(self, queue):
        append(queue, frame())
        queue.settle("ann", [handled(take(queue)[0], "m1", result=None)])
        assert queue.seen(["m1"]) == [True]
        assert queue.results() == []

    def test_a_message_sent_twice_keeps_its_first_result(self, queue):
        append(queue, frame("a"), frame("a again"))
        first, second = take(queue)
        queue.settle("ann", [handled(first, "m1", result=b"1"), handled(second, "m1", result=b"2")])
        assert [row[1:] for row in queue.results()] == [("m1", b"1")]
        state = standing(queue)
        assert (state.handled, state.duplicates) == (1, 1)

    def test_a_late_settle_after_a_claim_doubles_nothing(self, queue):
        append(queue, frame())
        (slow,) = take(queue, "slow")
        (again,) = eventually(lambda: queue.claim("quick", 0, 10))
        queue.settle("slow", [handled(slow, "m1", result=b"slow")])
        queue.settle("quick", [handled(again, "m1", result=b"quick")])
        assert [row[2] for row in queue.results()] == [b"slow"]
        state = standing(queue)
        assert (state.handled, state.duplicates, sum(state.pending.values())) == (1, 1, 0)

    def test_a_late_letter_about_a_frame_that_was_settled_is_not_buried(self, queue):
        append(queue, frame())
        (slow,) = take(queue, "slow")
        queue.settle("slow", [handled(slow, "m1")])
        queue.settle("quick", [Settlement(slow, letters=(letter(slow, "m2"),))])
        assert queue.dead_letters() == []
        assert queue.seen(["m2"]) == [False]

    def test_repeating_a_settle_changes_nothing_but_the_duplicates(self, queue):
        append(queue, frame(count=2))
        (delivery,) = take(queue)
        told = Settlement(delivery, (Handled("m1", b"1"),), (letter(delivery, "m2"),))
        for _ in range(2):
            queue.settle("ann", [told])
        assert len(queue.results()) == len(queue.dead_letters()) == standing(queue).handled == 1

    def test_an_unfinished_frame_stays_pending_and_what_was_handled_of_it_is_known(self, queue):
        append(queue, frame(count=3))
        (delivery,) = take(queue)
        queue.settle("ann", [Settlement(delivery, (Handled("m1", b"1"),), (letter(delivery, "m2"),), finished=False)])
        assert standing(queue).pending["normal"] == 1
        (again,) = eventually(lambda: queue.claim("bob", 0, 10))
        assert queue.seen(["m1", "m2", "m3"]) == [True, True, False]
        queue.settle("bob", [Settlement(again, (Handled("m3"),), (letter(again, "m2"),))])
        assert [one.id for one in queue.dead_letters()] == ["m2"]
        assert standing(queue).messages == 0

    def test_a_mark_is_forgotten_after_its_window(self, open_server):
        queue = open_server(QueueLimits(handled_window=0.1)).queue("collections")
        append(queue, frame())
        queue.settle("ann", [handled(take(queue)[0], "m1")])
        eventually(lambda: queue.seen(["m1"]) == [False])

    def test_only_so_many_results_are_kept(self, open_server):
        queue = open_server(QueueLimits(results=100)).queue("collections")
        append(queue, frame(count=1000))
        queue.settle("ann", [handled(take(queue)[0], *(f"m{number}" for number in range(1000)))])
        kept = [name for _, name, _ in queue.results()]
        assert kept[-1] == "m999"
        assert 100 <= len(kept) < 300

    def test_thousands_of_messages_settle_at_once(self, queue):
        append(queue, *(frame(count=1000) for _ in range(12)))
        deliveries = take(queue, limit=12)
        names = [[f"m{place}.{number}" for number in range(1000)] for place in range(12)]
        queue.settle("ann", [handled(one, *mine, result=None) for one, mine in zip(deliveries, names, strict=True)])
        assert standing(queue).handled == 12_000
        assert all(queue.seen([name for mine in names for name in mine]))

    def test_nothing_to_do_is_nothing_done(self, queue):
        queue.settle("ann", [])
        queue.hold("ann", [])
        assert queue.seen([]) == []
        assert queue.append([]) == []


class TestClaiming:
    def test_a_dead_consumers_frames_are_claimed_with_their_count_of_deliveries(self, queue):
        append(queue, frame("a"), frame("b"), priority="low")
        append(queue, frame("c"), priority="high")
        take(queue, "dead")
        assert queue.claim("heir", 60, 10) == []
        claimed = eventually(lambda: queue.claim("heir", 0.02, 10))
        assert bodies(claimed) == ["c", "a", "b"]
        assert {one.deliveries for one in claimed} == {2}
        again = eventually(lambda: queue.claim("third", 0.02, 2))
        assert [one.deliveries for one in again] == [3, 3]

    def test_a_claim_starts_the_idle_time_again(self, queue):
        append(queue, frame())
        take(queue, "dead")
        eventually(lambda: queue.claim("heir", 0.02, 10))
        assert queue.claim("third", 60, 10) == []

    def test_who_holds_a_frame_keeps_it(self, queue):
        append(queue, frame("mine"), frame("other"))
        mine, other = take(queue, "ann")

        def claimed():
            queue.hold("ann", [mine])
            return queue.claim("bob", 0.3, 10)

        assert bodies(eventually(claimed)) == ["other"]
        queue.hold("ann", [other])  # bob's now: holding it is not taking it back
        queue.settle("bob", [handled(other, "m2")])
        queue.hold("ann", [other])
        assert standing(queue).pending["normal"] == 1

    def test_holding_what_another_has_claimed_is_without_effect(self, queue):
        append(queue, frame())
        (lost,) = take(queue, "ann")
        eventually(lambda: queue.claim("bob", 0, 10))

        def claimed():
            queue.hold("ann", [lost])
            return queue.claim("cat", 0.2, 10)

        assert len(eventually(claimed)) == 1

    def test_holding_counts_as_no_delivery(self, queue):
        append(queue, frame())
        (mine,) = take(queue, "ann")
        queue.hold("ann", [mine])
        assert eventually(lambda: queue.claim("bob", 0, 10))[0].deliveries == 2

    def test_what_a_leaving_consumer_has_in_hand_is_claimed_by_others(self, queue):
        queue.join("ann", ALL_WORDS, 60)
        append(queue, frame("left behind"))
        take(queue, "ann")
        queue.leave("ann")
        assert bodies(eventually(lambda: queue.claim("bob", 0, 10))) == ["left behind"]


class TestLetters:
    def test_a_dead_letter_tells_what_and_why(self, queue):
        sent = frame("broken", content_type=YAML, encoding=GZIP, name="frm_x")
        append(queue, sent, priority="high")
        (delivery,) = take(queue)
        queue.settle("ann", [Settlement(delivery, letters=(letter(delivery, "m1", "invalid"),))])
        (one,) = queue.dead_letters()
        assert (one.id, one.frame, one.priority) == ("m1", sent, "high")
        assert (one.reason, one.detail, one.deliveries) == ("invalid", "it broke", 1)
        assert abs(one.at - queue.now()) < 5
        assert queue.dead_letters(quarantine=True) == []
        state = standing(queue)
        assert (state.dead, state.quarantined, state.messages) == (1, 0, 0)

    def test_letters_are_listed_oldest_first(self, queue):
        bury(queue, "m1", "m2", "m3")
        assert [one.id for one in queue.dead_letters(2)] == ["m1", "m2"]

    def test_quarantine_is_kept_apart(self, queue):
        append(queue, frame())
        (delivery,) = take(queue)
        queue.settle("ann", [Settlement(delivery, letters=(letter(delivery, "m1", "quarantine"),))])
        assert [one.id for one in queue.dead_letters(quarantine=True)] == ["m1"]
        assert queue.dead_letters() == []
        assert queue.seen(["m1"]) == [False]

    def test_a_message_that_was_handled_is_not_buried(self, queue):
        append(queue, frame("a"), frame("a again"))
        first, second = take(queue)
        queue.settle("ann", [handled(first, "m1")])
        queue.settle("ann", [Settlement(second, letters=(letter(second, "m1"),))])
        assert queue.dead_letters() == []

    def test_a_replayed_letter_is_handled_as_if_it_were_new(self, queue):
        bury(queue, "m1", "m2")
        append(queue, frame("before"))
        assert queue.replay(["m1", "unknown", "m1"]) == 1
        assert queue.seen(["m1", "m2"]) == [False, True]
        assert [one.id for one in queue.dead_letters()] == ["m2"]
        before, again = take(queue)
        assert (again.frame.body, again.deliveries) == (b"m1", 1)
        queue.settle("ann", [handled(before, "m0"), handled(again, "m1")])
        assert standing(queue).handled == 2
        assert queue.replay(["m1"]) == 0

    def test_a_replayed_letter_can_be_buried_again(self, queue):
        bury(queue, "m1")
        queue.replay(["m1"])
        (again,) = take(queue)
        queue.settle("ann", [Settlement(again, letters=(letter(again, "m1"),))])
        assert [one.id for one in queue.dead_letters()] == ["m1"]

    def test_what_was_quarantined_keeps_its_marks_when_it_is_replayed(self, queue):
        append(queue, frame("a"), frame("a again"))
        first, second = take(queue)
        queue.settle("ann", [Settlement(first, letters=(letter(first, "m1", "quarantine"),)), handled(second, "m1")])
        assert queue.replay(["m1"], quarantine=True) == 1
        assert queue.seen(["m1"]) == [True]

    def test_a_replay_passes_admission(self, queue):
        bury(queue, "yaml", "json", frames=[frame("y", content_type=YAML), frame("j")])
        queue.bar(YAML_WORD)
        assert queue.replay(["yaml", "json"]) == 1
        assert [one.id for one in queue.dead_letters()] == ["yaml"]
        assert bodies(take(queue)) == ["j"]

    def test_a_replay_rewrites_what_is_not_admitted(self, queue):
        kept = [frame("y", content_type=YAML, name="one"), frame("j", name="two"), frame("p", content_type=YAML)]
        bury(queue, "yaml", "json", "poison", frames=kept)
        queue.bar(YAML_WORD)

        def rewrite(old):
            if old.body == b"p":
                raise PoisonFrame("unreadable")
            return Frame(old.id, JSON, IDENTITY, old.count, old.revision, b"as json", old.sender)

        assert queue.replay(["yaml", "json", "poison"], rewrite=rewrite) == 2
        first, second = take(queue)
        assert (first.frame.body, first.frame.content_type, first.frame.id) == (b"as json", JSON, "one")
        assert second.frame == kept[1]
        assert [one.id for one in queue.dead_letters()] == ["poison"]
        assert standing(queue).frames_by_type == {JSON: 2}

    def test_a_replay_respects_the_bound(self, open_server):
        queue = open_server(QueueLimits(frames=1)).queue("collections")
        bury(queue, "m1")
        append(queue, frame())
        with pytest.raises(QueueFull):
            queue.replay(["m1"])
        assert len(queue.dead_letters()) == 1

    def test_discarded_letters_are_gone(self, queue):
        bury(queue, "m1", "m2")
        assert queue.discard(["m1", "unknown", "m1"]) == 1
        assert [one.id for one in queue.dead_letters()] == ["m2"]
        assert queue.discard(["m2"], quarantine=True) == 0


class TestLooking:
    def test_peek_shows_the_oldest_frames_and_takes_none(self, queue):
        append(queue, frame("a"), priority="low")
        eventually(lambda: queue.now() > queue.peek()[0].appended + 0.002)
        append(queue, frame("b"), frame("c"), priority="high")
        take(queue, limit=1)
        assert [(one.frame.body, one.deliveries) for one in queue.peek()] == [(b"a", 0), (b"b", 1), (b"c", 0)]
        assert bodies(queue.peek(1)) == ["a"]
        assert bodies(take(queue)) == ["c", "a"]

    def test_the_state_counts_waiting_and_pending_by_type(self, queue):
        append(queue, frame(), frame(content_type=YAML, count=5), frame(content_type=YAML), priority="high")
        append(queue, frame(encoding=GZIP))
        first, _ = take(queue, limit=2)
        state = standing(queue)
        assert state.frames_by_type == {JSON: 2, YAML: 2}
        assert state.messages == 8
        assert state.waiting == {"high": 1, "normal": 1, "low": 0}
        assert state.pending == {"high": 2, "normal": 0, "low": 0}
        queue.settle("ann", [handled(first, "m1")])
        assert standing(queue).frames_by_type == {JSON: 1, YAML: 2}

    def test_the_state_counts_more_than_it_looks_at_in_one_go(self, queue):
        for _ in range(10):
            append(queue, *(frame(content_type=YAML) for _ in range(75)))
        assert standing(queue).frames_by_type == {YAML: 750}

    def test_the_state_tells_the_age_of_the_oldest_frame(self, queue):
        assert queue.state().oldest == 0
        append(queue, frame())
        assert eventually(lambda: queue.state().oldest) > 0
        take(queue)
        assert queue.state().oldest > 0

    def test_queues_share_nothing_but_their_server(self, server):
        one, two = server.queue("one"), server.queue("two")
        append(one, frame("for one"))
        queue_frames = [take(two), bodies(take(one))]
        assert queue_frames == [[], ["for one"]]
        one.bar(YAML_WORD)
        assert two.state().admits == ALL_WORDS


class TestManyAtOnce:
    def test_threads_lose_and_double_nothing(self, server):
        total, senders, consumers = 400, 4, 4
        handles = [server.queue("busy") for _ in range(senders + consumers)]

        def send(place):
            for number in range(place, total, senders):
                append(handles[place], frame(number))

        def consume(place):
            handle = handles[senders + place]
            while handle.state(scan=False).handled < total:
                taken = take(handle, f"c{place}", limit=5, block=0.05)
                handle.settle(f"c{place}", [handled(one, one.frame.body.decode()) for one in taken])

        threads = [threading.Thread(target=send, args=(place,)) for place in range(senders)]
        threads += [threading.Thread(target=consume, args=(place,)) for place in range(consumers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        queue = server.queue("busy")
        names = [name for _, name, _ in queue.results()]
        assert sorted(names, key=int) == [str(number) for number in range(total)]
        state = standing(queue)
        assert (state.handled, state.duplicates, state.messages) == (total, 0, 0)


class TestRedisAlone:
    """What only a server outside of the process can do to a queue."""

    @pytest.fixture
    def own(self, make_redis):
        """A server of this test's own, and a queue on it."""
        redis_server = make_redis("queues")
        server = RedisQueueServer(redis_server.url, "test")
        queue = server.queue("collections")
        yield redis_server, server, queue
        server.close()

    def test_a_server_that_is_gone_is_unreachable(self, own):
        redis_server, server, queue = own
        append(queue, frame())
        (delivery,) = take(queue)
        redis_server.kill()
        calls = [
            lambda: append(queue, frame()),
            lambda: queue.receive("ann", 1, 0),
            lambda: queue.receive("ann", 1, 5),
            lambda: queue.claim("ann", 0, 1),
            lambda: queue.hold("ann", [delivery]),
            lambda: queue.seen(["m"]),
            lambda: queue.settle("ann", [handled(delivery, "m1")]),
            lambda: queue.join("ann", ALL_WORDS, 1),
            lambda: queue.leave("ann"),
            lambda: queue.bar(YAML_WORD),
            queue.now,
            queue.state,
            queue.peek,
            queue.results,
            queue.dead_letters,
            lambda: queue.replay(["m"]),
            lambda: queue.discard(["m"]),
            lambda: server.bar_all(YAML_WORD),
            server.domains,
        ]
        for call in calls:
            with pytest.raises(StoreUnreachable):
                call()

    def test_a_receive_notices_that_its_server_died(self, own):
        redis_server, _, queue = own
        errors = []

        def receive():
            try:
                take(queue, block=60)
            except StoreUnreachable as error:
                errors.append(error)

        thread = threading.Thread(target=receive)
        thread.start()
        eventually(lambda: waits(queue))
        redis_server.kill()
        thread.join(10)
        assert errors

    def test_a_queue_goes_on_after_its_server_lost_everything(self, own):
        redis_server, server, queue = own
        append(queue, frame("lost"))
        server.bar_all(YAML_WORD)
        thread_got = []
        thread = threading.Thread(target=lambda: thread_got.extend(take(server.queue("collections"), "bob", block=30)))
        with connect(redis_server.url) as client:
            client.flushall()
            thread.start()
            eventually(lambda: client.exists("sb:{test/collections}:q:normal"))
            client.flushall()
            append(queue, frame("kept"))
        thread.join(30)
        assert bodies(thread_got) == ["kept"]
        assert server.domains() == ["collections"]

    def test_a_full_server_refuses_frames_and_still_takes_a_kill_and_a_commit(self, own):
        redis_server, server, queue = own
        queue.join("ann", ALL_WORDS, 60)
        append(queue, frame("one"), frame("two"))
        first, second = take(queue)
        with connect(redis_server.url) as client:
            client.config_set("maxmemory", "1")
            with pytest.raises(QueueFull):
                append(queue, frame("three"))
            with pytest.raises(QueueFull):
                queue.append([("normal", frame("three"))], bounded=False)
            with pytest.raises(QueueFull):
                append(server.queue("other"), frame("four"))
            server.bar_all(YAML_WORD)
            queue.bar(frozenset({GZIP}))
            queue.join("ann", ALL_WORDS, 60)
            queue.settle("ann", [Settlement(second, (Handled("m0"),), finished=False)])
            queue.settle("ann", [handled(first, "m1"), Settlement(second, letters=(letter(second, "m2"),))])
            with pytest.raises(QueueFull):
                queue.replay(["m2"])
            client.config_set("maxmemory", "0")
        state = standing(queue)
        assert (state.admits, state.handled, state.dead, state.messages) == (JSON_ONLY - {GZIP}, 2, 1, 0)

    def test_a_server_that_takes_no_writes_refuses(self, own, make_redis):
        redis_server, _, queue = own
        append(queue, frame())
        with connect(redis_server.url) as client:
            client.config_set("min-replicas-to-write", "1")
            with pytest.raises(StoreRefused) as refused:
                append(queue, frame())
        assert refused.value.reason == "NOREPLICAS"

    def test_what_was_written_past_the_library_is_found_and_delivered_as_it_stands(self, own):
        redis_server, _, queue = own
        queue.join("ann", ALL_WORDS, 60)
        with connect(redis_server.url) as client:
            client.xadd("sb:{test/collections}:q:low", {"t": YAML, "b": b"\xff", "n": "many"})
            client.xadd("sb:{test/collections}:q:low", {"message": "hello"})
        assert queue.state().frames_by_type == {"": 1, YAML: 1}
        assert queue.state(scan=False).frames_by_type == {}
        first, second = take(queue)
        assert (first.frame.content_type, first.frame.count, second.frame.content_type) == (YAML, 1, "")
        queue.settle("ann", [Settlement(first, letters=(letter(first, "m1"),)), handled(second, "m2")])
        assert queue.state(scan=False).messages == 0
        assert len(queue.dead_letters()) == 1

    def test_dead_consumers_leave_no_words_behind_where_somebody_deleted_the_streams(self, own):
        redis_server, _, queue = own
        queue.join("old", JSON_ONLY, 0.05)
        queue.join("older", JSON_ONLY, 0.05)
        eventually(lambda: not queue.state().members)
        with connect(redis_server.url) as client:
            client.delete(*(f"sb:{{test/collections}}:q:{priority}" for priority in ("high", "normal", "low")))
            queue.join("ann", ALL_WORDS, 60)
            assert client.hkeys("sb:{test/collections}:words") == [b"ann"]
        assert queue.state().admits == ALL_WORDS
        queue.leave("ann")
        assert append(queue, frame()) == [None]
        assert bodies(take(queue)) == ["x"]

    def test_dead_consumers_leave_no_names_behind(self, own):
        redis_server, _, queue = own
        queue.join("brief", ALL_WORDS, 0.05)
        queue.join("idle", ALL_WORDS, 60)
        append(queue, frame(), priority="low")
        take(queue, "brief")
        take(queue, "idle")
        queue.leave("idle")
        eventually(lambda: not queue.state().members)
        queue.join("ann", ALL_WORDS, 60)  # takes note that the lease is over; the name is still needed
        (claimed,) = eventually(lambda: queue.claim("heir", 0.05, 10))
        queue.settle("heir", [handled(claimed, "m1")])

        def names():
            queue.join("ann", ALL_WORDS, 60)
            streams = [f"sb:{{test/collections}}:q:{priority}" for priority in ("high", "normal", "low")]
            return {one["name"] for stream in streams for one in client.xinfo_consumers(stream, GROUP)}

        with connect(redis_server.url, decode=True) as client:
            eventually(lambda: names() <= {"heir"})

    def test_a_late_word_about_an_older_bar_changes_nothing(self, own):
        _, server, queue = own
        append(queue, frame())
        old = server.site.environment.bar(YAML_WORD)
        server.release_all(YAML_WORD)
        queue.take_over(old)
        assert queue.state().admits == ALL_WORDS

    def test_a_kill_reaches_queues_that_outlived_what_they_share(self, own):
        redis_server, server, queue = own
        append(queue, frame())
        for _ in range(3):
            server.bar_all(YAML_WORD)
            server.release_all(YAML_WORD)
        with connect(redis_server.url) as client:
            client.delete("sb:{test}:barred", "sb:{test}:barred:generation")
        server.bar_all(YAML_WORD)
        assert queue.state().admits == JSON_ONLY

    def test_what_stands_there_can_be_read_while_nothing_can_be_written(self, own):
        redis_server, server, queue = own
        append(queue, frame())
        with connect(redis_server.url) as client:
            client.config_set("min-replicas-to-write", "1")
            assert server.domains() == ["collections"]
            assert queue.state().frames_by_type == {JSON: 1}
            assert queue.seen(["m1"]) == [False]
            assert len(queue.peek()) == 1
            assert server.queue("unborn").state().messages == 0

    def test_a_retried_append_passes_a_queue_past_its_bound(self, own):
        redis_server, _, queue = own
        one = frame()
        append(queue, one, frame())
        narrower = RedisQueueServer(redis_server.url, "test", QueueLimits(frames=1))
        assert append(narrower.queue("collections"), one) == [None]
        narrower.close()

    def test_a_wait_that_finds_frames_of_all_priorities_takes_no_more_than_its_limit(self, own):
        _, _, queue = own
        for priority in ("high", "normal", "low"):
            append(queue, *(frame() for _ in range(10)), priority=priority)
        assert len(queue._wait("ann", 9, 1)) == 9

    def test_a_reply_that_was_lost_can_be_asked_for_again(self, own):
        redis_server, _, queue = own
        one = frame("once")
        with connect(redis_server.url) as client:
            client.client_pause(700)
            impatient = RedisQueueServer(redis_server.url, "test", timeout=0.1)
            with pytest.raises(StoreUnreachable):
                append(impatient.queue("collections"), one)
            client.client_unpause()
            impatient.close()
        assert append(queue, one) == [None]
        assert bodies(take(queue)) == ["once"]
