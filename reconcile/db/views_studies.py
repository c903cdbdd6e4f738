"""UIDs by either of their names, and why a study is whose it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, and_, func, select

from reconcile.core.explain import explain
from reconcile.db import history as h
from reconcile.db import tables as t
from reconcile.db.views import (
    instances_named,
    series_named,
    studies_named,
)
from reconcile.db.views_holds import Hold, holds_of_study
from reconcile.db.views_orders import Order, orders_of_study
from reconcile.db.views_patients import identifiers_of
from reconcile.errors import NotFound

_study, _map = t.study.c, t.uid_map.c


# -- UIDs ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Uids:
    """A UID by both its names.

    `others`: a Series UID that came in more than one study is given out as these too.
    """

    level: str
    received: tuple[str, ...]
    assigned: str
    others: tuple[str, ...] = ()


def uids(connection: Connection, uid: str) -> Uids:
    """What a UID is, looked up by its received or by its assigned form.

    Raises:
        NotFound: no study, series or instance is known by it.
    """
    found = _study_uids(connection, uid) or _series_uids(connection, uid)
    if found is None and connection.execute(instances_named(uid)).first() is not None:
        found = Uids("instance", (uid,), uid)
    if found is None:
        raise NotFound("no study, series or instance is known by this UID")
    return found


def _study_uids(connection: Connection, uid: str) -> Uids | None:
    query = select(t.study).where(_study.id.in_(studies_named(uid))).order_by(_study.id)
    row = connection.execute(query).first()
    if row is None:
        return None
    received = tuple(each.received_uid for each in _maps(connection, row) if each.live)
    return Uids("study", received or (row.study_instance_uid,), row.study_instance_uid)


def _series_uids(connection: Connection, uid: str) -> Uids | None:
    s = t.series.c
    query = select(t.series).where(s.id.in_(series_named(uid)))
    # The one that is given out under it first, then those that are not held.
    query = query.order_by(s.series_instance_uid != uid, s.held.is_not(None), s.id)
    rows = connection.execute(query).all()
    if not rows:
        return None
    assigned = rows[0].series_instance_uid
    others = dict.fromkeys(
        r.series_instance_uid for r in rows if r.series_instance_uid != assigned
    )
    return Uids("series", (rows[0].received_series_instance_uid,), assigned, tuple(others))


# -- Explanations -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mapped:
    """One row of the UID map, with the rule that made it."""

    received_uid: str
    assigned_uid: str
    kind: str
    rule: str
    happening: UUID
    live: bool


@dataclass(frozen=True, slots=True)
class Decided:
    """Instances of a study that were decided alike, and how.

    Attributes:
        happenings: in which they were, the first one first.
        evidence: each {"rung", "found", "person"}, those of the rungs that decided.
        lost: evidence that named somebody, and did not decide.
        sentences: the same for people.
    """

    happenings: tuple[UUID, ...]
    first_at: datetime
    last_at: datetime
    instances: int
    cause: str
    actor: str
    rule: str
    rung: str
    outcome: str
    study_rule: str | None
    person: UUID | None
    evidence: tuple[Mapping[str, Any], ...]
    lost: tuple[Mapping[str, Any], ...]
    reviews: tuple[str, ...]
    would_change: str
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Since:
    """What changed a study after its images came, or was done to it by hand."""

    event: UUID
    happening: UUID
    recorded_at: datetime
    cause: str
    actor: str
    reason: str
    attributes: tuple[str, ...]
    undone_by: UUID | None


@dataclass(frozen=True, slots=True)
class StudyExplained:
    """Why a study is whose it is; `since`: what changed it after its images came."""

    study_instance_uid: str
    received: tuple[str, ...]
    revision: int
    sentences: tuple[str, ...]
    decisions: tuple[Decided, ...]
    since: tuple[Since, ...]
    persons: Mapping[str, tuple[str, ...]]
    uid_map: tuple[Mapped, ...]
    orders: tuple[Order, ...]
    open_items: tuple[Hold, ...]


def study_explained(connection: Connection, uid: str) -> StudyExplained:
    """Which rung decided a study, which evidence lost, what would change it.

    Raises:
        NotFound: no study is known by this UID.
    """
    query = select(t.study).where(_study.id.in_(studies_named(uid))).order_by(_study.id)
    row = connection.execute(query).first()
    if row is None:
        raise NotFound("no study is known by this UID")
    decisions = _decisions(connection, row.id)
    maps = _maps(connection, row)
    items = holds_of_study(connection, row.id)
    since = _since(connection, row.id)
    named = {
        UUID(e["person"]) for d in decisions for e in (*d.evidence, *d.lost) if e["person"]
    }
    persons = identifiers_of(connection, named | {d.person for d in decisions if d.person})
    return StudyExplained(
        row.study_instance_uid,
        tuple(each.received_uid for each in maps if each.live),
        row.revision,
        _summary(decisions, since, items),
        decisions,
        since,
        {str(person): held for person, held in persons.items()},
        maps,
        orders_of_study(connection, row.id),
        items,
    )


def _summary(
    decisions: tuple[Decided, ...], since: tuple[Since, ...], items: tuple[Hold, ...]
) -> tuple[str, ...]:
    told = [
        f"{_count(d.instances)}: {sentence}" for d in decisions for sentence in d.sentences
    ]
    told += [_changed(each) for each in since]
    waits = [f"Waits for a person: {i.code}." for i in items if i.kind == "hold"]
    return (*told, *waits)


def _changed(since: Since) -> str:
    when = since.recorded_at.isoformat(timespec="seconds")
    what = ", ".join(since.attributes)
    back = " It was taken back." if since.undone_by else ""
    return f"Changed at {when} by {since.cause} of {since.actor}: {what}.{back}"


def _since(connection: Connection, study_id: UUID) -> tuple[Since, ...]:
    """Events that are about more than one instance, in the order in which they apply."""
    e, g = h.coercion_event.c, h.happening.c
    undoing = h.happening.alias("undoing")
    query = (
        select(
            e.id,
            e.happening_id,
            e.recorded_at,
            g.cause,
            g.actor,
            e.reason,
            e.attributes,
            undoing.c.id.label("undone_by"),
        )
        .join(h.happening, g.id == e.happening_id)
        .outerjoin(undoing, undoing.c.undoes == e.happening_id)
        .where(e.study_id == study_id, e.level == "study")
        .order_by(e.position)
    )
    return tuple(
        Since(*row[:6], tuple(row.attributes), row.undone_by)
        for row in connection.execute(query)
    )


def _count(instances: int) -> str:
    return "1 instance" if instances == 1 else f"{instances} instances"


def _decisions(connection: Connection, study_id: UUID) -> tuple[Decided, ...]:
    """Decisions of a study's instances, those that came out alike told as one."""
    i, s, g = t.instance.c, t.series.c, h.happening.c
    alike = (g.cause, g.actor, g.rule, g.rung, g.explanation, t.person.c.canonical_id)
    query = (
        select(
            *alike,
            func.array_agg(g.id.distinct()).label("happenings"),
            func.min(g.recorded_at).label("first_at"),
            func.max(g.recorded_at).label("last_at"),
            func.count(i.id).label("instances"),
        )
        .select_from(t.instance)
        .join(t.series, s.id == i.series_id)
        .join(h.happening, g.id == i.happening_id)
        .outerjoin(t.identity_link, _live_link())
        .outerjoin(t.person, t.person.c.id == t.identity_link.c.person_id)
        .where(s.study_id == study_id)
        .group_by(*alike)
        .order_by("first_at")
    )
    return tuple(_decided(row) for row in connection.execute(query))


def _live_link() -> Any:
    link = t.identity_link.c
    of_series = link.identity_id == t.series.c.filed_identity_id
    return and_(of_series, t.series.c.held.is_(None), func.upper_inf(link.recorded))


def _decided(row: Row[Any]) -> Decided:
    person = str(row.canonical_id) if row.canonical_id else ""
    told = explain(row.rung, person, row.explanation)
    return Decided(
        tuple(sorted(row.happenings)),  # UUIDv7
        row.first_at,
        row.last_at,
        row.instances,
        row.cause,
        row.actor,
        row.rule,
        row.rung,
        row.explanation.get("outcome", ""),
        row.explanation.get("study_rule"),
        row.canonical_id,
        told.decided,
        told.lost,
        tuple(row.explanation.get("reviews", ())),
        told.would_change,
        told.sentences,
    )


def _maps(connection: Connection, study: Row[Any]) -> tuple[Mapped, ...]:
    """The received UIDs of a study, closed maps too."""
    live = func.upper_inf(_map.valid).label("live")
    query = select(t.uid_map, live).where(
        _map.assigned_uid == study.study_instance_uid,
        _map.uid_domain == study.uid_domain,
        _map.level == "study",
    )
    return tuple(
        Mapped(r.received_uid, r.assigned_uid, r.kind, r.rule, r.happening_id, r.live)
        for r in connection.execute(query.order_by(_map.id))
    )
