"""YAML is read and written in a forked child, whatever other threads were reading when it was forked."""

import subprocess
import sys

SCRIPT = """
import os, random, signal, threading, time
from messenger.codecs import decode, encode, yaml_dialect
from messenger.formats import YAML

dice = random.Random(5)

def word():
    return "".join(dice.choice("yYnNoOeEsSfFtTrRuUaAlLiIxX_019 \\u20ac\\U0001f600") for _ in range(dice.randrange(12)))

def value(depth=0):
    makers = [word, lambda: dice.randrange(10**9), lambda: dice.random() * 10.0 ** dice.randrange(-20, 20)]
    if depth < 12:
        makers.append(lambda: [value(depth + 1) for _ in range(dice.randrange(4))])
        makers.append(lambda: {f"k{word()}": value(depth + 1) for _ in range(dice.randrange(4))})
    return dice.choice(makers)()

documents = [{"messages": [value() for _ in range(6)]} for _ in range(150)]
bodies = [encode(YAML, document) for document in documents]

def read(stop):
    while not stop.is_set():
        yaml_dialect.keeps_to_dialect(random.choice(bodies))

for _ in range(60):
    yaml_dialect._bodies.cache_clear()  # as in a process that has just started: there is most to find out
    yaml_dialect._bodies()
    stop = threading.Event()
    threads = [threading.Thread(target=read, args=(stop,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(dice.random() * 0.0015)
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)  # ends a child that hangs, even in C
        try:
            os._exit([decode(YAML, body) for body in bodies] != documents)
        finally:
            os._exit(2)
    stop.set()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    for thread in threads:
        thread.join()
"""


def test_a_child_forked_while_others_read_yaml_reads_it_too():
    # RE2 lets go of the GIL under locks of its own; without a remedy one child in twenty waits for ever.
    script = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", SCRIPT]
    done = subprocess.run(script, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
