"""OpenFeature's provider for Python: evaluates by a flag client, and passes its statuses and changes on as events.

Needs the extra `signalbox[openfeature]`. It knows the client and OpenFeature's SDK; nothing else of Signalbox knows it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import ErrorCode, ProviderFatalError, ProviderNotReadyError
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.provider import AbstractProvider, Metadata

from flags.announcer import Off
from flags.client import FlagClient
from flags.errors import FlagsError
from flags.evaluation import Context, Detail
from flags.feed import Status

SETTLED = 0.25
"""Seconds after `initialize` by when the SDK has said how that went; what it says last is what counts."""

Value = TypeVar("Value")
Structure = Sequence[FlagValueType] | Mapping[str, FlagValueType]


class SignalboxProvider(AbstractProvider):
    """Serves OpenFeature's clients from a flag client; evaluation never raises or waits, so async is the same.

    Args:
        client: what evaluates; `initialize` starts it where nobody has.
        owned: whether `shutdown` closes the client; say False where others go on using it.
    """

    def __init__(self, client: FlagClient, *, owned: bool = True) -> None:
        super().__init__()
        self._client = client
        self._owned = owned
        self._told = Status.INITIALIZING
        self._offs: list[Off] = []
        self._settling: threading.Timer | None = None

    def get_metadata(self) -> Metadata:
        """Name the provider."""
        return Metadata("Signalbox")

    def initialize(self, evaluation_context: EvaluationContext) -> None:  # noqa: ARG002 - the SDK merges it into each call
        """Start the client, and wait for its flags at most as long as its `start_timeout`.

        Flags from before contact was lost will do; the provider is STALE then.

        Raises:
            ProviderNotReadyError: no flags came in time. They are still waited for, and PROVIDER_READY tells of them.
            ProviderFatalError: the client was closed, and can't be started again.
        """
        self._offs.append(self._client.on_change(self._pass_on_change))
        try:
            self._client.start()
        except FlagsError as error:
            raise ProviderFatalError(str(error)) from error
        status = self._client.status
        # The SDK itself says READY where this returns, and ERROR where it raises; news must not get in before that.
        self._told = Status.READY if status in (Status.READY, Status.STALE) else Status.ERROR
        self._settling = threading.Timer(SETTLED, self._follow)
        self._settling.daemon = True
        self._settling.start()
        if self._told is Status.ERROR:
            raise ProviderNotReadyError(f"no flags yet: {self._client.error or 'the source has not answered'}")

    def shutdown(self) -> None:
        """Send no more events, and close the client if it is owned."""
        if self._settling is not None:
            self._settling.cancel()
            self._settling.join()
        while self._offs:
            self._offs.pop()()
        if self._owned:
            self._client.close()

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """Evaluate a boolean flag."""
        return _resolution(self._client.get_boolean_details(flag_key, default_value, _attributes(evaluation_context)))

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Evaluate a string flag."""
        return _resolution(self._client.get_string_details(flag_key, default_value, _attributes(evaluation_context)))

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Evaluate a flag whose variants are all whole numbers."""
        return _resolution(self._client.get_integer_details(flag_key, default_value, _attributes(evaluation_context)))

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Evaluate a flag of numbers, whole or not."""
        return _resolution(self._client.get_float_details(flag_key, default_value, _attributes(evaluation_context)))

    def resolve_object_details(
        self, flag_key: str, default_value: Structure, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[Structure]:
        """Evaluate a flag of objects or lists."""
        return _resolution(self._client.get_object_details(flag_key, default_value, _attributes(evaluation_context)))

    def _follow(self) -> None:
        self._offs.append(self._client.on_status(self._pass_on))

    def _pass_on(self, status: Status) -> None:
        """Pass a new status on; called by the client's own thread only, so that events keep their order."""
        if status is self._told:
            return
        self._told = status
        if status is Status.READY:
            self.emit_provider_ready(ProviderEventDetails())
        elif status is Status.STALE:
            message = f"no contact with the source of the flags for {self._client.age:.1f} s; the last ones go on"
            self.emit_provider_stale(ProviderEventDetails(message=message))
        elif status is Status.ERROR:
            details = ProviderEventDetails(message=str(self._client.error), error_code=ErrorCode.PROVIDER_NOT_READY)
            self.emit_provider_error(details)

    def _pass_on_change(self, keys: frozenset[str]) -> None:
        self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=sorted(keys)))


def _attributes(context: EvaluationContext | None) -> Context:
    """Make a flag client's context of OpenFeature's: times become text, as in JSON, and the key its `targetingKey`."""
    if context is None:
        return {}
    attributes: dict[str, Any] = {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in context.attributes.items()
    }
    if context.targeting_key is not None:
        attributes["targetingKey"] = context.targeting_key
    return attributes


def _resolution(detail: Detail[Value]) -> FlagResolutionDetails[Value]:
    if detail.error_code is None:
        return FlagResolutionDetails(
            detail.value,
            reason=Reason(detail.reason),
            variant=detail.variant,
            flag_metadata=dict(detail.metadata),
        )
    return FlagResolutionDetails(
        detail.value,
        error_code=ErrorCode(detail.error_code),
        error_message=detail.error_message,
        reason=Reason.ERROR,
        flag_metadata=dict(detail.metadata),
    )
