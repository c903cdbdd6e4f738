"""Strike happenings out: what they opened is closed, what they closed is open again.

No old value is written back. Rows are closed by ending their range, and opened by a copy
that begins now: what was held to be true at any time can still be asked. Where somebody
has opened another row since, that one stands.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Connection,
    Table,
    delete,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from reconcile.core.study import LateRule
from reconcile.db import asked_again, evidence, incarnations, merges, moves, regrouping
from reconcile.db import filed as f
from reconcile.db import history as h
from reconcile.db import links as k
from reconcile.db import performed as p
from reconcile.db import rejections as j
from reconcile.db import remembered as r
from reconcile.db import tables as t
from reconcile.db import unresolved as u
from reconcile.db.ids import uuid7
from reconcile.db.protection import protection
from reconcile.db.standing import said, standing
from reconcile.db.studies import held_id
from reconcile.db.undecided import show

#: Tables whose rows a happening opens and closes, with the column of their range.
_RANGED: tuple[tuple[Table, str], ...] = (
    (t.identity_link, "recorded"),
    (t.merge_edge, "recorded"),
    (t.demographics, "recorded"),
    (t.study_order, "recorded"),
    (t.uid_map, "valid"),
    (k.not_same, "recorded"),
    (k.identifier_link, "recorded"),
    (r.resolution, "recorded"),
    (moves.order_move, "recorded"),
    (p.step_request, "recorded"),
    (p.wrong_entry, "recorded"),
    (j.rejection, "recorded"),
    (protection, "recorded"),
)


@dataclass(frozen=True, slots=True)
class Struck:
    """What an undo concerned.

    Attributes:
        persons: owners whose chain or demographics changed.
        studies: those with anything that was struck out.
        received_uids: Study UIDs that were mapped, and are no longer.
        unsaid: persons of whom something was said that is said no longer; see `forget`.
    """

    persons: frozenset[UUID]
    studies: frozenset[UUID]
    received_uids: frozenset[str]
    unsaid: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class Happened:
    """A happening, and whether it was taken back already."""

    id: UUID
    cause: str
    cause_id: str
    undone_by: UUID | None


def happened(connection: Connection, wanted: UUID) -> Happened | None:
    """The happening of an id, or that of a coercion event."""
    e, g = h.coercion_event.c, h.happening.c
    undoing = h.happening.alias("undoing")
    of_event = select(e.happening_id).where(e.id == wanted).scalar_subquery()
    query = (
        select(g.id, g.cause, g.cause_id, undoing.c.id.label("undone_by"))
        .select_from(h.happening)
        .outerjoin(undoing, undoing.c.undoes == g.id)
        .where(or_(g.id == wanted, g.id == of_event))
    )
    row = connection.execute(query).first()
    return Happened(row.id, row.cause, row.cause_id, row.undone_by) if row else None


def dependents(connection: Connection, happening_id: UUID) -> list[Happened]:
    """What rests on a happening, directly, and was not taken back."""
    g, d = h.happening.c, h.happening_dependency.c
    undoing = h.happening.alias("undoing")
    query = (
        select(g.id, g.cause, g.cause_id)
        .join(h.happening_dependency, d.happening_id == g.id)
        .outerjoin(undoing, undoing.c.undoes == g.id)
        .where(d.depends_on == happening_id, undoing.c.id.is_(None))
        .order_by(g.id)
    )
    return [Happened(x.id, x.cause, x.cause_id, None) for x in connection.execute(query)]


def strike(connection: Connection, happening_id: UUID, by: UUID) -> Struck:
    """Take a happening back; the caller holds the lock on who is who alone."""
    closed: dict[str, Sequence[Any]] = {}
    opened: dict[str, Sequence[Any]] = {}
    for table, name in _RANGED:
        closed[table.name] = _close(connection, table, name, happening_id, by)
    for table, name in _RANGED:
        opened[table.name] = _reopen(connection, table, name, happening_id, by)
    j.show_again(connection, _rejected(closed["rejection"], opened["rejection"]))
    persons = _persons(connection, happening_id, closed, opened)
    moved = (*closed["order_move"], *opened["order_move"])
    moves.settle_orders(connection, {row.order_id for row in moved})
    named = closed["identity_link"] if _renamed(connection, happening_id) else ()
    unsaid = {row.person_id for row in (*closed["demographics"], *named)}
    studies = {row.study_id for row in closed["study_order"]}
    studies |= {row.study_id for row in opened["study_order"]}
    studies |= _strike_assignments(connection, happening_id)
    studies |= _strike_filings(connection, happening_id, by)
    persons |= incarnations.strike(connection, happening_id, by)
    renamed = _rename_back(connection, closed["uid_map"], opened["uid_map"])
    studies |= regrouping.take_back(connection, closed["uid_map"])
    mapped = {row.received_uid for row in closed["uid_map"] if row.level == "study"}
    return Struck(
        frozenset(persons),
        frozenset(studies | renamed),
        frozenset(mapped),
        frozenset(unsaid),
    )


def _rejected(*rows: Sequence[Any]) -> list[str]:
    return [row.sop_instance_uid for each in rows for row in each]


def hold_again(connection: Connection, happening_id: UUID, by: UUID) -> set[UUID]:
    """What a happening explained is held again, and asked again; the studies concerned."""
    studies = _strike_filings(connection, happening_id, by)
    linked = _close(connection, t.study_order, "recorded", happening_id, by)
    studies |= {row.study_id for row in linked}
    asked_again.reopen_items(connection, happening_id, by)
    return studies


def _close(
    connection: Connection, table: Table, name: str, happening_id: UUID, by: UUID
) -> Sequence[Any]:
    """End what a happening opened, and what stands in its place since an undo."""
    ids = standing(connection, table, name, happening_id)
    if not ids:
        return ()
    held = table.c[name]
    ended = func.tstzrange(func.lower(held), func.clock_timestamp())
    change = update(table).where(table.c.id.in_(ids), func.upper_inf(held))
    change = change.values({name: ended, "ended_by": by})
    return connection.execute(change.returning(*table.c)).all()


def _reopen(
    connection: Connection, table: Table, name: str, happening_id: UUID, by: UUID
) -> Sequence[Any]:
    """Hold to be true again what a happening ended, unless something else is by now."""
    query = select(table).where(table.c.ended_by == happening_id).order_by(table.c.id)
    opened: list[Any] = []
    for row in connection.execute(query).all():
        made = upsert(table).values({**said(row, name), "id": uuid7(), "happening_id": by})
        made = made.on_conflict_do_nothing()
        opened.extend(connection.execute(made.returning(*table.c)).all())
    return opened


# -- Who is who ---------------------------------------------------------------------


def _persons(
    connection: Connection,
    happening_id: UUID,
    closed: dict[str, Sequence[Any]],
    opened: dict[str, Sequence[Any]],
) -> set[UUID]:
    """Everybody whose chain or description changed, with the caches made right."""
    found: set[UUID] = set()
    for rows in (closed, opened):
        found |= {row.person_id for row in rows["identity_link"]}
        found |= {row.person_id for row in rows["demographics"]}
        for row in rows["merge_edge"]:
            found |= {row.subsumed_id, row.survivor_id}
            merges.rebuild(connection, row.subsumed_id)
    for row in closed["merge_edge"]:
        merges.open_again(connection, row.prior_identity_id, happening_id)
    return found


def _renamed(connection: Connection, happening_id: UUID) -> bool:
    """Whether it has named somebody anew: a feed's word, if without description."""
    g = h.happening.c
    query = select(g.id).where(g.id == happening_id, g.cause == _RENAMES)
    return connection.execute(query).first() is not None


_RENAMES = "adt-a47"
_MOVES = ("adt-a43", "adt-a44", "steward")


def forget(connection: Connection, person_id: UUID) -> None:
    """A person of whom no feed has spoken any more is provisional again.

    What came along with an identifier that was moved was said of another. What has been
    said otherwise since, or moved away, was said once.
    """
    d, p, g = t.demographics.c, t.person.c, h.happening.c
    ender, undoing = h.happening.alias("ender"), h.happening.alias("undoing")
    spoken = (
        select(d.id)
        .join(h.happening, g.id == d.happening_id)
        .outerjoin(ender, ender.c.id == d.ended_by)
        .outerjoin(undoing, undoing.c.undoes == d.happening_id)
        .where(
            d.person_id == person_id,
            d.authority > 0,
            g.cause.not_in(_MOVES),
            undoing.c.id.is_(None),
            or_(func.upper_inf(d.recorded), ender.c.cause != "undo"),
        )
    )
    link = t.identity_link.c
    renamed = (
        select(link.id)
        .join(h.happening, g.id == link.happening_id)
        .where(link.person_id == person_id, func.upper_inf(link.recorded))
        .where(g.cause == _RENAMES)
    )
    if all(connection.execute(q.limit(1)).first() is None for q in (spoken, renamed)):
        change = update(t.person).where(p.id == person_id, p.state == "verified")
        connection.execute(change.values(state="provisional", version=p.version + 1))


# -- What is given out --------------------------------------------------------------


def _strike_assignments(connection: Connection, happening_id: UUID) -> set[UUID]:
    studies: set[UUID] = set()
    for table in (f.series_assignment, u.later_assignment):
        ended = func.tstzrange(func.lower(table.c.recorded), func.clock_timestamp())
        change = update(table).where(
            table.c.happening_id == happening_id, func.upper_inf(table.c.recorded)
        )
        connection.execute(change.values(recorded=ended))
    scope, s = f.series_assignment.c, t.series.c
    query = select(s.study_id).join(f.series_assignment, scope.series_id == s.id)
    studies |= set(
        connection.execute(query.where(scope.happening_id == happening_id)).scalars()
    )
    return studies


def _strike_filings(connection: Connection, happening_id: UUID, by: UUID) -> set[UUID]:
    """Series that it filed are filed as they were before, and held again if they were.

    And where it took back how they were filed, that holds again. Not how they were filed
    when they came: nothing was before that.
    """
    filing, s = f.series_filing.c, t.series.c
    ended = func.tstzrange(func.lower(filing.recorded), func.clock_timestamp())
    change = update(f.series_filing).where(
        filing.id.in_(standing(connection, f.series_filing, "recorded", happening_id)),
        filing.series_id.not_in(select(s.id).where(s.happening_id == happening_id)),
    )
    change = change.values(recorded=ended, ended_by=by).returning(filing.series_id)
    studies: set[UUID] = set()
    concerned = set(connection.execute(change).scalars())
    for series_id in sorted(concerned | f.file_again(connection, happening_id, by)):
        newest = (
            select(f.series_filing)
            .where(filing.series_id == series_id, func.upper_inf(filing.recorded))
            .order_by(filing.place.desc())
            .limit(1)
        )
        row = connection.execute(newest).one()
        own = select(s.happening_id).where(s.id == series_id).scalar_subquery()
        first = select(filing.happening_id).where(filing.id == row.place)
        filed_by = func.nullif(first.scalar_subquery(), own)
        values = {"filed_identity_id": row.identity_id, "held": row.held}
        values["filed_by"] = filed_by
        filed = update(t.series).where(s.id == series_id).values(**values)
        study_id = connection.execute(filed.returning(s.study_id)).scalar_one()
        if not row.held:
            show(connection, series_id)
        if row.held:
            held_id(connection, study_id)
            refuse(connection, "again", [str(series_id)], by)
        studies.add(study_id)
    return studies


def _rename_back(
    connection: Connection, closed: Sequence[Any], opened: Sequence[Any]
) -> set[UUID]:
    """Studies that it gave another UID have the one that they had."""
    was = {(m.uid_domain, m.received_uid): m.assigned_uid for m in opened}
    study = t.study.c
    found: set[UUID] = set()
    for row in closed:
        before = was.get((row.uid_domain, row.received_uid))
        if before is None and row.kind == "alias" and row.rule == LateRule.MAPPED:
            before = row.received_uid  # made here: nobody was mapped to it
        if row.level != "study" or before is None or before == row.assigned_uid:
            continue
        change = update(t.study).where(
            study.uid_domain == row.uid_domain,
            study.study_instance_uid == row.assigned_uid,
        )
        change = change.values(study_instance_uid=before).returning(study.id)
        found |= set(connection.execute(change).scalars())
    return found


@dataclass(frozen=True, slots=True)
class Taken:
    """Instances that are given out as they came; `series`: those with no others."""

    series: frozenset[UUID]
    studies: frozenset[UUID]
    receipts: tuple[UUID, ...]
    received_uids: frozenset[str]


def as_they_came(connection: Connection, happening_id: UUID) -> Taken:
    """Let the instances that a happening stored be given out as they were received."""
    i, s, e = t.instance.c, t.series.c, h.coercion_event.c
    connection.execute(_AS_GIVEN_UNTIL_NOW, {"happening": happening_id})
    change = update(t.instance).where(i.happening_id == happening_id)
    change = change.values(assignment_id=None, coerced_at=None, as_received=True)
    rows = connection.execute(change.returning(i.series_id, i.receipt_id)).all()
    ids = {row.series_id for row in rows if row.series_id is not None}
    others = select(i.series_id).where(i.series_id.in_(ids), i.as_received.is_(False))
    alone = ids - set(connection.execute(others).scalars())
    connection.execute(delete(f.series_form).where(f.series_form.c.series_id.in_(alone)))
    studies = connection.execute(select(s.study_id).where(s.id.in_(ids))).scalars()
    uids = select(e.received_study_instance_uid).where(e.happening_id == happening_id)
    named = {uid for uid in connection.execute(uids.distinct()).scalars() if uid}
    receipts = tuple(sorted(row.receipt_id for row in rows))
    return Taken(frozenset(alone), frozenset(studies), receipts, frozenset(named))


# How they were given out stays known, as that of a version whose place another takes.
_AS_GIVEN_UNTIL_NOW = text("""
INSERT INTO later_assignment (
    id, receipt_id, event_id, assignment_id, coerced_at, recorded, happening_id)
SELECT gen_random_uuid(), i.receipt_id, e.id, i.assignment_id, i.coerced_at,
    tstzrange(least(i.stored_at, clock_timestamp()), clock_timestamp()), i.happening_id
FROM instance i JOIN LATERAL (
    SELECT id FROM coercion_event
    WHERE instance_id = i.id AND happening_id = i.happening_id ORDER BY position LIMIT 1
) e ON true
WHERE i.happening_id = :happening AND i.assignment_id IS NOT NULL
""")


def by_facts_again(connection: Connection, series_id: UUID) -> list[int]:
    """Let the instances of a series follow what is decided of it; their revisions."""
    i = t.instance.c
    change = update(t.instance).where(i.series_id == series_id)
    change = change.values(as_received=False).returning(i.stored_revision)
    return sorted(set(connection.execute(change).scalars()))


def refuse(
    connection: Connection, rule: str, subjects: Collection[str], happening_id: UUID
) -> None:
    """Let a rule not act on these again."""
    for subject in sorted(subjects):
        row = {"id": uuid7(), "rule": rule, "subject": subject}
        connection.execute(upsert(t.refusal).values(**row, happening_id=happening_id))


def touched(connection: Connection, studies: Collection[UUID]) -> None:
    """Whatever is decided for these studies is decided anew."""
    for study_id in sorted(studies):
        evidence.raise_study(connection, study_id)
