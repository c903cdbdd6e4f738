"""Act again on messages that are kept: when a person asks, and when their waiting is over.

How a message is read is the business of its door, which is handed in.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from reconcile.db import holds, inbox, waiting
from reconcile.db.database import Connection, Database
from reconcile.db.inbox import Stored
from reconcile.db.views import uuid_of
from reconcile.errors import NotFound, ReconcileError, ServiceUnavailable, WrongUse
from reconcile.flows.outcome import REPLAYABLE, Asked, Outcome

log = logging.getLogger(__name__)

REPLAY, REJECT = "replay", "reject"
#: What a person may decide of a message that is listed.
OF_A_MESSAGE = (REPLAY, REJECT)
#: Messages that one start of the door acts on; there are as many as were in flight.
SWEPT_MAX = 1000
REJECTED = "rejected by a person"

#: The door: acts on a message as on one that comes; see `hl7.door.Door.again`.
ActAgain = Callable[[Stored, bytes, Asked | None], Outcome]


class NotReplayable(ReconcileError):
    """The message was acted on: it does nothing twice."""

    title = "The message was acted on"
    http_status = 409


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of a message.

    Attributes:
        released: how many messages that waited for it were acted on.
    """

    message_id: UUID
    outcome: Outcome
    dry_run: bool
    released: int = 0


def no_door(stored: Stored, body: bytes, asked: Asked | None) -> Outcome:
    """Where there is no door, no message can be read."""
    raise WrongUse("messages cannot be replayed here")


@dataclass(frozen=True, slots=True)
class ReplayFlow:
    """The steps of acting again; each message in its own transaction."""

    database: Database
    act_again: ActAgain = no_door

    def replay(self, message_id: str, asked: Asked) -> Replayed:
        """Act on a message that is held or refused, and on all that waited for it.

        Raises:
            NotFound: there is no such message.
            NotReplayable: it was acted on.
            ReconcileError: it cannot be read, or its sender is not configured.
        """
        stored = self._find(uuid_of(message_id))
        if stored.state not in REPLAYABLE:
            raise NotReplayable(f"it is {stored.state}: it does nothing twice")
        outcome = self._again(stored, asked)
        over = outcome.state != "held" and not asked.dry_run
        released = self.release_after() if over else 0
        return Replayed(stored.message_id, outcome, asked.dry_run, released)

    def release(self) -> int:
        """Act on messages whose waiting is over, in the order in which they came.

        One that waits for another then is looked at again. How many were settled.
        """
        tried: set[waiting.Waiting] = set()
        settled = 0
        while fresh := [each for each in self._ready() if each not in tried]:
            tried.add(fresh[0])
            settled += self._released(fresh[0].message_id)
        return settled

    def release_after(self) -> int:
        """As `release`, after something that is done: what cannot be done now is later."""
        try:
            return self.release()
        except ServiceUnavailable as error:
            log.warning("messages that waited are not acted on yet: %s", error)
            return 0

    def sweep(self) -> int:
        """Act on what a crash left behind, in the order in which it came; how many.

        What cannot be acted on stays as it is, and is named in the log.
        """
        left = self.database.run(lambda c: inbox.unsettled(c, SWEPT_MAX))
        done = sum(self._settled(message_id, None) for message_id in left)
        return done + self.release()

    def _released(self, message_id: UUID) -> bool:
        return self._settled(message_id, Asked())

    def _settled(self, message_id: UUID, asked: Asked | None) -> bool:
        """Whether a message was acted on; the log names one that was not."""
        try:
            return self._again(self._find(message_id), asked).state != "held"
        except ServiceUnavailable:
            raise
        except ReconcileError as error:
            log.warning("message %s not acted on: %s", message_id, error)
            return False

    def _again(self, stored: Stored, asked: Asked | None) -> Outcome:
        body = self.database.run(lambda c: inbox.body(c, stored.message_id))
        return self.act_again(stored, body, asked)

    def _ready(self) -> list[waiting.Waiting]:
        return self.database.run(waiting.ready)

    def _find(self, message_id: UUID | None) -> Stored:
        def find(connection: Connection) -> Stored | None:
            return inbox.find(connection, message_id) if message_id else None

        stored = self.database.run(find)
        if stored is None:
            raise NotFound("there is no message of this id")
        return stored


def lock_message_of(connection: Connection, hold_id: UUID) -> UUID | None:
    """The message of an item, locked before the item is, as those do who act on it."""
    message_id = holds.message_of(connection, hold_id)
    if message_id is not None:
        inbox.hold_for_change(connection, message_id)
    return message_id


def reject(connection: Connection, message_id: UUID) -> None:
    """A person has decided that a message is not to be acted on; what it blocks goes on."""
    inbox.give_up(connection, message_id, REJECTED)
    waiting.speaks_of(connection, message_id, ())
