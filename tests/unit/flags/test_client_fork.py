"""A client goes on in a forked child, with threads and an identity of its own, whatever ran when it was forked."""

import subprocess
import sys
import textwrap

PRELUDE = """
import faulthandler, os, signal, sys, threading, time
faulthandler.dump_traceback_later(60, exit=True)
from flags.client import FlagClient, Status
from flags.documents import parse_flag
from flags.model import Revision, Snapshot
from flags.store import Change

def flag(percentage):
    return parse_flag("k", {"enabled": True, "variants": {"on": True, "off": False}, "offVariant": "off",
                            "rollout": {"percentage": percentage}})

class Source:
    heartbeat, lease = 0.2, 1.0
    run_in = {}

    def run(self, feed, instance, stop):
        self.run_in[os.getpid()] = instance
        feed.replace(Snapshot(Revision(1, 1), {"k": flag(50)}))
        revision = 1
        while not stop.is_set():  # writes all the time, so that a fork meets a client that is busy
            revision += 1
            feed.apply(Change(Revision(1, revision), {"k": flag(50)}))
            feed.contact(time.monotonic())
            stop.wait(0.0005)

    def close(self):
        pass

keys = [f"corr_{number}" for number in range(200)]

def on(client):
    return sum(client.get_boolean_value("k", False, {"targetingKey": key}) for key in keys)

def wait(condition):
    deadline = time.monotonic() + 10
    while not condition():
        if time.monotonic() > deadline:
            os._exit(9)
        time.sleep(0.002)

def fork(work):
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)  # ends a child that hangs, even in C
        try:
            os._exit(work() or 0)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(8)
    return pid

def ended(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""


def run(script):
    code = PRELUDE + textwrap.dedent(script)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_child_follows_its_source_as_an_instance_of_its_own():
    run(
        """
        client = FlagClient(Source())
        assert client.start()
        parent, expected = client.instance, on(client)

        def child():
            assert on(client) == expected
            assert client.instance.id != parent.id
            assert client.instance.pid == os.getpid() != parent.pid
            wait(lambda: os.getpid() in Source.run_in)
            assert Source.run_in[os.getpid()].id == client.instance.id
            wait(lambda: client.status is Status.READY and not client.lapsed)
            before = client.revision
            wait(lambda: client.revision != before)
            started = time.monotonic()
            client.close()
            assert time.monotonic() - started < 2

        assert ended(fork(child)) == 0
        assert client.instance == parent
        client.close()
        """
    )


def test_a_child_has_no_lease_before_it_has_renewed_one_itself():
    run(
        """
        class Once(Source):
            def run(self, feed, instance, stop):
                feed.replace(Snapshot(Revision(1, 1), {"k": flag(50)}))
                if not self.run_in:
                    feed.contact(time.monotonic() + 1000)
                self.run_in[os.getpid()] = instance
                stop.wait()

        client = FlagClient(Once())
        assert client.start()
        wait(lambda: not client.lapsed)

        def child():
            wait(lambda: os.getpid() in Source.run_in)
            assert client.lapsed

        assert ended(fork(child)) == 0
        assert not client.lapsed
        client.close()
        """
    )


def test_a_client_that_is_not_started_or_closed_starts_nothing_in_a_child():
    run(
        """
        idle, closed = FlagClient(Source()), FlagClient(Source())
        closed.start()
        closed.close()
        assert ended(fork(lambda: threading.active_count() - 1)) == 0
        """
    )


def test_forks_while_threads_evaluate_and_changes_arrive_never_hang():
    run(
        """
        client = FlagClient(Source(), overrides="/nonexistent/overrides.yaml")
        assert client.start()
        expected, stop = on(client), threading.Event()

        def evaluate():
            while not stop.is_set():
                on(client)

        threads = [threading.Thread(target=evaluate, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()

        def child():
            assert on(client) == expected
            before = client.revision
            wait(lambda: client.revision != before)
            assert on(client) == expected

        for _ in range(40):
            assert ended(fork(child)) == 0
        stop.set()
        for thread in threads:
            thread.join()
        client.close()
        """
    )


def test_forks_while_other_threads_search_for_patterns_never_hang():
    # RE2 lets go of the GIL under locks of its own; without a remedy half of these children wait for ever.
    run(
        """
        import random
        from flags.compilation import compile_flag

        def searching(number):
            pattern = "(?i)(x?){%d}(x|y){200}z" % (150 + number)
            rule = {"if": [{"attribute": "a", "operator": "matches", "values": [pattern]}], "serve": "on"}
            return compile_flag(parse_flag("k", {"enabled": True, "variants": {"on": True, "off": False},
                                                 "offVariant": "off", "rules": [rule]})).decide

        decides = [searching(number) for number in range(10)]
        stop = threading.Event()

        def search():
            while not stop.is_set():
                random.choice(decides)({"a": "xXyY" * 10 + str(random.random()) + "xy" * random.randint(1, 800)})

        threads = [threading.Thread(target=search, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()

        def child():
            for decide in decides:
                decide({"a": "xXyY" * 10 + "xy" * 20})

        for _ in range(15):
            assert ended(fork(child)) == 0
        stop.set()
        for thread in threads:
            thread.join()
        """
    )


def test_a_process_of_multiprocessing_evaluates():
    run(
        """
        import multiprocessing

        client = FlagClient(Source())
        assert client.start()

        def work():
            assert on(client) == expected
            wait(lambda: os.getpid() in Source.run_in)

        expected = on(client)
        process = multiprocessing.get_context("fork").Process(target=work)
        process.start()
        process.join()
        assert process.exitcode == 0
        client.close()
        """
    )


def test_a_child_that_closes_its_client_at_once_leaves_the_parent_its_stream():
    run(
        """
        import socket
        from flags.sources.http import HttpSource

        BODY = b'{"revision":"1-1","flags":{},"segments":{},"versions":{}}'
        SNAPSHOT = b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(BODY), BODY)
        HEAD = b"HTTP/1.1 200 OK\\r\\nContent-Type: text/event-stream\\r\\n\\r\\n"
        BEAT = b'event: heartbeat\\ndata: {"revision":"1-1"}\\n\\n'
        streams = []

        def answer(held):
            while asked := held.recv(65536):
                if b"/changes" in asked:
                    streams.append(held)
                    held.sendall(HEAD + BEAT)
                    return
                held.sendall(SNAPSHOT)

        def serve():
            while True:
                threading.Thread(target=answer, args=(server.accept()[0],), daemon=True).start()

        server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=serve, daemon=True).start()
        client = FlagClient(HttpSource(f"http://127.0.0.1:{server.getsockname()[1]}", "test", "sb_sdk_a_b"))
        assert client.start()
        wait(lambda: streams)
        assert ended(fork(lambda: client.close())) == 0
        streams[0].settimeout(0.3)
        try:
            assert streams[0].recv(1) == b"x", "the parent's stream was ended"
        except TimeoutError:
            client.close()
        """
    )
