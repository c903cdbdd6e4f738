"""What the attributes of an instance must become, once it is decided whose it is.

Targets say what should stand there; what really changes in one data set is for
`dataset.overlay.plan` to find. A target that is already met makes no event.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconcile.core import attributes as at
from reconcile.core.attributes import Assign, Element, Include, as_assigned
from reconcile.core.coercion import Decision, Outcome
from reconcile.core.facts import (
    InstanceFacts,
    OrderFacts,
    PersonFacts,
    ProcedureFacts,
    RegistryFacts,
)
from reconcile.core.identity import HELD_DOMAIN, Domain, PatientIdentifier, PersonName
from reconcile.core.order import Code
from reconcile.core.study import is_group_case

#: Greatest number of characters of an SH, LO or CS value (PS3.5 Table 6.2-1).
SH_CHARACTERS_MAX = 16
LO_CHARACTERS_MAX = 64


@dataclass(frozen=True, slots=True)
class Targets:
    """Assignments, and codes of what could not be assigned as it was said."""

    assigns: tuple[Assign, ...] = ()
    reviews: tuple[str, ...] = ()


def targets(
    decision: Decision,
    instance: InstanceFacts,
    registry: RegistryFacts,
    *,
    study_uid: str,
    series_uid: str,
    held_id: str = "",
    procedure_id: str = "",
    filed: PatientIdentifier | None = None,
) -> Targets:
    """The assignments that follow from a decision.

    Args:
        decision: whose the instance is.
        instance: what its data set says.
        registry: the facts that the decision was made from.
        study_uid: the assigned Study Instance UID.
        series_uid: the assigned Series Instance UID.
        held_id: Patient ID of a held study in domain H; empty: it is hidden.
        procedure_id: the requested procedure that the study answers, if just one.
        filed: see `shown_identity`.
    """
    uids = _uids(study_uid, series_uid)
    if decision.outcome.is_hold:
        return Targets((*_held(held_id), *uids) if held_id else ())
    if decision.outcome is Outcome.NOT_PATIENT:
        return Targets()
    if decision.outcome is not Outcome.COERCE:
        return Targets((*_issuer_filled_in(decision, instance, registry, filed), *uids))
    person = registry.persons[decision.person_id]
    orders = [o for o in registry.orders if o.order_id in decision.order_ids]
    group = is_group_case(instance, registry.performed)
    group = group and not instance.listed_accession
    order = orders[0] if len(orders) == 1 and not group else None
    ordered = Targets()
    if order:
        ordered = order_part(order, procedure_id, registry.domains)
        ordered = _with_request(ordered, order, procedure_id, instance)
    patient = (*_patient_id(decision, person, instance, registry), *demographics_of(person))
    return Targets((*patient, *uids, *ordered.assigns), ordered.reviews)


def _uids(study_uid: str, series_uid: str) -> tuple[Assign, ...]:
    return (
        Assign(at.STUDY_INSTANCE_UID, at.element("UI", study_uid)),
        Assign(at.SERIES_INSTANCE_UID, at.element("UI", series_uid)),
    )


def _held(held_id: str) -> tuple[Assign, ...]:
    """Under no real patient's identity: no ID of any patient is left."""
    return (
        Assign(at.PATIENT_ID, at.element("LO", held_id)),
        *issuer_of(HELD_DOMAIN),
        Assign(at.OTHER_PATIENT_IDS, None),
        Assign(at.OTHER_PATIENT_IDS_SEQUENCE, None),
    )


def _issuer_filled_in(
    decision: Decision,
    instance: InstanceFacts,
    registry: RegistryFacts,
    filed: PatientIdentifier | None,
) -> tuple[Assign, ...]:
    """The received ID stays, if it is the patient's own; of "100^^^A" the ID itself."""
    shown = shown_identity(decision, registry, filed)
    if shown is None:
        return ()
    domain = domain_of(shown.domain, registry.domains)
    raw = at.text(instance.present.get(at.PATIENT_ID))
    received = filed is None and shown == decision.identity
    literal = "^" not in raw and instance.listed is None
    if received and (literal or domain.normalise(raw) == shown.value):
        return issuer_of(domain)
    return (Assign(at.PATIENT_ID, at.element("LO", shown.value)), *issuer_of(domain))


def shown_identity(
    decision: Decision, registry: RegistryFacts, filed: PatientIdentifier | None = None
) -> PatientIdentifier | None:
    """The identifier of one of whom only images have told.

    As received; where it came with a merge, the survivor's.

    Args:
        decision: whose the instance is.
        registry: the facts that the decision was made from.
        filed: under which its series is filed, where it came under none of the patient's.
    """
    identifier = filed or decision.identity
    person = registry.persons.get(decision.person_id)
    if identifier is None or person is None:
        return identifier
    return person.shown(identifier)


def domain_of(name: str, domains: Mapping[str, Domain]) -> Domain:
    """The configured domain of that name, or one that is no more than its name."""
    return domains.get(name) or Domain(name)


def issuer_of(domain: Domain) -> tuple[Assign, ...]:
    """Issuer of Patient ID with its qualifiers (PS3.3 Table 10-18)."""
    qualifiers = None
    if domain.universal_id and domain.universal_id != domain.name:
        qualifiers = at.element("SQ", _universal(domain))
    return (
        Assign(at.ISSUER_OF_PATIENT_ID, at.element("LO", domain.name)),
        Assign(at.ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE, qualifiers),
    )


def _universal(domain: Domain) -> dict[str, Element]:
    return {
        at.UNIVERSAL_ENTITY_ID: at.element("UT", domain.universal_id),
        at.UNIVERSAL_ENTITY_ID_TYPE: at.element("CS", domain.universal_id_type or "ISO"),
    }


def _patient_id(
    decision: Decision,
    person: PersonFacts,
    instance: InstanceFacts,
    registry: RegistryFacts,
) -> Iterable[Assign]:
    """The archive's own ID of the person; the received one stays findable."""
    assigned = person.assigned or decision.identity
    if assigned is None:
        return
    yield Assign(at.PATIENT_ID, at.element("LO", assigned.value))
    yield from issuer_of(domain_of(assigned.domain, registry.domains))
    received = decision.received if instance.listed else decision.identity
    if received is None or received == assigned:
        return
    owner = registry.by_identifier.get(received)
    if owner is None or owner.person_id == person.person_id:  # else another patient's
        yield _other_ids(received, instance, registry)


def _other_ids(
    received: PatientIdentifier, instance: InstanceFacts, registry: RegistryFacts
) -> Assign:
    domain = domain_of(received.domain, registry.domains)
    raw = at.text(instance.present.get(at.PATIENT_ID))
    spelled = raw if domain.normalise(raw) == received.value else received.value
    other = Include(at.OTHER_PATIENT_IDS_SEQUENCE, other_id_item(spelled, domain))
    return as_assigned(other, instance.present.get(at.OTHER_PATIENT_IDS_SEQUENCE))


def other_id_item(value: str, domain: Domain) -> dict[str, Element]:
    """An item of Other Patient IDs Sequence; Type of Patient ID is Type 1 there."""
    item = {
        at.PATIENT_ID: at.element("LO", value),
        at.ISSUER_OF_PATIENT_ID: at.element("LO", domain.name),
        at.TYPE_OF_PATIENT_ID: at.element("CS", "TEXT"),
    }
    for assign in issuer_of(domain)[1:]:
        if assign.element:
            item[assign.tag] = assign.element
    return item


def demographics_of(person: PersonFacts) -> Iterable[Assign]:
    """What the master patient index says; where it says nothing, nothing changes."""
    said = person.current
    if said is None:
        return
    if said.name:
        yield Assign(at.PATIENT_NAME, name_element(said.name))
    if len(said.birth_date) == 8:
        yield Assign(at.PATIENT_BIRTH_DATE, at.element("DA", said.birth_date))
    if said.sex:
        yield Assign(at.PATIENT_SEX, at.element("CS", said.sex))


def name_element(name: PersonName) -> Element:
    """A name as a PN element."""
    return at.person_name(name.alphabetic, name.ideographic, name.phonetic)


def order_part(
    order: OrderFacts, procedure_id: str, domains: Mapping[str, Domain]
) -> Targets:
    """Accession with its issuer, referring physician, requested procedure."""
    found: list[Assign] = []
    reviews: tuple[str, ...] = ()
    if len(order.accession_number) > SH_CHARACTERS_MAX:
        reviews = ("TOO-LONG",)
    elif order.accession_number:
        said = accession_of(order.accession_number, order.accession_issuer, domains)
        found.extend(said)
    if order.referring_physician:
        physician = at.person_name(order.referring_physician)
        found.append(Assign(at.REFERRING_PHYSICIAN_NAME, physician))
    for procedure in order.procedures:
        if procedure.procedure_id == procedure_id:
            found.extend(_procedure(procedure))
    return Targets(tuple(found), reviews)


def _with_request(
    ordered: Targets, order: OrderFacts, procedure_id: str, instance: InstanceFacts
) -> Targets:
    """With the Requested Procedure ID, where the header says nothing of requests."""
    named = [p.rp_id for p in order.procedures if p.procedure_id == procedure_id]
    if at.REQUEST_ATTRIBUTES_SEQUENCE in instance.present:
        return ordered
    if not named or not 0 < len(named[0]) <= SH_CHARACTERS_MAX:
        return ordered
    item = {at.REQUESTED_PROCEDURE_ID: at.element("SH", named[0])}
    request = Assign(at.REQUEST_ATTRIBUTES_SEQUENCE, at.element("SQ", item))
    return Targets((*ordered.assigns, request), ordered.reviews)


def accession_of(
    number: str, issuer: str, domains: Mapping[str, Domain]
) -> Iterable[Assign]:
    """Accession Number, with the domain that it comes from where that is known."""
    yield Assign(at.ACCESSION_NUMBER, at.element("SH", number))
    if not issuer:
        return
    domain = domain_of(issuer, domains)
    item = {at.LOCAL_NAMESPACE_ENTITY_ID: at.element("UT", domain.name)}
    if domain.universal_id:
        item |= _universal(domain)
    yield Assign(at.ISSUER_OF_ACCESSION_NUMBER_SEQUENCE, at.element("SQ", item))


def _procedure(procedure: ProcedureFacts) -> Iterable[Assign]:
    described = procedure.description  # too long for LO: the plan refuses it, and says so
    if described:
        yield Assign(at.STUDY_DESCRIPTION, at.element("LO", described))
        yield Assign(at.REQUESTED_PROCEDURE_DESCRIPTION, at.element("LO", described))
    if procedure.code and _fits(procedure.code):
        coded = at.element("SQ", code_item(procedure.code))
        yield Assign(at.REQUESTED_PROCEDURE_CODE_SEQUENCE, coded)


def _fits(code: Code) -> bool:
    """Whether value and designator can be said: cut, they would be another code."""
    return max(len(code.value), len(code.designator)) <= SH_CHARACTERS_MAX


def code_item(code: Code) -> dict[str, Element]:
    """An item of a code sequence (PS3.3 Table 8.8-1)."""
    return {
        "00080100": at.element("SH", code.value),
        "00080102": at.element("SH", code.designator),
        "00080104": at.element("LO", code.meaning[:LO_CHARACTERS_MAX] or code.value),
    }
