"""One connection to the control plane: made when it is needed, kept between calls, with every wait bounded.

Python's own HTTP client under it, so that an SDK needs no further library, and so that the socket is in our hands: a
wait can be cut short from another thread, and a forked child can let go of what is its parent's. Knows no flags.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, RemoteDisconnected
from typing import Any
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from flags.errors import SourceRefused, SourceUnavailable
from foundation.errors import DocumentError, shorten

MAX_BODY = 64 * 1024 * 1024
"""Bytes of an answer, or of one event, at most."""

CALL = 10.0
"""Seconds within which a whole answer has to be here; `timeout` bounds each wait within it."""

LONGEST_RETRY_AFTER = 300.0
PIECE = 65_536

_MAY_WAIT = frozenset({408, 425, 429})
_STALE = (RemoteDisconnected, ConnectionResetError, BrokenPipeError)


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """Where the control plane is and as whom to speak to it.

    Args:
        address: such as `https://flags.example.com`.
        environment: whose flags.
        token: of scope `sdk`, `viewer` or higher.
        timeout: seconds for a connection to stand, and for each wait for an answer.
        tls: what checks certificates.
    """

    address: str
    environment: str
    token: str = field(repr=False)
    timeout: float
    tls: ssl.SSLContext | None = None

    def url(self, *words: str) -> str:
        """Spell the address of something in the environment."""
        path = "/".join(quote(word, safe="") for word in ("environments", self.environment, *words))
        return f"{self.address}/api/v1/{path}"

    def line(self) -> Line:
        """Make a line, which connects when it is first used."""
        return Line(self)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call was answered with: status 200, 204 or 304, and a body."""

    status: int
    body: bytes


class Line:
    """One connection at a time; only `shut` may be called from another thread."""

    def __init__(self, there: ControlPlane) -> None:
        self._there = there
        self._held: HTTPConnection | None = None
        self._response: HTTPResponse | None = None
        self._origin = ""
        self._socket: socket.socket | None = None

    def call(self, method: str, url: str, headers: Mapping[str, str] | None = None, body: Any = None) -> Answer:
        """Send a request and take its whole answer; what is sent has to bear being sent twice.

        Raises:
            SourceUnavailable: no answer in time, or one that says to try again.
            SourceRefused: the answer is a refusal.
        """
        content = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        typed = {"Content-Type": "application/json"} if content else {}
        try:
            response = self._send(method, url, {**typed, **(headers or {})}, content)
            answer = Answer(response.status, self._body(response))
        except (OSError, HTTPException, ValueError) as error:  # ValueError: a name that can't be one of a host
            self.close()
            raise _unavailable(f"{method} {url}", error) from error
        _check(method, url, response, answer.body)
        return answer

    def open(self, url: str, headers: Mapping[str, str], patience: float) -> HTTPResponse:
        """Open a stream, at the address that a redirect names where one does, and wait `patience` seconds for its head.

        Raises as `call` does.
        """
        try:
            response = self._send("GET", url, headers, None, patience)
            if 300 <= response.status < 400 and "Location" in response.headers:
                url = _redirected(url, response.headers["Location"])
                self.close()
                response = self._send("GET", url, headers, None, patience)
            if response.status != 200:
                _check("GET", url, response, self._body(response))
            if response.headers.get_content_type() != "text/event-stream":
                raise SourceUnavailable(f"GET {url}: answered with {response.headers.get_content_type()}, not a stream")
        except (OSError, HTTPException, ValueError) as error:  # ValueError: a name that can't be one of a host
            self.close()
            raise _unavailable(f"GET {url}", error) from error
        return response

    def read(self, response: HTTPResponse, patience: float) -> bytes:
        """Wait up to `patience` seconds for more of a stream.

        Raises:
            SourceUnavailable: it ended, broke off, or was silent.
        """
        try:
            self._wait_at_most(patience)
            piece = response.read1(PIECE)
        except (OSError, HTTPException, ValueError) as error:  # ValueError: shut while it was read
            raise _unavailable("the stream of changes", error) from error
        if not piece:
            raise SourceUnavailable("the stream of changes ended without a goodbye")
        return piece

    def shut(self) -> None:
        """Wake whoever waits on this line, by ending its connection."""
        held = self._socket
        if held is not None:
            with contextlib.suppress(OSError):  # it has ended by itself
                socket.socket.shutdown(held, socket.SHUT_RDWR)  # past TLS, which the reading thread is using

    def close(self) -> None:
        """Hang up; the next call connects again."""
        for held in (self._response, self._held):  # the response of a stream holds the socket too
            if held is not None:
                held.close()
        self._held = self._response = self._socket = None

    def abandon(self) -> None:
        """Let go of a connection that is the parent's, in a forked child: the server must not notice."""
        held = self._socket
        self._held = self._response = self._socket = None
        if held is not None and held.fileno() >= 0:
            os.close(held.detach())

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, patience: float = 0.0
    ) -> HTTPResponse:
        reused = self._connect(urlsplit(url))
        try:
            return self._exchange(method, url, headers, body, patience)
        except _STALE:
            self.close()
            if not reused:
                raise
        # The server closed a connection that had been idle, which says nothing of how it is now.
        self._connect(urlsplit(url))
        return self._exchange(method, url, headers, body, patience)

    def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, patience: float
    ) -> HTTPResponse:
        assert self._held is not None  # noqa: S101 - tells the type checker what `_connect` did
        self._wait_at_most(patience or self._there.timeout)
        parts = urlsplit(url)
        sent = {"Authorization": f"Bearer {self._there.token}", "Accept-Encoding": "identity", **headers}
        self._held.request(method, f"{parts.path}?{parts.query}" if parts.query else parts.path, body, sent)
        self._response = self._held.getresponse()
        return self._response

    def _connect(self, parts: SplitResult) -> bool:
        """Make sure of a connection; tells whether there was one."""
        origin = f"{parts.scheme}://{parts.netloc}"
        if self._held is not None and self._held.sock is not None and self._origin == origin:
            return True
        self.close()
        host, port, timeout = parts.hostname or "", parts.port, self._there.timeout
        if parts.scheme == "https":
            held: HTTPConnection = HTTPSConnection(host, port, timeout=timeout, context=self._there.tls)
        else:
            held = HTTPConnection(host, port, timeout=timeout)
        held.connect()
        self._held, self._origin, self._socket = held, origin, held.sock
        return False

    def _body(self, response: HTTPResponse) -> bytes:
        pieces, size, give_up = [], 0, time.monotonic() + CALL
        while True:
            self._wait_at_most(min(self._there.timeout, give_up - time.monotonic()))
            piece = response.read1(PIECE)
            size += len(piece)
            if size > MAX_BODY:
                raise HTTPException(f"the answer is larger than {MAX_BODY:,} bytes")
            if not piece:
                break
            pieces.append(piece)
        if response.length:  # Python's own reading does not notice
            raise HTTPException("the answer broke off")
        response.close()  # older Pythons' `read1` does not, once all is there, and the connection then takes no more
        return b"".join(pieces)

    def _wait_at_most(self, seconds: float) -> None:
        if seconds <= 0:
            raise TimeoutError("no answer in time")
        if self._socket is not None:
            self._socket.settimeout(seconds)


def _check(method: str, url: str, response: HTTPResponse, body: bytes) -> None:
    status = response.status
    if status in {200, 204, 304}:
        return
    said = f"{method} {url}: {status} {response.reason}{_problem(body)}"
    if status >= 500 or status in _MAY_WAIT:
        raise SourceUnavailable(said, _seconds(response.headers.get("Retry-After", "")))
    if "Location" in response.headers:
        said += f", and points to {shorten(response.headers['Location'], 200)}"
    raise SourceRefused(said)


def _problem(body: bytes) -> str:
    """Take what a problem document says, in the server's own words."""
    with contextlib.suppress(ValueError, AttributeError, RecursionError):
        found = json.loads(body[:PIECE])
        return f": {found.get('code')}: {shorten(str(found.get('detail')), 300)}"
    return ""


def _seconds(text: str) -> float:
    return min(float(text), LONGEST_RETRY_AFTER) if text.isascii() and text.isdigit() else 0.0


def _redirected(url: str, location: str) -> str:
    """Resolve where a stream is; the token is never sent on without TLS where it came with it."""
    target = urljoin(url, location)
    before, after = urlsplit(url), urlsplit(target)
    if after.scheme not in {before.scheme, "https"} or not after.hostname:
        raise SourceRefused(f"GET {url}: points to {shorten(location, 200)}, where the token must not go")
    return target


def _unavailable(what: str, error: Exception) -> SourceUnavailable:
    return SourceUnavailable(f"{what}: {str(error) or type(error).__name__}")


def checked_address(url: str) -> str:
    """Take the address of a control plane; raises DocumentError."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.path.strip("/") or parts.query or parts.fragment or parts.username:
        # Not shown: somebody may have put a password into it.
        raise DocumentError(
            "SIGNALBOX_URL", "is no address", expected="scheme and host, as in https://flags.example.com"
        )
    return url.rstrip("/")
