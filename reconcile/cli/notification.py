"""`reconcile notification`: who is told of what, listed and tried again."""

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
from reconcile.cli.wiring import now
from reconcile.db import outbox, views_outbox
from reconcile.db.views import Where, uuid_of
from reconcile.db.views_outbox import Notification
from reconcile.errors import NotFound, WrongUse

app = typer.Typer(no_args_is_help=True, help="Who is told of what.")


@app.command("list")
def list_notifications(
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
    state: Annotated[str, typer.Option(help="waiting, sent, given-up or dropped.")] = "",
    target: Annotated[str, typer.Option(help="Name of a [[notify]], or AE title.")] = "",
    limit: Limit = 50,
    cursor: Cursor = "",
) -> None:
    """List who is, was or was to be told, the newest first. Exits 1 when nobody is."""
    with opened(config, data) as archive, archive.database.read_only() as connection:
        where = Where(limit, cursor)
        page = views_outbox.notifications(connection, where, state=state, target=target)
    for each in page.items:
        say_json(each) if as_json else typer.echo(_line(each))
    say_next(page.next)
    if not page.items:
        raise nothing_found("nobody is told of anything like that")


@app.command("retry")
def retry(
    notification_id: Annotated[str, typer.Argument(metavar="[ID]")] = "",
    all_of_them: Annotated[bool, typer.Option("--all", help="All given up.")] = False,
    config: Config = None,
    data: Data = None,
) -> None:
    """Try once more, from the start, what was given up or waits."""
    if bool(notification_id) == all_of_them:
        raise typer.BadParameter("an ID, or --all")
    with opened(config, data) as archive:
        wanted = uuid_of(notification_id)
        if wanted is None and not all_of_them:
            raise NotFound("there is no notification of this id")
        count = archive.database.run(lambda c: outbox.again(c, now(), wanted))
        if not (count or all_of_them):
            raise WrongUse("it was told, or is over: there is nothing to try again")
    typer.echo(f"{count} to be told again")


def _line(told: Notification) -> str:
    when = told.created_at.isoformat(timespec="seconds")
    subject = told.hold_id or told.study_instance_uid
    why = f"  {told.attempts} tries: {told.error}" if told.error else ""
    return f"{told.id}  {when}  {told.state:<8}  {told.target}  {told.kind}  {subject}{why}"
