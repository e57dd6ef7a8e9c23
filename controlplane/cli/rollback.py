"""`signalbox rollback`: the lever. Confirms, tells each step as it goes, and ends with the receipt.

It goes straight to the stores and must never load the web application. Once the steps have begun, neither a closed
terminal nor a broken pipe stops it.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import click

from controlplane.cli.common import (
    OK,
    UNREACHABLE,
    USAGE,
    actor,
    complain,
    connect,
    environment_option,
    json_option,
    reason_option,
)
from controlplane.errors import NotConnected
from controlplane.wiring import Connection
from foundation.errors import DocumentError, StoreRefused, StoreUnreachable
from foundation.signing import SigningKey
from messenger.formats import BATCHING_FLAG, COMPRESSION_FLAG, YAML_FLAG
from messenger.queues.streams import RedisQueueServer
from rollout.archive import ReceiptFolder
from rollout.clearing import QueueClearing
from rollout.emergency import EmergencyRollback
from rollout.errors import KillUndone, NothingToRollBack
from rollout.health import control_plane
from rollout.ports import Ports, Traffic
from rollout.preview import preview
from rollout.record import Request, StepEvent
from rollout.restart import CommandRestarter, Restarter, SupervisorRestarter

SIGNING_KEY = Path("keys/receipt.key")
"""Where the data folder keeps the key that signs receipts."""

FALLBACKS = {YAML_FLAG: "json", COMPRESSION_FLAG: "uncompressed", BATCHING_FLAG: "individual"}
"""What an override file should say of the three messaging flags; of others a person has to know it."""

UNDONE = (
    "NOT killed: the flag is enabled again as often as it is killed. What to do:\n"
    "  1. `signalbox flags history` of the flag names who writes it: a deployment in a loop, a script. Stop that.\n"
    "  2. Run this again."
)

_WORDS = {"progress": "...", "done": "ok", "warn": "WARN", "failed": "FAIL"}


@click.command("rollback", short_help="Put every worker back on the fallback, and prove it.")
@click.option("--flag", "flags", multiple=True, metavar="KEY", help=f"Flag to take back; else {YAML_FLAG}.")
@click.option(
    "--all", "everything", is_flag=True, help="Take back every flag that chooses a format, or is tagged `messaging`."
)
@environment_option
@reason_option
@click.option("--yes", is_flag=True, help="Do not ask for the environment's name.")
@click.option(
    "--restart",
    type=click.Choice(["unacknowledged", "all", "none"]),
    default="unacknowledged",
    show_default=True,
    help="Which workers to restart.",
)
@click.option(
    "--queues",
    type=click.Choice(["transcode", "drain", "quarantine", "purge"]),
    default="transcode",
    show_default=True,
    help="What becomes of YAML that waits: JSON in place, left to consumers, set aside, dropped.",
)
@click.option("--yes-purge", is_flag=True, help="Confirms that `--queues purge` drops messages for good.")
@click.option(
    "--converge-timeout",
    type=click.FloatRange(0, 600),
    default=3.0,
    show_default=True,
    metavar="S",
    help="Seconds that workers have to acknowledge before they are restarted.",
)
@click.option(
    "--window",
    type=click.FloatRange(0, 3600),
    default=5.0,
    show_default=True,
    metavar="S",
    help="Seconds for which traffic is watched, where there is any.",
)
@click.option(
    "--restart-command",
    envvar="SIGNALBOX_RESTART_COMMAND",
    default="",
    metavar="WORDS",
    help="Restarts a worker that no supervisor of ours brings back; {slot}, {domain}, {host} are filled in.",
)
@click.option(
    "--signing-key",
    envvar="SIGNALBOX_SIGNING_KEY",
    type=click.Path(path_type=Path),
    help="Key that signs the receipt; else keys/receipt.key in the data folder.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
@click.option("--actor", "who", default="", hidden=True, help="Who asks, where that is not who runs this.")
@json_option
def command(environment: str | None, **options: Any) -> None:
    """Kill a flag everywhere, clear its format out of the queues, and prove it with a signed receipt.

    Exit codes: 0 verified safe, 1 done but a check failed (the last lines say which), 2 wrong usage and nothing
    changed, 3 NOT killed: no flags server answers or takes writes, or somebody undoes the kill (says what to do
    instead).

    Run it again whenever in doubt: it finishes what an attempt before it has left.

    Example: signalbox rollback --reason "decode errors in balance"
    """
    request, voice = _request(options), _Voice(as_json=options["as_json"])
    code, connection = UNREACHABLE, None
    try:
        connection = connect(environment)
        if options["dry_run"]:
            code = _rehearse(open_ports(connection, SigningKey.generate()), request, voice)
        else:
            _confirm(connection.environment, options)
            key = signing_key(options["signing_key"] or connection.settings.data_dir / SIGNING_KEY)
            code = _pull(open_ports(connection, key, _words(options["restart_command"])), request, voice)
    except (NothingToRollBack, DocumentError) as error:
        complain(error)
        code = USAGE
    except KillUndone as error:
        complain(error)
        click.echo(UNDONE, err=True)
        raise SystemExit(UNREACHABLE) from error
    except (NotConnected, StoreUnreachable, StoreRefused) as error:
        complain(error)
    if code == UNREACHABLE:
        _say_what_else(request, connection.settings.overrides if connection else "")
    raise SystemExit(code)


def open_ports(connection: Connection, key: SigningKey, restart_command: tuple[str, ...] = ()) -> Ports:
    """Put together everything that a rollback of this environment reaches the world through."""
    settings = connection.settings
    queues, traffic = _queue_side(connection)
    restarters: list[Restarter] = [SupervisorRestarter(connection.registry)]
    if restart_command:
        restarters.append(CommandRestarter(restart_command))
    return Ports(
        store=connection.store,
        registry=connection.registry,
        journal=connection.journal,
        queues=queues,
        clearing=QueueClearing(queues),
        traffic=traffic,
        restarters=tuple(restarters),
        checks=(control_plane(settings.url),) if settings.url else (),
        archive=ReceiptFolder(settings.data_dir / "receipts"),
        key=key,
    )


def _queue_side(connection: Connection) -> tuple[RedisQueueServer, Traffic]:
    """Open what is on the queue server.

    The kill needs the flags server alone, so a missing address is no reason to stop: the steps that need the queues
    fail as they do where the server is gone, and say so.
    """
    try:
        return RedisQueueServer(connection.queue_url, connection.environment), connection.telemetry
    except NotConnected as error:
        nobody: Any = _NoAddress(error)
        return nobody, nobody


class _NoAddress:
    """Stands for a server that nobody has named: whatever is asked of it, it does not answer."""

    def __init__(self, error: NotConnected) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        raise StoreUnreachable(str(self._error)) from self._error


def signing_key(path: Path) -> SigningKey:
    """Read the key that signs receipts, or make it; where neither can be done, make one for this run and say so."""
    try:
        return SigningKey.load_or_create(path)
    except (OSError, DocumentError) as error:
        # Better than no rollback, and as good a proof: its public half is vouched for in the store.
        click.echo(f"signalbox: {path} can't be used ({error}); this run signs with a key of its own", err=True)
        return SigningKey.generate()


def _rehearse(ports: Ports, request: Request, voice: _Voice) -> int:
    for event in preview(ports, request):
        voice.tell(event)
    return OK


def _pull(ports: Ports, request: Request, voice: _Voice) -> int:
    # Whoever pulled the lever may lose the connection to this terminal; the rollback goes on.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    rollback = EmergencyRollback(ports, request)
    for event in rollback.run():
        voice.tell(event)
    voice.close(rollback)
    return rollback.exit_code


def _request(options: dict[str, Any]) -> Request:
    if options["flags"] and options["everything"]:
        raise click.UsageError("--flag and --all exclude each other")
    return Request(
        actor=options["who"] or actor(),
        reason=options["reason"].encode(errors="replace").decode(),  # whatever bytes a terminal sent
        process=f"{socket.gethostname()}:{os.getpid()}",
        flags=options["flags"] or (YAML_FLAG,),
        every_messaging_flag=options["everything"],
        restart=options["restart"],
        queues=options["queues"],
        converge_timeout=options["converge_timeout"],
        window=options["window"],
    )


def _words(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise click.UsageError(f"--restart-command can't be split into words: {error}") from error


def _confirm(environment: str, options: dict[str, Any]) -> None:
    purge = options["queues"] == "purge" and not options["yes_purge"]
    if options["yes"] and purge:
        raise click.UsageError("--queues purge drops messages for good: confirm that with --yes-purge")
    if options["yes"]:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to confirm at: give --yes")
    _ask(f"This takes environment {environment!r} back to the fallback. Type its name to go on", environment)
    if purge:
        _ask("The messages that wait as YAML will be lost. Type `purge` to go on", "purge")


def _ask(question: str, answer: str) -> None:
    if click.prompt(question, default="", show_default=False, err=True) != answer:
        raise click.UsageError("not confirmed; nothing was changed")


class _Voice:
    """Tells people line by line, or machines event by event; falls silent where nobody listens any more."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def tell(self, event: StepEvent) -> None:
        """Tell one event."""
        if self._as_json:
            self._say(json.dumps(event.to_document(), ensure_ascii=False))
        else:
            self._say(f"{event.elapsed:7.2f}s  {event.step:<9}  {_WORDS[event.status]:<4}  {event.detail}")

    def close(self, rollback: EmergencyRollback) -> None:
        """Tell how it ended."""
        receipt = rollback.receipt
        if self._as_json:
            self._say(json.dumps({"exit": rollback.exit_code, "receipt": receipt, "kept": rollback.kept}))
        elif receipt is not None:
            for line in _summary(receipt, rollback.kept):
                self._say(line)

    def _say(self, line: str) -> None:
        try:
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
        except OSError:
            # Nobody listens any more. What is left in the buffer must not make the exit code another one.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _summary(receipt: dict[str, Any], kept: str) -> list[str]:
    safe = receipt["exit"] == 0
    lines = ["", f"{'VERIFIED SAFE' if safe else 'NOT VERIFIED'} in {receipt['seconds']:.2f} s"]
    for name, check in receipt["checks"].items():
        if check["status"] != "pass":
            remedy = f" -> {check['remedy']}" if check["remedy"] else ""
            lines.append(f"  {check['status'].upper():<4}  {name}: {check['detail']}{remedy}")
    shown = kept or f"in the store: signalbox receipt show {receipt['receipt']}"
    lines += [f"  receipt {receipt['receipt']}, {shown}"]
    flags = " ".join(receipt["flags"])
    lines += [f"  {flags}: on hold until `signalbox flags release`; look into it first"]
    return lines


def _say_what_else(request: Request, overrides: str) -> None:
    keys = list(FALLBACKS) if request.every_messaging_flag else list(request.flags)
    file = shlex.quote(overrides) if overrides else '"$SIGNALBOX_OVERRIDES"'
    lines = "\\n".join(f"{key}: {FALLBACKS.get(key, '<its off value>')}" for key in keys)
    click.echo(
        "Nothing is proven: no flags server answers, or it takes no writes. What to do instead:\n"
        "  1. Workers that have lost the flags server send the fallback by themselves after their lease (3 s).\n"
        "  2. On every host whose workers still send the wrong format, write their override file, the one that\n"
        "     SIGNALBOX_OVERRIDES named when they were started:\n"
        f"       printf '{lines}\\n' > {file}\n"
        "     They follow it within a second, and say so in `signalbox instances` once the server is back.\n"
        "  3. Bring the flags server back (`signalbox doctor` says what it lacks) and run this again. If you would\n"
        "     rather leave it: `signalbox flags release KEY` lifts what was barred at the queues meanwhile.",
        err=True,
    )
