"""Every error of the control plane.

    ControlPlaneError
    ├── SettingsInvalid       an environment variable or a ready file that can't be used
    ├── NotConnected          no address of a Redis is known
    ├── StartFailed           `up` or `serve` can't start: a port, a folder, a binary
    ├── EnvironmentNotFound   there is no environment of that name
    ├── NotAuthenticated      no credentials, or wrong ones
    ├── Forbidden             known, and not allowed to do this
    ├── TooManyAttempts       failed sign-ins: wait before the next one
    ├── RateLimited           this caller comes too often
    ├── RequestInvalid        a header or a media type that the API does not take
    ├── ContextInvalid        an evaluation context that is none
    └── StreamsFull           this process has as many open streams as it admits

These know no HTTP; `controlplane.problems` maps codes to statuses and `controlplane.cli.common` to exit codes.
"""

from __future__ import annotations

from foundation.errors import SignalboxError


class ControlPlaneError(SignalboxError):
    """An error of the control plane."""

    code = "CONTROL_PLANE_ERROR"


class SettingsInvalid(ControlPlaneError):
    """A setting that can't be used; the message names it and what would be right."""

    code = "SETTINGS_INVALID"


class NotConnected(ControlPlaneError):
    """No address of a Redis is known: nothing is configured and no `signalbox up` runs in this folder."""

    code = "NOT_CONNECTED"


class StartFailed(ControlPlaneError):
    """`up` or `serve` can't start; the message says what stands in the way."""

    code = "START_FAILED"


class EnvironmentNotFound(ControlPlaneError):
    """There is no environment of that name, as far as this server knows."""

    code = "ENVIRONMENT_NOT_FOUND"


class NotAuthenticated(ControlPlaneError):
    """No credentials came with the request, or wrong ones."""

    code = "NOT_AUTHENTICATED"


class Forbidden(ControlPlaneError):
    """The caller is known and may not do this."""

    code = "FORBIDDEN"


class TooManyAttempts(ControlPlaneError):
    """Sign-ins failed too often; `retry_after` is in seconds."""

    code = "TOO_MANY_ATTEMPTS"

    def __init__(self, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(f"too many failed sign-ins: try again in {retry_after:.0f} s")


class RateLimited(ControlPlaneError):
    """This caller has come too often of late; `retry_after` is in seconds."""

    code = "RATE_LIMITED"

    def __init__(self, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__("too many requests: the header Retry-After says when the next one is taken")


class RequestInvalid(ControlPlaneError):
    """A header or a media type that the API does not take."""

    code = "REQUEST_INVALID"


class ContextInvalid(ControlPlaneError):
    """What came as an evaluation context is none."""

    code = "CONTEXT_INVALID"


class StreamsFull(ControlPlaneError):
    """This process has as many open streams as it admits; `retry_after` is in seconds."""

    code = "STREAMS_FULL"

    def __init__(self, limit: int, retry_after: float = 5.0) -> None:
        self.retry_after = retry_after
        super().__init__(f"all {limit} streams of this process are taken: try again in {retry_after:.0f} s")
