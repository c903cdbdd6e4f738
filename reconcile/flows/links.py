"""Link two patients, take a link back, retire a patient: A24, A37, A29.

A link is recorded and moves nothing: senders have linked mothers to their babies by it.
Only where a feed is set so does it mean one person.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from reconcile.core.identity import Demographics, PatientIdentifier, PatientUpdate
from reconcile.core.merge import PatientLink, PatientRetire
from reconcile.core.merging import MergeFacts, MergeOutcome, refuse_side, refuse_sides
from reconcile.db import links, persons, retirement
from reconcile.db.database import Connection
from reconcile.flows.joining import Joining, Merged, Teller, Wanted
from reconcile.flows.speaking import SIDE_FAULTS, Refused, Result

NOT_LINKED = "there is no such link"
STAYS_MERGED = "a merge is not taken back by it"


@dataclass(frozen=True, slots=True)
class Linking:
    """The steps, over those of merging."""

    joining: Joining

    def link(
        self, connection: Connection, teller: Teller, wanted: PatientLink
    ) -> Result | Refused | Merged:
        """Record that two are linked, or that they are no longer."""
        merging = Wanted(wanted.other, PatientUpdate(wanted.one, Demographics()))
        facts = self.joining.facts(connection, teller.feed, merging)
        refused = refuse_sides(facts.prior, facts.surviving, self.joining.rules.domains)
        if refused:
            return SIDE_FAULTS[refused]
        if not wanted.linked:
            return self._unlink(connection, teller, wanted, facts)
        if teller.feed.a24_same_person:
            return self.joining.merge(connection, teller, merging)
        one, other = _pair(facts)
        if links.live(connection, one, other):
            return Result("already-same", subjects=_subjects(facts))
        happening_id = teller.happen(connection, {"outcome": "linked"})
        links.link(
            connection,
            one,
            other,
            source=teller.source,
            said_at=teller.said_at,
            happening_id=happening_id,
        )
        return Result("applied", happening_id, effects=("linked: nothing moves",))

    def retire(
        self, connection: Connection, teller: Teller, wanted: PatientRetire
    ) -> Result | Refused:
        """The sender has deleted a patient; nothing is deleted here."""
        update = PatientUpdate(wanted.patient, Demographics())
        side = self.joining.facts(connection, teller.feed, Wanted((), update)).surviving
        refused = refuse_side(side)
        if refused is None and not side.said.assignable:
            refused = MergeOutcome.NOT_AUTHORITATIVE
        if refused:
            return SIDE_FAULTS[refused]
        owner = side.owner
        if owner is None:
            return Result("already-same", effects=("nobody has the identifier",))
        person_id, domain = UUID(owner.person_id), self.joining.rules.archive_domain
        person = persons.alone(connection, [person_id], domain)[owner.person_id]
        others = {i for i in person.identifiers if i.domain != domain}
        if person.state == "retired" or others - set(side.said.known):
            subjects = (owner.root_id,)
            return Result("already-same", effects=("known elsewhere",), subjects=subjects)
        happening_id = teller.happen(
            connection, {"outcome": "retired", "identity": owner.identity_id}
        )
        retirement.retire(connection, person_id)
        has_studies = retirement.has_studies(connection, person_id)
        return Result(
            "applied",
            happening_id,
            frozenset([UUID(owner.root_id)]),
            (f"retired: patient {person_id}",),
            "RETIRED-PATIENT" if has_studies else "",
            (owner.root_id,),
        )

    def _unlink(
        self,
        connection: Connection,
        teller: Teller,
        wanted: PatientLink,
        facts: MergeFacts,
    ) -> Result:
        one, other = _pair(facts)
        known = links.live(connection, one, other)
        edges = [edge for edge in facts.edges if edge.live]
        newer = [e.said_at for e in edges if e.said_at and e.source == teller.source]
        newer += [known.said_at] if known and known.source == teller.source else []
        if any(said_at > teller.said_at for said_at in newer):
            return Result("stale", subjects=_subjects(facts))
        if edges and teller.feed.a37_unmerges:
            ids = [UUID(edge.edge_id) for edge in edges]
            done = self.joining.end(connection, teller, ids)
            happening_id, concerned, effects = (
                done.happening_id,
                done.persons,
                done.effects,
            )
        elif known:
            happening_id = teller.happen(connection, {"outcome": "unlinked"})
            concerned, effects = frozenset[UUID](), ("unlinked: nothing moves",)
        else:
            why = STAYS_MERGED if edges else NOT_LINKED
            return Result("already-same", effects=(why,), subjects=_subjects(facts))
        if known and happening_id:
            links.unlink(connection, known.id, happening_id)
        return Result("applied", happening_id, concerned, effects)


def _pair(facts: MergeFacts) -> tuple[PatientIdentifier, PatientIdentifier]:
    """The first identifier of the one, and of the other the first that is not shared."""
    prior, surviving = facts.prior, facts.surviving
    one = next(iter(surviving.said.known))
    other = next(i for i in prior.said.known if i not in surviving.said.known)
    return one, other


def _subjects(facts: MergeFacts) -> tuple[str, ...]:
    known = (facts.prior.owner, facts.surviving.owner)
    return tuple(dict.fromkeys(owner.root_id for owner in known if owner))
