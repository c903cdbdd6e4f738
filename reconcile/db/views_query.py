"""Studies as they are asked for by C-FIND and QIDO-RS: which, and what is known of them.

A row stands for a part of a study: the series of one person, or those that are held. Its
header is that of the part's first series. What narrows is said in SQL, and may let more
through than matches: `core.matchkeys.fits` looks at each answer.

The newest study comes first. A page goes on after the row that ended the one before it,
so that what is added meanwhile shifts nothing, and no transaction waits for a peer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    and_,
    exists,
    func,
    or_,
    select,
    true,
    tuple_,
)

from reconcile.core.attributes import Change, Element, Tag, from_listed
from reconcile.core.matchkeys import Test
from reconcile.core.querykeys import Level
from reconcile.db import filed as f
from reconcile.db import history as h
from reconcile.db import tables as t
from reconcile.db.headers import series_header
from reconcile.db.views_found import Asked, found_by, links, within

_h, _s, _st = series_header.c, t.series.c, t.study.c

#: Candidates of one page: what is in memory for one question.
PAGE = 512


@dataclass(frozen=True, slots=True)
class After:
    """A place in the order of rows; empty: before the first."""

    study_date: str
    series_id: UUID


@dataclass(frozen=True, slots=True)
class Part:
    """A row: a part of a study, or one of its series.

    Attributes:
        person_id: whose it is, surviving merges; None: it is held, or nobody's.
        as_received: it is given out as it came.
    """

    series_id: UUID
    study_id: UUID
    study_uid: str
    series_uid: str
    held: bool
    person_id: UUID | None
    as_received: bool
    elements: dict[Tag, Element]


# -- Rows ---------------------------------------------------------------------------


def parts(
    connection: Connection, asked: Asked, after: After | None
) -> tuple[list[Part], After | None]:
    """Rows that may match, the newest study first, and where to go on; None: at the end.

    A page is `PAGE` candidates, and what all of them cost is bounded by that: those that
    do not match are left out, and a page may be empty.
    """
    person, link = t.person.alias("p"), t.identity_link.alias("l")
    shown = _shown_instance(_s.id)
    page = _page(asked, after)
    rows = (
        page.join(series_header, _h.series_id == page.c.series_id)
        .join(t.series, _s.id == _h.series_id)
        .join(t.study, _st.id == _s.study_id)
        .outerjoin(link, links(link, t.series))
        .outerjoin(person, person.c.id == link.c.person_id)
        .outerjoin(shown, true())
    )
    matches = and_(shown.c.as_received.is_not(None), *_conditions(asked, person))
    query = (
        select(
            _h.study_date,
            _h.series_id,
            _h.elements,
            _s.study_id,
            _st.study_instance_uid,
            _s.series_instance_uid,
            _s.held,
            person.c.canonical_id,
            shown.c.as_received,
            matches.label("matches"),
        )
        .select_from(rows)
        .order_by(page.c.study_date.desc(), page.c.series_id.desc())
    )
    found = connection.execute(query).all()
    more = len(found) == PAGE
    last = After(found[-1].study_date, found[-1].series_id) if more else None
    return [_part(row) for row in found if row.matches], last


def _page(asked: Asked, after: After | None) -> CTE:
    """The next candidates: by the keys that an index, or the header alone, answers."""
    found = found_by(asked)
    query = select(_h.series_id, _h.study_date)
    if found is not None:
        query = query.join(found, _h.series_id == found.c.id)
    if asked.study_date is not None:
        query = query.where(_h.study_date != "", *within(_h.study_date, asked.study_date))
    if asked.modality is not None and asked.level in (Level.SERIES, Level.IMAGE):
        query = query.where(*within(_h.modality, asked.modality))
    if after is not None:
        place = tuple_(_h.study_date, _h.series_id)
        query = query.where(place < tuple_(after.study_date, after.series_id))
    query = query.order_by(_h.study_date.desc(), _h.series_id.desc()).limit(PAGE)
    return query.cte("page").prefix_with("MATERIALIZED", dialect="postgresql")


def _part(row: Any) -> Part:
    return Part(
        row.series_id,
        row.study_id,
        row.study_instance_uid,
        row.series_instance_uid,
        row.held is not None,
        row.canonical_id,
        row.as_received,
        row.elements,
    )


def _shown_instance(series_id: ColumnElement[Any]) -> FromClause:
    """An instance of a series that is given out: without one there is no answer."""
    i = t.instance.alias("shown")
    query = select(i.c.as_received).where(i.c.series_id == series_id, ~i.c.hidden).limit(1)
    return query.lateral("given")


def _is_shown(series_id: ColumnElement[Any]) -> ColumnElement[bool]:
    i = t.instance.alias()
    return exists().where(i.c.series_id == series_id, ~i.c.hidden)


def _conditions(asked: Asked, person: FromClause) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if asked.patient is None and not (asked.study_uids or asked.instance_uids):
        found.append(person.c.state.is_distinct_from("test"))
    if asked.modality_in_study is not None:
        found.append(_has_modality(asked.modality_in_study))
    if asked.issuer:
        found.append(has_identifier_of(asked.issuer, person))
    if asked.level is Level.STUDY:
        found.append(~_earlier(person, _of_the_same_study))
    elif asked.level is Level.PATIENT:
        found.append(~or_(_earlier(person, _of_the_same_study), _before_as_patient(person)))
    return found


def _earlier(person: FromClause, same: Any) -> ColumnElement[bool]:
    """Whether the part has a series before this one, by whose header it is shown."""
    o, oh = t.series.alias("o"), series_header.alias("oh")
    op, ol = t.person.alias("op"), t.identity_link.alias("ol")
    rows = (
        o.join(oh, oh.c.series_id == o.c.id)
        .outerjoin(ol, links(ol, o))
        .outerjoin(op, op.c.id == ol.c.person_id)
    )
    query = select(1).select_from(rows)
    return query.where(same(o, op, person), o.c.id < _s.id, _is_shown(o.c.id)).exists()


def _of_the_same_study(
    o: FromClause, op: FromClause, person: FromClause
) -> ColumnElement[bool]:
    return and_(
        o.c.study_id == _s.study_id,
        o.c.held.is_(None) == _s.held.is_(None),
        op.c.canonical_id.is_not_distinct_from(person.c.canonical_id),
    )


def _before_as_patient(person: FromClause) -> ColumnElement[bool]:
    """Whether the person has a series before this one, in whatever study."""
    o, oh = t.series.alias("b"), series_header.alias("bh")
    op, ol = t.person.alias("bp"), t.identity_link.alias("bl")
    rows = (
        op.join(ol, ol.c.person_id == op.c.id)
        .join(o, links(ol, o))
        .join(oh, oh.c.series_id == o.c.id)
    )
    query = select(1).select_from(rows)
    return query.where(
        op.c.canonical_id == person.c.canonical_id, o.c.id < _s.id, _is_shown(o.c.id)
    ).exists()


def _has_modality(test: Test) -> ColumnElement[bool]:
    o, oh = t.series.alias("m"), series_header.alias("mh")
    query = select(1).select_from(o.join(oh, oh.c.series_id == o.c.id))
    return query.where(o.c.study_id == _s.study_id, *within(oh.c.modality, test)).exists()


def has_identifier_of(domain: str, person: FromClause) -> ColumnElement[bool]:
    """Whether a surviving person has an identifier in a domain."""
    m, ml, mi = t.person.alias("m"), t.identity_link.alias("ml"), t.identity.alias("mi")
    query = (
        select(1)
        .select_from(
            m.join(ml, ml.c.person_id == m.c.id).join(mi, mi.c.id == ml.c.identity_id)
        )
        .where(
            m.c.canonical_id == person.c.canonical_id,
            func.upper_inf(ml.c.recorded),
            func.upper_inf(mi.c.valid),
            mi.c.domain == domain,
        )
    )
    return query.exists()


# -- What is known of rows ----------------------------------------------------------


def assigned(connection: Connection, series: Iterable[UUID]) -> dict[UUID, list[Change]]:
    """What is assigned to instances of some series, in the order in which it applies.

    Of several forms the newest: those before it were raised to what it says since.
    """
    ids = list(series)
    form, given = f.series_form.c, t.assignment.c
    forms = (
        select(form.series_id, form.stored_revision, given.assigns)
        .join(t.assignment, given.id == form.assignment_id)
        .where(form.series_id.in_(ids))
        .order_by(form.stored_revision, given.id)
    )
    stored: dict[UUID, int] = {}
    found: dict[UUID, list[Change]] = {}
    for row in connection.execute(forms):
        stored[row.series_id] = row.stored_revision
        found[row.series_id] = [from_listed(said) for said in row.assigns]
    for row in connection.execute(_scoped(ids)):
        if row.revision > stored.get(row.series_id, -1):
            changes = found.setdefault(row.series_id, [])
            changes.extend(from_listed(said) for said in row.assigns)
    return found


def _scoped(ids: list[UUID]) -> Select[Any]:
    scope, given, event = f.series_assignment.c, t.assignment.c, h.coercion_event.c
    return (
        select(scope.series_id, scope.revision, given.assigns)
        .join(t.assignment, given.id == scope.assignment_id)
        .join(h.coercion_event, event.id == scope.event_id)
        .where(scope.series_id.in_(ids), func.upper_inf(scope.recorded))
        .order_by(event.position)
    )
