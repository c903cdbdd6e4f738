"""The inbox of HL7 messages: shown, and acted on again."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from reconcile.db import views_holds
from reconcile.db.views_holds import Message, WholeMessage
from reconcile.flows.message import Asked
from reconcile.web.masking import Masked
from reconcile.web.paging import Asked as AskedPage
from reconcile.web.paging import Json, Listed, Text, listed
from reconcile.web.parts import Asking, PartsOf
from reconcile.web.problems import MEDIA_TYPE

router = APIRouter(prefix="/api/v1/messages", tags=["messages"])

MessageId = Annotated[str, Path(max_length=64)]
_DONE: dict[int | str, dict[str, Any]] = {
    409: {"description": "The message was acted on", "content": {MEDIA_TYPE: {}}}
}


class Replay(BaseModel):
    """Why a message is acted on now; `dry_run`: only what it would do is asked for."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(max_length=1000)] = ""
    dry_run: bool = False


class Replayed(BaseModel):
    """What the message did, or would do, and the message as it is now.

    `released`: how many messages that waited for it were acted on.
    """

    dry_run: bool
    state: str
    acknowledgement: str
    effects: list[str]
    happening: UUID | None
    released: int
    message: Message


@router.get("", response_model=Listed[Message])
def list_messages(
    parts: PartsOf,
    where: AskedPage,
    state: Text = "",
    sender: Text = "",
    control_id: Text = "",
    event: Text = "",
) -> Json:
    """The inbox of HL7 messages, the newest first."""
    wanted = {"state": state, "sender": sender, "control_id": control_id, "event": event}
    with parts.database.read_only() as connection:
        return listed(views_holds.messages(connection, where, **wanted))


@router.get("/{message_id}", response_model=WholeMessage)
def show_message(parts: PartsOf, message_id: MessageId, mask: Masked) -> Json:
    """One message, with what it says."""
    with parts.database.read_only() as connection:
        return Json(mask.message(views_holds.message(connection, message_id)))


@router.post("/{message_id}/replay", response_model=Replayed, responses=_DONE)
def replay_message(
    parts: PartsOf, asking: Asking, message_id: MessageId, replay: Replay | None = None
) -> Json:
    """Act on a held or refused message, as if it came now, and on what waited for it."""
    said = replay or Replay()
    asked = Asked(asking.name, said.reason, said.dry_run)
    done = parts.replays.replay(message_id, asked)
    with parts.database.read_only() as connection:
        [found] = views_holds.messages_of(connection, [done.message_id])
    return Json(
        {
            "dry_run": done.dry_run,
            "state": done.outcome.state,
            "acknowledgement": done.outcome.acknowledgement,
            "effects": done.outcome.effects,
            "happening": None if done.dry_run else done.outcome.happening_id,
            "released": done.released,
            "message": found,
        }
    )
