"""`signalbox worker`: a supervisor and its workers, in the foreground."""

from __future__ import annotations

import click

from controlplane.cli.common import connect, environment_option
from flags.fields import name
from foundation.errors import DocumentError


def _domain(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    """Take a name of a domain; anything else is wrong usage."""
    try:
        return name(value, "domain")
    except DocumentError as error:
        raise click.BadParameter(str(error)) from error


@click.command()
@click.option("--domain", required=True, callback=_domain, help="The domain whose queue they work off.")
@click.option("--count", type=click.IntRange(1, 1_000), default=1, show_default=True, help="How many workers.")
@click.option(
    "--handlers", required=True, metavar="MODULE", help="Module with register(messenger), or module:function."
)
@click.option("--supervisor", default="", metavar="ID", help="Keep this id over restarts, and with it the slots.")
@environment_option
@click.pass_context
def command(
    ctx: click.Context, environment: str | None, *, domain: str, count: int, handlers: str, supervisor: str
) -> None:
    """Run workers of a domain, and restart those that die, until Ctrl-C.

    Modules are looked for in the working folder first. SIGNALBOX_OVERRIDES names a file that decides flags right here.

    Exit codes: 0 stopped, 1 the handlers can't be loaded or refuse the domain, 2 wrong usage.

    Example: signalbox worker --domain collections --count 2 --handlers examples.settlement
    """
    from messenger.supervisor import WorkerPool, supervise  # noqa: PLC0415 - loads what only workers need
    from messenger.worker import Site  # noqa: PLC0415 - the same

    connection = connect(environment)
    site = Site(connection.environment, connection.redis_url, connection.queue_url, connection.settings.overrides)
    ctx.exit(supervise([WorkerPool(domain, count, handlers)], site, supervisor=supervisor))
