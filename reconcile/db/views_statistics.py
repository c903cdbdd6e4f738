"""How often something was coerced or held: counts, without anything of a patient.

What is counted is what was recorded between two times: a question costs as much as its
range of time holds, however long the history is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Date,
    Numeric,
    Text,
    case,
    cast,
    func,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY

from reconcile.db import history as h
from reconcile.db import tables as t
from reconcile.errors import WrongUse

_e, _g, _hold = h.coercion_event.c, h.happening.c, t.hold.c
_undoing = h.happening.alias("undoing")

#: What a person types at a modality that has no worklist.
TYPED = ("PatientName", "PatientBirthDate", "PatientSex")
#: Rows that are answered at most.
ROWS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Coerced:
    """Coercions that have something in common; what was not asked for is None.

    Attributes:
        week: its Monday, in UTC.
        studies, instances: in which anything was changed, each once.
        retyped: studies in which name, birth date or sex were not those of the patient.
        undone: events that were taken back since.
    """

    source: str | None
    rule: str | None
    cause: str | None
    week: str | None
    attribute: str | None
    events: int
    studies: int
    instances: int
    retyped: int
    undone: int


@dataclass(frozen=True, slots=True)
class Held:
    """Items that have something in common; what was not asked for is None.

    Attributes:
        age: of those that are open: "day", "week", "month" or "older"; how long they
            waited, of those that are closed.
        items: open and closed together.
        median_hours: that closed ones waited; None: none is closed.
    """

    kind: str | None
    code: str | None
    source: str | None
    age: str | None
    items: int
    open: int
    studies: int
    oldest: datetime | None
    median_hours: float | None


COERCED_BY: dict[str, ColumnElement[Any]] = {
    "source": _e.source,
    "rule": _g.rule,
    "cause": _g.cause,
    "week": cast(func.date_trunc("week", func.timezone("UTC", _e.recorded_at)), Date),
    "attribute": Column("attribute", Text),
}
HELD_BY = ("kind", "code", "source", "age")


def coerced(
    connection: Connection, by: Sequence[str], since: datetime, until: datetime
) -> tuple[Coerced, ...]:
    """Coercions between two times, by one or several of `COERCED_BY`.

    Raises:
        WrongUse: there is nothing to count by of this name.
    """
    keys = {name: COERCED_BY[name].label(name) for name in _known(by, COERCED_BY)}
    typed = _e.attributes.overlap(cast(list(TYPED), ARRAY(t.Key)))
    counts = (
        func.count(_e.id.distinct()).label("events"),
        func.count(_e.study_id.distinct()).label("studies"),
        func.count(_e.instance_id.distinct()).label("instances"),
        func.count(_e.study_id.distinct()).filter(typed).label("retyped"),
        func.count(_e.id.distinct()).filter(_undoing.c.id.is_not(None)).label("undone"),
    )
    query = (
        select(*keys.values(), *counts)
        .select_from(h.coercion_event)
        .join(h.happening, _g.id == _e.happening_id)
        .outerjoin(_undoing, _undoing.c.undoes == _e.happening_id)
        .where(_e.recorded_at >= since, _e.recorded_at < until)
    )
    if "attribute" in keys:
        each = func.unnest(_e.attributes).table_valued("attribute").render_derived()
        query = query.join(each, literal(True))
    query = query.group_by(*keys.values()).order_by(*keys.values()).limit(ROWS_MAX)
    nothing = dict.fromkeys(COERCED_BY)
    rows = [{**nothing, **row._mapping} for row in connection.execute(query)]
    return tuple(Coerced(**{**row, "week": _day(row["week"])}) for row in rows)


def held(
    connection: Connection,
    by: Sequence[str],
    now: datetime,
    since: datetime | None = None,
    until: datetime | None = None,
) -> tuple[Held, ...]:
    """Items by one or several of `HELD_BY`: those opened between two times, or all.

    Raises:
        WrongUse: there is nothing to count by of this name.
    """
    waited = func.coalesce(_hold.closed_at, now) - _hold.opened_at
    columns: dict[str, ColumnElement[Any]] = {
        "kind": _hold.kind,
        "code": _hold.code,
        "source": _hold.source,
    }
    columns["age"] = case(
        *((waited < limit, name) for name, limit in _AGES.items()), else_="older"
    )
    keys = {name: columns[name].label(name) for name in _known(by, columns)}
    is_open, is_closed = _hold.state == "open", _hold.closed_at.is_not(None)
    hours = func.extract("epoch", waited) / 3600
    middle = func.percentile_cont(0.5).within_group(hours).filter(is_closed)
    query = select(
        *keys.values(),
        func.count().label("items"),
        func.count().filter(is_open).label("open"),
        func.count(_hold.study_id.distinct()).label("studies"),
        func.min(_hold.opened_at).filter(is_open).label("oldest"),
        func.round(middle.cast(Numeric), 1).label("median_hours"),
    )
    if since is not None:
        query = query.where(_hold.opened_at >= since)
    if until is not None:
        query = query.where(_hold.opened_at < until)
    query = query.group_by(*keys.values()).order_by(*keys.values()).limit(ROWS_MAX)
    nothing = dict.fromkeys(HELD_BY)
    rows = [row._mapping for row in connection.execute(query)]
    return tuple(
        Held(**{**nothing, **row, "median_hours": _number(row["median_hours"])})
        for row in rows
    )


_AGES = {
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "month": timedelta(days=30),
}


def _day(found: Any) -> str | None:
    return None if found is None else str(found.isoformat())


def _number(found: Any) -> float | None:
    return None if found is None else float(found)


def _known(by: Sequence[str], known: Any) -> list[str]:
    wrong = [name for name in by if name not in known]
    if wrong or not by:
        raise WrongUse(f"by is one of {', '.join(known)}")
    return list(dict.fromkeys(by))
