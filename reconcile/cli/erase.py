"""`reconcile audit erase`: what audit rows say of a patient is gone for ever."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer

from reconcile.cli.audit import app as audit
from reconcile.cli.context import AsJson, Config, Data, opened, say_json
from reconcile.cli.wiring import now
from reconcile.db.views import uuid_of
from reconcile.errors import WrongUse
from reconcile.flows.deleting import LOCAL
from reconcile.flows.erasing import Erasing
from reconcile.flows.questions import audit_query

#: One of these has to be said: nobody erases all by saying nothing.
_FILTERS = ("patient", "study", "instance")


@audit.command("erase")
def erase(
    context: typer.Context,
    reason: Annotated[str, typer.Option(help="Why, without patient data; it stays.")],
    events: Annotated[list[str] | None, typer.Argument(metavar="[ID]...")] = None,
    patient: Annotated[str, typer.Option(help="ID^^^DOMAIN; all of that person.")] = "",
    study: Annotated[str, typer.Option(help="Received or assigned UID.")] = "",
    instance: Annotated[str, typer.Option(help="SOP Instance UID.")] = "",
    confirm: Annotated[int | None, typer.Option(help="How many events that is.")] = None,
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Erase the values of coercion events; each keeps its place in the log.

    Without --confirm it says how many events that would be, and exits 1. There is no way
    back; what is given out of the instances does not change.
    """
    said = {name: context.params[name] for name in _FILTERS if context.params[name]}
    with opened(config, data) as archive:
        if bool(events) == bool(said):
            raise WrongUse("name events, or else a patient, a study or an instance")
        parts = archive.parts
        flow = Erasing(parts.database, now, parts.rules.digest)
        found = (
            _ids(events) if events else flow.wanted(audit_query(said, parts.rules.domains))
        )
        done = flow.erase(found, reason, LOCAL, confirm)
    say_json(done) if as_json else typer.echo(
        f"the values of {done.events} events are erased"
    )


def _ids(events: list[str]) -> list[UUID]:
    found = [uuid_of(each) for each in events]
    if None in found:
        raise WrongUse("one of them is no id of an event")
    return [each for each in found if each is not None]
