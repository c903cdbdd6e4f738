"""`reconcile hold`: what waits for a person, listed, shown and resolved."""

from __future__ import annotations

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
from reconcile.cli.messages import replays
from reconcile.db import views_holds
from reconcile.db.views import Where
from reconcile.db.views_holds import Hold
from reconcile.flows.resolve import ResolveFlow, Wanted
from reconcile.flows.worklist import grace

app = typer.Typer(no_args_is_help=True, help="What waits for a person.")

HoldId = Annotated[str, typer.Argument(metavar="ID")]


@app.command("list")
def list_holds(
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
    kind: Annotated[str, typer.Option(help="hold, review or message.")] = "",
    code: Annotated[str, typer.Option(help="Such as DEMOGRAPHIC-CONFLICT.")] = "",
    state: Annotated[str, typer.Option(help="open or closed.")] = "open",
    limit: Limit = 50,
    cursor: Cursor = "",
) -> None:
    """List what waits for a person, the oldest first. Exits 1 when nothing does."""
    with opened(config, data) as archive, archive.database.read_only() as connection:
        where = Where(limit, cursor)
        expected = grace(archive.parts.rules, wiring.now())
        wanted = {"kind": kind, "code": code, "state": state}
        page = views_holds.holds(connection, where, **wanted, grace=expected)
    for item in page.items:
        say_json(item) if as_json else typer.echo(_hold(item))
    say_next(page.next)
    if not page.items:
        raise nothing_found("nothing of that kind is here")


@app.command("show")
def show_hold(
    hold_id: HoldId,
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show one item with what was received and who it might be: patient data."""
    with opened(config, data) as archive, archive.database.read_only() as connection:
        item = views_holds.hold(connection, hold_id)
    if as_json:
        say_json(item)
        return
    typer.echo(_hold(item))
    for candidate in item.candidates:
        named = " ".join(candidate.get("identifiers", ()))
        reasons = "; ".join(candidate.get("reasons", ()))
        typer.echo(f"  {named}: {reasons}")


@app.command("resolve")
def resolve_hold(
    hold_id: HoldId,
    action: Annotated[str, typer.Argument(metavar="ACTION")],
    reason: Annotated[str, typer.Option(help="Why; kept in the history.")],
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
    receipt: Annotated[str, typer.Option(help="Which arrival, of several.")] = "",
    patient: Annotated[
        str, typer.Option(metavar="ID^^^DOMAIN", help="To whom; with assign.")
    ] = "",
) -> None:
    """Decide what waits: accept, assign, new-patient or reject; of two versions replace.

    Of a message replay or reject.

    accept: the patient whom its own identifier names; of a review: it was seen. assign:
    the patient whom --patient names. new-patient: somebody nobody knows yet. reject: it
    stays under an ID of its own. replace: the version that is held is given out.
    replay: the message is acted on now.
    """
    with opened(config, data) as archive:
        parts = archive.parts
        sources = wiring.sources(parts.settings)
        flow = ResolveFlow(parts.store("resolve"), sources, replays(parts))
        flow.resolve(
            Wanted(hold_id, action, reason, "local", receipt=receipt, patient=patient)
        )
        with archive.database.read_only() as connection:
            item = views_holds.hold(connection, hold_id)
    say_json(item) if as_json else typer.echo(f"{item.id}  {item.code}  {action}")


def _hold(item: Hold) -> str:
    when = item.opened_at.isoformat(timespec="seconds")
    subject = item.study_instance_uid or item.message_id
    return f"{item.id}  {when}  {item.kind:<7}  {item.code:<22}  {item.source}  {subject}"
