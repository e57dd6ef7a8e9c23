"""`signalbox receipt`: list, show and verify the receipts of rollbacks.

The store has them all; this host's folder has those of the rollbacks that ran here, and is read where no store answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from controlplane.cli.common import connect, environment_option, json_option, print_json, print_table
from controlplane.cli.rollback import SIGNING_KEY
from controlplane.errors import NotConnected
from controlplane.wiring import Connection
from foundation.errors import DocumentError, StoreRefused, StoreUnreachable
from foundation.signing import SigningKey
from rollout.archive import ReceiptFolder
from rollout.errors import SigningKeyUnknown
from rollout.receipt import Receipt, as_yaml, from_bytes, to_bytes, verify

_NO_STORE = (NotConnected, StoreUnreachable, StoreRefused)


@click.group(short_help="List, show and verify the receipts of rollbacks.")
def command() -> None:
    """List, show and verify the receipts of rollbacks.

    Example: signalbox receipt verify rb_01jg3k…

    Exit codes: 0 done, 1 failed or refused, 2 wrong usage, 3 no store answers or takes writes.
    """


@command.command("list")
@environment_option
@json_option
def list_receipts(environment: str | None, *, as_json: bool) -> None:
    """List the receipts, newest first.

    Example: signalbox receipt list
    """
    receipts = _all(connect(environment))
    if as_json:
        print_json(receipts)
        return
    rows = [
        (
            receipt["receipt"],
            receipt["started"],
            f"{receipt['seconds']:.2f} s",
            "safe" if receipt["exit"] == 0 else "not verified",
            " ".join(receipt["flags"]),
            f"{receipt['actor']}: {receipt['reason']}",
        )
        for receipt in receipts
    ]
    print_table(("RECEIPT", "STARTED", "TOOK", "OUTCOME", "FLAGS", "WHO AND WHY"), rows)


@command.command("show")
@click.argument("name", metavar="ID_OR_FILE")
@environment_option
@json_option
def show_receipt(name: str, environment: str | None, *, as_json: bool) -> None:
    """Show a receipt for people to read; with --json as it was signed.

    Example: signalbox receipt show rb_01jg3k…
    """
    receipt = _find(connect(environment), name)
    click.echo(to_bytes(receipt) if as_json else as_yaml(receipt), nl=False)


@command.command("verify")
@click.argument("name", metavar="ID_OR_FILE")
@click.option("--public-key", metavar="BASE64", help="The key that must have signed it; nothing else is then asked.")
@environment_option
def verify_receipt(name: str, public_key: str | None, environment: str | None) -> None:
    """Check that a receipt is as it was signed, by a key that is vouched for.

    Without --public-key that is a key known to the environment's store or to this host's data folder.

    Example: signalbox receipt verify .signalbox/receipts/rb_01jg3k….json
    """
    connection = connect(environment)
    receipt = _find(connection, name)
    verify(receipt, public_key or _vouched(connection, receipt))
    outcome = "verified safe" if receipt["exit"] == 0 else f"not verified ({', '.join(receipt['failed'])})"
    click.echo(f"{receipt['receipt']} is as key {receipt['signature']['keyId']} signed it: {outcome}")


@command.command("keys")
@environment_option
@json_option
def list_keys(environment: str | None, *, as_json: bool) -> None:
    """List the public keys that sign this environment's receipts: what `verify --public-key` takes on another machine.

    Example: signalbox receipt keys
    """
    keys = dict(sorted(connect(environment).journal.vouched().items()))
    if as_json:
        print_json(keys)
    else:
        print_table(("KEY", "PUBLIC KEY"), list(keys.items()))


def _folder(connection: Connection) -> ReceiptFolder:
    return ReceiptFolder(connection.settings.data_dir / "receipts")


def _all(connection: Connection) -> list[Receipt]:
    try:
        found = connection.journal.receipts()
    except _NO_STORE as error:
        click.echo(f"signalbox: {error}; these are the receipts that this host has", err=True)
        folder = _folder(connection)
        found = [folder.read(name) for name in folder.names()]
    return found[::-1]


def _find(connection: Connection, name: str) -> Receipt:
    if Path(name).is_file():
        return from_bytes(Path(name).read_bytes())
    try:
        return connection.journal.receipt(name)
    except _NO_STORE as error:
        click.echo(f"signalbox: {error}; looking on this host", err=True)
        return _folder(connection).read(name)


def _vouched(connection: Connection, receipt: Mapping[str, Any]) -> str:
    block = receipt.get("signature")
    key_id = block.get("keyId", "") if isinstance(block, Mapping) else ""
    known = _keys(connection)
    if key_id not in known:
        raise SigningKeyUnknown(
            f"nobody here vouches for key {key_id!r}: give the key that should have signed it with --public-key"
        )
    return known[key_id]


def _keys(connection: Connection) -> Mapping[str, str]:
    keys: dict[str, str] = {}
    own = connection.settings.data_dir / SIGNING_KEY
    try:
        if own.exists():
            key = SigningKey.load(own)
            keys[key.key_id] = key.public_key
        keys.update(connection.journal.vouched())
    except (*_NO_STORE, OSError, DocumentError) as error:
        click.echo(f"signalbox: {error}", err=True)
    return keys
