"""Addresses as browsers see them: where the streams are, and which origins belong together.

API and streams listen on two ports of one host. A browser may know that host by several names (localhost, 127.0.0.1)
and sends its cookie only to the name that it signed in under; so links to the other port keep the name of the request.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from flask import request

from controlplane.settings import Settings

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?")


def stream_origin(settings: Settings) -> str:
    """The origin of the streams, as the browser of this request reaches it."""
    return _seen_from_request(settings.stream_url or settings.url, settings)


def page_origin(settings: Settings) -> str:
    """The origin of the pages, as the browser of this request reaches it."""
    return _seen_from_request(settings.url, settings)


def is_same_origin(settings: Settings) -> bool:
    """Tell whether a browser says that the request was made by a page of ours; what sends no such header may pass.

    Browsers send the newer header to localhost and over TLS only. To the older one they may put `null`, for a page that
    hides where it is from; ours do not, their referrer policy is same-origin.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    return origin in {None, request.host_url.rstrip("/"), page_origin(settings)}


def _seen_from_request(url: str, settings: Settings) -> str:
    host = _HOST.fullmatch(request.host)
    if not url:
        return f"{request.scheme}://{request.host}" if host else ""
    parts = urlsplit(url)
    if host is None or parts.hostname != urlsplit(settings.url).hostname:
        return url
    return f"{parts.scheme}://{host[1]}" + (f":{parts.port}" if parts.port else "")
