"""`reconcile audit`: ask what was changed, when, and why."""

from __future__ import annotations

import json
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
    told,
)
from reconcile.cli.wiring import note_reading
from reconcile.core.attributes import Element, values
from reconcile.dataset.keywords import keyword
from reconcile.db import views_audit, views_erasures
from reconcile.db.views import Where
from reconcile.db.views_audit import Event
from reconcile.flows.questions import FILTERS, audit_query

app = typer.Typer(no_args_is_help=True, help="The history of coercions.")


def _filter(name: str, what: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(name, help=what, show_default=False)
    return option


@app.command("list")
def list_events(
    context: typer.Context,
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
    patient: Annotated[str, _filter("--patient", "ID^^^DOMAIN; all of that person.")] = "",
    study: Annotated[str, _filter("--study", "Received or assigned UID.")] = "",
    series: Annotated[str, _filter("--series", "Received or assigned UID.")] = "",
    instance: Annotated[str, _filter("--instance", "SOP Instance UID.")] = "",
    accession: Annotated[str, _filter("--accession", "Of a linked order.")] = "",
    cause: Annotated[str, _filter("--cause", "Such as c-store.")] = "",
    cause_id: Annotated[str, _filter("--cause-id", "Association/message, or MSH-10.")] = "",
    reason: Annotated[str, _filter("--reason", "COERCE or CORRECT.")] = "",
    rule: Annotated[str, _filter("--rule", "Such as identity, or its rungs.")] = "",
    source: Annotated[str, _filter("--source", "AE title.")] = "",
    attribute: Annotated[str, _filter("--attribute", "Keyword or tag.")] = "",
    actor: Annotated[str, _filter("--actor", "Who did it.")] = "",
    since: Annotated[str, _filter("--from", "Time, inclusive.")] = "",
    until: Annotated[str, _filter("--to", "Time, exclusive.")] = "",
    through: Annotated[str, _filter("--through", "Sealed up to this number.")] = "",
    limit: Limit = 50,
    cursor: Cursor = "",
) -> None:
    """List coercion events in the order in which they apply.

    Previous values are patient data: they are printed with --json only, so that a
    terminal left open does not show them. Exits 1 when there is no event.
    """
    said = {**context.params, "from": since, "to": until}
    with opened(config, data) as archive:
        query = audit_query(said, archive.parts.rules.domains)
        told(archive, "audit list", **{n: str(said[n]) for n in FILTERS if said.get(n)})
        note_reading(archive.parts, "audit list")
        with archive.database.read_only() as connection:
            page = views_audit.events(connection, query, Where(limit, cursor))
    for event in page.items:
        say_json(event) if as_json else typer.echo(line(event))
    say_next(page.next)
    if not page.items:
        raise nothing_found("no coercion is recorded for this")


@app.command("show")
def show_event(
    event_id: Annotated[str, typer.Argument(metavar="ID")],
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show one coercion event with previous and new values: patient data."""
    with opened(config, data) as archive:
        told(archive, "audit show", event=event_id)
        note_reading(archive.parts, "audit show")
        with archive.database.read_only() as connection:
            event = views_audit.event(connection, event_id)
            erased = views_erasures.of_event(connection, event.id)
    if as_json:
        say_json(event)
        return
    typer.echo(line(event))
    for name in ("id", "happening", "rule", "rung", "reason", "cause_id"):
        typer.echo(f"  {name}: {getattr(event, name)}")
    if event.undone_by:
        typer.echo(f"  undone by: {event.undone_by}")
    for change in changes(event):
        typer.echo(f"  {change}")
    if erased:
        when = erased.recorded_at.isoformat(timespec="seconds")
        typer.echo(f"  erased {when} by {erased.actor}: {erased.reason}")


def line(event: Event) -> str:
    """An event without any value."""
    when = event.recorded_at.isoformat(timespec="seconds")
    subject = event.sop_instance_uid or event.study_instance_uid or event.level
    undone = "  undone" if event.undone_by else ""
    changed = " ".join(event.attributes)
    return f"{when}  {event.cause:<8}  {event.actor:<16}  {subject}  {changed}{undone}"


def changes(event: Event) -> list[str]:
    """Such as "PatientID: 100 -> E1", for each attribute that the item holds."""
    if event.original_attributes is None or event.new_attributes is None:
        return ["the values were erased"]
    modified = event.original_attributes.get("04000550", {}).get("Value", [{}])[0]
    shown = []
    for tag in sorted({*modified, *event.new_attributes}):
        before = "(absent)" if tag in event.absent else _value(modified.get(tag))
        after = _value(event.new_attributes.get(tag)) if tag in event.new_attributes else ""
        shown.append(f"{keyword(tag)}: {before}{f' -> {after}' if after else ''}")
    return shown


def _value(element: Element | None) -> str:
    found = values(element)
    if not found:
        return "(empty)"
    return "\\".join(_one(value) for value in found)


def _one(value: object) -> str:
    if isinstance(value, dict):
        inner = value.get("Alphabetic")
        return str(inner) if inner is not None else json.dumps(value, ensure_ascii=False)
    return str(value)
