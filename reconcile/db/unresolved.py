"""References that nobody can resolve yet, and what is given out since somebody could.

An instance may name a study or a series before it comes. When that comes and is given
out under another UID, what named it is coerced by then: so a row here waits for it. The
wait is safe against races by an advisory lock on the study that is named, shared by
whoever waits and exclusive for whoever makes it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    Row,
    Table,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.dml import ReturningDelete

from reconcile.core.following import OWN, Place
from reconcile.db import tables as t
from reconcile.db.database import lock
from reconcile.db.ids import uuid7
from reconcile.db.prepared import Prepared
from reconcile.db.tables import (
    Key,
    at,
    happened,
    identifier,
    key,
    metadata,
    recorded,
    refers,
)

# A list of work, not of what was: a row goes when what it names is met.
unmet_reference = Table(
    "unmet_reference",
    metadata,
    Column(
        "receipt_id",
        postgresql.UUID(as_uuid=True),
        ForeignKey("receipt.id"),
        primary_key=True,
    ),
    # Of a series: the Study UID that the reference stands in, "." where it names none.
    Column("context_uid", Key, primary_key=True),
    # As received: of a study where the context is empty, else of a series.
    Column("uid", Key, primary_key=True),
    key("uid_domain"),
    Index("ix_unmet_reference_uid", "uid", "uid_domain"),
)

# What an instance is given out with beside `instance.assignment_id`, in the order of the
# positions of the events that tell of it; only while that arrival is the current one.
later_assignment = Table(
    "later_assignment",
    metadata,
    identifier(),
    refers("receipt_id", "receipt", index=True),
    refers("event_id", "coercion_event", index=True),
    refers("assignment_id", "assignment"),
    at("coerced_at"),
    recorded(),
    happened(),
)


# -- What is known of the UIDs that an instance names -------------------------------


@dataclass(frozen=True, slots=True)
class Renamed:
    """What this archive knows of some UIDs.

    Attributes:
        studies: by received UID, as assigned; those of assigned UIDs that nobody
            received are themselves.
        series: (assigned Study UID, received Series UID) -> assigned, of those that
            have just one.
        ambiguous: those that have more.
    """

    studies: Mapping[str, str]
    series: Mapping[tuple[str, str], str]
    ambiguous: frozenset[tuple[str, str]]

    def has(self, place: Place) -> bool:
        """Whether somebody knows what a reference names."""
        context, uid = place
        if not context:
            return uid in self.studies
        where = (self.studies.get(context, ""), uid)
        return where in self.series or where in self.ambiguous


def renamed(connection: Connection, uid_domain: str, uids: Collection[str]) -> Renamed:
    """What is known of some UIDs, whatever they are."""
    m, study, series = t.uid_map.c, t.study.c, t.series.c
    wanted = sorted(uids)
    mapped = select(m.received_uid, m.assigned_uid).where(
        m.received_uid.in_(wanted),
        m.uid_domain == uid_domain,
        m.level == "study",
        func.upper_inf(m.valid),
    )
    own = select(study.study_instance_uid, study.study_instance_uid).where(
        study.study_instance_uid.in_(wanted), study.uid_domain == uid_domain
    )
    found = (
        select(
            study.study_instance_uid,
            series.received_series_instance_uid,
            series.series_instance_uid,
        )
        .join(t.study, study.id == series.study_id)
        .where(
            or_(
                series.received_series_instance_uid.in_(wanted),
                series.series_instance_uid.in_(wanted),
            ),
            series.uid_domain == uid_domain,
        )
    )
    studies = {
        row[0]: row[1] for row in (*connection.execute(own), *connection.execute(mapped))
    }
    held: dict[tuple[str, str], set[str]] = {}
    for of, was, now in connection.execute(found):
        held.setdefault((of, was), set()).add(now)
    return Renamed(
        studies,
        {where: next(iter(uids)) for where, uids in held.items() if len(uids) == 1},
        frozenset(where for where, uids in held.items() if len(uids) > 1),
    )


def wait(connection: Connection, uid_domain: str, places: Iterable[Place]) -> None:
    """Let nobody make what is named until the row that waits for it is there."""
    keys: set[tuple[str, ...]] = set()
    for context, uid in places:
        keys.add(("series" if context else "study", uid_domain, uid))
        if context not in ("", OWN):
            keys.add(("study", uid_domain, context))
    lock(connection, sorted(keys), shared=True)


def keep(
    connection: Connection, receipt_id: UUID, uid_domain: str, places: Iterable[Place]
) -> None:
    """Remember what an arrival names and nobody knows."""
    rows = [
        {
            "receipt_id": receipt_id,
            "context_uid": context,
            "uid": uid,
            "uid_domain": uid_domain,
        }
        for context, uid in sorted(places)
    ]
    if rows:
        connection.execute(insert(unmet_reference), rows)


# -- When it comes ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Met:
    """An arrival that named something before it came."""

    receipt_id: UUID
    context: str
    uid: str


def met_study(connection: Connection, uid_domain: str, received_uid: str) -> list[Met]:
    """Who waits for a study that has just been mapped; they wait no longer."""
    return _taken(_MET_STUDY(connection, uid_domain=uid_domain, uid=received_uid))


def met_series(
    connection: Connection, uid_domain: str, study_id: UUID, received_uid: str
) -> list[Met]:
    """Who waits for a series that has just been made; they wait no longer."""
    found = _MET_SERIES(
        connection, uid_domain=uid_domain, study_id=study_id, uid=received_uid
    )
    return _taken(found)


def _taken(rows: Iterable[Any]) -> list[Met]:
    return sorted((Met(*row) for row in rows), key=lambda m: m.receipt_id)


def _take(*where: Any) -> ReturningDelete[Any]:
    u = unmet_reference.c
    here = u.uid == bindparam("uid"), u.uid_domain == bindparam("uid_domain")
    gone = delete(unmet_reference).where(*here, *where)
    return gone.returning(u.receipt_id, u.context_uid, u.uid)


def _of_series() -> ColumnElement[bool]:
    u, m, study = unmet_reference.c, t.uid_map.c, t.study.c
    study_id = bindparam("study_id", type_=postgresql.UUID(as_uuid=True))
    names = (
        select(m.received_uid)
        .join(
            t.study,
            and_(
                study.study_instance_uid == m.assigned_uid, study.uid_domain == m.uid_domain
            ),
        )
        .where(study.id == study_id, m.level == "study", func.upper_inf(m.valid))
        .union(select(study.study_instance_uid).where(study.id == study_id))
    )
    beside = (
        select(t.instance.c.receipt_id)
        .join(t.series, t.series.c.id == t.instance.c.series_id)
        .where(t.series.c.study_id == study_id, t.instance.c.receipt_id == u.receipt_id)
        .exists()
    )
    return or_(u.context_uid.in_(names), and_(u.context_uid == OWN, beside))


_MET_STUDY = Prepared(lambda: _take(unmet_reference.c.context_uid == ""))
_MET_SERIES = Prepared(lambda: _take(_of_series()))


def waiting(connection: Connection, receipt_id: UUID) -> Row[Any] | None:
    """An instance whose current arrival it is, with its place; locked against change."""
    i, s, link = t.instance.c, t.series.c, t.identity_link.c
    query = (
        select(
            i.id,
            i.sop_instance_uid,
            s.study_id,
            s.series_instance_uid,
            t.study.c.study_instance_uid,
            t.person.c.canonical_id.label("person_id"),
        )
        .join(t.series, s.id == i.series_id)
        .join(t.study, t.study.c.id == s.study_id)
        .outerjoin(
            t.identity_link,
            and_(link.identity_id == s.filed_identity_id, func.upper_inf(link.recorded)),
        )
        .outerjoin(t.person, t.person.c.id == link.person_id)
        .where(i.receipt_id == receipt_id)
        .with_for_update(of=t.instance)
    )
    return cast("Row[Any] | None", connection.execute(query).first())


def assign_later(
    connection: Connection,
    *,
    receipt_id: UUID,
    event_id: UUID,
    assignment_id: UUID,
    coerced_at: datetime,
    happening_id: UUID,
) -> None:
    """Give an arrival out with one more assignment from now on."""
    connection.execute(
        insert(later_assignment).values(
            id=uuid7(),
            receipt_id=receipt_id,
            event_id=event_id,
            assignment_id=assignment_id,
            coerced_at=coerced_at,
            happening_id=happening_id,
        )
    )
