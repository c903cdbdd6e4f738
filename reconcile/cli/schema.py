"""`reconcile db`: migrations."""

from __future__ import annotations

import typer

from reconcile.cli.context import FINDING, AsJson, Config, Data, opened, say_json
from reconcile.db import migrate

app = typer.Typer(no_args_is_help=True, help="The schema of the registry.")


@app.command("upgrade")
def upgrade(config: Config = None, data: Data = None) -> None:
    """Bring the schema up to what this program needs."""
    with opened(config, data, make=True):
        typer.echo("the schema is current")


@app.command("check")
def check(config: Config = None, data: Data = None, as_json: AsJson = False) -> None:
    """Say what keeps the schema from being current. Exits 1 when something does."""
    with opened(config, data) as archive:
        findings = migrate.check(archive.urls.owner)
    for finding in findings:
        say_json({"finding": finding}) if as_json else typer.echo(finding)
    if findings:
        raise typer.Exit(FINDING)
    if not as_json:
        typer.echo("the schema is current")
