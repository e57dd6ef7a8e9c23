"""A client's feed over HTTP from the control plane, for processes that can't or shouldn't reach Redis.

How it keeps in step is in `flags.sources.http_session`, how it is counted as an instance in `flags.sources.http_lease`.
"""

from __future__ import annotations

import logging
import os
import ssl
import threading
from urllib.parse import urlsplit

from flags.counts import Report
from flags.environments import environment_name
from flags.instances import Instance
from flags.source import Feed
from flags.sources.http_lease import Lease
from flags.sources.http_line import ControlPlane, checked_address
from flags.sources.http_session import Session
from flags.usage import report_document
from foundation.errors import DocumentError

logger = logging.getLogger(__name__)

HEARTBEAT = 5.0
"""Seconds between two signs of life on a stream, as the control plane sends them."""

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class HttpSource:
    """Feeds a client from the control plane's API and stream, and keeps the client's instance in the registry.

    Args:
        url: of the control plane, such as `https://flags.example.com`; its certificate has to be good.
        environment: its name.
        token: of scope `sdk`.
        lease: seconds that a renewal lasts.
        heartbeat: seconds between the server's signs of life, each of which is answered with a renewal.
        timeout: seconds within which the control plane has to answer.

    Raises:
        DocumentError: the URL, the environment's name or the token is malformed.
    """

    def __init__(
        self,
        url: str,
        environment: str,
        token: str,
        *,
        lease: float = 3 * HEARTBEAT,
        heartbeat: float = HEARTBEAT,
        timeout: float = 1.0,
    ) -> None:
        self.environment = environment_name(environment)
        self.lease = lease
        self.heartbeat = heartbeat
        self._address = checked_address(url)
        self._token = _checked_token(token)
        self._timeout = timeout
        self._process = 0
        self._session: Session | None = None
        self._lease: Lease | None = None
        self._known: ControlPlane | None = None

    def run(self, feed: Feed, instance: Instance | None, stop: threading.Event) -> None:
        """Feed the client until `stop` is set; returns only then."""
        self._abandon()
        self._process = os.getpid()
        there = self._known = self._there()
        lease = Lease(there, feed, instance, self.lease) if instance is not None else None
        session = Session(there, feed, self.heartbeat, lease.news if lease else _nothing, stop)
        self._lease, self._session = lease, session
        if lease:
            lease.start()
        try:
            while not stop.is_set():
                stop.wait(session.turn())
        finally:
            session.close()
            if lease:
                lease.end(2 * self._timeout)
            self._lease = self._session = None

    def close(self) -> None:
        """Wake `run` from any wait; safe from another thread, and twice."""
        session = self._session
        if session is not None and self._process == os.getpid():  # what a fork inherits is the parent's
            session.shut()

    def report(self, instance_id: str, report: Report) -> None:
        """Have a report added; raises SourceUnavailable or SourceRefused."""
        there = self._known = self._known or self._there()
        line = there.line()  # of its own, and not kept: it would be idle most of the time
        try:
            line.call("POST", there.url("instances", instance_id, "evaluations"), body=report_document(report))
        finally:
            line.close()

    def _there(self) -> ControlPlane:
        secure = self._address.startswith("https://")
        if not secure and urlsplit(self._address).hostname not in _LOCAL:
            logger.warning("%s: the token travels unencrypted; use https://", self._address)
        tls = ssl.create_default_context() if secure else None
        return ControlPlane(self._address, self.environment, self._token, self._timeout, tls)

    def _abandon(self) -> None:
        """Let go of what a fork inherits from a parent that was being fed."""
        for held in (self._session, self._lease):
            if held is not None:
                held.abandon()


def _nothing() -> None:
    """Nobody is to be told."""


def _checked_token(token: str) -> str:
    if not (token.isascii() and token.isprintable() and token.strip() == token != ""):  # not shown: it is a secret
        raise DocumentError("SIGNALBOX_TOKEN", "is no token", expected="sb_sdk_… in plain characters")
    return token
