"""Change an identifier, move one, move what was ordered in a visit: A47, A43, A44, A45.

The steps are the same for a message and for a steward. Each runs in a transaction that
holds the lock on merges alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from reconcile.core.corroborate import corroborate
from reconcile.core.facts import PersonFacts
from reconcile.core.identity import Domain, PatientIdentifier
from reconcile.core.merge import IdentifierChange, IdentifierMove, VisitMove
from reconcile.core.merging import MergeFacts, Owner, refuse_sides
from reconcile.core.survivorship import FEED_AUTHORITY
from reconcile.core.update import OVERLAY
from reconcile.db import evidence, incarnations, merges, moves, persons
from reconcile.db.database import Connection
from reconcile.flows.joining import Joining, Merged, Teller, Wanted
from reconcile.flows.message import Fault
from reconcile.flows.speaking import SIDE_FAULTS, Refused, Result
from reconcile.flows.split import flag_split_of

TAKEN = Fault("205", "the identifier is another patient's already", "PID^1^3")
UNKNOWN_VISIT = Fault("204", "no order was placed in this visit or account", "PV1^1^19")
NOBODY = "nobody has the prior identifier"


@dataclass(frozen=True, slots=True)
class Changing:
    """The steps, over those of merging."""

    joining: Joining

    def change(
        self, connection: Connection, teller: Teller, wanted: IdentifierChange
    ) -> Result | Refused | Merged:
        """The patient of the prior identifier has another one from now on.

        What still comes under the prior one is theirs as well.
        """
        facts = self.joining.facts(
            connection, teller.feed, Wanted(wanted.prior, wanted.patient)
        )
        refused = refuse_sides(facts.prior, facts.surviving, self._domains)
        if refused:
            return SIDE_FAULTS[refused]
        prior, new = facts.prior.owner, facts.surviving.owner
        if prior is None:
            return Result("already-same", effects=(NOBODY,))
        if new is None:
            return self._rename(connection, teller, wanted, facts, prior)
        if new.root_id == prior.root_id:
            return Result("already-same", subjects=(prior.root_id,))
        if teller.feed.a47_as_merge:
            merging = Wanted(wanted.prior, wanted.patient)
            return self.joining.merge(connection, teller, merging)
        return Refused(TAKEN, "IDENTITY-CONFLICT", True, (prior.root_id, new.root_id))

    def move(
        self, connection: Connection, teller: Teller, wanted: IdentifierMove
    ) -> Result | Refused:
        """Identifiers, with what came under them, are another patient's from now on."""
        facts = self.joining.facts(
            connection, teller.feed, Wanted(wanted.prior, wanted.patient)
        )
        refused = refuse_sides(facts.prior, facts.surviving, self._domains)
        if refused:
            return SIDE_FAULTS[refused]
        prior = facts.prior.without(facts.surviving.said.known)
        target = facts.surviving.owner
        moved = {i: prior.owners.get(i) for i in prior.said.assignable}
        if target and all(o and o.person_id == target.person_id for o in moved.values()):
            return Result("already-same", subjects=(target.root_id,))
        told = {"outcome": "moved", "identities": [o.identity_id for o in _known(moved)]}
        happening_id = teller.happen(connection, told)
        to = self.joining.owner_of(
            connection, teller, facts.surviving, wanted.patient, happening_id
        )
        before = {to.person_id, *(UUID(o.person_id) for o in _known(moved))}
        for identifier, owner in moved.items():
            if owner is None:
                raw = prior.said.assignable[identifier]
                persons.own(connection, identifier, raw, to.person_id, happening_id)
            elif UUID(owner.person_id) != to.person_id:
                self._move(connection, UUID(owner.identity_id), to.person_id, happening_id)
        done = self._settle(connection, happening_id, before, f"moved: to {to.person_id}")
        flag_split_of(connection, happening_id, done.persons)
        return done

    def move_visits(
        self, connection: Connection, teller: Teller, wanted: VisitMove
    ) -> Result | Refused:
        """What was ordered in visits or accounts is another patient's, with its studies."""
        facts = self.joining.facts(
            connection, teller.feed, Wanted(wanted.prior, wanted.patient)
        )
        refused = refuse_sides(facts.prior, facts.surviving, self._domains)
        if refused:
            return SIDE_FAULTS[refused]
        prior, target = facts.prior.owner, facts.surviving.owner
        from_ids = [UUID(prior.root_id)] if prior else []
        orders = moves.orders_of_visits(
            connection, from_ids, wanted.visits, wanted.accounts
        )
        if prior is None or not orders:
            subjects = tuple(o.root_id for o in (prior, target) if o)
            return Refused(UNKNOWN_VISIT, "UNKNOWN-VISIT", subjects=subjects)
        if target and target.root_id == prior.root_id:
            return Result("already-same", subjects=(prior.root_id,))
        told = {"outcome": "moved", "orders": [str(order_id) for order_id in orders]}
        happening_id = teller.happen(connection, told)
        to = self.joining.owner_of(
            connection, teller, facts.surviving, wanted.patient, happening_id
        )
        evidence.raise_persons(connection, from_ids)  # while the orders are still theirs
        studies = moves.studies_of_orders(connection, orders)
        moves.file_studies(connection, studies, from_ids, to.identity_id, happening_id)
        moves.move_orders(connection, orders, to.identity_id, happening_id)
        effect = f"moved: {len(orders)} orders to {to.person_id}"
        return self._settle(connection, happening_id, {*from_ids, to.person_id}, effect)

    # -- parts -----------------------------------------------------------------------

    @property
    def _domains(self) -> Mapping[str, Domain]:
        return self.joining.rules.domains

    def _rename(
        self,
        connection: Connection,
        teller: Teller,
        wanted: IdentifierChange,
        facts: MergeFacts,
        prior: Owner,
    ) -> Result:
        told = {"outcome": "changed", "prior": prior.identity_id}
        happening_id = teller.happen(connection, told)
        person_id = UUID(prior.person_id)
        domain = self.joining.rules.archive_domain
        person = persons.alone(connection, [person_id], domain)[prior.person_id]
        made = [
            persons.own(connection, identifier, raw, person_id, happening_id)
            for identifier, raw in facts.surviving.said.assignable.items()
        ]
        contradicts = self._contradicts(facts, wanted, person)
        if person.state == "provisional" and not contradicts:
            persons.verify(connection, person_id)
            self._say(connection, teller, wanted, person, made[0], happening_id)
        named = [self._domains_of(i) for i in facts.prior.said.known]
        if any(each.temporary or each.reuse for each in named):
            incarnations.close(connection, [UUID(prior.identity_id)], happening_id)
        effect = f"changed: patient {person_id}"
        review = "DEMOGRAPHIC-CONFLICT" if contradicts else ""
        return self._settle(connection, happening_id, {person_id}, effect, review)

    def _contradicts(
        self, facts: MergeFacts, wanted: IdentifierChange, person: PersonFacts
    ) -> bool:
        """Whether a feed's first word of somebody describes another person."""
        named = [self._domains_of(i) for i in facts.prior.said.known]
        if person.current or any(d.temporary or d.gate == "off" for d in named):
            return False
        said = wanted.patient.demographics
        return corroborate(said, person.versions, named[0]).gate in OVERLAY

    def _domains_of(self, identifier: PatientIdentifier) -> Domain:
        return self.joining.rules.domains[identifier.domain]

    def _say(
        self,
        connection: Connection,
        teller: Teller,
        wanted: IdentifierChange,
        person: PersonFacts,
        identity_id: UUID,
        happening_id: UUID,
    ) -> None:
        """The first word of a feed; later ones come as updates."""
        said = persons.said_as_json(wanted.patient.demographics)
        if said and person.current is None:
            persons.say(
                connection,
                UUID(person.person_id),
                said,
                source=teller.source,
                authority=FEED_AUTHORITY,
                said_at=teller.said_at,
                happening_id=happening_id,
                identity_id=identity_id,
                came_at=teller.came_at,
            )

    def _move(
        self, connection: Connection, identity_id: UUID, to: UUID, happening_id: UUID
    ) -> None:
        """What was said under it goes along where the other is not known by any words."""
        domain = self.joining.rules.archive_domain
        person = persons.alone(connection, [to], domain)[str(to)]
        moves.move_identity(connection, identity_id, to, happening_id)
        if person.current is None:
            moves.move_words(connection, identity_id, to, happening_id)

    def _settle(
        self,
        connection: Connection,
        happening_id: UUID,
        person_ids: Iterable[UUID],
        effect: str,
        review: str = "",
    ) -> Result:
        concerned = merges.roots(connection, person_ids)
        self.joining.settle(connection, happening_id, concerned)
        subjects = tuple(sorted(map(str, concerned)))
        return Result("applied", happening_id, concerned, (effect,), review, subjects)


def _known(moved: dict[PatientIdentifier, Owner | None]) -> list[Owner]:
    return [owner for owner in moved.values() if owner]
