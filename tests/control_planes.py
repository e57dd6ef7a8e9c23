"""The control plane for tests of SDKs: the real applications over a real Redis, served from this process over TCP."""

import threading

from werkzeug.serving import WSGIRequestHandler, make_server

from controlplane.streams import create_streams, hub_of
from tests.apiclient import Api, services_over

HOST = "127.0.0.1"


class _Handler(WSGIRequestHandler):
    """Keeps connections open between requests, and says nothing."""

    protocol_version = "HTTP/1.1"
    timeout = 30

    def log(self, *_arguments):
        """Say nothing."""


class Served:
    """A WSGI application behind a port of its own."""

    def __init__(self, application, tls=None):
        self._server = make_server(HOST, 0, application, threaded=True, request_handler=_Handler, ssl_context=tls)
        self._server.block_on_close = False
        self.address = (HOST, self._server.port)
        self.url = f"{'https' if tls else 'http'}://{HOST}:{self._server.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class ControlPlane:
    """API and streams at one address, as behind a reverse proxy; `asked` notes each request as (method, path)."""

    def __init__(self, redis_url, *, tls=None, users_url="", **settings):
        self.services = services_over(redis_url, users_url=users_url, **settings)
        self.api = Api(self.services)
        self.streams = create_streams(self.services)
        self.asked = []
        self.instead = {}
        self.served = Served(self._front, tls)
        self.address, self.url = self.served.address, self.served.url
        self.token = self.api.tokens["sdk"]

    def counted(self, method, ending):
        return sum(1 for asked, path in self.asked if asked == method and path.endswith(ending))

    def close(self):
        hub_of(self.streams).close()
        self.served.close()

    def _front(self, environ, start_response):
        path = environ["PATH_INFO"]
        self.asked.append((environ["REQUEST_METHOD"], path))
        instead = next((answer for ending, answer in self.instead.items() if path.endswith(ending)), None)
        streamed = path.endswith(("/changes", "/events"))
        return (instead or (self.streams if streamed else self.api.app))(environ, start_response)
