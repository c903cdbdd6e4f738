"""What a message that speaks of a patient does to the registry: decided from facts.

Rule 1: a feed assigns only in domains that it has authority over.
Rule 2: identifiers of two persons in one message are a question for a person, never a
        merge: only a merge message merges.
Rule 3: an update that suddenly describes somebody else is held. That is how most
        overlays are born.
Rule 4: of somebody of whom only images have told, nobody with authority has spoken. If
        the first word of a feed describes another person, it is about another person,
        who has the identifier from now on; what came under it before stays apart.
Rule 5: what is said under an identifier that came with a merge is about the person it
        belonged to; the survivor is not overwritten.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from reconcile.core.corroborate import Gate, corroborate
from reconcile.core.facts import Feed, PersonFacts
from reconcile.core.identity import (
    Demographics,
    Domain,
    Issuer,
    PatientIdentifier,
    PatientUpdate,
    bare,
    is_valid_patient_id,
    says_nothing,
)
from reconcile.core.issuers import issuer_domain

#: Gate results of (old, new) that say: this is another person.
OVERLAY = frozenset({Gate.TWIN, Gate.JUNIOR, Gate.CONFLICT})


class UpdateOutcome(StrEnum):
    """What becomes of a patient message, most decisive first."""

    NO_IDENTIFIER = "no-identifier"
    INVALID_ID = "INVALID-ID"
    UNKNOWN_DOMAIN = "UNKNOWN-DOMAIN"
    NOT_AUTHORITATIVE = "NOT-AUTHORITATIVE"
    IDENTITY_CONFLICT = "IDENTITY-CONFLICT"
    UNKNOWN_PATIENT = "unknown-patient"
    SUBSUMED_PATIENT = "subsumed-patient"
    NEW_INCARNATION = "new-incarnation"
    SUSPECTED_OVERLAY = "SUSPECTED-OVERLAY"
    NEW = "new"
    ALREADY_SAME = "already-same"
    UPDATE = "update"

    @property
    def is_held(self) -> bool:
        """Whether the message waits for a person; the value is then the item's code."""
        return self.value.isupper() and self is not UpdateOutcome.INVALID_ID


@dataclass(frozen=True, slots=True)
class Said:
    """The identifiers of a message, by what may be done with them.

    `known` are in configured domains and are looked up; of these, `assignable` are in
    domains of the feed's authority and may be given to a person. Both keep the value as
    it was said beside the normalised identifier.
    """

    known: Mapping[PatientIdentifier, str]
    assignable: Mapping[PatientIdentifier, str]
    invalid: bool = False
    any_said: bool = False


@dataclass(frozen=True, slots=True)
class UpdateDecision:
    """The outcome, whom it concerns, and which identifiers that person gains."""

    outcome: UpdateOutcome
    person_id: str = ""
    gains: tuple[PatientIdentifier, ...] = ()
    reasons: tuple[str, ...] = ()


def said_identifiers(
    update: PatientUpdate, feed: Feed, domains: Mapping[str, Domain]
) -> Said:
    """Sort the identifiers of a message; those that say nothing are left out."""
    known: dict[PatientIdentifier, str] = {}
    invalid = any_said = False
    for raw, said_issuer in update.identifiers:
        issuer = said_issuer or Issuer(feed.authority[0] if feed.authority else "")
        named = issuer_domain(issuer, dict(domains)) if issuer else None
        domain = named.domain if named else None
        if not bare(raw) or says_nothing(raw) or (domain and domain.denies(raw)):
            continue
        any_said = True
        if named is None or named.unknown or domain is None:
            continue
        if not is_valid_patient_id(raw):
            invalid = True
        else:
            known[PatientIdentifier(domain.normalise(raw), domain.name)] = raw
    own = {i: raw for i, raw in known.items() if i.domain in feed.authority}
    return Said(known, own, invalid, any_said)


def decide_update(
    update: PatientUpdate,
    said: Said,
    owners: Mapping[PatientIdentifier, str],
    persons: Mapping[str, PersonFacts],
    domains: Mapping[str, Domain],
    *,
    may_create: bool = True,
    may_follow: bool = True,
    registers: bool = False,
) -> UpdateDecision:
    """Decide what a patient message does.

    Args:
        update: what the message says.
        said: its identifiers, sorted.
        domains: configured domains by name.
        owners: surviving person of each identifier of the message that is known.
        persons: those persons, as they were before the message.
        may_create: whether a patient whom nobody knows is made.
        may_follow: whether what is said of somebody who was merged is taken at all.
        registers: whether the message may give an identifier to somebody new, where its
            domain uses identifiers again.

    Source:
        IHE ITI-30, ITI-8 (patient identity feed); RAD-4, RAD-12.
    """
    refused = _refuse(said)
    if refused:
        return UpdateDecision(refused)
    found = set(owners.values())
    gains = tuple(i for i in said.assignable if i not in owners)
    if len(found) > 1:
        return UpdateDecision(UpdateOutcome.IDENTITY_CONFLICT)
    if not found:
        if not may_create:
            return UpdateDecision(UpdateOutcome.UNKNOWN_PATIENT)
        return UpdateDecision(UpdateOutcome.NEW, "", gains)
    person = persons[found.pop()]
    if not may_follow and any(i in person.subsumed for i in owners):
        return UpdateDecision(UpdateOutcome.SUBSUMED_PATIENT, person.person_id)
    domain = domains[next(iter(said.known)).domain]
    verdict = corroborate(update.demographics, person.versions, domain)
    if verdict.gate in OVERLAY and domain.gate != "off" and not domain.temporary:
        reused = registers and domain.reuse
        return _other_person(said, person, verdict.reasons, reused=reused)
    if not gains and person.state == "verified" and not _news(update, person.current):
        return UpdateDecision(UpdateOutcome.ALREADY_SAME, person.person_id)
    return UpdateDecision(UpdateOutcome.UPDATE, person.person_id, gains, verdict.reasons)


def _other_person(
    said: Said, person: PersonFacts, reasons: tuple[str, ...], *, reused: bool
) -> UpdateDecision:
    """The message describes somebody else than the owner of its identifiers."""
    untold = person.state == "provisional" and person.current is None
    again = tuple(said.assignable)
    if reused or (untold and not person.subsumed):
        outcome = UpdateOutcome.NEW_INCARNATION
        return UpdateDecision(outcome, person.person_id, again, reasons)
    outcome = UpdateOutcome.SUSPECTED_OVERLAY
    return UpdateDecision(outcome, person.person_id, reasons=reasons)


def _refuse(said: Said) -> UpdateOutcome | None:
    if not said.any_said:
        return UpdateOutcome.NO_IDENTIFIER
    if said.assignable:
        return None
    if said.known:
        return UpdateOutcome.NOT_AUTHORITATIVE
    return UpdateOutcome.INVALID_ID if said.invalid else UpdateOutcome.UNKNOWN_DOMAIN


def _news(update: PatientUpdate, current: Demographics | None) -> bool:
    """Whether a message says anything of the person that was not so before."""
    if current is None or update.cleared:
        return True
    new = update.demographics
    fields = ("name", "birth_date", "sex", "death_date", "multiple_birth")
    return any(getattr(new, f) and getattr(new, f) != getattr(current, f) for f in fields)
