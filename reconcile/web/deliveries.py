"""What is forwarded: listed, tried again, left out, sent anew."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from reconcile.db import views_deliveries
from reconcile.db.views_deliveries import Queued, Relayed
from reconcile.flows.forwarding import Steering
from reconcile.web.paging import Json, Text
from reconcile.web.parts import Asking, PartsOf

router = APIRouter(prefix="/api/v1/deliveries", tags=["deliveries"])

AE = Annotated[str, Field(min_length=1, max_length=16)]
StudyUid = Annotated[str, Field(pattern=r"^[0-9.]{1,64}$")]
#: Of a study; or what messages go in: "patients", or the UID of a performed step.
LaneUid = Annotated[str, Field(pattern=r"^([0-9.]{1,64}|patients)$")]


class Deliveries(BaseModel):
    """Studies at destinations, and messages to them, the longest waiting first."""

    items: list[Queued]
    messages: list[Relayed]


class Counted(BaseModel):
    """How many instances and messages wait now, or are left out."""

    instances: int


class Retry(BaseModel):
    """A destination, and maybe one study of those that wait for it."""

    model_config = ConfigDict(extra="forbid")

    destination: AE
    study: LaneUid | None = None


class Lane(BaseModel):
    """A study or messages on their way to a destination."""

    model_config = ConfigDict(extra="forbid")

    destination: AE
    study: LaneUid


class OneStudy(BaseModel):
    """A study on its way to a destination."""

    model_config = ConfigDict(extra="forbid")

    destination: AE
    study: StudyUid


def _steering(parts: PartsOf) -> Steering:
    return Steering(parts.database, parts.clock, parts.destinations)


Steered = Annotated[Steering, Depends(_steering)]


@router.get("", response_model=Deliveries)
def list_deliveries(
    parts: PartsOf,
    destination: Text = "",
    study: Annotated[str, Query(pattern=r"^[0-9.]{0,64}$")] = "",
    done: Annotated[bool, Query(description="Also what has all arrived")] = False,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Json:
    """Studies on their way to destinations, and what was refused; nothing of a patient."""
    with parts.database.read_only() as connection:
        of = views_deliveries.study_of(connection, study) if study else None
        asked = (connection, destination, of)
        found = views_deliveries.queued(*asked, most=limit, all_states=done)
        told = views_deliveries.relayed(*asked, most=limit, all_states=done)
    return Json({"items": found, "messages": told})


@router.post("/retry", response_model=Counted)
def retry_deliveries(steering: Steered, said: Retry) -> Json:
    """Send what waits and what was refused now, from the start."""
    return Json({"instances": steering.retry(said.destination, said.study or "")})


@router.post("/skip", response_model=Counted)
def skip_deliveries(steering: Steered, asking: Asking, said: Lane) -> Json:
    """Never send what waits of a study."""
    return Json({"instances": steering.skip(said.destination, said.study, asking.name)})


@router.post("/send", response_model=Counted)
def send_study(steering: Steered, said: OneStudy) -> Json:
    """Send a whole study as it is given out now, whatever the rules say."""
    return Json({"instances": steering.send(said.destination, said.study)})
