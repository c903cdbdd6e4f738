"""What becomes of a merge: decided from facts, every outcome named.

Rule 1: who says it must be an authority for both sides, by one identifier of each.
Rule 2: what stands already, and what is older than what stands, changes nothing.
Rule 3: a person's word that two are not one is above any message.
Rule 4: the gate vetoes no merge. It flags it, or has it wait where the feed is set so;
        of a temporary identity it says nothing.
Rule 5: only roots are joined under somebody else: merges form a forest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from reconcile.core.corroborate import corroborate
from reconcile.core.facts import Feed, PersonFacts
from reconcile.core.identity import Domain, PatientIdentifier
from reconcile.core.update import OVERLAY, Said

STRICT = "strict"


class MergeOutcome(StrEnum):
    """What becomes of a merge, most decisive first; in capitals: a person has to look."""

    NO_IDENTIFIER = "no-identifier"
    INVALID_ID = "INVALID-ID"
    SAME_IDENTIFIER = "same-identifier"
    UNKNOWN_DOMAIN = "UNKNOWN-DOMAIN"
    NOT_AUTHORITATIVE = "NOT-AUTHORITATIVE"
    TEST_REAL_MERGE = "TEST-REAL-MERGE"
    IDENTITY_CONFLICT = "IDENTITY-CONFLICT"
    OTHER_DOMAIN = "other-domain"
    UNKNOWN_PATIENT = "unknown-patient"
    DUPLICATE = "duplicate"
    STALE = "stale"
    INVERSE = "INVERSE-MERGE"
    CYCLE = "CYCLE-ATTEMPT"
    ALREADY_SAME = "already-same"
    SUBSUMED_ELSEWHERE = "SUBSUMED-ELSEWHERE"
    SUBSUMED_PATIENT = "subsumed-patient"
    VETOED = "VETOED-MERGE"
    RISKY = "RISKY-MERGE"
    MERGED = "merged"

    @property
    def changes(self) -> bool:
        """Whether an edge is made."""
        return self in (MergeOutcome.INVERSE, MergeOutcome.MERGED)


@dataclass(frozen=True, slots=True)
class Owner:
    """Who owns an identifier: the person it was given to, and who survived for them."""

    identity_id: str
    person_id: str
    root_id: str


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a merge.

    Attributes:
        said: the identifiers that were named, sorted.
        owners: of those that are known.
        persons: the surviving ones of the owners, with all merged into them, by id.
    """

    said: Said
    owners: Mapping[PatientIdentifier, Owner]
    persons: Mapping[str, PersonFacts]

    @property
    def owner(self) -> Owner | None:
        """The owner of the first identifier that is known; None: nobody knows any."""
        return next((self.owners[i] for i in self.said.known if i in self.owners), None)

    @property
    def root(self) -> PersonFacts | None:
        """The surviving person; None: nobody knows any identifier."""
        return self.persons[self.owner.root_id] if self.owner else None

    def without(self, others: Collection[PatientIdentifier]) -> Side:
        """The same side but for identifiers that the other side names as well."""
        known = {i: raw for i, raw in self.said.known.items() if i not in others}
        own = {i: raw for i, raw in self.said.assignable.items() if i not in others}
        return replace(self, said=replace(self.said, known=known, assignable=own))


@dataclass(frozen=True, slots=True)
class Edge:
    """A merge that was said between the owners of the two sides, in either direction."""

    edge_id: str
    prior_id: str
    surviving_id: str
    source: str
    said_at: datetime | None
    live: bool


@dataclass(frozen=True, slots=True)
class Veto:
    """A person's word that somebody of the one side is nobody of the other."""

    actor: str
    said_on: str

    def __str__(self) -> str:
        return f"declared not the same by {self.actor} on {self.said_on}"


@dataclass(frozen=True, slots=True)
class MergeFacts:
    """What was known when a merge was said."""

    prior: Side
    surviving: Side
    edges: Sequence[Edge] = ()
    vetoes: Sequence[Veto] = ()


@dataclass(frozen=True, slots=True)
class MergeDecision:
    """The outcome, and what there is to tell of it.

    Attributes:
        risky: the gate calls the two different persons; a person is to look at it.
        ends: ids of edges that this one takes the place of.
        reasons: in words, without patient data.
    """

    outcome: MergeOutcome
    risky: bool = False
    ends: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


def decide_merge(
    facts: MergeFacts,
    feed: Feed,
    domains: Mapping[str, Domain],
    source: str,
    said_at: datetime,
) -> MergeDecision:
    """Decide whether the patient of the prior identifiers is the surviving one.

    Args:
        facts: of both sides, as they were before.
        feed: who says it, and how it is read.
        domains: configured domains by name.
        source: the sender, as edges keep it.
        said_at: when it happened, as the sender says.

    Source:
        IHE ITI-30 (A40), ITI-8; docs/explanation/identity.md.
    """
    refused = _refuse(facts, feed, domains)
    if refused:
        return MergeDecision(refused)
    return _standing(facts, feed, source, said_at) or _join(facts, feed, domains)


def refuse_sides(
    prior: Side, surviving: Side, domains: Mapping[str, Domain]
) -> MergeOutcome | None:
    """Why two sides cannot be spoken of together by this sender, most decisive first."""
    for side in (prior, surviving):
        refused = refuse_side(side)
        if refused:
            return refused
    if not prior.without(surviving.said.known).said.known:
        return MergeOutcome.SAME_IDENTIFIER
    if not (prior.said.assignable and surviving.said.assignable):
        return MergeOutcome.NOT_AUTHORITATIVE
    if _is_test(prior, domains) != _is_test(surviving, domains):
        return MergeOutcome.TEST_REAL_MERGE
    for side in (prior, surviving):
        if len({owner.root_id for owner in side.owners.values()}) > 1:
            return MergeOutcome.IDENTITY_CONFLICT
    return None


def _refuse(
    facts: MergeFacts, feed: Feed, domains: Mapping[str, Domain]
) -> MergeOutcome | None:
    refused = refuse_sides(facts.prior, facts.surviving, domains)
    if refused:
        return refused
    if feed.profile != STRICT:
        return None
    prior, surviving = (
        {i.domain for i in side.said.assignable} for side in (facts.prior, facts.surviving)
    )
    if not prior & surviving:
        return MergeOutcome.OTHER_DOMAIN
    both = facts.prior.owner and facts.surviving.owner
    return None if both else MergeOutcome.UNKNOWN_PATIENT


def refuse_side(side: Side) -> MergeOutcome | None:
    """Why nobody can be meant by the identifiers of a side, most decisive first."""
    said = side.said
    if not said.any_said:
        return MergeOutcome.NO_IDENTIFIER
    if said.known:
        return None
    return MergeOutcome.INVALID_ID if said.invalid else MergeOutcome.UNKNOWN_DOMAIN


def _is_test(side: Side, domains: Mapping[str, Domain]) -> bool:
    if side.root is not None:
        return side.root.state == "test"
    return any(domains[i.domain].is_test(i.value) for i in side.said.known)


def _standing(
    facts: MergeFacts, feed: Feed, source: str, said_at: datetime
) -> MergeDecision | None:
    """What stands already, or is older than what stands; None: it is news."""
    prior, surviving = facts.prior.owner, facts.surviving.owner
    if prior is None or surviving is None:
        return _of_one_known(prior)
    same = [e for e in facts.edges if e.prior_id == prior.person_id]
    inverse = [e for e in facts.edges if e.prior_id == surviving.person_id]
    if any(edge.live for edge in same):
        return MergeDecision(MergeOutcome.DUPLICATE)
    if _was_taken_back(facts.edges, prior, source, said_at):
        return MergeDecision(MergeOutcome.STALE)
    for edge in inverse:
        if edge.live:
            return _against(edge, facts, source, said_at)
    if prior.person_id == surviving.person_id:
        return MergeDecision(MergeOutcome.ALREADY_SAME)
    if prior.root_id == surviving.root_id:
        above = prior.person_id == surviving.root_id
        return MergeDecision(MergeOutcome.CYCLE if above else MergeOutcome.ALREADY_SAME)
    subsumed = prior.person_id != prior.root_id
    if feed.profile == STRICT and (subsumed or surviving.person_id != surviving.root_id):
        return MergeDecision(MergeOutcome.SUBSUMED_PATIENT)
    if subsumed:
        return MergeDecision(MergeOutcome.SUBSUMED_ELSEWHERE)
    return None


def _of_one_known(prior: Owner | None) -> MergeDecision | None:
    """Nothing was said of the two; but who is merged already is joined to nobody else."""
    if prior is None or prior.person_id == prior.root_id:
        return None
    return MergeDecision(MergeOutcome.SUBSUMED_ELSEWHERE)


def _was_taken_back(
    edges: Sequence[Edge], prior: Owner, source: str, said_at: datetime
) -> bool:
    """Whether the same source has said something newer of the two, which was ended."""
    for edge in edges:
        if edge.live or edge.source != source or edge.said_at is None:
            continue
        again = edge.prior_id == prior.person_id and edge.said_at == said_at
        if again or edge.said_at > said_at:
            return True
    return False


def _against(
    edge: Edge, facts: MergeFacts, source: str, said_at: datetime
) -> MergeDecision:
    """Of a merge and its inverse the newer wins, if one and the same authority says both.

    Of one time, whose surviving identifier comes first: so that the end does not depend
    on which came first.
    """
    prior = facts.prior.owner
    if edge.source != source or edge.said_at is None or prior is None:
        return MergeDecision(MergeOutcome.CYCLE)
    names = (str(next(iter(side.said.known))) for side in (facts.surviving, facts.prior))
    wins = next(names) < next(names) if said_at == edge.said_at else said_at > edge.said_at
    if not wins:
        return MergeDecision(MergeOutcome.STALE)
    if prior.person_id != prior.root_id:
        return MergeDecision(MergeOutcome.CYCLE)
    return MergeDecision(MergeOutcome.INVERSE, ends=(edge.edge_id,))


def _join(facts: MergeFacts, feed: Feed, domains: Mapping[str, Domain]) -> MergeDecision:
    """Nothing stands in the way but people and the gate."""
    if facts.vetoes:
        reasons = tuple(dict.fromkeys(map(str, facts.vetoes)))
        return MergeDecision(MergeOutcome.VETOED, reasons=reasons)
    reasons = _risk(facts.prior, facts.surviving, domains)
    if reasons and feed.risky_merge == "hold":
        return MergeDecision(MergeOutcome.RISKY, risky=True, reasons=reasons)
    return MergeDecision(MergeOutcome.MERGED, risky=bool(reasons), reasons=reasons)


def _risk(prior: Side, surviving: Side, domains: Mapping[str, Domain]) -> tuple[str, ...]:
    """Why the gate calls them two persons; nothing where it does not, or is not asked."""
    one, other = prior.root, surviving.root
    if one is None or other is None or not one.versions:
        return ()
    named = [domains[i.domain] for i in (*prior.said.known, *surviving.said.known)]
    if any(domain.temporary or domain.gate == "off" for domain in named):
        return ()
    verdict = corroborate(one.current or one.versions[0], other.versions, named[0])
    if verdict.gate not in OVERLAY:
        return ()
    return (verdict.gate.value, *verdict.reasons)
