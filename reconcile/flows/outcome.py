"""A message in the inbox, who has it acted on, and what becomes of it: as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from reconcile.core.facts import Feed
from reconcile.db.inbox import Stored


@dataclass(frozen=True, slots=True)
class Fault:
    """What an acknowledgement says is wrong (ERR): code of table 0357, and where."""

    code: str
    text: str
    location: str = ""


#: What is answered where a message waits for another, and its feed wants to know.
WAITS = Fault("206", "an earlier message of this identifier waits for a person", "PID^1^3")
WAITING = "WAITING"
#: It was held, and then refused: nobody but a person is told of that.
REFUSED_LATER = "REFUSED-LATER"
CONTROL_ID_REUSE = "CONTROL-ID-REUSE"

#: States from which a person may have a message acted on.
REPLAYABLE = frozenset({"kept", "held", "refused"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a message did, and how it is acknowledged.

    Attributes:
        state: as the inbox names it: applied, duplicate, already-same, stale, held,
            refused.
        acknowledgement: AA, AE or AR (HL7 table 0008).
        effects: what was done, in words without patient data.
        code: of the item that it is listed under; empty: of none.
        waits_for: the message that has to be settled first.
        pending: it is held, and its sender was not told by all means that it is wrong.
    """

    state: str
    acknowledgement: str
    fault: Fault | None = None
    effects: tuple[str, ...] = ()
    happening_id: UUID | None = None
    code: str = ""
    waits_for: UUID | None = None
    pending: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """Who has a message acted on again, and why.

    Attributes:
        actor: empty: nobody; what it waited for is settled.
        dry_run: only what it would do is asked for.
    """

    actor: str = ""
    reason: str = ""
    dry_run: bool = False

    def allows(self, stored: Stored) -> bool:
        """Whether a message may be acted on in the state that it is in."""
        if self.actor:
            return stored.state in REPLAYABLE
        return stored.state == "held" and stored.waits_for is not None


@dataclass(frozen=True, slots=True)
class Received:
    """A message in the inbox, and what it came as.

    Attributes:
        said_at: when what it tells happened; None where it does not say.
        asked: who has it acted on again; None: it is acted on for the first time.
        came_at: when it came, where that was before now.
    """

    message_id: UUID
    sender: str
    control_id: str
    event: str
    feed: Feed
    said_at: datetime | None = None
    asked: Asked | None = None
    came_at: datetime | None = None


class Answered(Protocol):
    """A message of the inbox, with what was answered."""

    @property
    def state(self) -> str: ...
    @property
    def acknowledgement(self) -> str: ...
    @property
    def error(self) -> Mapping[str, Any] | None: ...


def as_before(kept: Answered) -> Outcome:
    """The outcome that a message had when it was acted on last."""
    error = kept.error
    fault = None
    if error:
        fault = Fault(error["code"], error.get("text", ""), error.get("location", ""))
    return Outcome(kept.state, kept.acknowledgement, fault)
