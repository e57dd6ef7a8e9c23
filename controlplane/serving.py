"""Sending a stream to a reader: what every route of the streams' application answers with."""

from __future__ import annotations

from flask import Flask, Response, request

from controlplane.broadcast import Stream
from controlplane.hub import Hub

WRITE_TIMEOUT = 10.0
"""Seconds for which a reader may leave its connection clogged."""


def hub_of(app: Flask) -> Hub:
    """Find what an application streams from."""
    hub = app.extensions["hub"]
    assert isinstance(hub, Hub)  # noqa: S101 - tells the type checker what `create_streams` put there
    return hub


def streamed(stream: Stream) -> Response:
    """Answer with a stream."""
    connected = request.environ.get("gunicorn.socket")
    if connected is not None:
        connected.settimeout(WRITE_TIMEOUT)
    response = Response(stream, mimetype="text/event-stream")
    response.headers["X-Accel-Buffering"] = "no"
    return response
