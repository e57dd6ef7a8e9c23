"""Redis behind Sentinel: the URL leads to whoever is the primary."""

import socket
import subprocess

import pytest

from foundation.embedded import find_server
from foundation.errors import StoreUnreachable
from foundation.redis import connect, translated
from tests.support import eventually


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.fixture
def sentinel(make_redis, tmp_path):
    """A sentinel that watches a primary of the name `flags`; answers with its port."""
    port, watched = free_port(), free_port()
    primary = make_redis("primary", config={"port": watched, "bind": "127.0.0.1"})
    with connect(primary.url) as client:
        client.config_set("requirepass", "se:cret")
    config = tmp_path / "sentinel.conf"
    config.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\n"
        f"sentinel monitor flags 127.0.0.1 {watched} 1\nsentinel auth-pass flags se:cret\n"
    )
    command = [str(find_server().path), str(config), "--sentinel"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with connect(f"redis://127.0.0.1:{port}") as client:
        eventually(lambda: answers(client))
    yield port
    process.kill()
    process.wait()


def answers(client):
    try:
        with translated("ask"):
            return client.ping()
    except StoreUnreachable:
        return False


def test_the_primary_is_found_through_the_sentinels_that_answer(sentinel):
    dead = free_port()
    url = f"redis+sentinel://:se%3Acret@127.0.0.1:{dead},127.0.0.1:{sentinel}/flags/2"
    with connect(url) as client:
        client.set("k", "v")
        assert client.info("replication")["role"] == "master"
        assert client.connection_pool.get_connection().db == 2


def test_a_service_that_no_sentinel_knows_is_unreachable(sentinel):
    with (
        connect(f"redis+sentinel://127.0.0.1:{sentinel}/others") as client,
        pytest.raises(StoreUnreachable),
        translated("ask"),
    ):
        client.ping()
