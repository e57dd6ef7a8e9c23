"""The journal in the environment's flags server, so that any host can finish, follow and read a rollback.

Keys: `sb:{env}:rollback` (the running one), `sb:{env}:rollback:<id>` (its events), `sb:{env}:receipts`, and
`sb:{env}:receipt-keys` (the public keys that sign them). One script makes every write; see `journal.lua`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import redis

from flags.stores.keys import Keys
from foundation.documents import read_json
from foundation.redis import Script, connect, translated
from rollout.errors import AttemptSuperseded, ReceiptUnknown
from rollout.journal import LEASE, Lead, Running
from rollout.receipt import LIMITS, Receipt, from_bytes, to_bytes
from rollout.record import Record, StepEvent

_SCRIPT = Script("rollout.journals", "journal.lua")


class RedisJournal:
    """The rollbacks of one environment; `server` is the URL of the flags server, or a client that answers bytes."""

    def __init__(self, server: str | redis.Redis, environment: str) -> None:
        self.environment = environment
        self._client = connect(server) if isinstance(server, str) else server
        self._keys = Keys(environment)

    def running(self) -> Running | None:
        """Read the rollback that has not ended."""
        with translated("read the running rollback"), self._client.pipeline(transaction=True) as pipeline:
            pipeline.hmget(self._keys.named("rollback"), "record", "until")
            pipeline.time()
            (text, until), (seconds, micros) = pipeline.execute()
        if text is None:
            return None
        return Running(read_json(text, LIMITS), int(until) / 1000 - seconds - micros / 1e6)

    def take(self, record: Record) -> Lead:
        """Begin a rollback, or take over the unfinished one."""
        lead = Lead(record["receipt"], len(record["attempts"]))
        self._write("take", lead, _text(record))
        return lead

    def commit(self, lead: Lead, record: Record, event: StepEvent) -> None:
        """Keep the record and tell the event."""
        self._write("commit", lead, _text(record), _text(event.to_document()))

    def renew(self, lead: Lead) -> None:
        """Give a sign of life."""
        self._write("renew", lead)

    def let_go(self, lead: Lead) -> None:
        """Leave an unfinished rollback to whoever comes next."""
        self._run("let_go", lead)

    def finish(self, lead: Lead, receipt: Receipt, event: StepEvent) -> None:
        """Keep the receipt, tell the last event and end the rollback."""
        self._write("finish", lead, to_bytes(receipt), _text(event.to_document()))

    def events(self, receipt_id: str, after: str = "0-0") -> list[tuple[str, StepEvent]]:
        """Read what was told after a cursor."""
        with translated("read a rollback's events"):
            entries: Any = self._client.xrange(self._events(receipt_id), min=f"({after}")
        return [(cursor.decode(), StepEvent.from_document(read_json(fields[b"e"]))) for cursor, fields in entries]

    def receipts(self) -> list[Receipt]:
        """Read every receipt, oldest first."""
        with translated("read the receipts"):
            kept: Any = self._client.hgetall(self._keys.named("receipts"))
        return [from_bytes(kept[name]) for name in sorted(kept)]

    def receipt(self, receipt_id: str) -> Receipt:
        """Read one receipt."""
        with translated("read a receipt"):
            data: Any = self._client.hget(self._keys.named("receipts"), receipt_id)
        if data is None:
            raise ReceiptUnknown(f"no receipt {receipt_id!r} in environment {self.environment!r}")
        return from_bytes(data)

    def vouch(self, key_id: str, public_key: str) -> None:
        """Remember a public key."""
        with translated("keep the public key of receipts"):
            self._client.hset(self._keys.named("receipt-keys"), key_id, public_key)

    def vouched(self) -> Mapping[str, str]:
        """Read the public keys."""
        with translated("read the public keys of receipts"):
            keys: Any = self._client.hgetall(self._keys.named("receipt-keys"))
        return {name.decode(): key.decode() for name, key in keys.items()}

    def _write(self, verb: str, lead: Lead, document: str | bytes = "", event: str = "") -> None:
        if not self._run(verb, lead, document, event):
            raise AttemptSuperseded(f"attempt {lead.attempt} of {lead.receipt} does not lead")

    def _run(self, verb: str, lead: Lead, document: str | bytes = "", event: str = "") -> bool:
        keys = [self._keys.named("rollback"), self._events(lead.receipt), self._keys.named("receipts")]
        with translated("write the rollback's journal"):
            args = [verb, lead.receipt, lead.attempt, int(LEASE * 1000), document, event]
            return bool(_SCRIPT(self._client, keys, args))

    def _events(self, receipt_id: str) -> str:
        return self._keys.named(f"rollback:{receipt_id}")


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
