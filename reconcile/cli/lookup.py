"""`reconcile patient`, `study`, `instance`: look-ups."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Annotated

import typer

from reconcile.cli.audit import line
from reconcile.cli.context import (
    AsJson,
    Config,
    Data,
    nothing_found,
    opened,
    say_json,
    told,
)
from reconcile.cli.wiring import note_reading
from reconcile.core.naming import identifier_of
from reconcile.db import views_patients, views_studies
from reconcile.db.views_patients import Person
from reconcile.flows.history import HistoryFlow
from reconcile.flows.questions import time_of
from reconcile.flows.retrieve import RetrieveFlow

patient = typer.Typer(no_args_is_help=True, help="Persons of the master patient index.")
study = typer.Typer(no_args_is_help=True, help="Studies.")
instance = typer.Typer(no_args_is_help=True, help="Single instances.")

Uid = Annotated[str, typer.Argument(metavar="UID")]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", help="A file; else standard output.")
]


@patient.command("show")
def show_patient(
    identifier: Annotated[str, typer.Argument(metavar="ID^^^DOMAIN")],
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
    as_of: Annotated[str, typer.Option(help="What was known at this time.")] = "",
) -> None:
    """Show the person who owns an identifier."""
    with opened(config, data) as archive:
        named = identifier_of(identifier, archive.parts.rules.domains)
        with archive.database.read_only() as connection:
            found = views_patients.by_identifier(
                connection, named, time_of("--as-of", as_of)
            )
    if not found:
        raise nothing_found("nobody owns this identifier")
    for person in found:
        say_json(person) if as_json else typer.echo(_person(person))


def _person(person: Person) -> str:
    rows = [f"{person.id}  {person.state}"]
    rows += [f"  {i.id}^^^{i.issuer}  {i.state}" for i in person.identifiers]
    for element in person.demographics.values():
        value = element["Value"][0]
        rows.append(
            f"  {value.get('Alphabetic', '') if isinstance(value, dict) else value}"
        )
    rows += [f"  merged {m.prior} into {m.surviving}" for m in person.merges]
    rows += [f"  study {s.study_instance_uid}" for s in person.studies]
    return "\n".join(rows)


@study.command("explain")
def explain_study(
    uid: Uid, config: Config = None, data: Data = None, as_json: AsJson = False
) -> None:
    """Tell which rung decided a study, which evidence lost, what would change it."""
    with opened(config, data) as archive, archive.database.read_only() as connection:
        told = views_studies.study_explained(connection, uid)
    if as_json:
        say_json(told)
        return
    typer.echo(f"{told.study_instance_uid}  received as {', '.join(told.received)}")
    for sentence in told.sentences:
        typer.echo(f"  {sentence}")
    for person, identifiers in told.persons.items():
        typer.echo(f"  person {person}: {', '.join(identifiers)}")
    for order in told.orders:
        typer.echo(f"  order {order.accession_number} ({order.state})")


@instance.command("history")
def instance_history(
    uid: Uid, config: Config = None, data: Data = None, as_json: AsJson = False
) -> None:
    """List all coercion events that apply to an instance, oldest first."""
    with opened(config, data) as archive:
        told(archive, "instance history", instance=uid)
        retrieve = RetrieveFlow(archive.database, archive.parts.storage)
        found = HistoryFlow(retrieve).instance(uid)
        note_reading(archive.parts, "instance history")
    for event in found:
        say_json(event) if as_json else typer.echo(line(event))
    if not found:
        raise nothing_found("this instance is given out as it was received")


@instance.command("received")
def instance_received(
    uid: Uid,
    config: Config = None,
    data: Data = None,
    output: Output = None,
    receipt: Annotated[str, typer.Option(help="Id of an earlier arrival.")] = "",
) -> None:
    """Write an instance as it came: its data set byte for byte."""
    with opened(config, data) as archive:
        flow = RetrieveFlow(archive.database, archive.parts.storage)
        _write(flow.received(uid, receipt).file(), output)


@instance.command("get")
def instance_get(
    uid: Uid,
    config: Config = None,
    data: Data = None,
    output: Output = None,
    as_of: Annotated[str, typer.Option(help="As it was given out at this time.")] = "",
) -> None:
    """Write an instance as given out today, or at a time."""
    with opened(config, data) as archive:
        flow = RetrieveFlow(archive.database, archive.parts.storage)
        when = time_of("as_of", as_of)
        _write((flow.as_of(uid, when) if when else flow.instance(uid)).file(), output)


def _write(chunks: Generator[bytes, None, None], output: Path | None) -> None:
    if output is None:
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
        return
    # Whole, or not at all: what is cut off does not take the name.
    unfinished = output.with_name(output.name + ".part")
    with unfinished.open("wb") as file:
        file.writelines(chunks)
    os.replace(unfinished, output)
