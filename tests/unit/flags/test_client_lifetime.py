"""Clients in one process: they share nothing, end when nobody refers to them, and leave a loop of asyncio running."""

import asyncio
import contextlib
import gc
import subprocess
import sys
import textwrap
import threading
import time
import weakref

from flags.client import _LIVE, ClientSettings, FlagClient, Status
from flags.model import Revision
from flags.store import Change
from tests.flag_sources import PuppetSource, flag, snapshot
from tests.support import eventually


def test_a_client_that_nobody_refers_to_ends_without_being_closed():
    source = PuppetSource(snapshot(flag()))
    client = FlagClient(source)
    client.on_change(lambda keys: None)
    client.start()
    threads, reference = client._threads, weakref.ref(client)
    assert client in _LIVE
    del client
    gc.collect()
    eventually(lambda: reference() is None)
    eventually(lambda: not any(thread.is_alive() for thread in threads))
    source.feed.apply(Change(Revision(1, 2), {"k": flag(on="toml")}))  # news that comes late finds nobody


def test_a_client_that_was_closed_or_never_started_is_collected_too():
    closed, new = FlagClient(PuppetSource(snapshot(flag()))), FlagClient(PuppetSource())
    closed.start()
    closed.close()
    references = [weakref.ref(closed), weakref.ref(new)]
    del closed, new
    gc.collect()
    assert [reference() for reference in references] == [None, None]


def test_fifty_clients_in_one_process_know_nothing_of_each_other():
    before = threading.active_count()
    sources = [PuppetSource(snapshot(flag(on=f"yaml {number}"))) for number in range(50)]
    clients = [FlagClient(source) for source in sources]
    for client in clients:
        assert client.start()
    sources[7].feed.apply(Change(Revision(1, 2), {"k": flag(on="toml")}))
    answers = [client.get_string_value("k", "json") for client in clients]
    assert answers == ["toml" if number == 7 else f"yaml {number}" for number in range(50)]
    assert len({client.instance.id for client in clients}) == 50
    for client in clients:
        client.close()
    eventually(lambda: threading.active_count() <= before)


def test_importing_and_making_a_client_changes_nothing_of_the_process():
    code = """
    import logging, os, signal, sys, threading, warnings

    def state():
        return {
            "threads": threading.enumerate(),
            "signals": [signal.getsignal(number) for number in signal.valid_signals()],
            "loggers": (logging.root.handlers[:], logging.root.level, logging.getLogger("flags").handlers),
            "environment": dict(os.environ),
            "folder": os.getcwd(),
            "hooks": (sys.excepthook, sys.unraisablehook, threading.excepthook),
            "path": sys.path[:],
            "warnings": warnings.filters[:],
        }

    before = state()
    from flags.client import FlagClient
    from flags.sources.file import FileSource
    FlagClient(FileSource("/nowhere.yaml"))
    after = state()
    assert before == after, [name for name in before if before[name] != after[name]]
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=30)


# asyncio.


async def count_turns(turns):
    while True:
        turns.append(time.monotonic())
        await asyncio.sleep(0.01)


def test_a_loop_runs_on_while_a_client_waits_for_its_first_flags():
    async def main():
        turns = []
        counter = asyncio.create_task(count_turns(turns))
        async with FlagClient(PuppetSource(), settings=ClientSettings(start_timeout=0.3)) as client:
            assert client.status is Status.INITIALIZING
        counter.cancel()
        return turns

    assert len(asyncio.run(main())) >= 5


def test_coroutines_evaluate_start_and_close_side_by_side():
    async def use(number):
        async with FlagClient(PuppetSource(snapshot(flag(on=f"yaml {number}")))) as client:
            return client.get_string_value("k", "json"), client._threads

    async def main():
        return await asyncio.gather(*[use(number) for number in range(5)])

    answers = asyncio.run(main())
    assert [answer for answer, _ in answers] == [f"yaml {number}" for number in range(5)]
    assert not any(thread.is_alive() for _, threads in answers for thread in threads)


def test_a_callback_may_wake_a_coroutine():
    async def main():
        loop, changed = asyncio.get_running_loop(), asyncio.Event()
        source = PuppetSource(snapshot(flag()))
        async with FlagClient(source) as client:
            client.on_change(lambda keys: loop.call_soon_threadsafe(changed.set))
            source.feed.apply(Change(Revision(1, 2), {"k": flag(on="toml")}))
            await asyncio.wait_for(changed.wait(), 10)
            return client.get_string_value("k", "json")

    assert asyncio.run(main()) == "toml"


def test_a_start_that_is_cancelled_leaves_no_client_behind():
    source = PuppetSource()

    async def main():
        client = FlagClient(source, settings=ClientSettings(start_timeout=0.2))
        entering = asyncio.ensure_future(client.__aenter__())
        await asyncio.sleep(0.05)
        entering.cancel()
        return weakref.ref(client)

    reference = asyncio.run(main())
    gc.collect()
    eventually(lambda: reference() is None)


def test_two_threads_that_start_a_client_at_once_start_it_once(monkeypatch):
    both, launch = threading.Barrier(2), FlagClient._launch

    def slowly(client, *args):
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.2)  # where the other one gets here too, it has not been kept from it
        launch(client, *args)

    monkeypatch.setattr(FlagClient, "_launch", slowly)
    source = PuppetSource(snapshot(flag()))
    client = FlagClient(source)
    threads = [threading.Thread(target=client.start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert source.runs == 1
    client.close()
