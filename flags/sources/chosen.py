"""Which source the environment variables name. Each loads only what it needs: so they are imported here, and late."""

from __future__ import annotations

from collections.abc import Mapping

from flags.source import Source
from foundation.errors import DocumentError


def source_of(environ: Mapping[str, str]) -> Source:
    """Make the source that these variables name; raises DocumentError where they name none, or a malformed one."""
    environment = environ.get("SIGNALBOX_ENV") or "demo"
    if redis_url := environ.get("SIGNALBOX_REDIS_URL"):
        from flags.sources.redis import RedisSource  # noqa: PLC0415 - a client over HTTP needs no Redis library

        return RedisSource(redis_url, environment)
    if url := environ.get("SIGNALBOX_URL"):
        from flags.sources.http import HttpSource  # noqa: PLC0415 - a client of Redis needs no HTTP

        return HttpSource(url, environment, environ.get("SIGNALBOX_TOKEN", ""))
    expected = "the address of the flags' Redis, or SIGNALBOX_URL and SIGNALBOX_TOKEN"
    raise DocumentError("SIGNALBOX_REDIS_URL", "is not set", expected=expected)
