"""`reconcile association`: who came to the DICOM door, and why it ended."""

from __future__ import annotations

from typing import Annotated

import typer

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
from reconcile.db import views_associations
from reconcile.db.views import Where
from reconcile.db.views_associations import Association, Wanted
from reconcile.flows.questions import time_of

app = typer.Typer(no_args_is_help=True, help="DICOM associations that have ended.")


@app.command("list")
def list_associations(
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
    ae: Annotated[str, typer.Option(help="Calling or called AE title.")] = "",
    address: Annotated[str, typer.Option(help="IP address of the peer.")] = "",
    outcome: Annotated[
        str, typer.Option(help="released, aborted, rejected, failed or lost.")
    ] = "",
    since: Annotated[str, typer.Option("--from", help="Began then or later.")] = "",
    until: Annotated[str, typer.Option("--to", help="Began earlier.")] = "",
    limit: Limit = 50,
    cursor: Cursor = "",
) -> None:
    """List associations and attempts, the last first. Exits 1 when there is none."""
    with opened(config, data) as archive, archive.database.read_only() as connection:
        times = time_of("--from", since), time_of("--to", until)
        wanted = Wanted(ae, address, outcome, *times)
        page = views_associations.associations(connection, Where(limit, cursor), wanted)
    for each in page.items:
        say_json(each) if as_json else typer.echo(_line(each))
    say_next(page.next)
    if not page.items:
        raise nothing_found("nobody came like that")


@app.command("show")
def show_association(
    named: Annotated[str, typer.Argument(metavar="ID", help="Or its name in the log.")],
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show one association whole."""
    with opened(config, data) as archive, archive.database.read_only() as connection:
        found = views_associations.one(connection, named)
    if as_json:
        say_json(found)
        return
    typer.echo(_line(found))
    seconds = (found.ended_at - found.began_at).total_seconds()
    typer.echo(f"  id {found.id}, {seconds:.1f} s")
    secured = f"TLS, certificate {found.certificate or 'none'}" if found.tls else "no TLS"
    typer.echo(f"  {secured}")
    contexts = f"{found.accepted} of {found.proposed} presentation contexts accepted"
    typer.echo(f"  {contexts}")
    for service, counts in found.services.items():
        said = ", ".join(f"{status} x {count}" for status, count in counts.items())
        typer.echo(f"  {service}: {said}")


def _line(found: Association) -> str:
    when = found.began_at.isoformat(timespec="seconds")
    who = f"{found.calling or '?'} -> {found.called or '?'}"
    why = f": {found.reason}" if found.reason else ""
    return f"{found.name}  {when}  {found.outcome:<8}  {who}  {found.address}{why}"
