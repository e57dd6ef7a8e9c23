"""The envelope: what every message carries around its payload, and the one place that says when it is well formed.

Knows nothing of codecs, frames or queues, and reads no clock: whoever makes a message brings its ids and its time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NoReturn, Self

from messenger.errors import EnvelopeInvalid
from messenger.queue import PRIORITIES

VERSION = "1.0"
"""The envelope's version; a receiver takes every 1.x and ignores the fields it does not know."""

BATCH_TYPE = "MESSAGE_BATCH"
"""The seed's type of a frame that holds several messages; no message of its own may have it."""

MAX_ID_LENGTH = 200

_DOMAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_VERSION = re.compile(r"1(\.[0-9]{1,3})?")
_LONGEST_TIMESTAMP = len("2025-01-26T15:30:00.123456789+00:00")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Metadata:
    """Where a message comes from and goes to, and how urgent it is.

    Args:
        source_domain, target_domain: letters, digits, `.`, `_` and `-`.
        priority: high, normal or low.
        ttl: milliseconds in the queue after which it is given up, by the queue's clock; None never.
    """

    source_domain: str
    target_domain: str
    priority: str = "normal"
    ttl: int | None = None

    def to_document(self) -> dict[str, Any]:
        """Write the wire's names."""
        document: dict[str, Any] = {
            "sourceDomain": self.source_domain,
            "targetDomain": self.target_domain,
            "priority": self.priority,
        }
        if self.ttl is not None:
            document["ttl"] = self.ttl
        return document


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message: `correlation_id` names the flow it belongs to, `message_id` the message itself.

    Args:
        timestamp: RFC 3339, kept as the text that it is.
        payload: a JSON object; its schema, where its type has one, is in `messenger.templates`.
    """

    type: str
    message_id: str
    correlation_id: str
    timestamp: str
    payload: Mapping[str, Any]
    metadata: Metadata
    version: str = VERSION

    def to_document(self) -> dict[str, Any]:
        """Write the wire's form, in its order of fields."""
        return {
            "type": self.type,
            "version": self.version,
            "messageId": self.message_id,
            "correlationId": self.correlation_id,
            "timestamp": self.timestamp,
            "payload": self.payload,
            "metadata": self.metadata.to_document(),
        }

    @classmethod
    def from_document(cls, document: Any, *, message_id: str | None = None) -> Self:
        """Read the wire's form; raises EnvelopeInvalid with the first field that is wrong.

        A message written by hand may lack its id (`message_id` stands in for it), write its version as a number, and
        keep its metadata inside its payload.
        """
        fields = _mapping(document, "")
        payload, metadata = _payload_and_metadata(fields)
        return cls(
            type=_type(fields),
            version=_version(fields.get("version")),
            message_id=_identifier(fields, "messageId", message_id),
            correlation_id=_identifier(fields, "correlationId"),
            timestamp=_timestamp(fields.get("timestamp")),
            payload=payload,
            metadata=_metadata(metadata),
        )


def timestamp(seconds: float) -> str:
    """Write seconds since 1970 as RFC 3339 in UTC, to the millisecond."""
    whole, milliseconds = divmod(int(seconds * 1000), 1000)
    return f"{_second(whole)}.{milliseconds:03}Z"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().removesuffix("+00:00")


def is_timestamp(text: str) -> bool:
    """Tell whether a text is an RFC 3339 date and time that exists; a leap second does not."""
    # The length first: what is too long to be one is too long to be kept.
    return len(text) <= _LONGEST_TIMESTAMP and _is_timestamp(text)


@lru_cache(maxsize=1024)
def _is_timestamp(text: str) -> bool:
    if _RFC3339.fullmatch(text) is None:
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def is_domain(name: str) -> bool:
    """Tell whether a text may name a domain, which becomes part of the names of keys: 1 to 100 of `A-Za-z0-9._-`."""
    return len(name) <= 100 and _is_domain(name)


@lru_cache(maxsize=1024)
def _is_domain(name: str) -> bool:
    return _DOMAIN.fullmatch(name) is not None


def _refuse(field: str, problem: str) -> NoReturn:
    raise EnvelopeInvalid(field, problem)


def _mapping(value: Any, field: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        _refuse(field, "must be an object" if value is not None else "is missing")
    return value


def _payload_and_metadata(fields: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    payload = _mapping(fields.get("payload"), "payload")
    metadata = fields.get("metadata")
    if metadata is None and isinstance(payload.get("metadata"), dict) and "targetDomain" in payload["metadata"]:
        metadata = payload["metadata"]
        payload = {key: value for key, value in payload.items() if key != "metadata"}
    return payload, _mapping(metadata, "metadata")


def _identifier(fields: Mapping[str, Any], name: str, default: str | None = None) -> str:
    text = fields.get(name, default)
    if isinstance(text, str) and 0 < len(text) <= MAX_ID_LENGTH and text.isprintable():
        return text
    if text is None:
        _refuse(name, "is missing")
    _refuse(name, f"must be 1 to {MAX_ID_LENGTH} printable characters")


def _type(fields: Mapping[str, Any]) -> str:
    name = _identifier(fields, "type")
    if name == BATCH_TYPE:
        _refuse("type", f"is {BATCH_TYPE}, which is a frame's, not a message's")
    return name


def _version(version: Any) -> str:
    if version == VERSION:
        return VERSION
    if version is None:
        _refuse("version", "is missing")
    text = str(version) if isinstance(version, str | float | int) else ""
    if _VERSION.fullmatch(text) is None:
        _refuse("version", "is not one that this build knows: must be 1.x")
    return text if "." in text else VERSION


def _timestamp(text: Any) -> str:
    if text is None:
        _refuse("timestamp", "is missing")
    if not isinstance(text, str) or not is_timestamp(text):
        _refuse("timestamp", "must be RFC 3339, as in 2025-01-26T15:30:00Z")
    return text


def _metadata(metadata: Mapping[str, Any]) -> Metadata:
    get = metadata.get
    fields = get("sourceDomain"), get("targetDomain"), get("priority", "normal"), get("ttl")
    try:
        return _shared(*fields)
    except TypeError:  # something that has no hash, and is none of what these may be
        return _metadata_of(*fields)


def _metadata_of(source: Any, target: Any, priority: Any, ttl: Any) -> Metadata:
    if priority not in PRIORITIES:
        _refuse("metadata.priority", f"must be one of {', '.join(PRIORITIES)}")
    if ttl is not None and (type(ttl) is not int or ttl <= 0):
        _refuse("metadata.ttl", "must be a positive number of milliseconds")
    return Metadata(_domain("sourceDomain", source), _domain("targetDomain", target), priority, ttl)


_shared = lru_cache(maxsize=1024, typed=True)(_metadata_of)
"""Checks and makes metadata once for all the messages that go one way: they can't be changed."""


def _domain(name: str, domain: Any) -> str:
    if domain is None:
        _refuse(f"metadata.{name}", "is missing")
    if not isinstance(domain, str) or not is_domain(domain):
        _refuse(f"metadata.{name}", "must be 1 to 100 letters, digits, '.', '_' or '-'")
    return domain
