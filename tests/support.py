"""What tests of every kind share: waiting for a condition, never for a time."""

import time


def eventually(condition, timeout=10.0, interval=0.02, message=""):
    """Poll until `condition()` is truthy and answer with its value; fail after `timeout` seconds, saying `message`."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            said = message() if callable(message) else message
            raise AssertionError(f"not within {timeout:g} s: {said or condition}")
        time.sleep(interval)
