"""Which happenings a rule, a source or a person is behind, and what stands on them.

For whoever wants to take back many: what is answered here changes nothing, and holds
nobody up.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, func, or_, select, text

from reconcile.core.attributes import Element
from reconcile.db import history as h
from reconcile.db.undoing import Happened

#: What takes back many, as its own happening.
UNDO_MANY = "undo-many"
_g, _e, _v = h.happening.c, h.coercion_event.c, h.coercion_value.c


@dataclass(frozen=True, slots=True)
class Doings:
    """Whose doings, and when; what is empty does not matter, what is given must hold.

    Attributes:
        rule: with or without its version, or its rungs.
        source: who supplied the instances, or sent the messages.
        since, until: when they were recorded; inclusive, exclusive.
    """

    rule: str
    source: str
    actor: str
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Studied:
    """What an undo would change in a study, by one of its instances as an example.

    Attributes:
        now, then: elements by keyword, as given out with these events and without.
    """

    study_instance_uid: str | None
    events: int
    instances: int
    attributes: tuple[str, ...]
    now: Mapping[str, Element | None]
    then: Mapping[str, Element | None]


def done_by(connection: Connection, doings: Doings) -> list[Happened]:
    """Happenings that stand, the newest first."""
    undoing = h.happening.alias("undoing")
    query = (
        select(_g.id, _g.cause, _g.cause_id)
        .outerjoin(undoing, undoing.c.undoes == _g.id)
        .where(
            _g.recorded_at >= doings.since,
            _g.recorded_at < doings.until,
            _g.cause != UNDO_MANY,
            undoing.c.id.is_(None),
            *_by(doings),
        )
        .order_by(_g.id.desc())
    )
    rows = connection.execute(query)
    return [Happened(row.id, row.cause, row.cause_id, None) for row in rows]


def _by(doings: Doings) -> Iterator[ColumnElement[bool]]:
    if doings.rule:
        versions = _g.rule.startswith(f"{doings.rule}@", autoescape=True)
        yield or_(_g.rule == doings.rule, _g.rung == doings.rule, versions)
    if doings.actor:
        yield _g.actor == doings.actor
    if doings.source:
        supplied = select(_e.id).where(_e.happening_id == _g.id, _e.source == doings.source)
        yield or_(_g.actor == doings.source, supplied.exists())


def standing_on(
    connection: Connection, ids: Sequence[UUID]
) -> dict[UUID, list[tuple[Happened, UUID]]]:
    """All that stands on each of these, directly or not: (it, what it stands on)."""
    found: dict[UUID, list[tuple[Happened, UUID]]] = {}
    for row in connection.execute(_STANDING, {"ids": list(ids)}):
        happened = Happened(row.id, row.cause, row.cause_id, None)
        found.setdefault(row.root, []).append((happened, row.depends_on))
    return found


_STANDING = text("""
WITH RECURSIVE chain AS (
    SELECT d.depends_on AS root, d.happening_id AS id, d.depends_on
    FROM happening_dependency d
    WHERE d.depends_on = ANY (CAST(:ids AS uuid[]))
    AND NOT EXISTS (SELECT FROM happening u WHERE u.undoes = d.happening_id)
    UNION
    SELECT chain.root, d.happening_id, d.depends_on
    FROM chain JOIN happening_dependency d ON d.depends_on = chain.id
    WHERE NOT EXISTS (SELECT FROM happening u WHERE u.undoes = d.happening_id)
)
SELECT chain.root, chain.id, chain.depends_on, g.cause, g.cause_id
FROM chain JOIN happening g ON g.id = chain.id ORDER BY chain.id
""")


def studies_of(
    connection: Connection, ids: Sequence[UUID], most: int
) -> tuple[int, tuple[Studied, ...]]:
    """(how many studies, the first of them) in which the events of happenings stand."""
    rows = connection.execute(_STUDIES, {"ids": list(ids), "most": most}).all()
    total = rows[0].total if rows else 0
    return total, tuple(_studied(row) for row in rows)


_STUDIES = text("""
SELECT count(*) OVER () AS total, s.study_instance_uid, o.events, o.instances,
    o.attributes, v.body
FROM (
    SELECT e.study_id, count(DISTINCT e.id) AS events,
        count(DISTINCT e.instance_id) AS instances, min(e.position) AS first,
        array_agg(DISTINCT each ORDER BY each) AS attributes
    FROM coercion_event e CROSS JOIN unnest(e.attributes) AS each
    WHERE e.happening_id = ANY (CAST(:ids AS uuid[])) GROUP BY e.study_id
) o
LEFT JOIN study s ON s.id = o.study_id
JOIN coercion_event f ON f.position = o.first
LEFT JOIN coercion_value v ON v.event_id = f.id
ORDER BY o.first LIMIT :most
""")


def _studied(row: Any) -> Studied:
    said: dict[str, Any] = json.loads(row.body) if row.body else {}
    item = said.get("original_attributes", {}).get("04000550", {})
    modified = (item.get("Value") or [{}])[0]
    now: dict[str, Any] = said.get("new_attributes", {})
    tags = sorted({*modified, *now})
    then = {tag: None if tag in said["absent"] else modified.get(tag) for tag in tags}
    return Studied(
        row.study_instance_uid,
        row.events,
        row.instances,
        tuple(row.attributes),
        {tag: now.get(tag) for tag in tags},
        then,
    )


def begun(connection: Connection, cause_id: str) -> UUID | None:
    """The happening under which the same was begun to be taken back, and stands."""
    undoing = h.happening.alias("undoing")
    query = (
        select(_g.id)
        .outerjoin(undoing, undoing.c.undoes == _g.id)
        .where(_g.cause_id == cause_id, _g.cause == UNDO_MANY, undoing.c.id.is_(None))
        .order_by(_g.id.desc())
        .limit(1)
    )
    return connection.execute(query).scalar()


def taken_under(connection: Connection, happening_id: UUID) -> int:
    """How many happenings were taken back under one."""
    d = h.happening_dependency.c
    query = select(func.count()).where(d.depends_on == happening_id)
    return int(connection.execute(query).scalar_one())
