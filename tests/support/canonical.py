"""What a registry says, but for what it minted: two that were told the same are equal.

Minted IDs, row ids and times are left out. All else is here as the doors show it: persons
as sets of identifiers with what they are known as, series with whom they belong to and
what their instances are given out with, links to orders, and what is open.
"""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from sqlalchemy import func, select

from reconcile.core import attributes as at
from reconcile.core import matchkeys as mk
from reconcile.core import querykeys as qk
from reconcile.core.identity import Issuer, PatientIdentifier
from reconcile.core.matchkeys import OneOf, Question
from reconcile.core.querykeys import Level
from reconcile.db import tables as t
from reconcile.db import views_holds, views_patients, views_studies
from reconcile.db.database import Connection
from reconcile.db.views import Where, plain
from reconcile.flows.query import QueryFlow
from reconcile.flows.retrieve import RetrieveFlow
from tests.support.hospital import Hospital

#: What the archive makes up itself: in its own domain, and in that of what is held.
MINTED = re.compile(r"E[0-9]+|H[0-9A-F]{12}|2\.25\.[0-9]+")
SHOWN = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "AccessionNumber",
    "StudyDescription",
)
Person = tuple[str, frozenset[tuple[str, str]], str]


@dataclass(frozen=True)
class Registry:
    """The canonical form.

    Attributes:
        persons: surviving ones who have an identifier: state, identifiers, words.
        instances: by received SOP Instance UID: held, whose, and what is given out.
        orders: (Study UID, accession number) of each live link.
        items: how many open items there are of a kind and code.
    """

    persons: frozenset[Person]
    instances: frozenset[tuple[str, str, frozenset[tuple[str, str]], tuple[str, ...]]]
    orders: frozenset[tuple[str, str]]
    items: frozenset[tuple[tuple[str, str], int]]

    @property
    def identities(self) -> frozenset[frozenset[tuple[str, str]]]:
        """Which identifiers are one person's."""
        return frozenset(identifiers for _, identifiers, _ in self.persons)


def registry_of(hospital: Hospital) -> Registry:
    """The canonical form of what an archive knows now."""
    with hospital.database.read_only() as connection:
        whose = _whose(connection)
        persons = _persons(connection)
        instances = connection.execute(_INSTANCES).all()
        links = connection.execute(_LINKS).all()
        items = connection.execute(_ITEMS).all()
    return Registry(
        persons,
        frozenset(
            (
                row.sop_instance_uid,
                row.held or "",
                whose.get(row.person_id, frozenset()),
                shown(given_out(hospital, row.sop_instance_uid)),
            )
            for row in instances
        ),
        frozenset((row.study_instance_uid, row.accession_number) for row in links),
        frozenset(Counter((row.kind, row.code) for row in items).items()),
    )


_LIVE = func.upper_inf(t.identity_link.c.recorded) & func.upper_inf(t.identity.c.valid)
_INSTANCES = (
    select(
        t.instance.c.sop_instance_uid,
        t.series.c.held,
        t.person.c.canonical_id.label("person_id"),
    )
    .join(t.series, t.series.c.id == t.instance.c.series_id)
    .outerjoin(
        t.identity_link,
        (t.identity_link.c.identity_id == t.series.c.filed_identity_id)
        & func.upper_inf(t.identity_link.c.recorded),
    )
    .outerjoin(t.person, t.person.c.id == t.identity_link.c.person_id)
    .where(t.instance.c.hidden.is_(False))
)
_LINKS = (
    select(t.study.c.study_instance_uid, t.imaging_order.c.accession_number)
    .join(t.study_order, t.study_order.c.study_id == t.study.c.id)
    .join(t.imaging_order, t.imaging_order.c.id == t.study_order.c.order_id)
    .where(func.upper_inf(t.study_order.c.recorded))
)
_ITEMS = select(t.hold).where(t.hold.c.state == "open")
_IDENTIFIERS = (
    select(t.person.c.canonical_id, t.identity.c.domain, t.identity.c.id_norm)
    .join(t.identity_link, t.identity_link.c.person_id == t.person.c.id)
    .join(t.identity, t.identity.c.id == t.identity_link.c.identity_id)
    .where(_LIVE)
)


def _whose(connection: Connection) -> dict[Any, frozenset[tuple[str, str]]]:
    """The identifiers of each surviving person, but for minted ones."""
    found: dict[Any, set[tuple[str, str]]] = {}
    for row in connection.execute(_IDENTIFIERS):
        own = found.setdefault(row.canonical_id, set())
        own.add((row.domain, unminted(row.id_norm)))
    return {person_id: frozenset(own) for person_id, own in found.items()}


def _persons(connection: Connection) -> frozenset[Person]:
    found = []
    for person_id, identifiers in _whose(connection).items():
        person = views_patients.by_id(connection, str(person_id))
        words = json.dumps(person.demographics, sort_keys=True)
        found.append((person.state, identifiers, words))
    return frozenset(found)


def given_out(hospital: Hospital, sop_instance_uid: str) -> Dataset:
    """An instance as it is given out now."""
    flow = RetrieveFlow(hospital.database, hospital.storage)
    file = b"".join(flow.instance(sop_instance_uid).file())
    return pydicom.dcmread(io.BytesIO(file))


def shown(out: Dataset) -> tuple[str, ...]:
    """What is told of an instance, but for what was minted."""
    told = [unminted(str(out.get(keyword, ""))) for keyword in SHOWN]
    others = out.get("OtherPatientIDsSequence") or ()
    return (*told, *sorted(unminted(str(each.PatientID)) for each in others))


def unminted(value: str) -> str:
    """A value, or that it was made up here."""
    return "(minted)" if MINTED.fullmatch(value) else value


# -- What every query answers, exactly -----------------------------------------------------


@dataclass(frozen=True)
class Answers:
    """What everybody is told, to the byte.

    Attributes:
        patients: by identifier; without what only says when.
        studies: what a query for each identifier finds, at study level.
        uids: what each received UID has become.
        files: by SOP Instance UID.
        items: what is open: (kind, code, study).
        orders: whose each is, by accession number.
    """

    patients: dict[str, str]
    studies: dict[str, list[str]]
    uids: dict[str, str]
    files: dict[str, bytes]
    items: list[tuple[str, str, str]]
    orders: dict[str, str]


def answers(hospital: Hospital) -> Answers:
    """What every query answers now."""
    with hospital.database.read_only() as connection:
        rows = connection.execute(_IDENTIFIERS).all()
        named = sorted({(row.domain, row.id_norm) for row in rows})
        received = connection.execute(_RECEIVED).scalars().all()
        uids = {uid: str(views_studies.uids(connection, uid)) for uid in received}
        patients = {
            f"{value}^^^{domain}": str(_told(connection, PatientIdentifier(value, domain)))
            for domain, value in named
        }
        open_items = views_holds.holds(connection, Where(limit=1000), state="open").items
        orders = {o.accession_number: str(o.canonical_id) for o in _orders(connection)}
        instances = connection.execute(_INSTANCES).all()
    flow = RetrieveFlow(hospital.database, hospital.storage)
    return Answers(
        patients,
        {f"{v}^^^{d}": _studies(hospital, v, d) for d, v in [*named, ("H", "*")]},
        uids,
        {
            row.sop_instance_uid: b"".join(flow.instance(row.sop_instance_uid).file())
            for row in instances
        },
        sorted((i.kind, i.code, str(i.study_instance_uid)) for i in open_items),
        orders,
    )


def _orders(connection: Connection) -> Sequence[Any]:
    order, link = t.imaging_order.c, t.identity_link.c
    query = (
        select(order.accession_number, t.person.c.canonical_id)
        .join(t.identity_link, link.identity_id == order.identity_id)
        .join(t.person, t.person.c.id == link.person_id)
        .where(func.upper_inf(link.recorded))
    )
    return connection.execute(query).all()


_RECEIVED = select(t.uid_map.c.received_uid).where(func.upper_inf(t.uid_map.c.valid))


def _told(connection: Connection, identifier: PatientIdentifier) -> Any:
    found = []
    for person in views_patients.by_identifier(connection, identifier):
        told = plain(person)
        told.pop("merges")
        links = [{n: e[n] for n in ("one", "other")} for e in told["links"]]
        told["links"] = sorted(links, key=str)
        told["studies"] = sorted(told["studies"], key=str)
        found.append(told)
    return found


def _studies(hospital: Hospital, value: str, domain: str) -> list[str]:
    tests: dict[str, mk.Test] = {
        at.PATIENT_ID: mk.Wild("*") if value == "*" else OneOf((value,))
    }
    question = Question(Level.STUDY, tests, qk.KEYS[Level.STUDY], Issuer(domain))
    flow = QueryFlow(hospital.database, hospital.rules, hospital.storage)
    found = [answer for page in flow.pages(question) for answer in page]
    return sorted(json.dumps(answer, sort_keys=True, default=str) for answer in found)
