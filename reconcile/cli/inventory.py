"""`reconcile inventory`: what is held, as a DICOM instance that can be retrieved."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

import typer

from reconcile.cli.context import AsJson, Config, Data, opened, say_json
from reconcile.cli.wiring import now
from reconcile.core.naming import identifier_of
from reconcile.db.ids import new_uid
from reconcile.flows.inventory import InventoryFlow, Scope

Of = Literal["study", "series", "instance"]


def inventory(
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
    patient: Annotated[str, typer.Option(metavar="ID^^^DOMAIN")] = "",
    study: Annotated[str, typer.Option(metavar="STUDY-UID")] = "",
    dates: Annotated[str, typer.Option(help="Such as 20260101-20260131.")] = "",
    level: Annotated[Of, typer.Option(help="What there are records of.")] = "instance",
    purpose: Annotated[str, typer.Option(help="What it is for; stands in it.")] = "",
) -> None:
    """Make an inventory of some studies and store it; prints its SOP Instance UID.

    Instances are told with their Original Attributes. Exits 1 where there is no study.
    """
    with opened(config, data) as archive:
        parts = archive.parts
        known = parts.rules.domains
        named = identifier_of(patient, known) if patient else None
        made = InventoryFlow(
            parts.query,
            parts.store("inventory"),
            parts.settings.archive.ae_title,
            now,
            partial(new_uid, parts.rules.uid_root),
        ).make(Scope(named, study, dates), level.upper(), purpose)
    if as_json:
        say_json(made)
        return
    typer.echo(made.sop_instance_uid)
    told = f"{made.studies} studies, {made.series} series, {made.instances} instances"
    typer.echo(told, err=True)
