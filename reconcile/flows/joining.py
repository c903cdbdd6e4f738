"""Merge two persons, or take that back: the same steps for a message and for a steward.

Each runs in a transaction that holds the lock on merges alone. It changes edges, and what
is cached of them; series never leave the identity that they came under.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from reconcile.core.facts import Feed
from reconcile.core.identity import (
    Demographics,
    PatientIdentifier,
    PatientUpdate,
)
from reconcile.core.merge import Identifiers
from reconcile.core.merging import (
    MergeDecision,
    MergeFacts,
    MergeOutcome,
    Owner,
    Side,
    decide_merge,
)
from reconcile.core.survivorship import FEED_AUTHORITY
from reconcile.core.update import Said, said_identifiers
from reconcile.db import events, evidence, incarnations, merges, persons, undoing
from reconcile.db.database import Connection, lock
from reconcile.flows.arriving import Moment
from reconcile.flows.message import Reached, nothing_stored
from reconcile.flows.restate import Restate
from reconcile.flows.rules import Rules
from reconcile.flows.split import flag_split_of


@dataclass(frozen=True, slots=True)
class Teller:
    """Who says it: a message's sender, or a steward.

    Attributes:
        feed: how it is read; a steward's has authority over every domain.
        source: as edges and demographics keep it.
        happen: writes the happening down, once it is known that there is one; given what
            explains it, without patient data.
        came_at: when it came, where that was before now.
    """

    feed: Feed
    source: str
    said_at: datetime
    happen: Callable[[Connection, dict[str, Any]], UUID]
    came_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """The patient of the prior identifiers is the patient of the surviving ones."""

    prior: Identifiers
    surviving: PatientUpdate


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of it.

    Attributes:
        happening_id: None where nothing was changed.
        persons: the surviving persons concerned, of before and of now.
        subjects: the persons that it spoke of, for who has to decide.
    """

    decision: MergeDecision
    happening_id: UUID | None = None
    persons: frozenset[UUID] = frozenset()
    subjects: tuple[str, ...] = ()
    effects: tuple[str, ...] = ()

    @property
    def outcome(self) -> MergeOutcome:
        return self.decision.outcome


@dataclass(frozen=True, slots=True)
class Unmerged:
    """What was taken back: nothing, where there was no such merge."""

    happening_id: UUID | None = None
    persons: frozenset[UUID] = frozenset()
    effects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Joining:
    """The steps; `reached` is told of the persons concerned when all is done."""

    rules: Rules
    reached: Reached = nothing_stored

    def merge(self, connection: Connection, teller: Teller, wanted: Wanted) -> Merged:
        """Decide on a merge and do it, where it is to be done."""
        facts = self.facts(connection, teller.feed, wanted)
        decision = decide_merge(
            facts, teller.feed, self.rules.domains, teller.source, teller.said_at
        )
        known = [*facts.prior.owners.values(), *facts.surviving.owners.values()]
        subjects = tuple(dict.fromkeys(owner.root_id for owner in known))
        if decision.outcome is MergeOutcome.DUPLICATE:
            _confirm(connection, teller, facts)
        if not decision.outcome.changes:
            return Merged(decision, subjects=subjects)
        return self._join(connection, teller, wanted, facts, decision)

    def unmerge(
        self, connection: Connection, teller: Teller, one: Identifiers, other: Identifiers
    ) -> Unmerged:
        """Take back that two are one, where it was said of the owners of their identifiers.

        Where nothing was said of the two directly, the merge of the first is taken back
        that made them one.
        """
        facts = self.facts(
            connection, teller.feed, Wanted(one, PatientUpdate(other, Demographics()))
        )
        edges = [edge for edge in facts.edges if edge.live]
        found = [UUID(edge.edge_id) for edge in edges] or self._above(connection, facts)
        return self.end(connection, teller, found) if found else Unmerged()

    def end(
        self, connection: Connection, teller: Teller, edge_ids: Iterable[UUID]
    ) -> Unmerged:
        """Take merges back by their edges."""
        named = sorted(edge_ids)
        told = {"outcome": "unmerged", "edges": [str(edge_id) for edge_id in named]}
        happening_id = teller.happen(connection, told)
        ended = merges.end(connection, named, happening_id)
        held: set[UUID] = set()
        for edge in ended:  # what only the merge explained
            held |= undoing.hold_again(connection, edge.happening_id, happening_id)
        each = [person for e in ended for person in (e.subsumed_id, e.survivor_id)]
        concerned = merges.roots(connection, each)
        self.settle(connection, happening_id, concerned)
        if held:
            now = events.recorded_at(connection, happening_id)
            Restate(self.rules).studies(Moment(connection, happening_id, now), held)
        flag_split_of(connection, happening_id, concerned)
        effects = tuple(
            f"unmerged: patient {e.subsumed_id} from {e.survivor_id}" for e in ended
        )
        return Unmerged(happening_id, concerned, effects)

    # -- facts -----------------------------------------------------------------------

    def facts(self, connection: Connection, feed: Feed, wanted: Wanted) -> MergeFacts:
        """Both sides under lock, and everything that was ever said of the two."""
        prior = self.said(feed, wanted.prior)
        surviving = said_identifiers(wanted.surviving, feed, self.rules.domains)
        named = [*prior.known, *surviving.known]
        names = [("identity", i.domain, i.value) for i in named]
        lock(connection, names, shared=False)
        owners = persons.owners(connection, named, for_change=True)
        one = self._side(connection, prior, owners)
        other = self._side(connection, surviving, owners)
        if one.owner is None or other.owner is None:
            return MergeFacts(one, other)
        ids = UUID(one.owner.person_id), UUID(other.owner.person_id)
        roots = UUID(one.owner.root_id), UUID(other.owner.root_id)
        edges = merges.between(connection, *ids)
        return MergeFacts(one, other, edges, merges.vetoes(connection, *roots))

    def said(self, feed: Feed, identifiers: Identifiers) -> Said:
        """Identifiers as a sender means them."""
        update = PatientUpdate(identifiers, Demographics())
        return said_identifiers(update, feed, self.rules.domains)

    def _side(
        self,
        connection: Connection,
        said: Said,
        owners: dict[PatientIdentifier, persons.Owned],
    ) -> Side:
        own = {i: owners[i] for i in said.known if i in owners}
        ids = {owned.root_id for owned in own.values()}
        found = persons.facts(connection, ids, self.rules.archive_domain)
        known = {i: Owner(*map(str, owned[:3])) for i, owned in own.items()}
        return Side(said, known, found)

    def _above(self, connection: Connection, facts: MergeFacts) -> list[UUID]:
        """The edge that the first hangs by, where both are one person."""
        one, other = facts.prior.owner, facts.surviving.owner
        if one is None or other is None or one.root_id != other.root_id:
            return []
        edge = merges.parent(connection, UUID(one.person_id))
        return [edge] if edge and one.person_id != other.person_id else []

    # -- doing it --------------------------------------------------------------------

    def _join(
        self,
        connection: Connection,
        teller: Teller,
        wanted: Wanted,
        facts: MergeFacts,
        decision: MergeDecision,
    ) -> Merged:
        surviving = facts.surviving
        prior = facts.prior.without(surviving.said.known)
        told = {"outcome": decision.outcome.value, "risky": decision.risky}
        known = {
            name: side.owner.identity_id
            for name, side in (("prior", prior), ("surviving", surviving))
            if side.owner
        }
        happening_id = teller.happen(connection, told | known)
        merges.end(connection, [UUID(edge) for edge in decision.ends], happening_id)
        one = self.owner_of(connection, teller, prior, None, happening_id)
        other = self.owner_of(connection, teller, surviving, wanted.surviving, happening_id)
        before = merges.roots(connection, [one.person_id, other.person_id])
        merges.join(
            connection,
            subsumed_id=one.person_id,
            survivor_id=other.person_id,
            prior_identity_id=one.identity_id,
            surviving_identity_id=other.identity_id,
            source=teller.source,
            said_at=teller.said_at,
            happening_id=happening_id,
        )
        self._close(connection, prior, one, happening_id)
        now = merges.roots(connection, [one.person_id])
        self.settle(connection, happening_id, now, before)
        effect = f"{decision.outcome.value}: patient {one.person_id} into {other.person_id}"
        subjects = (str(one.person_id), str(other.person_id))
        return Merged(decision, happening_id, before | now, subjects, (effect,))

    def owner_of(
        self,
        connection: Connection,
        teller: Teller,
        side: Side,
        update: PatientUpdate | None,
        happening_id: UUID,
    ) -> persons.Owned:
        """The owner of a side, made where nobody knows it: its images may still come.

        They gain what the side names besides, and nobody has.
        """
        found = side.owner
        if found is not None:
            identity_id, person_id = UUID(found.identity_id), UUID(found.person_id)
            for identifier, raw in side.said.assignable.items():
                if identifier not in side.owners:
                    persons.own(connection, identifier, raw, person_id, happening_id)
            return persons.Owned(identity_id, person_id, UUID(found.root_id))
        test = any(self.rules.domains[i.domain].is_test(i.value) for i in side.said.known)
        state = "test" if test else "provisional"
        person_id = persons.create(connection, state, happening_id)
        made = [
            persons.own(connection, i, raw, person_id, happening_id)
            for i, raw in side.said.assignable.items()
        ]
        said = persons.said_as_json(update.demographics) if update else {}
        if said:
            persons.say(
                connection,
                person_id,
                said,
                source=teller.source,
                authority=FEED_AUTHORITY,
                said_at=teller.said_at,
                happening_id=happening_id,
                identity_id=made[0],
                came_at=teller.came_at,
            )
        return persons.Owned(made[0], person_id, person_id)

    def _close(
        self,
        connection: Connection,
        prior: Side,
        owned: persons.Owned,
        happening_id: UUID,
    ) -> None:
        """A temporary identifier has done what it was for."""
        domains = self.rules.domains
        if any(domains[i.domain].temporary for i in prior.said.known):
            incarnations.close(connection, [owned.identity_id], happening_id)

    def settle(
        self,
        connection: Connection,
        happening_id: UUID,
        concerned: frozenset[UUID],
        before: frozenset[UUID] = frozenset(),
    ) -> None:
        """Whatever rests on the persons is decided anew, and told of it.

        `before`: who were surviving persons, and are no more.
        """
        self.mint(connection, concerned, happening_id)
        evidence.raise_persons(connection, concerned)
        self.reached(connection, happening_id, concerned | before)

    def mint(
        self, connection: Connection, concerned: Iterable[UUID], happening_id: UUID
    ) -> None:
        """Verified persons have an ID of the archive's own domain."""
        domain = self.rules.archive_domain
        for person_id, person in persons.facts(connection, concerned, domain).items():
            if person.assigned is None and person.state == "verified":
                value = persons.mint(connection, domain)
                made = PatientIdentifier(value, domain)
                persons.own(connection, made, value, UUID(person_id), happening_id)


def _confirm(connection: Connection, teller: Teller, facts: MergeFacts) -> None:
    """What the same source says again later is as new as that: its inverse may be older."""
    prior = facts.prior.owner
    for edge in facts.edges:
        says_it = edge.live and prior is not None and edge.prior_id == prior.person_id
        if says_it and edge.source == teller.source:
            merges.confirm(connection, UUID(edge.edge_id), teller.said_at)
