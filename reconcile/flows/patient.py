"""A message that says who a patient is: RAD-1, RAD-12, ITI-8, ITI-30."""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import UUID

from reconcile.core.facts import Feed
from reconcile.core.identity import Issuer, PatientIdentifier, PatientUpdate
from reconcile.core.merge import DemographicsOnly
from reconcile.core.update import (
    Said,
    UpdateDecision,
    UpdateOutcome,
    decide_update,
    said_identifiers,
)
from reconcile.db import evidence, persons
from reconcile.db.database import Connection, lock
from reconcile.flows.message import Fault, MessageFlow, Outcome, Received

# What is answered where a message is not acted on (HL7 table 0357).
FAULTS: dict[UpdateOutcome, Fault] = {
    UpdateOutcome.NO_IDENTIFIER: Fault("101", "PID-3 holds no identifier", "PID^1^3"),
    UpdateOutcome.INVALID_ID: Fault("102", "PID-3.1 is not an identifier", "PID^1^3"),
    UpdateOutcome.UNKNOWN_DOMAIN: Fault(
        "204", "PID-3.4 names no configured domain", "PID^1^3"
    ),
    UpdateOutcome.NOT_AUTHORITATIVE: Fault(
        "204", "the sender has no authority over a domain of PID-3", "PID^1^3"
    ),
    UpdateOutcome.IDENTITY_CONFLICT: Fault(
        "205", "the identifiers of PID-3 belong to different patients", "PID^1^3"
    ),
    UpdateOutcome.SUSPECTED_OVERLAY: Fault(
        "207", "PID describes another person than the identifier's owner", "PID^1^5"
    ),
}
#: What a message did that may only update a patient who is known.
NOBODY_KNOWN = Outcome("applied", "AA", effects=("none of the sender's patients",))
ANSWERED_AE = frozenset({UpdateOutcome.NOT_AUTHORITATIVE})


@dataclass(frozen=True, slots=True)
class Patient:
    """A patient that a message spoke of, as they are in the registry afterwards."""

    person_id: UUID
    identity_id: UUID
    happening_id: UUID
    changed: bool
    effects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PatientFlow:
    """Act on what a message says of a patient."""

    messages: MessageFlow

    def apply(self, message: Received, update: PatientUpdate) -> Outcome:
        """Create or update the patient that a message speaks of.

        Raises:
            ServiceUnavailable: nothing was changed; the message stays in the inbox.
        """

        def step(connection: Connection, message: Received) -> Outcome:
            return _told(self.settle(connection, message, update))

        return self.messages.act(message, step)

    def update_known(self, message: Received, command: DemographicsOnly) -> Outcome:
        """Update the patient that a message speaks of; create nobody, give no identifier.

        Raises:
            ServiceUnavailable: nothing was changed; the message stays in the inbox.
        """

        def step(connection: Connection, message: Received) -> Outcome:
            update = self._of_known(connection, message, command.update)
            if not update.identifiers:
                return NOBODY_KNOWN
            return _told(self.settle(connection, message, update))

        return self.messages.act(message, step)

    def _of_known(
        self, connection: Connection, message: Received, update: PatientUpdate
    ) -> PatientUpdate:
        """The update with those identifiers that the sender may speak of and are known.

        Whom only images have told of is not known: a visit does not register anybody.
        """
        rules = self.messages.rules
        said = said_identifiers(update, message.feed, rules.domains)
        names = [("identity", i.domain, i.value) for i in said.assignable]
        lock(connection, names, shared=False)
        owned = persons.owners(connection, said.assignable, for_change=True)
        ids = {owner[1] for owner in owned.values()}
        facts = persons.facts(connection, ids, rules.archive_domain)
        unknown = {one for one, person in facts.items() if person.state == "provisional"}
        known = [i for i, owner in owned.items() if str(owner[1]) not in unknown]
        named = tuple((said.assignable[i], Issuer(i.domain)) for i in known)
        return replace(update, identifiers=named)

    def settle(
        self, connection: Connection, message: Received, update: PatientUpdate
    ) -> Patient | Outcome:
        """The patient of a message, created or updated; or why nothing was done."""
        rules = self.messages.rules
        said = said_identifiers(update, message.feed, rules.domains)
        lock(
            connection, [("identity", i.domain, i.value) for i in said.known], shared=False
        )
        owners = persons.owners(connection, said.known, for_change=True)
        ids = {person for _, person in owners.values()}
        facts = persons.facts(connection, ids, rules.archive_domain)
        by_identifier = {i: str(person) for i, (_, person) in owners.items()}
        decision = decide_update(update, said, by_identifier, facts, rules.domains)
        refusal = self._refuse(connection, message, decision, tuple(sorted(facts)))
        if refusal:
            return refusal
        known = {i: identity for i, (identity, _) in owners.items()}
        return self._record(connection, message, update, said, decision, known)

    def _refuse(
        self,
        connection: Connection,
        message: Received,
        decision: UpdateDecision,
        person_ids: tuple[str, ...],
    ) -> Outcome | None:
        fault = FAULTS.get(decision.outcome)
        if fault is None:
            return None
        if not decision.outcome.is_held:
            return Outcome("refused", "AE", fault)
        answer = "AE" if decision.outcome in ANSWERED_AE else ""
        code = decision.outcome.value
        return self.messages.hold(
            connection, message, code, fault, person_ids=person_ids, answer=answer
        )

    def _record(
        self,
        connection: Connection,
        message: Received,
        update: PatientUpdate,
        said: Said,
        decision: UpdateDecision,
        known: dict[PatientIdentifier, UUID],
    ) -> Patient:
        explanation = {"outcome": decision.outcome.value, "person": decision.person_id}
        happening_id = self.messages.happen(connection, message, explanation)
        new = decision.outcome is UpdateOutcome.NEW
        if new:
            person_id = persons.create(connection, self._state(said), happening_id)
        else:
            person_id = UUID(decision.person_id)
            persons.verify(connection, person_id)
        for identifier in decision.gains:
            raw = said.assignable[identifier]
            known[identifier] = persons.own(
                connection, identifier, raw, person_id, happening_id
            )
        changed = decision.outcome is not UpdateOutcome.ALREADY_SAME
        if changed:
            self._say(connection, message, update, person_id, happening_id)
            self._mint(connection, person_id, happening_id)
            evidence.raise_persons(connection, [person_id])
        identity_id = next(known[i] for i in said.known if i in known)
        effects = (f"{decision.outcome.value}: patient {person_id}",) if changed else ()
        return Patient(person_id, identity_id, happening_id, changed, effects)

    def _state(self, said: Said) -> str:
        domains = self.messages.rules.domains
        return "test" if any(domains[i.domain].test for i in said.known) else "verified"

    def _say(
        self,
        connection: Connection,
        message: Received,
        update: PatientUpdate,
        person_id: UUID,
        happening_id: UUID,
    ) -> None:
        persons.say(
            connection,
            person_id,
            persons.said_as_json(update.demographics, update.cleared),
            source=message.sender,
            authority=persons.FEED_AUTHORITY,
            said_at=update.said_at or self.messages.clock(),
            happening_id=happening_id,
        )

    def _mint(self, connection: Connection, person_id: UUID, happening_id: UUID) -> None:
        """A verified person gets an ID of the archive's own domain, once and for ever."""
        domain = self.messages.rules.archive_domain
        person = persons.facts(connection, [person_id], domain)[str(person_id)]
        if person.assigned is None and person.state == "verified":
            value = persons.mint(connection, domain)
            made = PatientIdentifier(value, domain)
            persons.own(connection, made, value, person_id, happening_id)


def _told(found: Patient | Outcome) -> Outcome:
    """What a message did that spoke of a patient alone."""
    if isinstance(found, Outcome):
        return found
    state = "applied" if found.changed else "already-same"
    return Outcome(state, "AA", None, found.effects, found.happening_id)


__all__ = ["Feed", "Patient", "PatientFlow"]
