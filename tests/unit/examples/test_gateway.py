"""What the gateway of the settlement example answers to requests that are none, over a pair of sockets."""

import json
import re
import socket

import pytest

from examples.settlement.gateway import LARGEST, ROUTES, Flows, Handler
from messenger.errors import MessengerClosed, QueueFull

FLOW = "/collections/process-settlement"
BODY = b'{"settlementId": "PEN_1", "customerId": "C", "amount": 1.5}'


class Messenger:
    """Takes everything and brings nothing back, or fails as it is told."""

    def __init__(self, failure=None):
        self.failure, self.sent = failure, []

    def send(self, message_type, payload, **options):
        self.sent.append((message_type, payload))
        if self.failure:
            raise self.failure


def asked(request, messenger=None, *, hangs=False, timeout=5.0):
    """Send bytes to a gateway; answers with status and document of each answer that came back."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(request)
        if not hangs:
            ours.shutdown(socket.SHUT_WR)
        flows = Flows(messenger or Messenger())
        type("Gateway", (Handler,), {"flows": flows, "timeout": timeout})(theirs, ("client", 0), None)
        theirs.shutdown(socket.SHUT_WR)
        with ours.makefile("rb") as file:
            answers = file.read().split(b"HTTP/1.1 ")[1:]
    return [(int(answer[:3]), json.loads(answer.partition(b"\r\n\r\n")[2])) for answer in answers]


def post(body, path=FLOW, *headers):
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[1]", b"null", b"\xff", b'{"a": NaN}', b'{"a": 1, "a": 2}', b"[" * 60_000]
)
def test_a_body_that_is_no_json_object_is_refused_in_words_and_the_connection_goes_on(body):
    messenger = Messenger()
    (status, document), (next_status, _) = asked(post(body) + b"GET /healthz HTTP/1.1\r\n\r\n", messenger)
    assert (status, next_status, messenger.sent) == (400, 200, [])
    assert document["error"]


@pytest.mark.parametrize(
    ("length", "status"),
    [("", 411), ("-1", 411), ("x", 411), ("٣", 411), (str(LARGEST + 1), 413), ("9" * 5_000, 413)],
)
def test_a_length_that_is_none_or_too_much_is_refused(length, status):
    ((answered, document),) = asked(f"POST {FLOW} HTTP/1.1\r\nContent-Length: {length}\r\n\r\n".encode())
    assert (answered, bool(document["error"])) == (status, True)


def test_a_body_in_chunks_is_refused_and_never_read_as_another_request():
    chunked = post(b"", FLOW, "Transfer-Encoding: chunked") + b"GET /healthz HTTP/1.1\r\n\r\n"
    assert [status for status, _ in asked(chunked)] == [411]


@pytest.mark.parametrize("request_line", ["GET /nowhere", "GET /healthz/", "POST /nowhere"])
def test_an_unknown_path_is_told_which_there_are(request_line):
    ((status, document),) = asked(f"{request_line} HTTP/1.1\r\nContent-Length: 2\r\n\r\n{{}}".encode())
    assert status == 404
    assert all(path in document["error"] for path in ROUTES)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"])
def test_a_flow_is_asked_for_with_post_only(method):
    ((status, document),) = asked(f"{method} {FLOW} HTTP/1.1\r\nContent-Length: 2\r\n\r\n{{}}".encode())
    assert status == (405 if method == "GET" else 501)
    assert document["error"]


def test_what_is_no_http_is_refused_in_json():
    ((status, document),) = asked(b"what is this thing\r\n\r\n")
    assert (status, bool(document["error"])) == (400, True)


def test_a_client_that_stops_in_the_middle_of_its_body_is_told_so():
    ((status, document),) = asked(post(BODY)[:-5], hangs=True, timeout=0.05)
    assert status == 408
    assert re.search("0.05 s", document["error"])


def test_a_client_that_leaves_in_the_middle_of_its_body_starts_no_flow():
    messenger = Messenger()
    ((status, _),) = asked(post(BODY)[:-5], messenger)
    assert (status, messenger.sent) == (400, [])


@pytest.mark.parametrize("failure", [QueueFull("no room"), MessengerClosed("it is closed")])
def test_a_flow_that_can_not_be_started_is_a_503(failure):
    ((status, document),) = asked(post(BODY), Messenger(failure))
    assert (status, document["error"]) == (503, str(failure))
