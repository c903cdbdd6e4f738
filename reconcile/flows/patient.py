"""A message that says who a patient is: RAD-1, RAD-12, ITI-8, ITI-30."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from reconcile.core.facts import Feed, PersonFacts
from reconcile.core.identity import Issuer, PatientIdentifier, PatientUpdate
from reconcile.core.merge import DemographicsOnly
from reconcile.core.merging import STRICT
from reconcile.core.survivorship import FEED_AUTHORITY
from reconcile.core.update import (
    Said,
    UpdateDecision,
    UpdateOutcome,
    decide_update,
    said_identifiers,
)
from reconcile.db import evidence, incarnations, persons, protection
from reconcile.db.database import Connection, lock
from reconcile.db.persons import Owned
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
    UpdateOutcome.UNKNOWN_PATIENT: Fault("204", "PID-3 names nobody", "PID^1^3"),
    UpdateOutcome.SUBSUMED_PATIENT: Fault(
        "204", "PID-3 names a patient who was merged into another", "PID^1^3"
    ),
    UpdateOutcome.SUSPECTED_OVERLAY: Fault(
        "207", "PID describes another person than the identifier's owner", "PID^1^5"
    ),
}
REGISTERS = frozenset({"ADT^A01", "ADT^A04", "ADT^A05", "ADT^A28"})


#: What a message did that may only update a patient who is known.
NOBODY_KNOWN = Outcome("applied", "AA", effects=("none of the sender's patients",))
ANSWERED_AE = frozenset({UpdateOutcome.NOT_AUTHORITATIVE})


@dataclass(frozen=True, slots=True)
class Patient:
    """A patient that a message spoke of, as they are in the registry afterwards.

    `person_id` owns the identifier that was named; `root_id` is who survived for them.
    """

    person_id: UUID
    root_id: UUID
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

        return self.messages.act(message, step, named=update.identifiers)

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

        return self.messages.act(message, step, named=command.update.identifiers)

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
        closed: dict[PatientIdentifier, Owned] = {}
        if message.event in REGISTERS:
            closed = {i: owned for i, owned in owners.items() if owned.closed}
        known = {i: owned for i, owned in owners.items() if i not in closed}
        facts = self._facts(connection, said, known)
        strict = message.feed.profile == STRICT
        decision = decide_update(
            update,
            said,
            {i: str(owned.root_id) for i, owned in known.items()},
            facts,
            rules.domains,
            may_create=not (strict and message.event == "ADT^A08"),
            may_follow=not (strict and message.event.startswith("ADT")),
            registers=message.event in REGISTERS,
        )
        refusal = self._refuse(connection, message, decision, tuple(sorted(facts)))
        if refusal:
            return refusal
        if decision.outcome is UpdateOutcome.NEW_INCARNATION:
            closed |= {i: known[i] for i in decision.gains if i in known}
            known = {}
        return self._record(connection, message, update, said, decision, known, closed)

    def _facts(
        self, connection: Connection, said: Said, known: Mapping[PatientIdentifier, Owned]
    ) -> dict[str, PersonFacts]:
        """Surviving persons, each with what was said of the owner who is named."""
        domain = self.messages.rules.archive_domain
        facts = persons.facts(connection, {o.root_id for o in known.values()}, domain)
        owner = _owner(said, known)
        if owner is not None:
            own = persons.alone(connection, [owner.person_id], domain)
            one, root = own[str(owner.person_id)], str(owner.root_id)
            facts[root] = replace(facts[root], state=one.state, current=one.current)
        return facts

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
        known: dict[PatientIdentifier, Owned],
        closed: Mapping[PatientIdentifier, Owned],
    ) -> Patient:
        explanation = {"outcome": decision.outcome.value, "person": decision.person_id}
        happening_id = self.messages.happen(connection, message, explanation)
        owner, first_word = _owner(said, known), False
        if owner is None:
            person_id = persons.create(connection, self._state(said), happening_id)
        else:
            person_id = owner.person_id
            first_word = persons.verify(connection, person_id)
        root_id = owner.root_id if owner else person_id
        for identifier in decision.gains:
            ended = closed.get(identifier)
            since = ended and incarnations.end(connection, ended.identity_id, happening_id)
            raw = said.assignable[identifier]
            identity_id = persons.own(
                connection, identifier, raw, person_id, happening_id, since=since
            )
            known[identifier] = Owned(identity_id, person_id, root_id)
        identity_id = _named(said, known).identity_id
        if update.protected is not None:
            protection.say(connection, identity_id, update.protected, happening_id)
        patient = Patient(person_id, root_id, identity_id, happening_id, False, ())
        if decision.outcome is UpdateOutcome.ALREADY_SAME:
            if first_word:  # it is kept: who takes it back finds that nobody had spoken
                self._say(connection, message, update, patient)
            return patient
        self._change(connection, message, update, patient)
        self._review(connection, message, decision, patient)
        effects = (f"{decision.outcome.value}: patient {person_id}",)
        return replace(patient, changed=True, effects=effects)

    def _change(
        self,
        connection: Connection,
        message: Received,
        update: PatientUpdate,
        patient: Patient,
    ) -> None:
        """What was said is kept, and whatever rests on the patient is told."""
        self._say(connection, message, update, patient)
        mint(connection, patient, self.messages.rules.archive_domain)
        evidence.raise_persons(connection, [patient.root_id])
        concerned = frozenset([patient.root_id])
        self.messages.reached(connection, patient.happening_id, concerned)

    def _review(
        self,
        connection: Connection,
        message: Received,
        decision: UpdateDecision,
        patient: Patient,
    ) -> None:
        """Have somebody look at a patient who is not the one they seem."""
        code, others = "", [str(patient.root_id)]
        if decision.outcome is UpdateOutcome.NEW_INCARNATION:
            code, others = "DEMOGRAPHIC-CONFLICT", [*others, decision.person_id]
        elif patient.person_id != patient.root_id:
            code = "UPDATE-ON-SUBSUMED"
        if code:
            self.messages.review(
                connection,
                message,
                code,
                patient.happening_id,
                person_ids=tuple(others),
                reasons=decision.reasons,
            )

    def _state(self, said: Said) -> str:
        domains = self.messages.rules.domains
        return (
            "test"
            if any(domains[i.domain].is_test(i.value) for i in said.known)
            else "verified"
        )

    def _say(
        self,
        connection: Connection,
        message: Received,
        update: PatientUpdate,
        patient: Patient,
    ) -> None:
        persons.say(
            connection,
            patient.person_id,
            persons.said_as_json(update.demographics, update.cleared),
            source=message.sender,
            authority=FEED_AUTHORITY,
            said_at=self.messages.told_at(message, update.said_at),
            happening_id=patient.happening_id,
            identity_id=patient.identity_id,
            came_at=message.came_at,
        )


def mint(connection: Connection, patient: Patient, domain: str) -> None:
    """A verified person gets an ID of the archive's own domain, once and for ever."""
    person = persons.facts(connection, [patient.root_id], domain)[str(patient.root_id)]
    if person.assigned is None and person.state == "verified":
        value = persons.mint(connection, domain)
        made, happening_id = PatientIdentifier(value, domain), patient.happening_id
        persons.own(connection, made, value, patient.person_id, happening_id)


def _owner(said: Said, known: Mapping[PatientIdentifier, Owned]) -> Owned | None:
    """Who owns the first identifier that is known; one that the feed assigns first."""
    named = (*said.assignable, *said.known)
    return next((known[i] for i in named if i in known), None)


def _named(said: Said, known: Mapping[PatientIdentifier, Owned]) -> Owned:
    """The same, of a message that made the patient where nobody was known."""
    found = _owner(said, known)
    assert found is not None
    return found


def _told(found: Patient | Outcome) -> Outcome:
    """What a message did that spoke of a patient alone."""
    if isinstance(found, Outcome):
        return found
    state = "applied" if found.changed else "already-same"
    return Outcome(state, "AA", None, found.effects, found.happening_id)


__all__ = ["Feed", "Patient", "PatientFlow", "mint"]
