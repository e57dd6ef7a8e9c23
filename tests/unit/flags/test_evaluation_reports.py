"""Every evaluation is in exactly one report: whatever views come and go, whatever reports fail, whoever forks."""

import logging
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from flags import reporting
from flags.client import FlagClient
from flags.counts import MAX_ENTRIES, MAX_MISSED, Collector, Report
from flags.model import Revision
from flags.reporting import Reporter
from flags.store import Change
from foundation.errors import StoreUnreachable
from tests.flag_sources import PuppetSource, flag, snapshot
from tests.support import eventually


class Sink:
    """Where reports go: adds each number of an instance once, as stores do."""

    def __init__(self):
        self.totals = Counter()
        self.numbers = {}
        self.fails = ""
        self.calls = 0

    def report(self, instance_id, report):
        self.calls += 1
        if self.fails == "before":
            raise StoreUnreachable("no way")
        if report.number > self.numbers.get(instance_id, 0):
            self.numbers[instance_id] = report.number
            self.totals.update(report.counts)
        if self.fails == "after":
            raise StoreUnreachable("the answer was lost")


class ReportingSource(PuppetSource):
    """A source whose reports go to a sink."""

    def __init__(self, first=None, sink=None):
        super().__init__(first)
        self.sink = sink or Sink()

    def report(self, instance_id, report):
        self.sink.report(instance_id, report)


KEYS = ("a", "b", "c")


class Interleaving(RuleBasedStateMachine):
    """One client with its calls, changes and reports in any order, against a plain count of the calls."""

    @initialize()
    def start(self):
        self.source = ReportingSource()
        self.expected = Counter()
        self.client = FlagClient(self.source)
        self.rev = 1
        self.client._feed.replace(snapshot(*(flag(key) for key in KEYS)))

    @rule(key=st.sampled_from([*KEYS, "nobody"]), times=st.integers(1, 3), detailed=st.booleans())
    def evaluate(self, key, times, detailed):
        for _ in range(times):
            ask = self.client.get_string_details if detailed else self.client.get_string_value
            ask(key, "json")
            self.expected[key] += 1

    @rule(key=st.sampled_from(KEYS))
    def ask_for_another_type(self, key):
        self.client.get_boolean_value(key, True)
        self.expected[key] += 1

    @rule(key=st.sampled_from(KEYS), enabled=st.booleans(), needs=st.booleans())
    def change(self, key, enabled, needs):
        parts = {"prerequisites": [{"flag": "a", "variants": ["on"]}]} if needs and key != "a" else {}
        self.rev += 1
        changed = {key: flag(key, enabled=enabled, **parts)}
        assert self.client._feed.apply(Change(Revision(1, self.rev), changed))

    @rule(keys=st.sets(st.sampled_from(KEYS)))
    def replace(self, keys):
        self.rev += 1
        self.client._feed.replace(snapshot(*(flag(key) for key in keys), rev=self.rev))

    @rule(values=st.dictionaries(st.sampled_from([*KEYS, "nobody"]), st.just("x")))
    def override(self, values):
        self.client._override(values)

    @rule(fails=st.sampled_from(["", "", "before", "after"]))
    def report(self, fails):
        self.source.sink.fails = fails
        self.client._report()

    @rule()
    def fork(self):
        # The parent goes on elsewhere, and reports there what it has not reported yet.
        totals = self.source.sink.totals
        totals.update({(key, "parent's"): count for key, count in (self.expected - by_key(totals)).items()})
        before = totals.copy()
        self.source.sink.fails = ""
        self.client._launch = lambda *_: None
        self.client._relaunch()
        self.client._report()
        assert totals == before, "a child reported what its parent had counted"

    @invariant()
    def nothing_is_reported_that_was_not_evaluated(self):
        assert by_key(self.source.sink.totals) <= self.expected

    def teardown(self):
        self.source.sink.fails = ""
        self.client._report()
        assert by_key(self.source.sink.totals) == self.expected


TestInterleaving = Interleaving.TestCase
TestInterleaving.settings = settings(deadline=None, max_examples=60, stateful_step_count=25)


def drained(collector):
    collector.collect(())
    counts = {}
    while report := collector.next():
        counts.update(report.counts)
        collector.arrived()
    return counts


def by_key(totals):
    keys = Counter()
    for (key, _), count in totals.items():
        keys[key] += count
    return keys


def test_variants_are_counted_each_and_callers_who_got_their_default_apart():
    source = ReportingSource()
    client = FlagClient(source)
    client.get_string_value("a", "json")
    client._feed.replace(snapshot(flag("a"), flag("b", enabled=False)))
    for key in ("a", "a", "b", "c", "c", "c"):
        client.get_string_value(key, "json")
    client._report()
    assert source.sink.totals == {("a", ""): 1, ("a", "on"): 2, ("b", "off"): 1, ("c", ""): 3}


def test_a_number_flag_asked_for_as_either_type_is_one_flag():
    source = ReportingSource()
    client = FlagClient(source)
    client._feed.replace(snapshot(flag("a", variants={"on": 1, "off": 0})))
    client.get_integer_value("a", 5)
    client.get_float_value("a", 5.0)
    client.get_float_details("a", 5.0)
    client._report()
    assert source.sink.totals == {("a", "on"): 3}


def test_what_no_view_holds_any_more_is_let_go_once_nobody_can_count_on_it():
    source = ReportingSource()
    client = FlagClient(source)
    client._feed.replace(snapshot(flag("a")))
    client.get_string_value("a", "json")
    held = client._view.strings["a"]
    client._feed.apply(Change(Revision(1, 2), {"a": flag("a", enabled=False)}))
    client._report()
    held({}).count += 1.0  # a thread that was about to
    for _ in range(3):
        client._report()
    assert source.sink.totals == {("a", "on"): 2}
    assert client._counts.collector._fading
    del held
    for _ in range(2):
        client._report()
    assert not client._counts.collector._fading


def test_a_flag_that_is_first_asked_for_while_its_view_is_replaced_is_counted():
    source = ReportingSource()
    client = FlagClient(source)
    client._feed.replace(snapshot(flag("a"), flag("b")))
    after = snapshot(flag("a", enabled=False), flag("b"), rev=2)

    def following(view):
        made = view.changed(after, ("a",))
        for key in ("a", "b"):
            client.get_string_value(key, "json")
        return made

    with client._lock:
        client._swap(("a",), following)
    client._report()
    assert source.sink.totals == {("a", "on"): 1, ("b", "on"): 1}


def test_four_threads_evaluate_while_views_are_swapped_and_reports_run_and_no_count_is_lost():  # noqa: C901 - three roles
    source = ReportingSource()
    client = FlagClient(source)
    client._feed.replace(snapshot(*(flag(key) for key in KEYS)))
    over, counted = threading.Event(), [Counter() for _ in range(4)]
    interval = sys.getswitchinterval()

    def evaluate(mine):
        while not over.is_set():
            for key in (*KEYS, "nobody"):
                client.get_string_value(key, "json")
                mine[key] += 1

    def swap():
        for rev in range(2, 1_000_000):
            if over.is_set():
                return
            key = KEYS[rev % 3]
            if rev % 7:
                client._feed.apply(Change(Revision(1, rev), {key: flag(key, enabled=bool(rev % 2))}))
            else:
                client._feed.replace(snapshot(*(flag(key, on=f"v{rev}") for key in KEYS), rev=rev))

    def report():
        while not over.is_set():
            source.sink.fails = ("", "before", "after")[source.sink.calls % 3]
            client._report()

    threads = [threading.Thread(target=evaluate, args=(mine,), daemon=True) for mine in counted]
    threads += [threading.Thread(target=work, daemon=True) for work in (swap, report)]
    try:
        sys.setswitchinterval(1e-5)
        for thread in threads:
            thread.start()
        over.wait(2.0)  # how long it is tried, not what it waits for
        over.set()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
    finally:
        sys.setswitchinterval(interval)
    source.sink.fails = ""
    client._report()
    assert by_key(source.sink.totals) == sum(counted, Counter())


def test_a_client_reports_by_itself_and_what_is_left_when_it_is_closed(monkeypatch):
    monkeypatch.setattr(reporting, "INTERVAL", 0.01)
    source = ReportingSource(snapshot(flag("a")))
    with FlagClient(source) as client:
        client.get_string_value("a", "json")
        eventually(lambda: source.sink.totals[("a", "on")] == 1)
        monkeypatch.setattr(reporting, "INTERVAL", 1000.0)
        for _ in range(5):
            client.get_string_value("a", "json")
    assert source.sink.totals == {("a", "on"): 6}


def test_nothing_is_sent_where_nothing_was_evaluated():
    source = ReportingSource(snapshot(flag("a")))
    with FlagClient(source) as client:
        client._report()
    assert source.sink.calls == 0


def test_a_source_that_reports_nowhere_has_no_thread_for_it():
    before = {thread.name for thread in threading.enumerate()}
    with FlagClient(PuppetSource(snapshot(flag("a")))) as client:
        client.get_string_value("a", "json")
        assert "signalbox-report" not in {thread.name for thread in threading.enumerate()} - before


def test_a_last_report_that_hangs_does_not_hold_up_the_end(monkeypatch):
    monkeypatch.setattr("flags.client.CLOSE_TIMEOUT", 0.1)
    source, stuck = ReportingSource(snapshot(flag("a"))), threading.Event()
    source.report = lambda *_: stuck.wait(30)
    client = FlagClient(source)
    client.start()
    client.get_string_value("a", "json")
    started = time.monotonic()
    client.close()
    assert time.monotonic() - started < 5
    stuck.set()


def test_failures_are_logged_once_until_it_goes_well_again(caplog):
    sink = Sink()
    reporter = Reporter(lambda report: sink.report("one", report))
    with caplog.at_level(logging.WARNING):
        for fails in ("before", "after", "before", "", "before"):
            sink.fails = fails
            reporter.collector.miss("a")
            reporter.report(())
    assert [record.getMessage() for record in caplog.records] == [
        "evaluations were not reported, and will be later: no way"
    ] * 2


def test_a_fault_in_sending_is_logged_and_its_report_is_sent_later(caplog):
    sent = []

    def send(report):
        sent.append(report)
        if len(sent) == 1:
            raise RuntimeError("a fault")

    reporter = Reporter(send)
    reporter.collector.miss("a")
    reporter.report(())
    assert "a fault" in caplog.text
    reporter.report(())
    assert sent == [Report(1, {("a", ""): 1})] * 2


def test_keys_of_flags_that_are_not_there_are_bounded_and_make_room_when_nobody_asks_any_more():
    collector = Collector()
    for number in range(MAX_MISSED + 500):
        collector.miss(f"k{number}")
    assert len(drained(collector)) == MAX_MISSED
    for _ in range(2):
        assert drained(collector) == {}
    collector.miss("late")
    assert drained(collector) == {("late", ""): 1}


@pytest.mark.parametrize("key", [None, 5, b"a", "", " ", "a b", "x" * 101, ["a"], "a\nb", "é"])
def test_what_can_be_no_key_of_a_flag_is_not_counted(key):
    collector = Collector()
    collector.miss(key)
    assert drained(collector) == {}


def test_a_large_count_of_flags_goes_in_several_reports():
    collector = Collector()
    for number in range(2 * MAX_ENTRIES + 1):
        collector.miss(f"k{number}")
    collector.collect(())
    sizes = []
    while report := collector.next():
        sizes.append((report.number, len(report.counts)))
        collector.arrived()
    assert sizes == [(1, MAX_ENTRIES), (2, MAX_ENTRIES), (3, 1)]


@given(st.lists(st.booleans(), max_size=20))
def test_a_report_that_may_have_arrived_is_never_changed(answers):
    collector, added = Collector(), {}
    for arrives in answers:
        collector.miss("a")
        collector.collect(())
        report = collector.next()
        assert added.setdefault(report.number, report) == report
        if arrives:
            collector.arrived()
    while report := collector.next():
        added[report.number] = report
        collector.arrived()
    assert sum(report.counts["a", ""] for report in added.values()) == len(answers)


def test_after_a_fork_parent_and_child_each_report_their_own():
    script = """
    import json, os, sys
    from flags.client import FlagClient
    from flags.documents import parse_flag
    from flags.model import Revision, Snapshot

    read, write = os.pipe()
    FLAG = parse_flag("k", {"enabled": True, "variants": {"on": True, "off": False}, "offVariant": "off"})

    class Source:
        environment, heartbeat, lease = "", 1.0, 1.0
        def run(self, feed, instance, stop):
            if feed.cursor.rev == 0:
                feed.replace(Snapshot(Revision(1, 1), {"k": FLAG}))
            stop.wait()
        def close(self):
            pass
        def report(self, instance_id, report):
            line = [os.getpid(), instance_id, [[*counted, count] for counted, count in report.counts.items()]]
            os.write(write, (json.dumps(line) + "\\n").encode())

    client = FlagClient(Source())
    assert client.start()
    for _ in range(5):
        client.get_boolean_value("k", False)
    client.get_boolean_value("nobody", False)
    pids = []
    for number in range(3):
        pid = os.fork()
        if pid == 0:
            for _ in range(10 + number):
                client.get_boolean_value("k", False)
            client.close()
            os._exit(0)
        pids.append(pid)
    client.get_boolean_value("k", False)
    for pid in pids:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    client.close()
    os.close(write)
    told = [json.loads(line) for line in os.fdopen(read)]
    assert len({instance for _, instance, _ in told}) == 4
    assert sorted((pids + [os.getpid()]).index(pid) for pid, _, _ in told) == [0, 1, 2, 3]
    print(json.dumps(sorted(sorted(counts) for _, _, counts in told)))
    """
    code = textwrap.dedent(script)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == (
        '[[["k", "on", 6], ["nobody", "", 1]], [["k", "on", 10]], [["k", "on", 11]], [["k", "on", 12]]]'
    )
