"""Whose an arriving instance is: the ladder, from facts alone.

Rule 1: nothing here reads a clock, a database, a socket or a random number.
Rule 2: identifiers decide; demographics may only veto.
Rule 3: every outcome has a name in Outcome, most decisive first. When several things
        are wrong at once the first is the one that is told; the tests walk down.
Rule 4: every rung writes its evidence, also the ones that lost.
"""

from __future__ import annotations

from dataclasses import replace

from reconcile.core.corroborate import Corroboration, Gate, corroborate
from reconcile.core.decision import Decision, Evidence, Outcome
from reconcile.core.facts import (
    InstanceFacts,
    OrderFacts,
    PersonFacts,
    RegistryFacts,
    Source,
)
from reconcile.core.identity import (
    Issuer,
    PatientIdentifier,
    bare,
    is_valid_patient_id,
)
from reconcile.core.issuers import (
    Named,
    header_identifier,
    issuer_domain,
    received_identifier,
)

__all__ = ["LIST_RULE", "RULE", "Decision", "Evidence", "Outcome", "decide"]

#: The rule's name and version, as audit rows tell it. Raise it when decisions change.
RULE = "identity@2"
#: The same where the list of a migration names whose a study is.
LIST_RULE = "migration-list@1"


def decide(
    instance: InstanceFacts, registry: RegistryFacts, source: Source, digest: str
) -> Decision:
    """Decide whose an arriving instance is.

    Args:
        instance: what its data set says.
        registry: what the registry knew, read under the locks of this decision.
        source: how its sender's instances are read.
        digest: SHA-256 of its data set bytes, in hex.

    Source:
        PS3.4 B.4.1.3; IHE RAD-8 and PIR; docs/explanation/identity.md.
    """
    if digest in registry.known_digests:
        return Decision(Outcome.ALREADY_STORED)
    if registry.stored_digest:
        return Decision(Outcome.DUPLICATE_DIFFERS)
    if not instance.patient_scoped:
        return Decision(Outcome.NOT_PATIENT)
    if instance.identity_removed and source.deidentified == "separate":
        return _deidentified(instance, registry)
    return _Ladder(instance, registry, source).climb()


def _deidentified(instance: InstanceFacts, registry: RegistryFacts) -> Decision:
    """Kept apart in a domain of its own, matched to nobody."""
    value = instance.patient_id.strip(" \0")
    identity = PatientIdentifier(value, registry.deidentified_domain) if value else None
    known = registry.by_identifier.get(identity) if identity else None
    evidence = (Evidence("N", "patient identity was removed"),)
    return Decision(
        Outcome.DEIDENTIFIED,
        "N",
        known.person_id if known else "",
        identity,
        evidence=evidence,
    )


class _Ladder:
    """One climb: the rungs are evaluated first, then the outcomes in their order."""

    def __init__(
        self, instance: InstanceFacts, registry: RegistryFacts, source: Source
    ) -> None:
        self.instance = instance
        self.registry = registry
        self.source = source
        listed = instance.listed
        self.listed = listed if listed and listed.patient_id else None
        self.raw, self.issuer = self._said()
        self.named = self._name_domain()
        self.header = self._header() if self.listed else None
        self.denied = self.named.domain is not None and self.named.domain.denies(self.raw)
        self.has_id = bool(bare(self.raw)) and not self.denied
        self.identity = self._identity()
        self.by_id = registry.by_identifier.get(self.identity) if self.identity else None
        self.by_cross = self._cross_persons()
        self.evidence: list[Evidence] = self._gather()

    def _said(self) -> tuple[str, Issuer]:
        """The Patient ID and who issued it: of the list, else of the header."""
        if self.listed:
            return self.listed.patient_id, Issuer(self.listed.domain)
        return received_identifier(self.instance, self.source)

    def climb(self) -> Decision:
        if self.registry.wrong_entry:  # whatever its header says of its patient
            return self._end(Outcome.WRONG_WORKLIST_ENTRY)
        remembered = self.registry.remembered
        if remembered:
            return self._as_decided(self.registry.persons[remembered.person_id])
        held = self._refuse_identifier()
        if held:
            return self._end(held)
        domain = self.named.domain
        if domain and self.identity and domain.is_test(self.identity.value):
            known = self.by_id.person_id if self.by_id else ""
            return self._end(Outcome.TEST, "T", known)
        if "identity" in self.registry.refused_rules:  # a person has taken it back
            return self._end(Outcome.UNDONE)
        held = self._refuse_listed() if self.instance.listed else self._refuse_evidence()
        if held:
            return self._end(held)
        candidates = self._candidates()
        if not candidates:
            if self.identity is None:
                return self._end(Outcome.NO_IDENTITY)
            return self._end(Outcome.PROVISIONAL, "P", reviews=self._new_reviews())
        return self._gate(self.registry.persons[candidates.pop()])

    def _as_decided(self, person: PersonFacts) -> Decision:
        """A person has seen this header, and said whose it is."""
        self.evidence.append(Evidence("S", "decided by a person", person.person_id))
        return self._coerce(person, "S", frozenset())

    def _name_domain(self) -> Named:
        issuer = self.issuer or Issuer(self.source.domain)
        if not issuer:
            return Named()
        return issuer_domain(issuer, dict(self.registry.domains))

    def _identity(self) -> PatientIdentifier | None:
        domain = self.named.domain
        if not self.has_id or domain is None or not is_valid_patient_id(self.raw):
            return None
        return PatientIdentifier(domain.normalise(self.raw), domain.name)

    def _cross_persons(self) -> frozenset[str]:
        """Persons of Other Patient IDs whose issuer is a configured domain (rung X)."""
        found = set()
        for value, issuer in self.instance.other_ids:
            named = (
                issuer_domain(issuer, dict(self.registry.domains)) if issuer else Named()
            )
            if named.domain is None or named.unknown:
                continue
            key = PatientIdentifier(named.domain.normalise(value), named.domain.name)
            if person := self.registry.by_identifier.get(key):
                found.add(person.person_id)
        return frozenset(found)

    def _refuse_identifier(self) -> Outcome | None:
        """What is wrong with the Patient ID itself, most decisive first."""
        if self.instance.listed and not self.listed:
            return None  # it decides nothing
        unreadable = frozenset() if self.listed else self.instance.undecodable
        if "PatientID" in unreadable:
            return Outcome.CHARSET
        if self.has_id and "IssuerOfPatientID" in unreadable:
            return Outcome.CHARSET  # it names somebody: not the source's own domain
        if not is_valid_patient_id(self.raw):
            return Outcome.INVALID_ID
        if self.named.contradicts:
            return Outcome.ISSUER_CONFLICT
        if self.has_id and self.named.domain is None:
            return Outcome.ISSUER_MISSING
        domain = self.named.domain
        if self.identity and domain and domain.breaks_check_digit(self.identity.value):
            return Outcome.CHECK_DIGIT
        return None

    def _refuse_listed(self) -> Outcome | None:
        """What stands against the list: that the study is somebody else's already."""
        if not self.listed:
            return Outcome.NOT_LISTED
        own = self.by_id.person_id if self.by_id else ""
        study = self.registry.study
        if not own or (study and study.person_ids and own not in study.person_ids):
            return Outcome.LIST_CONFLICT
        return None

    def _refuse_evidence(self) -> Outcome | None:
        """What is wrong with the evidence taken together, most decisive first."""
        study = self.registry.study
        if study and study.person_ids and self.identity:
            own = self.by_id.person_id if self.by_id else ""
            if own not in study.person_ids:
                return Outcome.STUDY_IDENTITY_SPLIT
        by_number = {o.person_id for o in self._orders("bare-accession")}
        if len(by_number) > 1 and not self._orders("study-uid", "accession"):
            return Outcome.ACCESSION_AMBIGUOUS
        if len(self._candidates()) > 1:
            return Outcome.EVIDENCE_CONFLICT
        return None

    def _orders(self, *found_by: str) -> tuple[OrderFacts, ...]:
        return tuple(o for o in self.registry.orders if o.found_by in found_by)

    def _candidates(self) -> set[str]:
        """Every person that a rung names; more than one is never "the best of"."""
        if self.listed:
            return {self.by_id.person_id} if self.by_id else set()
        return self._named_persons()

    def _named_persons(self) -> set[str]:
        found = {o.person_id for o in self._orders("study-uid", "accession")}
        found |= self.by_cross
        if self.by_id:
            found.add(self.by_id.person_id)
        if self.registry.study:
            found |= self.registry.study.person_ids
        return found

    def _gather(self) -> list[Evidence]:
        study = self.registry.study
        found = [Evidence("N", self._normalised())]
        if self.listed:
            person = self.by_id.person_id if self.by_id else ""
            found.append(Evidence("M", "the migration list names it", person))
        persons = sorted(study.person_ids if study else ())
        found += [Evidence("U", "study is known", person) for person in persons]
        found += [
            Evidence("O", f"order by {order.found_by}", order.person_id)
            for order in self.registry.orders
        ]
        found += [
            Evidence("I", "the header's own identifier is known", person)
            for person in sorted(self._by_header())
        ]
        if self.identity and not self.listed:
            known = "identifier is known" if self.by_id else "identifier is not known"
            found.append(Evidence("I", known, self.by_id.person_id if self.by_id else ""))
        found += [
            Evidence("X", "other patient ID is known", person)
            for person in sorted(self.by_cross)
        ]
        return found

    def _normalised(self) -> str:
        if self.denied:
            return "the Patient ID is one that says nothing"
        if not self.has_id:
            return "no Patient ID"
        if self.named.domain is None:
            return "Patient ID without issuer"
        if self.listed:
            return "Patient ID and issuer as the migration list says"
        how = "as the header says" if self.issuer else "as the source's domain"
        return f"issuer {how}"

    def _gate(self, person: PersonFacts) -> Decision:
        domain = self.named.domain or self.registry.domains[self.registry.archive_domain]
        rungs = self._deciding_rungs(person)
        if domain.gate == "off" or domain.temporary:
            self.evidence.append(Evidence("G", "off for this domain", person.person_id))
            return self._coerce(person, f"{rungs}+G:OFF", frozenset())
        header = self.instance.demographics
        if "PatientName" in self.instance.undecodable:
            header = replace(header, name=type(header.name)())
        verdict = corroborate(header, person.versions, domain)
        words = f"{verdict.gate}: {'; '.join(verdict.reasons)}"
        self.evidence.append(Evidence("G", words, person.person_id))
        rung = f"{rungs}+G:{verdict.gate}"
        if self.listed:
            return self._coerce(person, rung, verdict.flags | self._against(verdict))
        held = self._veto(verdict, person)
        if held:
            return self._end(held, rung)
        return self._coerce(person, rung, verdict.flags)

    def _header(self) -> PatientIdentifier | None:
        """What the header says itself, where the list decides."""
        domains = dict(self.registry.domains)
        return header_identifier(self.instance, domains, self.source)

    def _by_header(self) -> set[str]:
        """Whom that names."""
        found = self.registry.by_identifier
        known = found.get(self.header) if self.header else None
        return {known.person_id} if known else set()

    def _against(self, verdict: Corroboration) -> frozenset[str]:
        """What speaks against the list, and is told and does not decide."""
        found = set()
        if verdict.gate is not Gate.NOINFO and not verdict.may_coerce:
            found.add(Outcome.DEMOGRAPHIC_CONFLICT.value)
        if len(self._named_persons() | self._by_header()) > 1:
            found.add(Outcome.EVIDENCE_CONFLICT.value)
        return frozenset(found)

    def _veto(self, verdict: Corroboration, person: PersonFacts) -> Outcome | None:
        if verdict.gate is Gate.NOINFO:
            return None if self._stands_without_gate(person) else Outcome.UNCORROBORATED
        return None if verdict.may_coerce else Outcome.DEMOGRAPHIC_CONFLICT

    def _stands_without_gate(self, person: PersonFacts) -> bool:
        """Whether identifiers alone are enough: order and ID agree, or bare IDs are."""
        own = self.by_id is not None and self.by_id.person_id == person.person_id
        return own and (self.source.bare_id == "accept" or bool(self._own_orders(person)))

    def _own_orders(self, person: PersonFacts) -> tuple[OrderFacts, ...]:
        found = self.registry.orders
        return tuple(o for o in found if o.person_id == person.person_id)

    def _deciding_rungs(self, person: PersonFacts) -> str:
        """The rungs that named the person; U only where nothing else did."""
        found = ["M"] if self.listed else []
        named = ("study-uid", "accession")
        if any(o.found_by in named for o in self._own_orders(person)):
            found.append("O")
        if not self.listed and self.by_id and self.by_id.person_id == person.person_id:
            found.append("I")
        if person.person_id in self.by_cross:
            found.append("X")
        return "+".join(found) or "U"

    def _coerce(self, person: PersonFacts, rung: str, flags: frozenset[str]) -> Decision:
        if person.state not in ("verified", "retired"):
            told = tuple(sorted(flags)) if self.listed else ()
            return self._end(Outcome.PROVISIONAL, rung, person.person_id, told)
        reviews = sorted(flags - {"WEAK"})
        if self.identity and self.by_id is None:
            reviews.append("NEW-XREF")
        if self._died_before(person):
            reviews.append("AFTER-DEATH")
        if "PatientName" in self.instance.undecodable:
            reviews.append("CHARSET")
        if any(order.cancelled for order in self._own_orders(person)):
            reviews.append("ORDER-CLOSED")
        return self._end(Outcome.COERCE, rung, person.person_id, tuple(reviews))

    def _died_before(self, person: PersonFacts) -> bool:
        died = person.current.death_date if person.current else ""
        return bool(died) and died[:8] < self.instance.study_date

    def _new_reviews(self) -> tuple[str, ...]:
        unknown = ("UNKNOWN-DOMAIN",) if self.named.unknown else ()
        return (*unknown, "PROVISIONAL")

    def _end(
        self,
        outcome: Outcome,
        rung: str = "",
        person_id: str = "",
        reviews: tuple[str, ...] = (),
    ) -> Decision:
        person = self.registry.persons.get(person_id)
        orders = self._own_orders(person) if person else ()
        return Decision(
            outcome,
            rung or "Q",
            person_id,
            self.identity if (self.by_id or not person_id) else None,
            tuple(order.order_id for order in orders),
            reviews,
            tuple(self.evidence),
            self.header if person_id in self._by_header() else None,
        )
