"""`reconcile hunt` and `reconcile suggestion`: persons who may be one."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from reconcile.cli import wiring
from reconcile.cli.context import (
    AsJson,
    Config,
    Cursor,
    Data,
    Limit,
    nothing_found,
    opened,
    say_json,
    say_next,
)
from reconcile.db import suggesting
from reconcile.db.suggesting import Suggestion
from reconcile.db.views import Where
from reconcile.flows.hunt import HuntFlow

app = typer.Typer(no_args_is_help=True, help="Pairs of patients that may be one.")


def hunt(config: Config = None, data: Data = None, as_json: AsJson = False) -> None:
    """Look for patients that may be one, and list them. Changes no patient."""
    with opened(config, data) as archive:
        parts = archive.parts
        flow = HuntFlow(parts.database, parts.rules, wiring.now, _progress)
        found = flow.run()
    if as_json:
        say_json(found)
        return
    typer.echo(f"{found.persons} patients, {found.pairs} pairs compared")
    typer.echo(f"{found.suggested} suggested, {found.dropped} of before dropped")


@app.command("list")
def list_suggestions(
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
    state: Annotated[str, typer.Option(help="open or settled.")] = "open",
    limit: Limit = 50,
    cursor: Cursor = "",
) -> None:
    """List pairs, the first found first: patient data. Exits 1 when there are none."""
    with opened(config, data) as archive, archive.database.read_only() as connection:
        domain = archive.parts.rules.archive_domain
        where = Where(limit, cursor)
        page = suggesting.suggestions(connection, where, domain, state=state)
    for item in page.items:
        say_json(item) if as_json else _say(item)
    say_next(page.next)
    if not page.items:
        raise nothing_found("no two patients are suspected to be one")


@app.command("dismiss")
def dismiss_suggestion(
    suggestion_id: Annotated[str, typer.Argument(metavar="ID")],
    config: Config = None,
    data: Data = None,
) -> None:
    """Take a pair off the list for good: no hunt brings it up again."""
    with opened(config, data) as archive:
        archive.database.run(lambda c: suggesting.dismiss(c, suggestion_id, "local"))
    typer.echo(f"dismissed {suggestion_id}")


def _say(item: Suggestion) -> None:
    both = "  =?  ".join(" ".join(each["identifiers"]) for each in item.patients)
    typer.echo(f"{item.id}  {item.bits:5.1f} bits  {both}")
    for each in item.reasons:
        typer.echo(f"  {each['bits']:+6.1f}  {each['reason']}")


def _progress(what: str, done: int, of: int) -> None:
    if sys.stderr.isatty():
        share = f"{done} of {of}" if of else str(done)
        typer.echo(f"\r{what}: {share}   ", nl=False, err=True)
        if done == of:
            typer.echo(err=True)
