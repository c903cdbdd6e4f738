"""A message that says who is who: ITI-30 and ITI-8 (A40, A47, A24, A37), A43 to A45, A29.

What each does is in the steps that a steward takes too (`joining`, `identifiers`,
`links`); here is how a message is answered.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, assert_never
from uuid import UUID

from reconcile.core.merge import (
    IdentifierChange,
    IdentifierMove,
    Identifiers,
    IdentityCommand,
    PatientLink,
    PatientMerge,
    PatientRetire,
    VisitMove,
)
from reconcile.core.merging import MergeOutcome
from reconcile.db.database import Connection
from reconcile.flows.identifiers import Changing
from reconcile.flows.joining import Joining, Merged, Teller, Wanted
from reconcile.flows.links import Linking
from reconcile.flows.message import Fault, MessageFlow, Outcome, Received
from reconcile.flows.patient import PatientFlow
from reconcile.flows.speaking import Refused, Result

# What is answered where a merge is not done (HL7 table 0357).
MERGE_FAULTS: dict[MergeOutcome, Fault] = {
    MergeOutcome.NO_IDENTIFIER: Fault("101", "PID-3 or MRG-1 holds no identifier", "MRG^1"),
    MergeOutcome.INVALID_ID: Fault("102", "PID-3.1 or MRG-1.1 is not an identifier"),
    MergeOutcome.SAME_IDENTIFIER: Fault(
        "205", "PID-3 and MRG-1 name the same identifier", "MRG^1^1"
    ),
    MergeOutcome.UNKNOWN_DOMAIN: Fault(
        "204", "PID-3.4 or MRG-1.4 names no configured domain", "MRG^1^1"
    ),
    MergeOutcome.NOT_AUTHORITATIVE: Fault(
        "204", "the sender has no authority over the domains of both", "MRG^1^1"
    ),
    MergeOutcome.TEST_REAL_MERGE: Fault(
        "207", "one of the two is a test patient, the other is not", "MRG^1^1"
    ),
    MergeOutcome.IDENTITY_CONFLICT: Fault(
        "205", "the identifiers of one side belong to different patients", "PID^1^3"
    ),
    MergeOutcome.OTHER_DOMAIN: Fault(
        "204", "PID-3.4 and MRG-1.4 name different authorities", "MRG^1^1"
    ),
    MergeOutcome.UNKNOWN_PATIENT: Fault("204", "PID-3 or MRG-1 names nobody", "MRG^1^1"),
    MergeOutcome.CYCLE: Fault(
        "205", "the surviving patient is merged into the prior one", "MRG^1^1"
    ),
    MergeOutcome.SUBSUMED_ELSEWHERE: Fault(
        "205", "the prior patient is merged into somebody else", "MRG^1^1"
    ),
    MergeOutcome.SUBSUMED_PATIENT: Fault(
        "204", "one of the two is merged into somebody else", "PID^1^3"
    ),
    MergeOutcome.VETOED: Fault(
        "207", "a person has declared the two to be different patients", "MRG^1^1"
    ),
    MergeOutcome.RISKY: Fault(
        "207", "the two are described as different persons", "MRG^1^1"
    ),
}
#: Wait for a person, whatever is answered.
HELD = frozenset(
    {
        MergeOutcome.UNKNOWN_DOMAIN,
        MergeOutcome.NOT_AUTHORITATIVE,
        MergeOutcome.TEST_REAL_MERGE,
        MergeOutcome.IDENTITY_CONFLICT,
        MergeOutcome.SUBSUMED_ELSEWHERE,
        MergeOutcome.VETOED,
        MergeOutcome.RISKY,
    }
)
#: Of these, what is never answered with AA.
ANSWERED_AE = frozenset({MergeOutcome.NOT_AUTHORITATIVE, MergeOutcome.TEST_REAL_MERGE})

#: While one of these is held, what speaks of the same identifiers waits.
MERGING = PatientMerge | IdentifierChange | IdentifierMove


@dataclass(frozen=True, slots=True)
class MergeFlow:
    """Act on what a message says of who is who."""

    messages: MessageFlow
    patients: PatientFlow

    def apply(self, message: Received, command: IdentityCommand) -> Outcome:
        """Do what a message says, or list it for a person, and settle the message.

        Raises:
            ServiceUnavailable: nothing was changed; the message stays in the inbox.
        """
        return self.messages.act(
            message,
            lambda c, received: self._step(c, received, command),
            named=_named(command),
            alone=True,
            merges_them=isinstance(command, MERGING),
        )

    @property
    def joining(self) -> Joining:
        """The steps of merging, as a steward takes them too."""
        return Joining(self.messages.rules, self.messages.reached)

    def _step(
        self, connection: Connection, message: Received, command: IdentityCommand
    ) -> Outcome:
        teller = self._teller(message, _said_at(command))
        joining = self.joining
        match command:
            case PatientMerge():
                wanted = Wanted(command.prior, command.surviving)
                done = joining.merge(connection, teller, wanted)
                return self._merged(connection, message, done)
            case IdentifierChange():
                changing = Changing(joining)
                found = changing.change(connection, teller, command)
            case IdentifierMove():
                found = Changing(joining).move(connection, teller, command)
            case VisitMove():
                found = Changing(joining).move_visits(connection, teller, command)
            case PatientLink():
                found = Linking(joining).link(connection, teller, command)
            case PatientRetire():
                found = Linking(joining).retire(connection, teller, command)
            case _:
                assert_never(command)
        if isinstance(found, Merged):
            return self._merged(connection, message, found)
        return self._done(connection, message, found)

    def _teller(self, message: Received, said_at: datetime | None) -> Teller:
        def happen(connection: Connection, told: dict[str, Any]) -> UUID:
            return self.messages.happen(connection, message, told)

        at = self.messages.told_at(message, said_at)
        return Teller(message.feed, message.sender, at, happen, message.came_at)

    # -- answers ---------------------------------------------------------------------

    def _merged(self, connection: Connection, message: Received, done: Merged) -> Outcome:
        outcome = done.outcome
        if outcome in HELD:
            return self._hold(connection, message, done)
        fault = MERGE_FAULTS.get(outcome)
        happening_id = done.happening_id
        if happening_id is None:
            told = {"outcome": outcome.value, "persons": list(done.subjects)}
            happening_id = self.messages.happen(connection, message, told)
        for code in _reviews(done):
            self.messages.review(
                connection,
                message,
                code,
                happening_id,
                person_ids=done.subjects,
                reasons=done.decision.reasons,
            )
        if fault:
            return Outcome("refused", "AE", fault, (), happening_id)
        state = "applied" if outcome.changes else outcome.value
        return Outcome(state, "AA", None, done.effects, happening_id)

    def _hold(self, connection: Connection, message: Received, done: Merged) -> Outcome:
        outcome = done.outcome
        return self.messages.hold(
            connection,
            message,
            outcome.value,
            MERGE_FAULTS[outcome],
            person_ids=done.subjects,
            answer="AE" if outcome in ANSWERED_AE else "",
            reasons=done.decision.reasons,
        )

    def _done(
        self, connection: Connection, message: Received, found: Result | Refused
    ) -> Outcome:
        if isinstance(found, Refused):
            return self._refused(connection, message, found)
        happening_id = found.happening_id
        if happening_id is None:
            told = {"outcome": found.state, "persons": [str(p) for p in found.subjects]}
            happening_id = self.messages.happen(connection, message, told)
        if found.review:
            self.messages.review(
                connection,
                message,
                found.review,
                happening_id,
                person_ids=found.subjects,
                reasons=found.reasons,
            )
        return Outcome(found.state, "AA", None, found.effects, happening_id)

    def _refused(
        self, connection: Connection, message: Received, found: Refused
    ) -> Outcome:
        fault = replace(found.fault)
        if not found.code:
            return Outcome("refused", "AE", fault)
        return self.messages.hold(
            connection,
            message,
            found.code,
            fault,
            person_ids=found.subjects,
            answer="AE" if found.always else "",
            reasons=found.reasons,
        )


def _reviews(done: Merged) -> tuple[str, ...]:
    """Codes of what a person is to look at."""
    found = []
    if done.outcome in (MergeOutcome.INVERSE, MergeOutcome.CYCLE):
        found.append(done.outcome.value)
    if done.decision.risky and done.outcome is MergeOutcome.MERGED:
        found.append(MergeOutcome.RISKY.value)
    return tuple(found)


def _named(command: IdentityCommand) -> Identifiers:
    """The identifiers of both sides."""
    match command:
        case PatientMerge():
            return (*command.surviving.identifiers, *command.prior)
        case IdentifierChange() | IdentifierMove() | VisitMove():
            return (*command.patient.identifiers, *command.prior)
        case PatientLink():
            return (*command.one, *command.other)
        case PatientRetire():
            return command.patient


def _said_at(command: IdentityCommand) -> datetime | None:
    match command:
        case PatientMerge():
            return command.surviving.said_at
        case IdentifierChange() | IdentifierMove() | VisitMove():
            return command.patient.said_at
        case PatientLink() | PatientRetire():
            return command.said_at
