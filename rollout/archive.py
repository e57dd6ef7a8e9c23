"""Receipts on this host's disk: one file each, put there whole or not at all."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from rollout.errors import ReceiptUnknown
from rollout.receipt import Receipt, from_bytes, to_bytes

_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")


@dataclass(frozen=True, slots=True)
class ReceiptFolder:
    """The folder that keeps them; it is made with the first one."""

    path: Path

    def keep(self, receipt: Receipt) -> str:
        """Keep a receipt, replacing what an earlier attempt kept under its id; raises OSError."""
        self.path.mkdir(parents=True, exist_ok=True)
        file = self._file(receipt["receipt"])
        draft = file.with_suffix(f".{os.getpid()}")
        try:
            with draft.open("wb") as stream:
                stream.write(to_bytes(receipt))
                stream.flush()
                os.fsync(stream.fileno())
            draft.replace(file)
        finally:
            draft.unlink(missing_ok=True)
        return str(file)

    def read(self, receipt_id: str) -> Receipt:
        """Read one receipt; raises ReceiptUnknown, ReceiptMalformed."""
        try:
            return from_bytes(self._file(receipt_id).read_bytes())
        except OSError as error:
            raise ReceiptUnknown(f"no receipt {receipt_id!r} in {self.path}") from error

    def names(self) -> list[str]:
        """Name the receipts that are here, oldest first."""
        return sorted(file.stem for file in self.path.glob("*.json"))

    def _file(self, receipt_id: str) -> Path:
        if not _ID.fullmatch(receipt_id):
            raise ReceiptUnknown(f"{receipt_id[:100]!r} can't be a receipt's id")
        return self.path / f"{receipt_id}.json"
