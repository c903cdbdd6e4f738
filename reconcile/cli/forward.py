"""`reconcile forward`: what is on its way to destinations, listed and steered."""

from __future__ import annotations

from typing import Annotated

import typer

from reconcile.cli.context import AsJson, Config, Data, Limit, Opened, opened, say_json
from reconcile.cli.context import nothing_found as nothing
from reconcile.cli.wiring import now
from reconcile.db import views_deliveries
from reconcile.db.views_deliveries import Queued, Relayed
from reconcile.flows.forwarding import Steering

app = typer.Typer(no_args_is_help=True, help="What is sent on to destinations.")

Destination = Annotated[str, typer.Argument(metavar="AE", help="Of a [[destination]].")]
Study = Annotated[str, typer.Argument(metavar="STUDY", help="Received or assigned UID.")]
Lane = Annotated[
    str,
    typer.Argument(metavar="STUDY", help="Its UID; or `patients`, or the UID of a step."),
]


def _steering(archive: Opened) -> Steering:
    titles = [each.ae_title for each in archive.parts.settings.destination]
    return Steering(archive.database, now, titles)


@app.command("list")
def list_deliveries(
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
    destination: Annotated[str, typer.Option(help="AE title.")] = "",
    study: Annotated[str, typer.Option(help="Received or assigned UID.")] = "",
    done: Annotated[bool, typer.Option(help="Also what has all arrived.")] = False,
    limit: Limit = 50,
) -> None:
    """List what is on its way, and what was refused. Exits 1 when there is nothing."""
    with opened(config, data) as archive, archive.database.read_only() as connection:
        of = views_deliveries.study_of(connection, study) if study else None
        asked = (connection, destination, of)
        found = views_deliveries.queued(*asked, most=limit, all_states=done)
        told = views_deliveries.relayed(*asked, most=limit, all_states=done)
    for each in found:
        say_json(each) if as_json else typer.echo(_line(each, each.study_instance_uid))
    for row in told:
        say_json(row) if as_json else typer.echo(_line(row, f"{row.lane} (messages)"))
    if not (found or told):
        raise nothing("nothing is on its way")


@app.command("retry")
def retry(
    destination: Destination,
    study: Annotated[str, typer.Argument(metavar="[STUDY]")] = "",
    config: Config = None,
    data: Data = None,
) -> None:
    """Send what waits and what was refused now, from the start."""
    with opened(config, data) as archive:
        count = _steering(archive).retry(destination, study)
    typer.echo(f"{count} to be sent")


@app.command("skip")
def skip(
    destination: Destination, study: Lane, config: Config = None, data: Data = None
) -> None:
    """Never send what waits of a study to a destination."""
    with opened(config, data) as archive:
        count = _steering(archive).skip(destination, study, "command line")
    typer.echo(f"{count} left out")


@app.command("send")
def send(
    destination: Destination, study: Study, config: Config = None, data: Data = None
) -> None:
    """Send a whole study as it is given out now, whatever the rules say."""
    with opened(config, data) as archive:
        count = _steering(archive).send(destination, study)
    typer.echo(f"{count} to be sent")


def _line(each: Queued | Relayed, what: str) -> str:
    counts = f"{each.waiting} wait, {each.sent} sent"
    if each.refused:
        counts += f", {each.refused} refused"
    if each.skipped:
        counts += f", {each.skipped} left out"
    why = f"  {each.error}" if each.error else ""
    if each.attempts and each.next_at:
        why += (
            f" ({each.attempts} tries, next {each.next_at.isoformat(timespec='seconds')})"
        )
    return f"{each.destination:<16}  {what}  {counts}{why}"
