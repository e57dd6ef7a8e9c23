"""A line to the control plane, on a real connection to a server of a few lines."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from flags.sources.http_line import ControlPlane


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = b"" if self.path.endswith("/none") else b"ok"
        self.send_response(200 if body else 204)
        if body:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.server.connections.add(self.client_address)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.connections = set()
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize("path", ["some", "none"])
def test_call_after_call_goes_over_one_connection(server, path):
    address = f"http://127.0.0.1:{server.server_port}"
    line = ControlPlane(address, "demo", "sb_sdk_x", timeout=5.0).line()
    statuses = {line.call("GET", f"{address}/{path}").status for _ in range(3)}
    line.close()
    assert statuses <= {200, 204}
    assert len(server.connections) == 1
