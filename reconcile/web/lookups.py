"""Look-ups: persons, studies, UIDs, orders, the inbox."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from reconcile.core.naming import identifier_of
from reconcile.db import (
    views_instances,
    views_orders,
    views_patients,
    views_studies,
)
from reconcile.db.views import Page
from reconcile.db.views_instances import Arrived
from reconcile.db.views_orders import Order
from reconcile.db.views_patients import Person
from reconcile.db.views_studies import StudyExplained, Uids
from reconcile.flows.as_of import AsOfFlow, GivenOut
from reconcile.flows.questions import time_of
from reconcile.web.auth import INSIDERS
from reconcile.web.masking import Masked
from reconcile.web.paging import Asked, AsOf, Json, Listed, Text, listed
from reconcile.web.parts import Asking, PartsOf, Uid

router = APIRouter(prefix="/api/v1", tags=["look-ups"])


@router.get("/uids/{uid}", response_model=Uids)
def show_uid(parts: PartsOf, uid: Uid) -> Json:
    """A Study, Series or SOP Instance UID by its received and its assigned form."""
    with parts.database.read_only() as connection:
        return Json(views_studies.uids(connection, uid))


@router.get("/studies/{uid}/explain", response_model=StudyExplained)
def explain_study(parts: PartsOf, uid: Uid) -> Json:
    """Which rung decided, which evidence lost, what would change it."""
    with parts.database.read_only() as connection:
        return Json(views_studies.study_explained(connection, uid))


@router.get("/studies/{uid}/given-out", response_model=Listed[GivenOut])
def study_given_out(
    parts: PartsOf, asking: Asking, uid: Uid, where: Asked, as_of: AsOf = ""
) -> Json:
    """What the instances of a study were given out as at a time; else as of now."""
    when = time_of("as_of", as_of) or parts.clock()
    hidden = asking.role in INSIDERS
    return listed(AsOfFlow(parts.retrieve).study(uid, when, where, hidden=hidden))


@router.get("/patients", response_model=Listed[Person])
def list_patients(
    parts: PartsOf,
    mask: Masked,
    identifier: Annotated[str, Query(max_length=512)],
    as_of: AsOf = "",
) -> Json:
    """The person who owns an identifier (`ID^^^DOMAIN`)."""
    named = identifier_of(identifier, parts.rules.domains)
    with parts.database.read_only() as connection:
        found = views_patients.by_identifier(connection, named, time_of("as_of", as_of))
        return listed(Page(tuple(mask.persons(connection, found))))


@router.get("/patients/{person_id}", response_model=Person)
def show_patient(parts: PartsOf, mask: Masked, person_id: str, as_of: AsOf = "") -> Json:
    """One person; one who was merged is shown as such."""
    with parts.database.read_only() as connection:
        found = views_patients.by_id(connection, person_id, time_of("as_of", as_of))
        return Json(mask.persons(connection, [found])[0])


@router.get("/orders", response_model=Listed[Order])
def list_orders(parts: PartsOf, where: Asked, mask: Masked, accession: Text = "") -> Json:
    """Orders with their procedures and scheduled steps, the oldest first."""
    with parts.database.read_only() as connection:
        found = views_orders.orders(connection, accession, where)
        return listed(mask.page(found, mask.orders(connection, found.items)))


@router.get("/instances/{sop_instance_uid}/receipts", response_model=Listed[Arrived])
def list_receipts(parts: PartsOf, sop_instance_uid: Uid) -> Json:
    """Every arrival of one instance, the first one first."""
    with parts.database.read_only() as connection:
        found = views_instances.arrivals(connection, sop_instance_uid)
    return listed(Page(found))
