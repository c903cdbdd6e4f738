"""Receive one HL7 message: kept first, then acted on once.

A message is kept in a transaction of its own, before anything is done with it. What it
does, and what is answered, commits together in a second one: a crash between the two
leaves a message that is acted on when its sender repeats it, or the door opens again.

What is held or refused may be acted on again, by the same step, when a person asks for
it. What speaks of the identifiers of a merge that is held waits until that is settled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from reconcile.core.identity import Demographics, PatientIdentifier, PatientUpdate
from reconcile.core.merge import Identifiers
from reconcile.core.update import said_identifiers
from reconcile.db import events, holds, inbox, merges, waiting
from reconcile.db.database import Connection, Database
from reconcile.db.inbox import Stored
from reconcile.flows.arriving import Moment
from reconcile.flows.kept import KeptArrivals
from reconcile.flows.outcome import (
    CONTROL_ID_REUSE,
    REFUSED_LATER,
    WAITING,
    WAITS,
    Asked,
    Fault,
    Outcome,
    Received,
    as_before,
)
from reconcile.flows.reach import Reach
from reconcile.flows.rules import Rules

__all__ = [
    "Asked",
    "Fault",
    "MessageFlow",
    "Outcome",
    "Reached",
    "Received",
    "as_before",
    "nothing_stored",
]


class _TakenBack(Exception):
    """Carries what would have been done out of its transaction."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


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
        if self.kept is not None:
            self.kept.recording.storage.room.require()
        return self.database.run(
            lambda c: inbox.keep(
                c, sender=sender, control_id=control_id, event=event, body=body
            )
        )

    def settle(
        self,
        message_id: UUID,
        outcome: Outcome,
        said_at: datetime | None = None,
        asked: Asked | None = None,
    ) -> None:
        """Write down an outcome that changed nothing but the inbox.

        Nothing is, where somebody else has settled the message meanwhile.
        """

        def settled(connection: Connection) -> Outcome:
            stored = inbox.hold_for_change(connection, message_id)
            if _may_act(stored, asked):
                self._finish(connection, stored, outcome, said_at, asked)
            return outcome

        self._run(settled, asked)

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
        named: Identifiers = (),
        alone: bool = False,
        merges_them: bool = False,
    ) -> Outcome:
        """Act on a kept message and write down the outcome, in one transaction.

        Args:
            message: in the inbox.
            step: does what it says.
            named: the identifiers that it speaks of.
            alone: it changes who is who; nobody decides on that meanwhile.
            merges_them: while it is pending, what speaks of the same waits.
        """

        def settled(connection: Connection) -> Outcome:
            merges.exclude(connection) if alone else merges.share(connection)
            stored = inbox.hold_for_change(connection, message.message_id)
            if not _may_act(stored, message.asked):
                return as_before(stored)
            update = PatientUpdate(named, Demographics())
            said = said_identifiers(update, message.feed, self.rules.domains)
            blocker = waiting.blocker(connection, message.message_id, said.known)
            outcome = (
                self._wait(connection, message, blocker)
                if blocker
                else step(connection, message)
            )
            held = outcome.pending and merges_them
            self._finish(
                connection,
                stored,
                outcome,
                message.said_at,
                message.asked,
                # Nobody makes others wait for identifiers that are not theirs.
                said.assignable if blocker or held else (),
            )
            return outcome

        return self._run(settled, message.asked)

    def _run(
        self, settled: Callable[[Connection], Outcome], asked: Asked | None
    ) -> Outcome:
        """One transaction; of a dry run, taken back."""

        def attempt(connection: Connection) -> Outcome:
            raise _TakenBack(settled(connection))

        if asked is None or not asked.dry_run:
            return self.database.run(settled)
        try:
            return self.database.run(attempt)
        except _TakenBack as taken:
            return taken.outcome

    def _wait(self, connection: Connection, message: Received, blocker: UUID) -> Outcome:
        held = self.hold(connection, message, WAITING, WAITS)
        effects = (f"waits for message {blocker}",)
        return replace(held, effects=effects, waits_for=blocker)

    def _finish(
        self,
        connection: Connection,
        stored: Stored,
        outcome: Outcome,
        said_at: datetime | None,
        asked: Asked | None,
        speaks_of: Iterable[PatientIdentifier] = (),
    ) -> None:
        """Write down an outcome, with what others wait for, and what is still listed."""
        write_down(connection, stored.message_id, outcome, said_at)
        first = stored.state == "kept"
        if speaks_of or not first:
            waiting.speaks_of(connection, stored.message_id, speaks_of)
        if first:
            self._flag_reuse(connection, stored, outcome)
        else:
            self._close_items(connection, stored, outcome, asked or Asked())

    def _flag_reuse(self, connection: Connection, stored: Stored, outcome: Outcome) -> None:
        """A message has the control id of another one, and was acted on all the same."""
        if inbox.is_reused(connection, stored):
            self._list(connection, stored, "review", CONTROL_ID_REUSE, outcome)

    def _close_items(
        self, connection: Connection, stored: Stored, outcome: Outcome, asked: Asked
    ) -> None:
        """What it waited for is over; it stays listed where nothing was done in the end."""
        message_id, code = stored.message_id, outcome.code
        if outcome.state == "refused" and not code:
            was_listed = holds.waits_as(connection, message_id, REFUSED_LATER)
            if stored.state == "held" or was_listed:
                code = REFUSED_LATER
                self._list(connection, stored, "message", code, outcome)
        told = {"action": "replay", "reason": asked.reason}
        now = self.clock()
        holds.close_of_message(connection, message_id, asked.actor, now, told, but=code)

    def _list(
        self,
        connection: Connection,
        stored: Stored,
        kind: str,
        code: str,
        outcome: Outcome,
    ) -> None:
        happening_id = outcome.happening_id or self._tell(
            connection, stored, {"outcome": outcome.state, "item": code}
        )
        item = holds.Item(kind, code, source=stored.sender, message_id=stored.message_id)
        holds.open_item(connection, item, happening_id)

    def told_at(self, message: Received, said_at: datetime | None) -> datetime:
        """When something happened that a message tells: as it says, else when it came."""
        return said_at or message.came_at or self.clock()

    def happen(
        self, connection: Connection, message: Received, explanation: dict[str, Any]
    ) -> UUID:
        """The happening of a message; its cause is told as "adt-a08" or "orm-o01"."""
        asked = message.asked
        again = {"replayed_by": asked.actor, "reason": asked.reason} if asked else {}
        return self._tell(connection, message, explanation | again)

    def _tell(
        self,
        connection: Connection,
        message: Received | Stored,
        explanation: dict[str, Any],
    ) -> UUID:
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
        effects = (f"held: {code}",)
        pending = not answer
        return Outcome(
            "held", acknowledgement, told, effects, happening_id, code, pending=pending
        )

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


def _may_act(stored: Stored, asked: Asked | None) -> bool:
    """Whether nobody else has acted on a message meanwhile."""
    return asked.allows(stored) if asked else stored.state == "kept"


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
        waits_for=outcome.waits_for,
    )
