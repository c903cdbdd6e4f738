"""`reconcile message`: the inbox of HL7 messages, listed, shown and acted on again."""

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
from reconcile.cli.wiring import Parts
from reconcile.db import domains, views_holds
from reconcile.db.views import Where
from reconcile.db.views_holds import Message
from reconcile.flows.message import Asked
from reconcile.flows.replay import ReplayFlow

app = typer.Typer(no_args_is_help=True, help="The inbox of HL7 messages.")

MessageId = Annotated[str, typer.Argument(metavar="ID")]


def replays(parts: Parts) -> ReplayFlow:
    """What acts again on messages, as the HL7 door does; with domains that are new."""
    from reconcile.cli.work_hl7 import hl7_door

    configured = list(parts.rules.domains.values())
    parts.database.run(lambda connection: domains.keep(connection, configured))
    return ReplayFlow(parts.database, hl7_door(parts).again)


@app.command("list")
def list_messages(
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
    state: Annotated[str, typer.Option(help="Such as held or refused.")] = "",
    sender: Annotated[str, typer.Option(help="APPLICATION|FACILITY.")] = "",
    control_id: Annotated[str, typer.Option(help="MSH-10.")] = "",
    event: Annotated[str, typer.Option(help="Such as ADT^A40.")] = "",
    limit: Limit = 50,
    cursor: Cursor = "",
) -> None:
    """List messages, the newest first. Exits 1 when there is none."""
    with opened(config, data) as archive, archive.database.read_only() as connection:
        page = views_holds.messages(
            connection,
            Where(limit, cursor),
            state=state,
            sender=sender,
            control_id=control_id,
            event=event,
        )
    for each in page.items:
        say_json(each) if as_json else typer.echo(_line(each))
    say_next(page.next)
    if not page.items:
        raise nothing_found("no message of that kind is here")


@app.command("show")
def show_message(
    message_id: MessageId,
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show one message with what it says: patient data."""
    with opened(config, data) as archive, archive.database.read_only() as connection:
        found = views_holds.message(connection, message_id)
    if as_json:
        say_json(found)
        return
    typer.echo(_line(found))
    for effect in found.effects:
        typer.echo(f"  {effect}")
    for segment in found.text.splitlines():
        typer.echo(f"  {segment}")


@app.command("replay")
def replay_message(
    message_id: MessageId,
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
    reason: Annotated[str, typer.Option(help="Why; kept in the history.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what it would do.")
    ] = False,
) -> None:
    """Act on a held or refused message, as if it came now, and on what waited for it.

    Exits 1 when it is still held or refused.
    """
    with opened(config, data) as archive:
        flow = replays(archive.parts)
        done = flow.replay(message_id, Asked("local", reason, dry_run))
        with archive.database.read_only() as connection:
            [found] = views_holds.messages_of(connection, [done.message_id])
    if as_json:
        outcome = done.outcome
        say_json(
            {
                "dry_run": dry_run,
                "state": outcome.state,
                "acknowledgement": outcome.acknowledgement,
                "effects": outcome.effects,
                "released": done.released,
                "message": found,
            }
        )
    else:
        would = "would be " if dry_run else ""
        told = "; ".join(done.outcome.effects) or "nothing"
        typer.echo(f"{done.message_id}  {would}{done.outcome.state}: {told}")
        if done.released:
            typer.echo(f"{done.released} messages that waited for it were acted on")
    if done.outcome.state in ("held", "refused"):
        raise typer.Exit(1)


def _line(each: Message) -> str:
    when = each.received_at.isoformat(timespec="seconds")
    answer = each.acknowledgement or "--"
    told = f"{each.event:<8}  {each.state:<12}  {answer}  {each.sender}  {each.control_id}"
    return f"{each.id}  {when}  {told}"
