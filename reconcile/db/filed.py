"""Under whom series are filed now, and what their instances are given out with since.

A series keeps for ever the identity that it was received under. Where somebody decided
otherwise, a row of `series_filing` says so; the newest live one holds, and an undo only
strikes it out. What changes for images that are stored already is one event per study,
and a row of `series_assignment` per series: it applies to the instances that were stored
before the revision that it made.

Forms are what instances of a series were stored as: few, however many there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    Table,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql

from reconcile.core.attributes import Change, from_listed
from reconcile.core.identity import PatientIdentifier
from reconcile.core.restating import Received
from reconcile.db import tables as t
from reconcile.db.ids import uuid7
from reconcile.db.standing import said
from reconcile.db.tables import (
    at,
    ended,
    happened,
    identifier,
    key,
    metadata,
    recorded,
    refers,
)
from reconcile.db.views import studies_named

series_filing = Table(
    "series_filing",
    metadata,
    identifier(),
    refers("series_id", "series", index=True),
    # NULL: under nobody, while it is held.
    refers("identity_id", "identity", null=True, index=True),
    key("held", null=True),
    recorded(),
    happened(),
    ended(),
    # The row that it holds again in the place of; else itself. The last one holds.
    Column("place", postgresql.UUID(as_uuid=True), nullable=False),
    Index("ix_series_filing_happening_id", "happening_id"),
    Index("ix_series_filing_ended_by", "ended_by"),
)

# Every pair of (what was to be assigned, revision of the study) that instances of a
# series were stored with, in whichever of them it really changed something.
series_form = Table(
    "series_form",
    metadata,
    Column(
        "series_id",
        postgresql.UUID(as_uuid=True),
        ForeignKey("series.id"),
        primary_key=True,
    ),
    Column(
        "assignment_id",
        postgresql.UUID(as_uuid=True),
        ForeignKey("assignment.id"),
        primary_key=True,
    ),
    Column("stored_revision", Integer, primary_key=True),
)

series_assignment = Table(
    "series_assignment",
    metadata,
    identifier(),
    refers("series_id", "series", index=True),
    refers("event_id", "coercion_event", index=True),
    refers("assignment_id", "assignment"),
    # Of the study, as this made it: instances stored at it or later have it in themselves.
    Column("revision", Integer, nullable=False),
    at("coerced_at"),
    recorded(),
    happened(),
    Index("ix_series_assignment_happening_id", "happening_id"),
)


# -- What is there ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Study:
    """A study, held against change; `received_uid`: one that it came under."""

    id: UUID
    uid: str
    received_uid: str
    held_id: str


@dataclass(frozen=True, slots=True)
class Series:
    """A series with whom it belongs to now.

    Attributes:
        received: the identifier that it came under; None: none, or another patient's.
        held: the code that holds it, or empty.
        filed: the identifier that it is filed under.
    """

    id: UUID
    study_id: UUID
    person_id: UUID | None
    received: Received | None
    held: str
    filed: PatientIdentifier | None = None


class Form(NamedTuple):
    """What some instances were stored as, at a revision of their study."""

    stored_revision: int
    assigns: tuple[Change, ...]


def studies_of(connection: Connection, person_ids: Iterable[UUID]) -> list[UUID]:
    """Studies with a series that is filed under one of these surviving persons."""
    wanted = sorted(set(person_ids))
    if not wanted:
        return []
    return list(connection.execute(_STUDIES_OF, {"persons": wanted}).scalars())


_STUDIES_OF = text("""
SELECT DISTINCT s.study_id FROM person p
JOIN identity_link l ON l.person_id = p.id AND upper_inf(l.recorded)
JOIN series s ON s.filed_identity_id = l.identity_id
WHERE p.canonical_id = ANY (CAST(:persons AS uuid[]))
ORDER BY s.study_id
""")


def study_named(connection: Connection, uid: str) -> UUID | None:
    """The study that a received, assigned or alias UID means."""
    return connection.execute(studies_named(uid).order_by("id").limit(1)).scalar()


def locked(connection: Connection, study_ids: Sequence[UUID]) -> dict[UUID, Study]:
    """Studies, held against everybody else who stores into them or changes them."""
    rows = connection.execute(_LOCKED, {"studies": sorted(study_ids)})
    return {row.id: Study(row.id, row.uid, row.received, row.held_id or "") for row in rows}


# In the order of their ids, as groups of instances hold them.
_LOCKED = text("""
WITH held AS MATERIALIZED (
    SELECT id, study_instance_uid, uid_domain, held_id FROM study
    WHERE id = ANY (CAST(:studies AS uuid[])) ORDER BY id FOR NO KEY UPDATE
)
SELECT held.id, held.study_instance_uid AS uid, held.held_id, coalesce((
    SELECT min(m.received_uid) FROM uid_map m
    WHERE m.assigned_uid = held.study_instance_uid AND m.uid_domain = held.uid_domain
    AND m.level = 'study' AND m.kind = 'map' AND upper_inf(m.valid)
), held.study_instance_uid) AS received
FROM held ORDER BY held.id
""")


def series_of(connection: Connection, study_ids: Sequence[UUID]) -> list[Series]:
    """The series of some studies."""
    rows = connection.execute(_SERIES_OF, {"studies": sorted(study_ids)})
    return [_series(row) for row in rows]


def filed_under(connection: Connection, series_id: UUID) -> PatientIdentifier | None:
    """What a series is filed under; None: it came under an identifier of that patient's."""
    found = _series(connection.execute(_SERIES, {"series": series_id}).one())
    return found.filed if found.received is None else None


_SERIES_SELECT = """
SELECT s.id, s.study_id, s.held, p.canonical_id, i.domain, i.id_norm, i.id_raw,
    f.domain AS filed_domain, f.id_norm AS filed_id,
    s.identity_id IS DISTINCT FROM s.filed_identity_id AND EXISTS (
        SELECT FROM identity_link o JOIN person q ON q.id = o.person_id
        WHERE o.identity_id = s.identity_id AND upper_inf(o.recorded)
        AND q.canonical_id <> p.canonical_id
    ) AS of_another
FROM series s
LEFT JOIN identity_link l ON l.identity_id = s.filed_identity_id AND upper_inf(l.recorded)
LEFT JOIN person p ON p.id = l.person_id
LEFT JOIN identity i ON i.id = s.identity_id
LEFT JOIN identity f ON f.id = s.filed_identity_id
"""
_SERIES = text(f"{_SERIES_SELECT} WHERE s.id = :series")
_SERIES_OF = text(f"""{_SERIES_SELECT}
WHERE s.study_id = ANY (CAST(:studies AS uuid[])) ORDER BY s.study_id, s.id
""")


def _series(row: Any) -> Series:
    received = filed = None
    if row.domain is not None and not row.of_another:
        identifier = PatientIdentifier(row.id_norm, row.domain)
        received = Received(identifier, row.id_raw)
    if row.filed_domain is not None:
        filed = PatientIdentifier(row.filed_id, row.filed_domain)
    held = row.held or ""
    return Series(row.id, row.study_id, row.canonical_id, received, held, filed)


def forms_of(
    connection: Connection, series_ids: Sequence[UUID]
) -> dict[UUID, list[tuple[tuple[Change, ...], ...]]]:
    """What instances of some series are given out with, each different way once.

    A way is a list of assignments, in the order in which they apply.
    """
    later: dict[UUID, list[Form]] = {}
    for row in connection.execute(_LATER, {"series": sorted(series_ids)}):
        later.setdefault(row.series_id, []).append(_form(row))
    found: dict[UUID, list[tuple[tuple[Change, ...], ...]]] = {}
    for row in connection.execute(_FORMS, {"series": sorted(series_ids)}):
        own = _form(row)
        since = later.get(row.series_id, ())
        applied = [o.assigns for o in since if o.stored_revision > own.stored_revision]
        ways, way = found.setdefault(row.series_id, []), (own.assigns, *applied)
        if way not in ways:
            ways.append(way)
    return found


def _form(row: Any) -> Form:
    return Form(row.stored_revision, tuple(from_listed(said) for said in row.assigns))


_FORMS = text("""
SELECT f.series_id, f.stored_revision, a.assigns
FROM series_form f JOIN assignment a ON a.id = f.assignment_id
WHERE f.series_id = ANY (CAST(:series AS uuid[]))
ORDER BY f.series_id, f.stored_revision, a.id
""")
_LATER = text("""
SELECT s.series_id, s.revision AS stored_revision, a.assigns
FROM series_assignment s
JOIN assignment a ON a.id = s.assignment_id
JOIN coercion_event e ON e.id = s.event_id
WHERE s.series_id = ANY (CAST(:series AS uuid[])) AND upper_inf(s.recorded)
ORDER BY e.position
""")


class Link(NamedTuple):
    """An order that a study is linked to; `procedure_id`: the one it answers, if any."""

    order_id: UUID
    procedure_id: UUID | None


def links_of(connection: Connection, study_ids: Sequence[UUID]) -> dict[UUID, list[Link]]:
    """The orders that some studies are linked to."""
    found: dict[UUID, list[Link]] = {}
    for row in connection.execute(_LINKS, {"studies": sorted(study_ids)}):
        found.setdefault(row.study_id, []).append(Link(row.order_id, row.procedure_id))
    return found


_LINKS = text("""
SELECT study_id, order_id, procedure_id FROM study_order
WHERE study_id = ANY (CAST(:studies AS uuid[])) AND upper_inf(recorded)
ORDER BY study_id, id
""")


# -- What changes -------------------------------------------------------------------


def raise_studies(connection: Connection, study_ids: Sequence[UUID]) -> dict[UUID, int]:
    """The revision of each from now on; the caller holds them."""
    change = update(t.study).where(t.study.c.id.in_(sorted(study_ids)))
    change = change.values(revision=t.study.c.revision + 1)
    rows = connection.execute(change.returning(t.study.c.id, t.study.c.revision))
    return {row.id: row.revision for row in rows}


class Assigned(NamedTuple):
    """A series that is given out with one more assignment from a revision on."""

    series_id: UUID
    event_id: UUID
    assignment_id: UUID
    revision: int


def assign(
    connection: Connection,
    assigned: Sequence[Assigned],
    *,
    coerced_at: datetime,
    happening_id: UUID,
) -> None:
    """Give instances that were stored before the revision out with this from now on."""
    told = {"coerced_at": coerced_at, "happening_id": happening_id}
    rows = [{"id": uuid7(), **each._asdict(), **told} for each in assigned]
    if rows:
        connection.execute(insert(series_assignment), rows)


def file_series(
    connection: Connection,
    series_id: UUID,
    *,
    identity_id: UUID | None,
    held: str | None,
    happening_id: UUID,
) -> None:
    """File a series otherwise from now on; how it was received stays known."""
    connection.execute(_AS_RECEIVED, {"id": uuid7(), "series": series_id})
    own = uuid7()
    connection.execute(
        insert(series_filing).values(
            id=own,
            place=own,
            series_id=series_id,
            identity_id=identity_id,
            held=held,
            happening_id=happening_id,
        )
    )
    connection.execute(
        update(t.series)
        .where(t.series.c.id == series_id)
        .values(filed_identity_id=identity_id, held=held, filed_by=happening_id)
    )


def file_again(connection: Connection, happening_id: UUID, by: UUID) -> set[UUID]:
    """Filings that a happening ended hold again, each in its place; of which series."""
    filing = series_filing.c
    query = select(series_filing).where(filing.ended_by == happening_id)
    rows = connection.execute(query.order_by(filing.id)).all()
    for row in rows:
        again = {**said(row, "recorded"), "id": uuid7(), "happening_id": by}
        connection.execute(insert(series_filing).values(again))
    return {row.series_id for row in rows}


# Filed otherwise for the first time: how it was until now is what an undo leads back to.
_AS_RECEIVED = text("""
INSERT INTO series_filing (id, place, series_id, identity_id, held, happening_id)
SELECT :id, :id, s.id, s.filed_identity_id, s.held, s.happening_id FROM series s
WHERE s.id = :series AND NOT EXISTS (
    SELECT FROM series_filing f WHERE f.series_id = s.id)
""")


def is_used(connection: Connection, study_id: UUID) -> bool:
    """Whether anything of a study was ever given to somebody."""
    query = select(t.study.c.used_at).where(t.study.c.id == study_id)
    return connection.execute(query).scalar() is not None
