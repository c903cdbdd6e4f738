"""What an answer to a query says of a study: as a retrieve would show it today.

The header as it was received, what its series was coerced to on it, and, of a person who
is verified, what the master patient index says now. Whoever asks from a domain of its own
is told the patient's identifier there (IHE MIMA).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconcile.core import attributes as at
from reconcile.core.attributes import (
    Assign,
    Change,
    Element,
    Include,
    Restore,
    Tag,
    as_assigned,
)
from reconcile.core.facts import PersonFacts
from reconcile.core.identity import Domain, PatientIdentifier
from reconcile.core.targets import domain_of, name_element, other_id_item


def coerced(
    received: Mapping[Tag, Element], changes: Iterable[Change]
) -> dict[Tag, Element]:
    """A header with what was assigned since, in order."""
    found = dict(received)
    for each in changes:
        if not isinstance(each, Assign | Restore | Include):
            continue
        change = each
        if not isinstance(change, Assign):
            change = as_assigned(change, received.get(change.tag))
        if change.element is None:
            found.pop(change.tag, None)
        else:
            found[change.tag] = change.element
    return found


def of_person(
    header: Mapping[Tag, Element],
    person: PersonFacts,
    domains: Mapping[str, Domain],
    view: str = "",
) -> dict[Tag, Element]:
    """A header with what the index says of its person.

    Args:
        header: as it is given out.
        person: who it is.
        domains: by name.
        view: the domain of whoever asks; empty: the archive's own.
    """
    found = dict(header)
    verified = person.state == "verified"
    known = [i for i in person.identifiers if view and i.domain == view]
    identifier = known[0] if known else person.assigned if verified else None
    if identifier is not None:
        found.pop(at.ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE, None)
        found |= _identified(identifier, domains)
        others = [i for i in person.identifiers if i != identifier]
        found[at.OTHER_PATIENT_IDS_SEQUENCE] = at.element(
            "SQ", *(_identified(other, domains) for other in others)
        )
    return found | (_known_as(person) if verified else {})


def in_view(
    person: PersonFacts, domains: Mapping[str, Domain], view: str
) -> tuple[Assign, ...]:
    """What names a person in the domain of whoever is given an instance (IHE MIMA).

    Nothing where the person has no identifier there: the instance then goes out under the
    archive's, with its issuer.

    Args:
        person: who it is.
        domains: by name.
        view: the domain of whoever is given it; empty: the archive's own.
    """
    known = next((i for i in person.identifiers if view and i.domain == view), None)
    if known in (None, person.assigned):
        return ()
    named = _identified(known, domains)
    others = [
        other_id_item(other.value, domain_of(other.domain, domains))
        for other in person.identifiers
        if other != known
    ]
    return (
        Assign(at.PATIENT_ID, named[at.PATIENT_ID]),
        Assign(at.ISSUER_OF_PATIENT_ID, named[at.ISSUER_OF_PATIENT_ID]),
        Assign(
            at.ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE,
            named.get(at.ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE),
        ),
        Assign(
            at.OTHER_PATIENT_IDS_SEQUENCE, at.element("SQ", *others) if others else None
        ),
    )


def _identified(
    identifier: PatientIdentifier, domains: Mapping[str, Domain]
) -> dict[Tag, Element]:
    """Patient ID with its issuer (PS3.3 Table 10-18)."""
    domain = domain_of(identifier.domain, domains)
    said: dict[Tag, Element] = {
        at.PATIENT_ID: at.element("LO", identifier.value),
        at.ISSUER_OF_PATIENT_ID: at.element("LO", domain.name),
    }
    if domain.universal_id and domain.universal_id != domain.name:
        kind = domain.universal_id_type or "ISO"
        universal = {
            at.UNIVERSAL_ENTITY_ID: at.element("UT", domain.universal_id),
            at.UNIVERSAL_ENTITY_ID_TYPE: at.element("CS", kind),
        }
        said[at.ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE] = at.element("SQ", universal)
    return said


def _known_as(person: PersonFacts) -> dict[Tag, Element]:
    """What the index says of a person now; nothing where no feed has spoken."""
    said, found = person.current, dict[Tag, Element]()
    if said is None:
        return found
    if said.name:
        found[at.PATIENT_NAME] = name_element(said.name)
    if len(said.birth_date) == 8:
        found[at.PATIENT_BIRTH_DATE] = at.element("DA", said.birth_date)
    if said.sex:
        found[at.PATIENT_SEX] = at.element("CS", said.sex)
    return found


def of_ordered(
    identifier: PatientIdentifier,
    person: PersonFacts,
    domains: Mapping[str, Domain],
    view: str = "",
) -> dict[Tag, Element]:
    """What is said of somebody for whom something is ordered; args as `of_person`.

    Args:
        identifier: under which it was ordered.
        person: whose it is now.
        domains: by name.
        view: the domain of whoever asks.
    """
    ordered = _identified(person.shown(identifier), domains)
    return ordered | of_person({}, person, domains, view) | _known_as(person)
