"""Facts out: what the registry knows of an arriving instance, under the right locks.

A study that is known is held FOR SHARE: whoever changes it waits. The making of a study
that is not known is serialised by advisory locks on its received UID and on the
accessions that its header names, which order messages take as well; so that one study
is not mapped twice, and an order is never missed by a store beside it.

Everybody takes locks in one order, so that nobody waits in a circle: that on merges, the
other advisory locks, identities, studies, orders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from reconcile.core.facts import (
    InstanceFacts,
    OrderFacts,
    PersonFacts,
    RegistryFacts,
    Remembered,
    RequestItem,
    Source,
    StudyFacts,
)
from reconcile.core.following import Place
from reconcile.core.identity import Domain, Issuer, PatientIdentifier
from reconcile.core.issuers import issuer_domain, named_identifiers
from reconcile.db import (
    evidence,
    incarnations,
    merges,
    orders,
    performed,
    persons,
    regrouping,
    remembered,
    stored,
    studies,
    unresolved,
)
from reconcile.db.database import Lock, TryAgain, lock_each
from reconcile.db.persons import Owned
from reconcile.db.unresolved import Renamed


@dataclass(frozen=True, slots=True)
class Loaded:
    """Facts, and the rows behind them that recording needs again.

    `evidence` is what the header names and its study has not named before.
    """

    facts: RegistryFacts
    uid_domain: str
    study: Any | None
    identities: Mapping[PatientIdentifier, UUID]
    renamed: Renamed
    evidence: frozenset[evidence.Named]


@dataclass(frozen=True, slots=True)
class Frame:
    """The domains that facts are read in."""

    domains: Mapping[str, Domain]
    archive_domain: str
    deidentified_domain: str


@dataclass(frozen=True, slots=True)
class Named:
    """What an instance names besides its own study and series.

    Attributes:
        uids: all of them.
        places: those that are references, and wait where nobody knows them.
    """

    uids: frozenset[str] = frozenset()
    places: frozenset[Place] = frozenset()


@dataclass(frozen=True, slots=True)
class Before:
    """What came before under a SOP Instance UID.

    Attributes:
        uid_domain: the world that the UID is of.
        digest: of what is given out of it now; empty: there is none.
        digests: of all that ever came.
    """

    uid_domain: str
    digest: str = ""
    digests: frozenset[str] = frozenset()


def before(
    connection: Connection, instance: InstanceFacts, source: Source, frame: Frame
) -> Before:
    """What came before under an instance's UID."""
    apart = instance.patient_scoped and is_apart(instance, source)
    uid_domain = frame.deidentified_domain if apart else ""
    found = stored.receipts(connection, uid_domain, instance.sop_instance_uid)
    return Before(uid_domain, *found)


def is_apart(instance: InstanceFacts, source: Source) -> bool:
    """Whether it is kept apart from all patients, in a domain of its own."""
    return instance.identity_removed and source.deidentified == "separate"


def load(
    connection: Connection,
    instance: InstanceFacts,
    source: Source,
    frame: Frame,
    named: Named,
    came: Before,
) -> Loaded:
    """What the registry knows of an instance, locked until the transaction ends."""
    merges.share(connection)
    apart, uid_domain = is_apart(instance, source), came.uid_domain
    renamed = _renamed(connection, uid_domain, named)
    identifiers = _named(instance, source, frame, apart=apart)
    steps = _performed(connection, instance, apart=apart)
    names = _names(instance, steps, identifiers, apart=apart)
    assigned, new = _assigned(connection, instance, uid_domain, names, identifiers[:1])
    owners = persons.owners(connection, identifiers)
    study = studies.study_row(connection, uid_domain, assigned) if assigned else None
    if assigned and study is None:
        raise TryAgain  # renamed since
    if _performed(connection, instance, apart=apart) != steps:
        raise TryAgain  # a step has come since
    study = _where_its_series_is(connection, study, instance)
    facts = studies.study_facts(connection, study) if study is not None else None
    if facts is not None:
        owners |= _as_received(connection, facts, identifiers, owners)
    found = () if apart else _orders(connection, instance, steps, source, frame, facts)
    decided = _remembered(connection, study, instance, source)
    person_ids = _person_ids(owners, found, facts)
    person_ids |= {UUID(decided.person_id)} if decided else set()
    known_persons = persons.facts(connection, person_ids, frame.archive_domain)
    refused = studies.refused_rules(connection, instance.study_instance_uid)
    registry = RegistryFacts(
        frame.domains,
        frame.archive_domain,
        frame.deidentified_domain,
        facts,
        _by_identifier(owners, known_persons),
        known_persons,
        found,
        came.digest,
        came.digests,
        refused_rules=refused,
        remembered=decided,
        performed=steps,
        wrong_entry=not apart and _is_wrong_entry(connection, instance),
    )
    identities = {i: owned.identity_id for i, owned in owners.items()}
    return Loaded(registry, uid_domain, study, identities, renamed, new)


def _by_identifier(
    owners: Mapping[PatientIdentifier, Owned], persons_by_id: Mapping[str, PersonFacts]
) -> dict[PatientIdentifier, PersonFacts]:
    found = {i: persons_by_id.get(str(owned.root_id)) for i, owned in owners.items()}
    return {i: person for i, person in found.items() if person is not None}


def _remembered(
    connection: Connection, study: Any | None, instance: InstanceFacts, source: Source
) -> Remembered | None:
    """What a person decided of this header in this study."""
    if study is None:
        return None
    return remembered.find(connection, study.id, source.ae_title, instance.header)


def _where_its_series_is(
    connection: Connection, study: Any | None, instance: InstanceFacts
) -> Any | None:
    """The study, or the one that a person has put this series into."""
    if study is None:
        return None
    moved = regrouping.moved_to(
        connection,
        study.uid_domain,
        study.study_instance_uid,
        instance.series_instance_uid,
    )
    if not moved:
        return study
    # It may have been renamed after the series was put into it.
    named = studies.assigned_study_uid(connection, study.uid_domain, moved)
    found = studies.study_row(connection, study.uid_domain, named)
    if found is None:
        raise TryAgain  # renamed since
    return found


def _as_received(
    connection: Connection,
    study: StudyFacts,
    identifiers: tuple[PatientIdentifier, ...],
    owners: Mapping[PatientIdentifier, Owned],
) -> dict[PatientIdentifier, Owned]:
    """Owners of then, of identifiers that have another one since the study came."""
    known = {i for i, owned in owners.items() if str(owned.root_id) in study.person_ids}
    changed = [i for i in identifiers if i not in known] if study.person_ids else []
    if not changed:
        return {}
    return incarnations.received_owners(connection, UUID(study.study_id), changed)


def _renamed(connection: Connection, uid_domain: str, named: Named) -> Renamed:
    """What is known of the UIDs inside an instance; nobody makes the rest meanwhile."""
    if not named.uids:
        return Renamed({}, {}, frozenset())
    known = unresolved.renamed(connection, uid_domain, named.uids)
    unknown = [place for place in named.places if not known.has(place)]
    if not unknown:
        return known
    unresolved.wait(connection, uid_domain, unknown)
    return unresolved.renamed(connection, uid_domain, named.uids)


def _assigned(
    connection: Connection,
    instance: InstanceFacts,
    uid_domain: str,
    names: frozenset[evidence.Named],
    making: tuple[PatientIdentifier, ...],
) -> tuple[str, frozenset[evidence.Named]]:
    """(assigned Study UID, what the study names for the first time).

    Nobody makes or changes such a thing meanwhile; and where there is no study yet,
    nobody else makes it.
    """
    uid = instance.study_instance_uid
    if not uid:
        return "", frozenset()
    first = making[0] if making else None
    assigned = studies.assigned_study_uid(connection, uid_domain, uid)
    if not assigned:
        alone = [Lock(name, shared=False) for name in _making(instance, uid_domain)]
        lock_each(connection, [*alone, *evidence.locks(names, first)])
        assigned = studies.assigned_study_uid(connection, uid_domain, uid)
        return assigned, evidence.new_of(connection, uid_domain, assigned, names)
    new = evidence.new_of(connection, uid_domain, assigned, names)
    lock_each(connection, evidence.locks(new, first))
    return assigned, new


def _performed(
    connection: Connection, instance: InstanceFacts, *, apart: bool
) -> tuple[RequestItem, ...]:
    """What performed steps say of its order, where its header says nothing."""
    if apart or instance.names_order or instance.listed_accession:
        return ()
    uids = instance.study_instance_uid, instance.step_uid
    return performed.requests(connection, *uids)


def _is_wrong_entry(connection: Connection, instance: InstanceFacts) -> bool:
    uids = instance.series_instance_uid, instance.step_uid
    return performed.is_wrong_entry(connection, *uids)


def _names(
    instance: InstanceFacts,
    steps: tuple[RequestItem, ...],
    identifiers: tuple[PatientIdentifier, ...],
    *,
    apart: bool,
) -> frozenset[evidence.Named]:
    """Everything by which a header, or its performed step, names patients and orders."""
    names = {evidence.identifier(each) for each in identifiers}
    if not apart:
        requests = (*instance.requests, *steps)
        numbers = {instance.accession_number, *(r.accession_number for r in requests)}
        numbers.add(instance.listed_accession)
        uids = {instance.study_instance_uid, *(r.study_instance_uid for r in requests)}
        names |= {evidence.accession(number) for number in numbers}
        names |= {evidence.study_uid(uid) for uid in uids}
    return evidence.nameable(names) if instance.patient_scoped else frozenset()


def _making(instance: InstanceFacts, uid_domain: str) -> list[tuple[str, ...]]:
    numbers = {instance.accession_number, *(r.accession_number for r in instance.requests)}
    accessions = [("accession", number) for number in numbers if number]
    return [("study", uid_domain, instance.study_instance_uid), *accessions]


def _named(
    instance: InstanceFacts, source: Source, frame: Frame, *, apart: bool
) -> tuple[PatientIdentifier, ...]:
    if apart:
        value = instance.patient_id.strip(" \0")
        return (PatientIdentifier(value, frame.deidentified_domain),) if value else ()
    return named_identifiers(instance, dict(frame.domains), source)


def _orders(
    connection: Connection,
    instance: InstanceFacts,
    steps: tuple[RequestItem, ...],
    source: Source,
    frame: Frame,
    study: StudyFacts | None,
) -> tuple[OrderFacts, ...]:
    """Every order that the header names, at the top level or in its requests.

    Where a migration's list names one, what the header says of orders is not followed.
    """
    said = {(instance.accession_number, instance.accession_issuer)}
    requests = (*instance.requests, *steps)
    said |= {(item.accession_number, item.accession_issuer) for item in requests}
    if instance.listed and instance.listed_accession:
        listed = instance.listed
        said = {(listed.accession_number, Issuer(listed.accession_issuer))}
    named, bare = set(), set()
    for number, issuer in said:
        authority = accession_issuer(issuer, source.accession_issuer, frame.domains)
        named.add((number, authority)) if authority else bare.add(number)
    uids = {instance.study_instance_uid, *(r.study_instance_uid for r in instance.requests)}
    linked = [UUID(o) for o in study.order_ids] if study else []
    return orders.find(
        connection,
        study_uids=sorted(uids),
        linked=linked,
        accessions=sorted(named),
        bare_accessions=sorted(bare),
    )


def accession_issuer(issuer: Issuer, default: str, domains: Mapping[str, Domain]) -> str:
    """The domain that an accession number comes from; empty where nobody says."""
    if not issuer:
        return default
    found = issuer_domain(issuer, dict(domains)).domain
    return found.name if found else ""


def _person_ids(
    owners: Mapping[PatientIdentifier, Owned],
    found: tuple[OrderFacts, ...],
    study: StudyFacts | None,
) -> set[UUID]:
    ids = {owned.root_id for owned in owners.values()}
    ids |= {UUID(order.person_id) for order in found}
    return ids | {UUID(p) for p in (study.person_ids if study else ())}
