"""What is to be said anew of images that are stored already, decided without reading them.

Rule 1: what instances of a series are given out with is known by their forms: what was to
        be assigned when they were stored, and what was assigned since. No image is read.
Rule 2: an instance that is stored after a change, and one that was stored before it, are
        given out alike.
Rule 3: what nobody assigns any more is again what was received.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from reconcile.core import attributes as at
from reconcile.core.attributes import (
    Assign,
    Change,
    Element,
    Include,
    Restore,
    Tag,
    names_same_id,
    same,
    values,
)
from reconcile.core.facts import OrderFacts, PersonFacts
from reconcile.core.identity import HELD_DOMAIN, Domain, PatientIdentifier
from reconcile.core.targets import (
    demographics_of,
    domain_of,
    issuer_of,
    order_part,
    other_id_item,
)

#: What says whose an instance is.
PATIENT_TAGS = frozenset(
    {
        at.PATIENT_ID,
        at.ISSUER_OF_PATIENT_ID,
        at.ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE,
        at.OTHER_PATIENT_IDS,
        at.OTHER_PATIENT_IDS_SEQUENCE,
        at.PATIENT_NAME,
        at.PATIENT_BIRTH_DATE,
        at.PATIENT_SEX,
    }
)

#: What says by which order a study was made.
ORDER_TAGS = frozenset(
    {
        at.ACCESSION_NUMBER,
        at.ISSUER_OF_ACCESSION_NUMBER_SEQUENCE,
        at.REFERRING_PHYSICIAN_NAME,
        at.STUDY_DESCRIPTION,
        at.REQUESTED_PROCEDURE_DESCRIPTION,
        at.REQUESTED_PROCEDURE_CODE_SEQUENCE,
    }
)
MANAGED = PATIENT_TAGS | ORDER_TAGS | {at.STUDY_INSTANCE_UID}

#: By tag: the last thing that was assigned there.
State = Mapping[Tag, Change]


@dataclass(frozen=True, slots=True)
class Received:
    """The identifier that a series was received under, and how it was spelled there."""

    identifier: PatientIdentifier
    raw: str


@dataclass(frozen=True, slots=True)
class Restated:
    """One event for some series of a study.

    Attributes:
        assigns: what all their instances are given out with from now on.
        original: previous elements that all have in common.
        absent: tags of `original` that had not been there.
        new: the new elements that all have in common.
        varies: tags whose previous or new element differs from instance to instance, or
            is not known without reading it.
    """

    assigns: tuple[Change, ...]
    original: Mapping[Tag, Element] = field(default_factory=dict)
    absent: tuple[Tag, ...] = ()
    new: Mapping[Tag, Element] = field(default_factory=dict)
    varies: tuple[Tag, ...] = ()


def state_of(assignments: Iterable[Iterable[Change]]) -> dict[Tag, Change]:
    """What some assignments come to, one after the other."""
    found: dict[Tag, Change] = {}
    for changes in assignments:
        for change in changes:
            if isinstance(change, Assign | Restore | Include):
                found[change.tag] = change
    return found


# -- What should be said ------------------------------------------------------------


def patient_part(
    person: PersonFacts | None,
    received: Received | None,
    domains: Mapping[str, Domain],
    filed: PatientIdentifier | None = None,
) -> dict[Tag, Change]:
    """What says whose an instance is, for a series that is filed under a person.

    Args:
        person: whose it is; None: nobody's, it is given out as it was received.
        received: under which it came; None: under no identifier, or another person's.
        domains: configured domains by name.
        filed: the identifier that it is filed under now.
    """
    if person is None:
        return {}
    if person.state != "verified":
        return _as_received(person, received, domains, filed)
    assigned = person.assigned or (received.identifier if received else None)
    if assigned is None:
        return _by_tag(demographics_of(person))
    patient_id = Assign(at.PATIENT_ID, at.element("LO", assigned.value))
    issuer = issuer_of(domain_of(assigned.domain, domains))
    found = _by_tag((patient_id, *issuer, *demographics_of(person)))
    if received and received.identifier != assigned:
        item = _other_id(received, domains)
        found[at.OTHER_PATIENT_IDS_SEQUENCE] = Include(at.OTHER_PATIENT_IDS_SEQUENCE, item)
    return found


def _as_received(
    person: PersonFacts,
    received: Received | None,
    domains: Mapping[str, Domain],
    filed: PatientIdentifier | None,
) -> dict[Tag, Change]:
    """The issuer filled in; the ID too where it is not the patient's own, or "100^^^A"."""
    own = received.identifier if received else None
    identifier = own or filed
    if identifier is None:
        return {}
    shown = person.shown(identifier)
    domain = domain_of(shown.domain, domains)
    found = _by_tag(issuer_of(domain))
    raw = received.raw if received else ""
    cx = "^" in raw and domain.normalise(raw) != shown.value
    if cx or shown != own:
        found[at.PATIENT_ID] = Assign(at.PATIENT_ID, at.element("LO", shown.value))
    return found


def study_part(
    study_uid: str,
    order: OrderFacts | None,
    procedure_id: str,
    domains: Mapping[str, Domain],
) -> dict[Tag, Change]:
    """Which study it is, and by which order it was made, if just one."""
    uid = Assign(at.STUDY_INSTANCE_UID, at.element("UI", study_uid))
    ordered = order_part(order, procedure_id, domains).assigns if order else ()
    return _by_tag((uid, *ordered))


def held_part(held_id: str) -> dict[Tag, Change]:
    """What a held series is given out under: no ID of any patient is left."""
    patient_id = Assign(at.PATIENT_ID, at.element("LO", held_id))
    gone = (at.OTHER_PATIENT_IDS, at.OTHER_PATIENT_IDS_SEQUENCE)
    nothing = (Assign(tag, None) for tag in gone)
    return _by_tag((patient_id, *issuer_of(HELD_DOMAIN), *nothing))


def _by_tag(assigns: Iterable[Assign]) -> dict[Tag, Change]:
    return {assign.tag: assign for assign in assigns}


def _other_id(received: Received, domains: Mapping[str, Domain]) -> Mapping[Tag, Element]:
    domain = domain_of(received.identifier.domain, domains)
    raw = received.raw.strip(" \0")
    as_said = domain.normalise(raw) == received.identifier.value
    return other_id_item(raw if as_said else received.identifier.value, domain)


# -- What has to be said for that ---------------------------------------------------


def restated(
    forms: Sequence[State], wanted: State, managed: frozenset[Tag] = MANAGED
) -> Restated | None:
    """What has to change in instances of some forms; None: nothing.

    Args:
        forms: what is assigned in them so far; each different one once.
        wanted: what is to be assigned.
        managed: tags that are nobody else's business: where one is assigned and not
            wanted, it is again what was received.
    """
    found: dict[Tag, Change] = {}
    for form in forms:
        found |= {tag: c for tag, c in wanted.items() if not _holds(form.get(tag), c)}
        found |= {tag: Restore(tag) for tag in _left_over(form, wanted, managed)}
    if not found:
        return None
    original, absent, new, varies = {}, [], {}, []
    for tag in sorted({*found, *_context(found)}):
        was = _common([form.get(tag) for form in forms])
        change = found.get(tag)
        if was is None or not (change is None or isinstance(change, Assign)):
            varies.append(tag)
        if was is not None:
            original[tag] = was.element or {"vr": _vr(change, tag)}
            if was.element is None:
                absent.append(tag)
        if isinstance(change, Assign) and change.element is not None:
            new[tag] = change.element
    return Restated(
        tuple(found[tag] for tag in sorted(found)),
        original,
        tuple(absent),
        new,
        tuple(varies),
    )


def _holds(assigned: Change | None, wanted: Change) -> bool:
    """Whether what is assigned already says what is wanted."""
    if isinstance(wanted, Assign):
        return isinstance(assigned, Assign) and same(assigned.element, wanted.element)
    if isinstance(wanted, Include):
        if isinstance(assigned, Include):
            return names_same_id(assigned.item, wanted.item)
        if isinstance(assigned, Assign):
            return any(names_same_id(i, wanted.item) for i in values(assigned.element))
    return assigned == wanted


def _left_over(form: State, wanted: State, managed: frozenset[Tag]) -> set[Tag]:
    """What is assigned, and nobody wants assigned any more."""
    assigned = {tag for tag, change in form.items() if not isinstance(change, Restore)}
    return (assigned & managed) - wanted.keys()


def _context(found: Mapping[Tag, Change]) -> tuple[Tag, ...]:
    """What gives a previous Patient ID its meaning (PS3.3 C.12.1.1.9.1)."""
    if at.PATIENT_ID not in found:
        return ()
    return (at.ISSUER_OF_PATIENT_ID, at.ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE)


def _common(changes: Sequence[Change | None]) -> Assign | None:
    """What is assigned in all forms alike; None: it differs, or nobody knows."""
    first = changes[0] if changes else None
    if not isinstance(first, Assign):
        return None
    alike = (isinstance(c, Assign) and same(c.element, first.element) for c in changes)
    return first if all(alike) else None


def _vr(change: Change | None, tag: Tag) -> str:
    if isinstance(change, Assign) and change.element is not None:
        return str(change.element["vr"])
    return "SQ" if tag.endswith(("1002", "0024")) else "LO"
