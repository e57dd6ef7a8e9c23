"""Clients that send next to nothing do not keep the threads of the API, over a real gunicorn."""

import os
import socket
import subprocess
import urllib.request

import pytest

from controlplane import groups
from controlplane.listening import reserve
from tests.support import eventually

pytestmark = pytest.mark.e2e

LIMIT = 3


@pytest.fixture
def server(redis_url, tmp_path):
    with_port = reserve("127.0.0.1", 0)
    command = [*groups._api(with_port.address, 1), "--timeout", str(LIMIT)]
    environ = {**os.environ, "SIGNALBOX_REDIS_URL": redis_url, "SIGNALBOX_QUEUE_URL": redis_url}
    log = tmp_path / "gunicorn.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environ, stdout=output, stderr=subprocess.STDOUT)
    try:
        eventually(lambda: groups.answers(f"http://{with_port.address}/healthz"), 30, message=log.read_text)
        yield with_port, log
    finally:
        process.terminate()
        process.wait(30)
        with_port.close()


def goes_on(client):
    """Send one byte more; tell whether the server still listens."""
    try:
        client.send(b"x")
        client.setblocking(False)
        return client.recv(1_000) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        client.setblocking(True)


@pytest.mark.parametrize("start", ["POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n", "GET /"])
def test_a_client_that_drips_is_cut_off_and_the_next_one_is_served(server, start):
    port, log = server
    slow = [socket.create_connection((port.host, port.port)) for _ in range(groups.API_THREADS)]
    try:
        for client in slow:
            client.sendall(start.encode())
        eventually(lambda: not sum(goes_on(client) for client in slow), 5 * LIMIT, 0.1, message=log.read_text)
    finally:
        for client in slow:
            client.close()
    with urllib.request.urlopen(f"http://{port.address}/healthz", timeout=5) as answer:
        assert answer.status == 200
    assert "Traceback" not in log.read_text()
    assert "WORKER TIMEOUT" not in log.read_text()
