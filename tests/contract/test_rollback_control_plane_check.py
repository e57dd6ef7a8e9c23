"""The check of the control plane: whatever it does, it is never more than a warning, and never takes long."""

import socket
import threading

import pytest

from foundation.health import run_checks
from rollout.health import control_plane


@pytest.fixture
def answering():
    """A server that answers each connection with the same bytes."""
    listener = socket.create_server(("127.0.0.1", 0))
    said = {"bytes": b""}

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(4096)
                connection.sendall(said["bytes"])

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()

    def answer(data):
        said["bytes"] = data
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield answer
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


@pytest.mark.parametrize(
    ("data", "status", "word"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "pass", "200"),
        (b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", "warn", "503"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "warn", "does not answer"),
        (b"", "warn", "does not answer"),
    ],
)
def test_what_it_answers_is_reported(answering, monkeypatch, data, status, word):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    (result,) = run_checks([control_plane(answering(data))])
    assert (result.name, result.status) == ("control plane", status)
    assert word in result.detail


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "ftp://127.0.0.1/"])
def test_one_that_is_not_there_is_a_warning_and_says_what_to_do(url):
    (result,) = run_checks([control_plane(url)])
    assert result.status == "warn"
    assert result.remedy


def test_one_that_hangs_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        (result,) = run_checks([control_plane(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.2)])
    assert result.status == "warn"
