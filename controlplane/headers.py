"""What every answer tells the browser to refuse: scripts, frames and connections that are not ours."""

from __future__ import annotations

from flask import Flask, Response, request

from controlplane.context import services
from controlplane.origins import stream_origin


def register(app: Flask) -> None:
    """Put the headers on every answer of an application."""
    app.after_request(_protect)


def _protect(response: Response) -> Response:
    settings = services().settings
    headers = response.headers
    headers["Content-Security-Policy"] = (
        f"default-src 'self'; connect-src 'self' {stream_origin(settings)}; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    )
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "same-origin"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    if not (request.endpoint or "").endswith(".static"):
        headers.setdefault("Cache-Control", "no-store")
    if settings.secure:
        headers["Strict-Transport-Security"] = "max-age=31536000"
    return response
