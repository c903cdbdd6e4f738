"""`reconcile`: all commands, and how they end.

Exit codes: 0 done, 1 a finding or nothing found, 2 wrong use, 3 a service could not be
reached. What goes wrong is one sentence on standard error, without a traceback, since a
traceback may quote values of patients.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import Annotated

import typer

from reconcile import __version__
from reconcile.cli import (
    associations,
    audit,
    corrections,  # noqa: F401 - adds its commands to those of others
    delete,
    erase,  # noqa: F401 - adds its command to that of others
    exporting,  # noqa: F401 - so does this one
    forward,
    holds,
    keys,
    lookup,
    messages,
    notification,
    schema,
    sealed,  # noqa: F401 - adds its commands to those of `audit`
    statistics,  # noqa: F401 - adds its commands to those of others
)
from reconcile.cli.backup import backup, restore
from reconcile.cli.check import check
from reconcile.cli.conformance import conformance
from reconcile.cli.context import Config, Data, reported
from reconcile.cli.doctor import doctor
from reconcile.cli.echo import echo
from reconcile.cli.importing import import_files
from reconcile.cli.inventory import inventory
from reconcile.cli.logs import configure_logging
from reconcile.cli.reload import reload
from reconcile.cli.suggestions import app as suggestion
from reconcile.cli.suggestions import hunt
from reconcile.cli.what_if import what_if
from reconcile.settings import load

app = typer.Typer(
    name="reconcile",
    help="A DICOM archive back-end that decides, explains and remembers identity.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(audit.app, name="audit")
app.add_typer(lookup.patient, name="patient")
app.add_typer(lookup.study, name="study")
app.add_typer(lookup.instance, name="instance")
app.add_typer(holds.app, name="hold")
app.add_typer(messages.app, name="message")
app.add_typer(notification.app, name="notification")
app.add_typer(forward.app, name="forward")
app.add_typer(associations.app, name="association")
app.add_typer(delete.app, name="delete")
app.add_typer(keys.app, name="key")
app.add_typer(schema.app, name="db")
app.add_typer(suggestion, name="suggestion")
app.command("doctor")(doctor)
app.command("check")(check)
app.command("backup")(backup)
app.command("restore")(restore)
app.command("conformance")(conformance)
app.command("echo")(echo)
app.command("reload")(reload)
app.command("hunt")(hunt)
app.command("import")(import_files)
app.command("what-if")(what_if)
app.command("inventory")(inventory)


@app.command("serve")
def serve(
    config: Config = None,
    data: Data = None,
    demo: Annotated[bool, typer.Option("--demo", help="Play a small hospital.")] = False,
) -> None:
    """Open all doors; SIGTERM finishes what it began."""
    from reconcile.cli.serve import serve as run

    configure_logging()
    with reported():
        code = run(partial(load, config, data, os.environ), demo=demo)
    raise typer.Exit(code)


@app.command("version")
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """Run one command."""
    try:
        app()
    except BrokenPipeError:
        # Whoever read us has seen enough; nothing more can be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        if os.environ.get("RECONCILE_DEBUG"):
            raise
        kind = type(error).__name__
        hint = "RECONCILE_DEBUG=1 shows where"
        typer.echo(f"reconcile: unexpected {kind} ({hint})", err=True)
        raise SystemExit(1) from None
