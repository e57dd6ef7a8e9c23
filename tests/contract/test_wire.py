"""The lean connection: many answers to one piece of writing, and every way in which a connection can end."""

import socket
import time
from types import SimpleNamespace

import pytest
import redis
from redis import exceptions

from foundation.errors import StoreUnreachable
from foundation.ids import new_id
from foundation.redis import connect, refusal, translated
from foundation.wire import PIECE, Wire
from tests.proxies import Proxy


@pytest.fixture
def client(redis_url):
    with connect(redis_url, block=0.2) as client:
        yield client


@pytest.fixture
def held(client):
    with client.client() as held:
        yield held


def test_commands_written_together_are_answered_in_order(held):
    wire = Wire(held)
    wire.send(("SET", "k", b"\x00\xff"), ("GET", "k"), ("INCRBY", "n", 7), ("GET", "nothing"), ("LRANGE", "l", 0, -1))
    assert [wire.receive() for _ in range(5)] == [b"OK", b"\x00\xff", 7, None, []]


def test_an_answer_of_many_pieces_is_read_whole(held):
    wire = Wire(held)
    long = b"x" * (3 * PIECE + 1)
    wire.send(("SET", "k", long), ("GET", "k"))
    assert wire.receive() == b"OK"
    assert wire.receive() == long


def test_an_error_reply_is_raised_in_its_turn_and_the_next_answer_still_comes(held):
    wire = Wire(held)
    wire.send(("EVALSHA", "0" * 40, 0), ("INCR", "n"), ("GET", "n", "n"), ("PING",))
    with pytest.raises(exceptions.NoScriptError):
        wire.receive()
    assert wire.receive() == 1
    with pytest.raises(redis.ResponseError, match="wrong number of arguments"):
        wire.receive()
    assert wire.receive() == b"PONG"


def test_a_refusal_is_known_by_its_word(make_redis):
    with connect(make_redis().url) as client, client.client() as held:
        client.config_set("maxmemory", 1)
        wire = Wire(held)
        wire.send(("SET", "k", "v"))
        with pytest.raises(redis.ResponseError) as caught:
            wire.receive()
        assert refusal(caught.value) == "OOM"


def test_the_client_goes_on_serving_over_the_same_connection(held):
    wire = Wire(held)
    wire.send(("SET", "k", "v"))
    wire.receive()
    assert held.get("k") == b"v"
    wire.send(("CLIENT", "ID"))
    assert wire.receive() == held.client_id()


def test_an_answer_that_does_not_come_in_time_is_given_up(redis_url):
    with connect(redis_url, timeout=0.1) as client, client.client() as impatient:
        wire = Wire(impatient)
        wire.send(("BLPOP", "nothing", 5))
        began = time.monotonic()
        with pytest.raises(StoreUnreachable, match="timed out"), translated("wait"):
            wire.receive()
        assert time.monotonic() - began < 3


def test_a_blackhole_also_ends_a_write_in_time(redis_server, redis_url, runtime_dir):
    proxy = Proxy(runtime_dir / f"{new_id()[-8:]}.sock", redis_server.socket)
    with connect(proxy.url, timeout=0.1) as client, client.client() as held:
        wire = Wire(held)
        proxy.blackhole(on=True)
        with pytest.raises(StoreUnreachable, match="timed out while writing"), translated("write"):
            wire.send(*[("SET", "k", b"x" * PIECE)] * 1000)
    proxy.close()


def test_a_connection_that_the_server_closes_is_said_to_be_closed(client, held):
    wire = Wire(held)
    client.client_kill_filter(_id=held.client_id())

    def ask():
        with translated("ask"):
            wire.send(("PING",))
            wire.receive()

    with pytest.raises(StoreUnreachable):
        ask()


def test_what_is_not_redis_is_not_believed():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        wire = Wire(SimpleNamespace(connection=SimpleNamespace(_sock=ours)))
        with pytest.raises(StoreUnreachable), translated("ask"):
            wire.receive()
