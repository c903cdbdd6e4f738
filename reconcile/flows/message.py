"""Receive one HL7 message: kept first, then acted on once.

A message is kept in a transaction of its own, before anything is done with it. What it
does, and what is answered, commits together in a second one: a crash between the two
leaves a message that is acted on when its sender repeats it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from reconcile.core.facts import Feed
from reconcile.db import events, holds, inbox, merges
from reconcile.db.database import Connection, Database
from reconcile.flows.arriving import Moment
from reconcile.flows.kept import KeptArrivals
from reconcile.flows.reach import Reach
from reconcile.flows.rules import Rules


@dataclass(frozen=True, slots=True)
class Fault:
    """What an acknowledgement says is wrong (ERR): code of table 0357, and where."""

    code: str
    text: str
    location: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a message did, and how it is acknowledged.

    Attributes:
        state: as the inbox names it: applied, duplicate, already-same, stale, held,
            refused.
        acknowledgement: AA, AE or AR (HL7 table 0008).
        effects: what was done, in words without patient data.
    """

    state: str
    acknowledgement: str
    fault: Fault | None = None
    effects: tuple[str, ...] = ()
    happening_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """A message in the inbox, and what it came as.

    Attributes:
        said_at: when what it tells happened; None where it does not say.
    """

    message_id: UUID
    sender: str
    control_id: str
    event: str
    feed: Feed
    said_at: datetime | None = None


#: Told, in the transaction that changed them: the happening, and the surviving persons
#: concerned, those of before and those of now.
Reached = Callable[[Connection, UUID, frozenset[UUID]], None]


def nothing_stored(
    connection: Connection, happening_id: UUID, person_ids: frozenset[UUID]
) -> None:
    """What is stored is left as it is."""


@dataclass(frozen=True, slots=True)
class MessageFlow:
    """The steps around acting on a message, the same for every kind.

    `kept` opens arrivals that are held, so that a message can explain them.
    """

    database: Database
    rules: Rules
    clock: Callable[[], datetime]
    kept: KeptArrivals | None = None

    @property
    def reach(self) -> Reach:
        """Lets what a message changes reach what is stored."""
        return Reach(self.rules, self.kept)

    def reached(
        self, connection: Connection, happening_id: UUID, person_ids: frozenset[UUID]
    ) -> None:
        """What is known of surviving persons has changed: what is stored follows."""
        moment = Moment(connection, happening_id, self.clock())
        self.reach.persons(moment, person_ids)

    def keep(self, *, sender: str, control_id: str, event: str, body: bytes) -> inbox.Kept:
        """Keep a message durably; the same one again is found with its answer.

        Raises:
            ServiceUnavailable: it could not be kept: its sender must repeat it.
        """
        return self.database.run(
            lambda c: inbox.keep(
                c, sender=sender, control_id=control_id, event=event, body=body
            )
        )

    def settle(
        self, message_id: UUID, outcome: Outcome, said_at: datetime | None = None
    ) -> None:
        """Write down an outcome that changed nothing but the inbox."""
        self.database.run(lambda c: write_down(c, message_id, outcome, said_at))

    def refuse(self, message: Received, code: str, fault: Fault) -> Outcome:
        """Refuse a message (AR) and list it under a code, so that a person looks at it.

        Raises:
            ServiceUnavailable: nothing was changed; the message stays in the inbox.
        """

        def step(connection: Connection, message: Received) -> Outcome:
            listed = self.hold(connection, message, code, fault, answer="AR")
            return replace(listed, state="refused", effects=(f"refused: {code}",))

        return self.act(message, step)

    def act(
        self,
        message: Received,
        step: Callable[[Connection, Received], Outcome],
        *,
        alone: bool = False,
    ) -> Outcome:
        """Act on a kept message and write down the outcome, in one transaction.

        `alone`: it changes who is who; nobody decides on that meanwhile.
        """

        def settled(connection: Connection) -> Outcome:
            merges.exclude(connection) if alone else merges.share(connection)
            state = inbox.hold_for_change(connection, message.message_id)
            if state != "kept":
                return Outcome("duplicate", "AA")
            outcome = step(connection, message)
            write_down(connection, message.message_id, outcome, message.said_at)
            return outcome

        return self.database.run(settled)

    def happen(
        self, connection: Connection, message: Received, explanation: dict[str, Any]
    ) -> UUID:
        """The happening of a message; its cause is told as "adt-a08" or "orm-o01"."""
        return events.happen(
            connection,
            events.Happening(
                message.event.lower().replace("^", "-"),
                message.control_id,
                message.sender,
                self.rules.digest,
                self.clock(),
                explanation=explanation,
            ),
        )

    def hold(
        self,
        connection: Connection,
        message: Received,
        code: str,
        fault: Fault,
        *,
        person_ids: tuple[str, ...] = (),
        answer: str = "",
        reasons: tuple[str, ...] = (),
    ) -> Outcome:
        """Keep a message for a person to decide on; acknowledged as its feed says.

        `answer` is given instead of what the feed says; `reasons` are told to the person.
        """
        explanation = {"outcome": code, "persons": list(person_ids)}
        happening_id = self.happen(connection, message, explanation)
        candidates = [_candidate(person_id, reasons) for person_id in person_ids]
        item = holds.Item(
            "message",
            code,
            source=message.sender,
            message_id=message.message_id,
            candidates=candidates,
        )
        holds.open_item(connection, item, happening_id)
        acknowledgement = answer or message.feed.held_answer
        told = fault if acknowledgement != "AA" else None
        return Outcome("held", acknowledgement, told, (f"held: {code}",), happening_id)

    def review(
        self,
        connection: Connection,
        message: Received,
        code: str,
        happening_id: UUID,
        *,
        person_ids: tuple[str, ...] = (),
        reasons: tuple[str, ...] = (),
    ) -> None:
        """Have somebody look at what a message did."""
        candidates = [_candidate(person_id, reasons) for person_id in person_ids]
        item = holds.Item(
            "review",
            code,
            source=message.sender,
            message_id=message.message_id,
            candidates=candidates,
        )
        holds.open_item(connection, item, happening_id)


def _candidate(person_id: str, reasons: tuple[str, ...] = ()) -> dict[str, Any]:
    """A person whom a message may concern."""
    return {
        "patient": person_id,
        "identifiers": [],
        "bits": None,
        "reasons": list(reasons),
    }


def write_down(
    connection: Connection,
    message_id: UUID,
    outcome: Outcome,
    said_at: datetime | None = None,
) -> None:
    """What a message did, in the inbox, and when what it tells happened."""
    fault = outcome.fault
    error = (
        {"code": fault.code, "location": fault.location, "text": fault.text}
        if fault
        else None
    )
    inbox.settle(
        connection,
        message_id,
        state=outcome.state,
        acknowledgement=outcome.acknowledgement,
        error=error,
        effects=outcome.effects,
        happening_id=outcome.happening_id,
        said_at=said_at,
    )
