"""What a check goes through: the instances that are given out, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, exists, or_, select

from reconcile.db import tables as t
from reconcile.db import views_audit
from reconcile.db.views import instances_named, series_named, studies_named
from reconcile.db.views_audit import Event

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Checked:
    """An instance to be checked, with the arrival that is given out of it."""

    id: UUID
    receipt_id: UUID
    sop_instance_uid: str
    study_instance_uid: str


def instances(connection: Connection, uid: str = "") -> Iterator[Checked]:
    """Instances that are given out: of a study, a series, of a SOP UID; or all.

    Args:
        connection: a reader's.
        uid: received or assigned; empty: all.
    """
    i, s = t.instance.c, t.series.c
    query = (
        select(i.id, i.receipt_id, i.sop_instance_uid, t.study.c.study_instance_uid)
        .outerjoin(t.series, s.id == i.series_id)
        .outerjoin(t.study, t.study.c.id == s.study_id)
        .where(i.hidden.is_(False))
        .order_by(i.id)
        .limit(_BATCH)
    )
    if uid:
        query = query.where(
            or_(
                i.id.in_(instances_named(uid)),
                i.series_id.in_(series_named(uid)),
                s.study_id.in_(studies_named(uid)),
            )
        )
    last: UUID | None = None
    while True:
        asked = query if last is None else query.where(i.id > last)
        rows = connection.execute(asked).all()
        for row in rows:
            yield Checked(row[0], row[1], row[2], row[3] or "")
        if len(rows) < _BATCH:
            return
        last = rows[-1].id


@dataclass(frozen=True, slots=True)
class Given:
    """Where something is given out: by the UIDs that it has there."""

    study: str
    series: str = ""
    instance: str = ""


def given(connection: Connection, level: str, uid: str) -> tuple[Given, ...]:
    """Where what a UID means is given out: it may be in several studies.

    Args:
        connection: a reader's.
        level: "study", "series" or "instance".
        uid: received, assigned or an alias.
    """
    i, s = t.instance.c, t.series.c
    study, series = t.study.c.study_instance_uid, s.series_instance_uid
    within = t.series.join(t.study, t.study.c.id == s.study_id)
    shown: ColumnElement[bool] = exists().where(i.series_id == s.id, i.hidden.is_(False))
    if level == "study":
        query = select(study).select_from(within).where(s.study_id.in_(studies_named(uid)))
    elif level == "series":
        query = select(study, series).select_from(within).where(s.id.in_(series_named(uid)))
    else:
        shown = i.hidden.is_(False)
        query = (
            select(study, series, i.sop_instance_uid)
            .select_from(within.join(t.instance, i.series_id == s.id))
            .where(i.id.in_(instances_named(uid)))
        )
    rows = connection.execute(query.where(shown).distinct()).all()
    return tuple(Given(*row) for row in rows)


def events(connection: Connection, checked: Checked) -> tuple[Event, ...]:
    """The events that are about the arrival that is given out."""
    found = views_audit.history(connection, checked.sop_instance_uid)
    about = (None, checked.receipt_id)
    return tuple(event for event in found if event.receipt in about)
