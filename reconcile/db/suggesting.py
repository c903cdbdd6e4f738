"""What the hunt for duplicates reads and keeps; see `suggestions` for the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, case, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from reconcile.db import persons
from reconcile.db import tables as t
from reconcile.db.ids import uuid7
from reconcile.db.links import not_same
from reconcile.db.suggestions import duplicate_suggestion
from reconcile.db.views import Page, Where, decode_cursor, page, uuid_of
from reconcile.errors import NotFound

_row = duplicate_suggestion.c
_one, _other = t.person.alias("one"), t.person.alias("other")

Pair = tuple[UUID, UUID]


@dataclass(frozen=True, slots=True)
class Suspected:
    """Two persons who may be one; the lesser id first.

    Attributes:
        reasons: bits of evidence and what they are, in words.
    """

    pair: Pair
    bits: float
    reasons: Sequence[tuple[float, str]]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A pair of persons that may be one, as the outer face tells it."""

    id: UUID
    state: str
    bits: float
    reasons: Sequence[Mapping[str, Any]]
    patients: Sequence[Mapping[str, Any]]
    found_at: datetime
    settled_at: datetime | None
    settled_by: str | None


# -- For the hunt ---------------------------------------------------------------------


def verified(connection: Connection, after: UUID | None, limit: int) -> list[UUID]:
    """Surviving persons that a feed has spoken of, by id, from `after` on."""
    person = t.person.c
    query = select(person.id).where(
        person.state == "verified", person.canonical_id == person.id
    )
    if after is not None:
        query = query.where(person.id > after)
    return list(connection.execute(query.order_by(person.id).limit(limit)).scalars())


def told_apart(connection: Connection) -> frozenset[Pair]:
    """Surviving persons of whom somebody said that they are not one; lesser id first."""
    query = (
        select(_one.c.canonical_id, _other.c.canonical_id)
        .select_from(not_same)
        .join(_one, _one.c.id == not_same.c.one_id)
        .join(_other, _other.c.id == not_same.c.other_id)
        .where(func.upper_inf(not_same.c.recorded))
    )
    return frozenset((min(a, b), max(a, b)) for a, b in connection.execute(query))


def suggest(connection: Connection, found: Sequence[Suspected], at: datetime) -> None:
    """Keep suspected pairs; one that a person has settled stays as it is."""
    if not found:
        return
    rows = [
        {
            "id": uuid7(),
            "one_id": each.pair[0],
            "other_id": each.pair[1],
            "bits": each.bits,
            "reasons": [{"bits": bits, "reason": why} for bits, why in each.reasons],
            "found_at": at,
        }
        for each in found
    ]
    made = upsert(duplicate_suggestion).values(rows)
    made = made.on_conflict_do_update(
        index_elements=["one_id", "other_id"],
        set_={name: made.excluded[name] for name in ("bits", "reasons", "found_at")},
        where=_row.state == "open",
    )
    connection.execute(made)


def forget_before(connection: Connection, at: datetime) -> int:
    """Drop open pairs that the hunt that began at `at` did not find again."""
    gone = delete(duplicate_suggestion).where(_row.state == "open", _row.found_at < at)
    return connection.execute(gone).rowcount


# -- For people ------------------------------------------------------------------------


def suggestions(
    connection: Connection, where: Where, archive_domain: str, *, state: str = "open"
) -> Page[Suggestion]:
    """A page of pairs, in the order in which they were first found.

    Pairs of which one was merged since are left out.
    """
    query = (
        select(duplicate_suggestion)
        .join(_one, _one.c.id == _row.one_id)
        .join(_other, _other.c.id == _row.other_id)
        .where(_one.c.canonical_id == _one.c.id, _other.c.canonical_id == _other.c.id)
    )
    if state:
        query = query.where(_row.state == state)
    if where.cursor:
        query = query.where(_row.id > decode_cursor(where.cursor, UUID))
    query = query.order_by(_row.id).limit(where.limit + 1)
    rows, following = page(connection.execute(query).all(), where.limit, "id")
    wanted = {person for row in rows for person in (row.one_id, row.other_id)}
    known = persons.facts(connection, wanted, archive_domain)
    named = {
        person_id: {
            "patient": person_id,
            "identifiers": [str(each) for each in person.identifiers],
        }
        for person_id, person in known.items()
    }
    return Page(tuple(_suggestion(row, named) for row in rows), following)


def _suggestion(row: Any, named: Mapping[str, Mapping[str, Any]]) -> Suggestion:
    return Suggestion(
        row.id,
        row.state,
        row.bits,
        row.reasons,
        [named[str(row.one_id)], named[str(row.other_id)]],
        row.found_at,
        row.settled_at,
        row.settled_by,
    )


def dismiss(connection: Connection, suggestion_id: str, actor: str) -> None:
    """Settle a pair, so that no hunt brings it up again; again is no error.

    Raises:
        NotFound: there is none of this id.
    """
    wanted = uuid_of(suggestion_id)
    is_open = _row.state == "open"
    change = update(duplicate_suggestion).where(_row.id == wanted)
    change = change.values(
        state="settled",
        settled_at=case((is_open, func.clock_timestamp()), else_=_row.settled_at),
        settled_by=case((is_open, actor), else_=_row.settled_by),
    )
    if wanted is None or not connection.execute(change).rowcount:
        raise NotFound("there is no suggestion of this id")
