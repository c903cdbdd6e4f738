"""What a steward changes: who is who, whose a study is, and taking things back."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from reconcile.flows.attempt import Done
from reconcile.flows.kept import KeptArrivals
from reconcile.flows.regroup import Regroup
from reconcile.flows.steward import By, Steward
from reconcile.flows.steward_patients import StewardPatients
from reconcile.flows.undo import Undo
from reconcile.flows.undo_many import BATCH_MAX, TakenBack, UndoMany, doings_of
from reconcile.web.paging import Json
from reconcile.web.parts import Asking, PartsOf, Uid

router = APIRouter(prefix="/api/v1", tags=["corrections"])

Cx = Annotated[str, Field(min_length=1, max_length=512, description="ID^^^DOMAIN")]
DryRun = Annotated[
    bool, Query(description="Only tell what would be done; nothing is changed")
]


class Reasoned(BaseModel):
    """Why; kept in the history. `dry_run` may stand here or in the query."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(min_length=1, max_length=1000)]
    dry_run: bool = False


class Pair(Reasoned):
    """Two patients, by one identifier of each."""

    surviving: Cx
    prior: Cx


class Move(Reasoned):
    """An identifier, and one of the patient whose it is to be."""

    identifier: Cx
    to: Cx


class Apart(Reasoned):
    """Two patients who are not one."""

    one: Cx
    other: Cx


class Protect(Reasoned):
    """A patient, and whether only some may see who they are."""

    patient: Cx
    protected: bool = True


class Assign(Reasoned):
    """The patient whose a study is to be."""

    patient: Cx


class OrderOf(Reasoned):
    """An order: its id, or its accession number, if just one has it."""

    order: Annotated[str, Field(min_length=1, max_length=128)]


class Split(Reasoned):
    """Series of a study, by received or assigned UID."""

    series: Annotated[list[str], Field(min_length=1, max_length=1000)]


class OneSeries(Reasoned):
    """A series, by received or assigned UID."""

    series: Annotated[str, Field(pattern=r"^[0-9.]{1,64}$")]


class DoingsOf(Reasoned):
    """Whose doings, and between which times; each that is given must hold.

    `most`: happenings of one request; the answer tells how many are left.
    """

    rule: Annotated[str, Field(max_length=512)] = ""
    source: Annotated[str, Field(max_length=512)] = ""
    actor: Annotated[str, Field(max_length=512)] = ""
    since: Annotated[str, Field(alias="from", min_length=1, max_length=64)]
    until: Annotated[str, Field(alias="to", min_length=1, max_length=64)]
    most: Annotated[int, Field(ge=1, le=BATCH_MAX)] = BATCH_MAX


def _kept(parts: PartsOf) -> KeptArrivals:
    return KeptArrivals(parts.resolving.recording, parts.sources)


Kept = Annotated[KeptArrivals, Depends(_kept)]


def _by(asking: Asking, said: Reasoned, dry_run: bool) -> By:
    return By(asking.name, said.reason, dry_run or said.dry_run)


def _told(done: Done) -> Json:
    return Json(done, 200 if done.dry_run else 201)


@router.post("/patients/merge", status_code=201, response_model=Done)
def merge_patients(kept: Kept, asking: Asking, said: Pair, dry_run: DryRun = False) -> Json:
    """Let two patients be one, known as the surviving one."""
    by = _by(asking, said, dry_run)
    return _told(StewardPatients(kept).merge(said.surviving, said.prior, by))


@router.post("/patients/unmerge", status_code=201, response_model=Done)
def unmerge_patients(
    kept: Kept, asking: Asking, said: Pair, dry_run: DryRun = False
) -> Json:
    """Take back that two are one."""
    by = _by(asking, said, dry_run)
    return _told(StewardPatients(kept).unmerge(said.surviving, said.prior, by))


@router.post("/patients/move", status_code=201, response_model=Done)
def move_identifier(
    kept: Kept, asking: Asking, said: Move, dry_run: DryRun = False
) -> Json:
    """Let an identifier, with all that came under it, be another patient's."""
    by = _by(asking, said, dry_run)
    return _told(StewardPatients(kept).move(said.identifier, said.to, by))


@router.post("/patients/not-same", status_code=201, response_model=Done)
def keep_apart(kept: Kept, asking: Asking, said: Apart, dry_run: DryRun = False) -> Json:
    """Keep two patients apart, whoever says otherwise."""
    by = _by(asking, said, dry_run)
    return _told(StewardPatients(kept).not_same(said.one, said.other, by))


@router.post("/patients/protect", status_code=201, response_model=Done)
def protect_patient(
    kept: Kept, asking: Asking, said: Protect, dry_run: DryRun = False
) -> Json:
    """Let a patient be seen only by who may see protected ones, or by all again."""
    by = _by(asking, said, dry_run)
    flow = StewardPatients(kept)
    return _told(flow.protect(said.patient, by, protected=said.protected))


@router.post("/studies/{uid}/assign", status_code=201, response_model=Done)
def assign_study(
    kept: Kept, asking: Asking, uid: Uid, said: Assign, dry_run: DryRun = False
) -> Json:
    """Let a study be a patient's, with what comes later under the same headers."""
    return _told(Steward(kept).assign(uid, said.patient, _by(asking, said, dry_run)))


@router.post("/studies/{uid}/link-order", status_code=201, response_model=Done)
def link_order(
    kept: Kept, asking: Asking, uid: Uid, said: OrderOf, dry_run: DryRun = False
) -> Json:
    """Link a study to an order of its patient."""
    return _told(Steward(kept).link_order(uid, said.order, _by(asking, said, dry_run)))


@router.post("/studies/{uid}/unlink-order", status_code=201, response_model=Done)
def unlink_order(
    kept: Kept, asking: Asking, uid: Uid, said: OrderOf, dry_run: DryRun = False
) -> Json:
    """Link a study to an order no longer."""
    return _told(Steward(kept).unlink_order(uid, said.order, _by(asking, said, dry_run)))


@router.post("/studies/{uid}/split", status_code=201, response_model=Done)
def split_study(
    kept: Kept, asking: Asking, uid: Uid, said: Split, dry_run: DryRun = False
) -> Json:
    """Let some series of a study be a study of their own, under a new UID."""
    return _told(Regroup(kept).split(uid, said.series, _by(asking, said, dry_run)))


@router.post("/studies/{uid}/move-series", status_code=201, response_model=Done)
def move_series(
    kept: Kept, asking: Asking, uid: Uid, said: OneSeries, dry_run: DryRun = False
) -> Json:
    """Let a series be of this study."""
    return _told(Regroup(kept).move(said.series, uid, _by(asking, said, dry_run)))


@router.post("/coercions/{event_id}/undo", status_code=201, response_model=Done)
def undo_coercion(
    kept: Kept, asking: Asking, event_id: str, said: Reasoned, dry_run: DryRun = False
) -> Json:
    """Take back an event's whole happening, with all that rests on it."""
    return _told(Undo(kept).happening(event_id, _by(asking, said, dry_run)))


@router.post("/happenings/{happening_id}/undo", status_code=201, response_model=Done)
def undo_happening(
    kept: Kept, asking: Asking, happening_id: str, said: Reasoned, dry_run: DryRun = False
) -> Json:
    """Take back a happening that changed no instance, or any other."""
    return _told(Undo(kept).happening(happening_id, _by(asking, said, dry_run)))


@router.post("/undo", status_code=201, response_model=TakenBack)
def undo_doings(
    kept: Kept, asking: Asking, said: DoingsOf, dry_run: DryRun = False
) -> Json:
    """Take back what a rule, a source or a person did between two times."""
    by = _by(asking, said, dry_run)
    doings = doings_of(said.rule, said.source, said.actor, said.since, said.until)
    done = UndoMany(kept).of(doings, by, said.most)
    return Json(done, 200 if done.happening is None else 201)
