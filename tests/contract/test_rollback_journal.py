"""What every journal promises, over the one in memory and the one in Redis."""

import pytest

from foundation.clock import ManualClock
from foundation.errors import StoreRefused, StoreUnreachable
from foundation.redis import connect
from rollout.errors import AttemptSuperseded, ReceiptUnknown
from rollout.journal import LEASE, Lead
from rollout.journals.memory import MemoryJournal
from rollout.journals.redis import RedisJournal
from rollout.receipt import build
from rollout.record import Request, StepEvent, continued, opened

NOW = 1_700_000_000.0


@pytest.fixture(params=["memory", "redis"])
def journal(request):
    if request.param == "memory":
        return MemoryJournal("demo", ManualClock())
    return RedisJournal(request.getfixturevalue("redis_url"), "demo")


def record(receipt="rb_1"):
    return opened(receipt, "demo", Request(actor="ops@höst", reason="drill"), NOW)


def again(before):
    return continued(before, Request(actor="second@host"), NOW + 1)


def event(detail="found", attempt=1):
    return StepEvent("kill", "done", detail, 0.125, {"receipt": "rb_1", "attempt": attempt, "deep": {"list": [1, "é"]}})


def test_an_empty_journal_knows_nothing(journal):
    assert journal.running() is None
    assert journal.receipts() == []
    assert journal.events("rb_1") == []
    assert dict(journal.vouched()) == {}
    with pytest.raises(ReceiptUnknown):
        journal.receipt("rb_1")


def test_what_is_begun_is_read_back_as_it_stands(journal):
    lead = journal.take(record())
    assert lead == Lead("rb_1", 1)
    running = journal.running()
    assert (running.record, running.lead) == (record(), lead)
    assert 0 < running.lease_left <= LEASE


def test_a_commit_keeps_the_record_and_tells_the_event(journal):
    lead, changed = journal.take(record()), {**record(), "revision": "1-2"}
    journal.commit(lead, changed, event("one"))
    journal.commit(lead, changed, event("two"))
    assert journal.running().record["revision"] == "1-2"
    assert [told for _, told in journal.events("rb_1")] == [event("one"), event("two")]


def test_events_go_on_after_a_cursor(journal):
    lead = journal.take(record())
    journal.commit(lead, record(), event("one"))
    ((cursor, _),) = journal.events("rb_1")
    assert journal.events("rb_1", cursor) == []
    journal.commit(lead, record(), event("two"))
    assert [told.detail for _, told in journal.events("rb_1", cursor)] == ["two"]


def test_only_one_process_begins(journal):
    journal.take(record())
    with pytest.raises(AttemptSuperseded):
        journal.take(record("rb_2"))
    assert journal.running().record["receipt"] == "rb_1"


def test_nobody_takes_over_while_the_lead_gives_signs_of_life(journal):
    lead = journal.take(record())
    with pytest.raises(AttemptSuperseded):
        journal.take(again(record()))
    journal.renew(lead)
    assert journal.running().lead == lead


def test_one_process_takes_over_what_was_let_go(journal):
    first = journal.take(record())
    journal.let_go(first)
    assert journal.running().lease_left <= 0
    second = journal.take(again(record()))
    assert second == Lead("rb_1", 2)
    with pytest.raises(AttemptSuperseded):
        journal.take(again(record()))


def test_another_rollback_can_not_begin_before_an_unfinished_one_is_finished(journal):
    journal.let_go(journal.take(record()))
    with pytest.raises(AttemptSuperseded):
        journal.take(record("rb_2"))


@pytest.mark.parametrize("write", ["commit", "renew", "finish"])
def test_whoever_lost_the_lead_writes_nothing(journal, write):
    first = journal.take(record())
    journal.let_go(first)
    second = journal.take(again(record()))
    before = journal.running().record
    arguments = {"commit": (record(), event()), "renew": (), "finish": (build(record(), NOW), event())}[write]
    with pytest.raises(AttemptSuperseded):
        getattr(journal, write)(first, *arguments)
    assert (journal.running().record, journal.running().lead) == (before, second)
    assert journal.events("rb_1") == []
    assert journal.receipts() == []


def test_letting_go_of_a_lead_that_passed_on_changes_nothing(journal):
    first = journal.take(record())
    journal.let_go(first)
    journal.take(again(record()))
    journal.let_go(first)
    assert journal.running().lease_left > 0


def test_a_finished_rollback_leaves_its_receipt_and_its_story(journal):
    lead, receipt = journal.take(record()), build(record(), NOW + 2.5)
    journal.finish(lead, receipt, event("signed"))
    assert journal.running() is None
    assert journal.receipt("rb_1") == receipt
    assert [told.detail for _, told in journal.events("rb_1")] == ["signed"]
    journal.let_go(lead)
    with pytest.raises(AttemptSuperseded):
        journal.renew(lead)


def test_receipts_come_oldest_first(journal):
    for name in ("rb_2", "rb_1", "rb_3"):
        journal.finish(journal.take(record(name)), build(record(name), NOW), event())
    assert [receipt["receipt"] for receipt in journal.receipts()] == ["rb_1", "rb_2", "rb_3"]


def test_public_keys_are_remembered_by_name(journal):
    journal.vouch("k1", "AAA=")
    journal.vouch("k2", "BBB=")
    assert dict(journal.vouched()) == {"k1": "AAA=", "k2": "BBB="}


def test_what_is_read_can_be_changed_without_changing_what_is_kept(journal):
    journal.take(record())
    journal.running().record["attempts"].clear()
    assert len(journal.running().record["attempts"]) == 1


def test_a_lease_runs_out_by_the_servers_clock(redis_url):
    journal = RedisJournal(redis_url, "demo")
    lead = journal.take(record())
    connect(redis_url).hset("sb:{demo}:rollback", "until", 1)
    assert journal.running().lease_left < 0
    assert journal.take(again(record())) == Lead("rb_1", 2)
    with pytest.raises(AttemptSuperseded):
        journal.commit(lead, record(), event())


def test_a_server_that_is_gone_or_full_is_told_apart(make_redis):
    server = make_redis()
    journal = RedisJournal(server.url, "demo")
    lead = journal.take(record())
    connect(server.url).config_set("maxmemory", "1")
    with pytest.raises(StoreRefused):
        journal.commit(lead, record(), event())
    server.kill()
    with pytest.raises(StoreUnreachable):
        journal.running()
