"""Who is told of what: listed, and tried again."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel

from reconcile.db import outbox, views_outbox
from reconcile.db.views import uuid_of
from reconcile.db.views_outbox import Notification
from reconcile.errors import NotFound
from reconcile.web.paging import Asked, Json, Listed, Text, listed
from reconcile.web.parts import PartsOf

router = APIRouter(prefix="/api/v1/notifications", tags=["notifications"])

NotificationId = Annotated[str, Path(max_length=64)]


class Retried(BaseModel):
    """How many wait now: none, where it was told, or is over."""

    retried: int


@router.get("", response_model=Listed[Notification])
def list_notifications(
    parts: PartsOf,
    where: Asked,
    state: Literal["waiting", "sent", "given-up", "dropped", ""] = "",
    target: Text = "",
) -> Json:
    """Who is, was or was to be told of what, the newest first; nothing of a patient."""
    with parts.database.read_only() as connection:
        found = views_outbox.notifications(connection, where, state=state, target=target)
    return listed(found)


@router.post("/{notification_id}/retry", response_model=Retried)
def retry_notification(parts: PartsOf, notification_id: NotificationId) -> Json:
    """Try once more, from the start, what was given up or waits."""
    wanted = uuid_of(notification_id)
    if wanted is None:
        raise NotFound("there is no notification of this id")
    now = parts.clock()
    return Json({"retried": parts.database.run(lambda c: outbox.again(c, now, wanted))})
