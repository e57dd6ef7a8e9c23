"""The gateway: an HTTP front that puts a request into a domain's queue and answers when the flow comes back.

    POST /collections/process-settlement    {settlementId, customerId, amount, event, betType, stake}
    POST /free-play/issue-bonus             {transactionId, customerId, bonusType, amount}
    POST /adjustments/request               {adjustmentId, customerId, amount, reason}
    GET  /healthz

200 with the notification and the seconds it took · 400 not a request · 404 · 405 · 408 too slow · 411 · 413 too large ·
501 · 503 no room in the queue, or on its way out · 504 no answer in time: the flow may still end.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from foundation.documents import read_json
from foundation.errors import DocumentError
from foundation.ids import new_id
from messenger.envelope import Envelope
from messenger.errors import EnvelopeInvalid, MessengerClosed, QueueFull
from messenger.handlers import Send
from messenger.messenger import WorkerMessenger

PATIENCE = 10.0
"""Seconds that a client waits for the flow to come back."""
LARGEST = 64 * 1024
SLOWEST_BODY = 5.0
"""Seconds that a client may be silent while it sends its request."""


def _settlement(body: Mapping[str, Any]) -> dict[str, Any]:
    settlement = {name: value for name, value in body.items() if name != "settlementId"}
    return {"settlement": {**settlement, "id": body.get("settlementId"), "status": "pending"}}


Shape = Callable[[Mapping[str, Any]], dict[str, Any]]

ROUTES: Mapping[str, tuple[str, str, str, Shape]] = {
    "/collections/process-settlement": ("settlement", "collections", "SETTLEMENT_UPDATE", _settlement),
    "/free-play/issue-bonus": ("bonus", "free-play", "BONUS_ISSUED", dict),
    "/adjustments/request": ("adjustment", "adjustment", "ADJUSTMENT_REQUESTED", dict),
}
"""Path → name of the flow, domain and type of its first message, and how the body becomes its payload."""


NO_SUCH_PATH = f"no such path; POST to {', '.join(ROUTES)}"


class Flows:
    """The requests that wait for their flow to come back, by correlation id."""

    def __init__(self, messenger: WorkerMessenger) -> None:
        self._messenger = messenger
        self._lock = threading.Lock()
        self._waiting: dict[str, tuple[threading.Event, dict[str, Any]]] = {}

    def run(self, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Start a flow and wait for its answer; answers with an HTTP status and a document."""
        flow, domain, message_type, shape = ROUTES[path]
        correlation, done, answer = new_id("corr"), threading.Event(), dict[str, Any]()
        with self._lock:
            self._waiting[correlation] = done, answer
        started = time.monotonic()
        try:
            self._messenger.send(message_type, shape(body), target=domain, priority="high", correlation_id=correlation)
            if not done.wait(PATIENCE):
                return 504, {"correlationId": correlation, "error": f"no answer within {PATIENCE:g} s"}
        except EnvelopeInvalid as error:
            return 400, {"error": str(error), "field": error.field}
        except (QueueFull, MessengerClosed) as error:
            return 503, {"error": str(error)}
        finally:
            with self._lock:
                del self._waiting[correlation]
        seconds = time.monotonic() - started
        self._messenger.record_flow(flow, seconds)
        return 200, {"correlationId": correlation, "seconds": round(seconds, 4), "notification": answer}

    def answer(self, message: Envelope, send: Send) -> None:  # noqa: ARG002 - a handler's signature
        """Hand a notification to the request that waits for it; one that nobody waits for any more is dropped."""
        with self._lock:
            waiting = self._waiting.get(message.correlation_id)
        if waiting is not None:
            done, answer = waiting
            answer.update(message.payload)
            done.set()


class Handler(BaseHTTPRequestHandler):
    """One connection; `serve` makes a subclass that knows its flows."""

    flows: ClassVar[Flows]
    protocol_version = "HTTP/1.1"
    default_request_version = protocol_version  # else what is no HTTP is answered without a status
    timeout = SLOWEST_BODY

    def do_GET(self) -> None:
        """Say that the gateway lives."""
        if self.path == "/healthz":
            self._answer(200, {"status": "ok"})
        elif self.path in ROUTES:
            self._refuse(405, "use POST")
        else:
            self._refuse(404, NO_SUCH_PATH)

    def do_POST(self) -> None:
        """Run a flow."""
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            self._refuse(411, "say how long the body is, with Content-Length")
        elif len(length) > len(str(LARGEST)) or int(length) > LARGEST:
            self._refuse(413, f"the body is larger than {LARGEST} bytes")
        elif self.path not in ROUTES:
            self._refuse(404, NO_SUCH_PATH)
        else:
            self._read(int(length))

    def _read(self, length: int) -> None:
        try:
            body = self.rfile.read(length)
        except TimeoutError:
            self._refuse(408, f"nothing came for {self.timeout:g} s, and the body is not complete")
        else:
            self._run(body)

    def _run(self, body: bytes) -> None:
        try:
            document = read_json(body)
        except DocumentError as error:
            self._answer(400, {"error": str(error)})
            return
        if isinstance(document, dict):
            self._answer(*self.flows.run(self.path, document))
        else:
            self._answer(400, {"error": "the body is not a JSON object"})

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """Refuse what the base class can't read or has no method for, in JSON as everything else."""
        self._refuse(code, message or HTTPStatus(code).phrase)

    def _refuse(self, status: int, error: str) -> None:
        self.close_connection = True  # the body is still on its way, and is not read
        self._answer(status, {"error": error})

    def _answer(self, status: int, document: Mapping[str, Any]) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's own name
        """Log nothing: telemetry has the figures."""


class Server(ThreadingHTTPServer):
    """Shares its port, so that `signalbox up` can keep it for the gateway, and with it for the next one."""

    daemon_threads = True
    allow_reuse_port = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Pass over clients that hang up, and log what else goes wrong."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def serve(messenger: WorkerMessenger, address: str) -> None:
    """Answer HTTP on `host:port` in threads of this worker."""
    flows = Flows(messenger)
    messenger.on("NOTIFICATION_SENT", flows.answer)
    host, _, port = address.rpartition(":")
    server = Server((host, int(port)), type("GatewayHandler", (Handler,), {"flows": flows}))
    threading.Thread(target=server.serve_forever, name="gateway", daemon=True).start()
