"""Which series an index finds for the keys of a query.

Each key that has an index gives ids of series that may match; it may give too many, never
too few. What the keys mean is said in `core.matchkeys`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    and_,
    false,
    func,
    intersect,
    literal_column,
    or_,
    select,
    tuple_,
    union,
)

from reconcile.core.identity import PatientIdentifier
from reconcile.core.matchkeys import (
    Between,
    Named,
    OneOf,
    Test,
    Wild,
    as_like,
    narrowed,
)
from reconcile.core.querykeys import Level
from reconcile.db import tables as t
from reconcile.db.headers import SEARCHED_NAME, series_header
from reconcile.db.orders import HAS_ACCESSION
from reconcile.db.views import in_any_domain, series_named, studies_named

_h, _s, _st, _i = series_header.c, t.series.c, t.study.c, t.instance.c

#: Series that one key finds; past it all series are looked at in the order of answers.
NARROW = 5000

_HIGHEST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class PatientKey:
    """A Patient ID that is asked for.

    Attributes:
        identifiers: that it may be.
        anywhere: the ID in whatever domain; empty: only these identifiers.
        pattern: an ID with wild cards, in `domains`, or anywhere where there are none.
        held: an ID, or a pattern, of a held study; empty: none.
    """

    identifiers: tuple[PatientIdentifier, ...] = ()
    anywhere: tuple[str, ...] = ()
    pattern: str = ""
    domains: tuple[str, ...] = ()
    held: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What narrows the rows; None: it does not."""

    level: Level
    patient: PatientKey | None = None
    issuer: str = ""
    study_uids: tuple[str, ...] = ()
    series_uids: tuple[str, ...] = ()
    accession: Test | None = None
    name: Test | None = None
    birth_date: Test | None = None
    study_date: Test | None = None
    modality_in_study: Test | None = None
    modality: Test | None = None
    instance_uids: tuple[str, ...] = ()


def links(link: FromClause, series: FromClause) -> ColumnElement[bool]:
    """To the person under whom a series is filed now; a held one is nobody's."""
    return and_(
        link.c.identity_id == series.c.filed_identity_id,
        func.upper_inf(link.c.recorded),
        series.c.held.is_(None),
    )


def found_by(asked: Asked) -> CTE | None:
    """Ids of the series that an index finds; None: no key has one.

    Materialised: else a page's limit tempts the planner to look at every series there is.
    """
    queries = list(_candidates(asked))
    if not queries:
        return None
    query = queries[0] if len(queries) == 1 else intersect(*queries)
    return query.cte("found").prefix_with("MATERIALIZED", dialect="postgresql")


def narrowing(connection: Connection, asked: Asked) -> Asked:
    """The same without names and birth dates that so many have that an index is no help.

    Who matches is found by reading on, the newest first; each answer is looked at anyway.
    """
    if isinstance(asked.name, Named) and _is_long(
        connection, _named(_searched_for(asked.name))
    ):
        asked = replace(asked, name=None)
    if asked.birth_date is not None and _is_long(connection, _born(asked.birth_date)):
        asked = replace(asked, birth_date=None)
    return asked


def _is_long(connection: Connection, ways: Iterable[Select[Any]]) -> bool:
    probes = (way.offset(NARROW).limit(1) for way in ways)
    return any(connection.execute(probe).first() is not None for probe in probes)


def _candidates(asked: Asked) -> Iterable[Select[Any]]:
    if asked.patient is not None:
        yield _ids(*_of_patients(asked.patient))
    if asked.study_uids:
        studies = studies_named(*asked.study_uids)
        yield select(_s.id).where(_s.study_id.in_(studies))
    if asked.series_uids:
        yield _ids(series_named(*asked.series_uids))
    if asked.instance_uids:
        named = _i.sop_instance_uid.in_(asked.instance_uids)
        wanted = and_(named, in_any_domain(_i.uid_domain))
        yield select(_i.series_id.label("id")).where(wanted).distinct()
    if asked.accession is not None:
        studies = union(*_studies_with(asked.accession))
        yield select(_s.id).where(_s.study_id.in_(studies))
    if isinstance(asked.name, Named) and _searched_for(asked.name).strip("%"):
        yield _of_either(*_named(_searched_for(asked.name)))
    if asked.birth_date is not None:
        yield _of_either(*_born(asked.birth_date))


def _ids(*queries: Any) -> Select[Any]:
    found = union(*queries).subquery()
    return select(found.c[0].label("id"))


def _of_persons(persons: Select[Any]) -> Select[Any]:
    """The series of persons, by their own ids, and of all who were merged with them."""
    one, p = t.person.alias("one"), t.person.alias("p")
    link = t.identity_link.alias("l")
    roots = select(one.c.canonical_id).where(one.c.id.in_(persons))
    return (
        select(_s.id)
        .select_from(p)
        .join(link, link.c.person_id == p.c.id)
        .join(t.series, links(link, t.series))
        .where(p.c.canonical_id.in_(roots))
    )


def persons_of(key: PatientKey) -> Select[Any]:
    """Ids of the persons who have such an identifier, whoever they were merged into."""
    identity, link = t.identity.c, t.identity_link.c
    owned = (
        select(link.person_id)
        .join(t.identity, identity.id == link.identity_id)
        .where(func.upper_inf(identity.valid), func.upper_inf(link.recorded))
    )
    pairs = [(each.domain, each.value) for each in key.identifiers]
    ways: list[ColumnElement[bool]] = []
    if pairs:
        ways.append(tuple_(identity.domain, identity.id_norm).in_(pairs))
    if key.anywhere:
        ways.append(identity.id_norm.in_(key.anywhere))
    if key.pattern:
        like = and_(*within(identity.id_norm, Wild(key.pattern)))
        ways.append(and_(like, identity.domain.in_(key.domains)) if key.domains else like)
    return owned.where(or_(*ways) if ways else false())


def _of_patients(key: PatientKey) -> Iterable[Select[Any]]:
    yield _of_persons(persons_of(key))
    if key.held:
        wild = any(c in "*?" for c in key.held)
        test = Wild(key.held) if wild else OneOf((key.held,))
        yield (
            select(_s.id)
            .join(t.study, _st.id == _s.study_id)
            .where(_s.held.is_not(None), *within(_st.held_id, test))
        )


def _studies_with(test: Test) -> Iterable[Select[Any]]:
    """Studies that came under an accession number, or are linked to its order."""
    yield (
        select(_s.study_id)
        .join(series_header, _h.series_id == _s.id)
        .where(_h.accession_number != "", *within(_h.accession_number, test))
    )
    o, so = t.imaging_order.c, t.study_order.c
    yield (
        select(so.study_id)
        .join(t.imaging_order, o.id == so.order_id)
        .where(
            HAS_ACCESSION,
            *within(o.accession_number, test),
            func.upper_inf(so.recorded),
        )
    )


def _searched_for(test: Named) -> str:
    """A pattern of alphabetic groups; a name in another script may stand in any group."""
    pattern = test.groups[0]
    return narrowed(pattern if len(test.groups) > 1 or pattern.isascii() else "*")


def persons_named(test: Test | None) -> Select[Any] | None:
    """Ids of persons of whom a feed said such a name; None: that narrows nothing."""
    if not isinstance(test, Named) or not _searched_for(test).strip("%"):
        return None
    return _named(_searched_for(test))[1]


def _named(like: str) -> tuple[Select[Any], Select[Any]]:
    """(series whose header says such a name, persons of whom a feed said it)."""
    said: ColumnElement[Any] = literal_column(SEARCHED_NAME)
    d = t.demographics.c
    live = func.upper_inf(d.recorded)
    return (
        select(_h.series_id).where(*_prefixed(_h.searched_name, like)),
        select(d.person_id).where(*_prefixed(said, like), live),
    )


def _born(test: Test) -> tuple[Select[Any], Select[Any]]:
    """As `_named`, by the birth date."""
    d = t.demographics.c
    said, live = d.said["birth_date"].astext, func.upper_inf(d.recorded)
    return (
        select(_h.series_id).where(_h.birth_date != "", *within(_h.birth_date, test)),
        select(d.person_id).where(*within(said, test), live),
    )


def _of_either(headers: Select[Any], said: Select[Any]) -> Select[Any]:
    return _ids(headers, _of_persons(said))


def within(col: ColumnElement[Any], test: Test) -> list[ColumnElement[bool]]:
    """A test of keys as SQL; bounds beside a pattern, since a plan knows no value of it."""
    if isinstance(test, OneOf):
        return [col.in_(test.values)]
    if isinstance(test, Wild):
        return _prefixed(col, as_like(test.pattern))
    if isinstance(test, Between):
        bounds = [col >= test.first] if test.first else []
        return [*bounds, col <= test.last + _HIGHEST] if test.last else bounds
    return []


def _prefixed(col: ColumnElement[Any], like: str) -> list[ColumnElement[bool]]:
    prefix = ""
    for c in like:
        if c in "%_\\":
            break
        prefix += c
    bounds = [col >= prefix, col < prefix + _HIGHEST] if prefix else []
    return [*bounds, col.like(like)]
