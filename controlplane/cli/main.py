"""The command `signalbox`: finds the module of a subcommand and loads it only when it is called.

Loading lazily keeps the rollback's path short: `signalbox rollback` must not need, nor wait for, the web application.
"""

from __future__ import annotations

import importlib

import click

from controlplane.cli.common import ErrorsToExitCodes

COMMANDS = {
    "up": "Run the whole product on this machine until Ctrl-C.",
    "serve": "Run the API, the pages and the streams against a Redis of yours.",
    "worker": "Run workers that handle messages, and restart those that die.",
    "flags": "List, read and change flags.",
    "segments": "List, read and change segments, which rules of flags refer to.",
    "env": "Create environments, compare them, and copy flags between them.",
    "instances": "See who is live and which revision each has applied.",
    "queues": "See queues, look into them, and replay dead letters.",
    "rollback": "Put every worker back on the fallback, and prove it.",
    "receipt": "List, show and verify the receipts of rollbacks.",
    "doctor": "Check versions, servers and settings, and say what to do.",
}
"""Each subcommand stands in `controlplane/cli/<name>.py` under the name `command`."""


class LazyGroup(ErrorsToExitCodes):
    """A group that imports a subcommand when it is called, and shows its help without importing any."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name the subcommands in the order in which people need them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - the same
        """Import the module of one subcommand."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"controlplane.cli.{cmd_name}").command
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - the same
        """List the subcommands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="signalbox", message="signalbox %(version)s")
def main() -> None:
    """Set a flag, see every live worker prove that it has it, and take it back in seconds.

    Commands find the `signalbox up` of this folder by themselves (.signalbox/ready.json), or go to SIGNALBOX_REDIS_URL
    and SIGNALBOX_QUEUE_URL. Exit codes: 0 done, 1 failed or refused, 2 wrong usage, 3 no store answers or takes writes.
    """
