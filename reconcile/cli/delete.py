"""`reconcile delete`: plan, confirm and cancel deletions; legal holds; tombstones."""

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
from reconcile.cli.deletion import deleting, retaining
from reconcile.db import views_deletions
from reconcile.db.views import Where
from reconcile.db.views_deletions import Deletion, Tombstone
from reconcile.flows.deleting import LOCAL

app = typer.Typer(no_args_is_help=True, help="Delete in two steps; legal holds.")

Reason = Annotated[str, typer.Option(help="Why; kept in the history.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="Of a deletion.")]
Study = Annotated[str, typer.Argument(metavar="STUDY-UID", help="Received or assigned.")]


@app.command("plan")
def plan(
    uids: Annotated[list[str] | None, typer.Argument(metavar="[UID]...")] = None,
    reason: Reason = "",
    rules: Annotated[bool, typer.Option(help="What [[retention]] says, now.")] = False,
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Plan to delete studies, series or instances, by received or assigned UIDs.

    Nothing changes until it is confirmed; a plan of a rule is done when its delay is over.
    """
    with opened(config, data) as archive:
        if bool(uids) == rules:
            raise typer.BadParameter("either UIDs or --rules")
        if rules:
            count = retaining(archive.parts).run()
            typer.echo(f"{count} deletions planned")
            return
        made = deleting(archive.parts).plan(uids or (), reason, LOCAL)
    say_json(made) if as_json else typer.echo(line(made))


@app.command("list")
def list_deletions(
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
    state: Annotated[str, typer.Option(help="Such as planned.")] = "",
    limit: Limit = 50,
    cursor: Cursor = "",
) -> None:
    """List deletions, the first one first. Exits 1 when there is none."""
    with opened(config, data) as archive, archive.database.read_only() as connection:
        page = views_deletions.deletions(connection, Where(limit, cursor), state=state)
    for each in page.items:
        say_json(each) if as_json else typer.echo(line(each))
    say_next(page.next)
    if not page.items:
        raise nothing_found("there is no deletion")


@app.command("confirm")
def confirm(
    deletion: Id, config: Config = None, data: Data = None, as_json: AsJson = False
) -> None:
    """Let a planned deletion be done: there is no way back."""
    with opened(config, data) as archive:
        done = deleting(archive.parts).confirm(deletion, LOCAL)
    say_json(done) if as_json else typer.echo(line(done))


@app.command("cancel")
def cancel(
    deletion: Id,
    reason: Reason,
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Let a planned deletion never be done."""
    with opened(config, data) as archive:
        done = deleting(archive.parts).cancel(deletion, reason, LOCAL)
    say_json(done) if as_json else typer.echo(line(done))


@app.command("hold")
def hold(study: Study, reason: Reason, config: Config = None, data: Data = None) -> None:
    """Put a study under a legal hold: nothing of it is deleted."""
    with opened(config, data) as archive:
        flow = deleting(archive.parts)
        count = flow.retain(study, held=True, reason=reason, actor=LOCAL)
    typer.echo(f"{count} studies are under a legal hold now")


@app.command("release")
def release(study: Study, reason: Reason, config: Config = None, data: Data = None) -> None:
    """Let a study go from its legal hold."""
    with opened(config, data) as archive:
        flow = deleting(archive.parts)
        count = flow.retain(study, held=False, reason=reason, actor=LOCAL)
    typer.echo(f"{count} studies are let go")


@app.command("tombstones")
def tombstones(
    uid: Annotated[str, typer.Argument(metavar="[UID]")] = "",
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
    limit: Limit = 50,
    cursor: Cursor = "",
) -> None:
    """List what is left of deleted instances. Exits 1 when there is nothing."""
    with opened(config, data) as archive, archive.database.read_only() as connection:
        page = views_deletions.tombstones(connection, Where(limit, cursor), uid=uid)
    for each in page.items:
        say_json(each) if as_json else typer.echo(_stone(each))
    say_next(page.next)
    if not page.items:
        raise nothing_found("nothing was deleted")


def line(each: Deletion) -> str:
    """A deletion on one line."""
    when = each.planned_at.isoformat(timespec="seconds")
    counts = f"{each.instances} instances of {len(each.studies)} studies"
    if each.state in ("executing", "executed"):
        counts += f", {each.deleted} deleted, {each.kept} kept"
    if each.state == "planned" and each.due_at:
        counts += f", done {each.due_at.isoformat(timespec='seconds')}"
    by = f"{each.cause} {each.subject}".rstrip()
    return f"{each.id}  {each.state:<9}  {when}  {each.planned_by}  {by}: {counts}"


def _stone(each: Tombstone) -> str:
    when = each.deleted_at.isoformat(timespec="seconds")
    again = f"  came again {each.ended_at.isoformat()}" if each.ended_at else ""
    return f"{when}  {each.sop_instance_uid}  deletion {each.deletion}{again}"
