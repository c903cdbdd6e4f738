"""Orders, requested procedures and scheduled steps: looked up for a decision, kept."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    case,
    func,
    literal_column,
    select,
    text,
    tuple_,
    union,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from reconcile.core.facts import OrderFacts, ProcedureFacts
from reconcile.core.order import Code, OrderState, OrderUpdate, RequestedProcedure
from reconcile.core.performed import ORDER_AFTER, StepState
from reconcile.db import tables as t
from reconcile.db.ids import uuid7
from reconcile.db.prepared import Prepared, is_in, pairs
from reconcile.db.views import uuid_of

CLOSED = (OrderState.CANCELLED.value, OrderState.DISCONTINUED.value)

_o, _p, _s = t.imaging_order.c, t.requested_procedure.c, t.scheduled_procedure_step.c

#: To be said wherever orders are looked for by accession number: the index leaves out
#: those that have none, so only who says it is served by it.
HAS_ACCESSION = _o.accession_number != literal_column("''")


def find(
    connection: Connection,
    *,
    study_uids: Iterable[str] = (),
    linked: Iterable[UUID] = (),
    accessions: Iterable[tuple[str, str]] = (),
    bare_accessions: Iterable[str] = (),
) -> tuple[OrderFacts, ...]:
    """Orders that a header names: by Study UID, by accession with issuer, or without.

    An order that is found in more than one way is told by the strongest. Its person is
    the one who owns, today, the identity under which it was ordered.
    """
    issued = [a for a in accessions if a[0]]
    rows = _FIND(
        connection,
        uids=[u for u in study_uids if u],
        numbers=[number for number, _ in issued],
        issuers=[issuer for _, issuer in issued],
        links=list(linked),
        bare=[a for a in bare_accessions if a],
    )
    rows.sort(key=lambda row: row.way)  # stable: of one way in the order of their ids
    procedures = _procedures(connection, [row.id for row in rows]) if rows else {}
    return tuple(_facts(row, procedures.get(row.id, ())) for row in rows)


#: How an order was found, the strongest way first.
WAYS = ("study-uid", "accession", "study-link", "bare-accession")


def _find() -> Select[Any]:
    issued = pairs("numbers", "issuers").c
    named = select(_p.order_id).where(
        is_in(_p.study_instance_uid, "uids"), _p.removed.is_(False)
    )
    accession = tuple_(_o.accession_number, _o.accession_issuer)
    ways = (
        _o.id.in_(named),
        and_(HAS_ACCESSION, accession.in_(select(issued.numbers, issued.issuers))),
        is_in(_o.id, "links"),
        and_(HAS_ACCESSION, is_in(_o.accession_number, "bare")),
    )
    way = case(*((condition, number) for number, condition in enumerate(ways)))
    # By key first: a list of alternatives is no search condition for an index.
    wanted = union(*(select(_o.id).where(condition) for condition in ways))
    found: Select[Any] = _query().add_columns(way.label("way"))
    return found.where(_o.id.in_(wanted))


_FIND = Prepared(_find)


def _query() -> Any:
    live = func.upper_inf(t.identity_link.c.recorded)
    link = and_(t.identity_link.c.identity_id == _o.identity_id, live)
    return (
        select(t.imaging_order, t.person.c.canonical_id)
        .join(t.identity_link, link)
        .join(t.person, t.person.c.id == t.identity_link.c.person_id)
        .order_by(_o.id)
        .with_for_update(of=t.imaging_order, read=True)
    )


def _has_study_uid(uids: list[str]) -> ColumnElement[bool]:
    wanted = (_p.study_instance_uid.in_(uids), _p.removed.is_(False))
    return _o.id.in_(select(_p.order_id).where(*wanted))


def _facts(row: Any, procedures: tuple[ProcedureFacts, ...]) -> OrderFacts:
    return OrderFacts(
        str(row.id),
        row.accession_number,
        row.accession_issuer,
        str(row.canonical_id),
        WAYS[row.way],
        row.referring_physician,
        procedures,
        row.state in CLOSED,
    )


def _procedures(
    connection: Connection, order_ids: list[UUID]
) -> dict[UUID, tuple[ProcedureFacts, ...]]:
    """Of some orders, in the order of their ids in each."""
    found: dict[UUID, tuple[ProcedureFacts, ...]] = {}
    for row in _PROCEDURES(connection, orders=order_ids):
        one = ProcedureFacts(
            str(row.id),
            row.rp_id,
            row.study_instance_uid,
            row.description,
            Code(**row.code) if row.code else None,
            tuple(row.sps_ids or ()),
            row.bound_to or "",
        )
        found[row.order_id] = (*found.get(row.order_id, ()), one)
    return found


def _procedures_of() -> Select[Any]:
    bound = (
        select(func.min(t.uid_map.c.received_uid))
        .where(
            t.uid_map.c.assigned_uid == _p.study_instance_uid,
            t.uid_map.c.level == "study",
            t.uid_map.c.kind == "map",
            _p.study_instance_uid != "",
            func.upper_inf(t.uid_map.c.valid),
        )
        .scalar_subquery()
    )
    alias = (
        select(func.min(t.uid_map.c.assigned_uid))
        .where(
            t.uid_map.c.received_uid == _p.study_instance_uid,
            t.uid_map.c.level == "study",
            t.uid_map.c.kind == "alias",
            _p.study_instance_uid != "",
            func.upper_inf(t.uid_map.c.valid),
        )
        .scalar_subquery()
    )
    taken = func.coalesce(bound, alias).label("bound_to")
    steps = (
        select(func.array_agg(_s.sps_id))
        .where(_s.procedure_id == _p.id, _s.removed.is_(False))
        .scalar_subquery()
    )
    query = select(t.requested_procedure, taken, steps.label("sps_ids"))
    return query.where(is_in(_p.order_id, "orders"), _p.removed.is_(False)).order_by(
        _p.rp_id
    )


_PROCEDURES = Prepared(_procedures_of)


def current(connection: Connection, number: str, issuer: str) -> Row[Any] | None:
    """The order of an accession, locked for change, with its person."""
    query = _query().with_for_update(of=t.imaging_order)
    query = query.where(HAS_ACCESSION, _o.accession_number == number)
    query = query.where(_o.accession_issuer == issuer)
    row: Row[Any] | None = connection.execute(query).first() if number else None
    return row


def current_by_study_uid(connection: Connection, uids: list[str]) -> Row[Any] | None:
    """The order whose procedure has one of these Study UIDs, locked for change."""
    query = _query().with_for_update(of=t.imaging_order).where(_has_study_uid(uids))
    row: Row[Any] | None = connection.execute(query).first()
    return row


def named(connection: Connection, said: str) -> list[UUID]:
    """Orders of an id, or of an accession number whoever issued it."""
    by_id = uuid_of(said)
    condition = (
        _o.id == by_id if by_id else and_(HAS_ACCESSION, _o.accession_number == said)
    )
    return list(connection.execute(select(_o.id).where(condition).limit(2)).scalars())


def only_procedure(connection: Connection, order_id: UUID) -> UUID | None:
    """The requested procedure of an order, if it has just one."""
    query = select(_p.id).where(_p.order_id == order_id, _p.removed.is_(False)).limit(2)
    found = list(connection.execute(query).scalars())
    return found[0] if len(found) == 1 else None


def current_by_number(
    connection: Connection, *, placer: str, filler: str, source: str
) -> Row[Any] | None:
    """The order that a sender has told by one of these numbers, locked for change.

    The filler's number goes first: a placer may number a group of orders alike. Where
    it does, and nothing else is said, none is found.
    """
    for column, number in (
        (_o.filler_order_number, filler),
        (_o.placer_order_number, placer),
    ):
        found = _numbered(connection, column, number, source) if number else []
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _numbered(
    connection: Connection, column: ColumnElement[str | None], number: str, source: str
) -> list[Row[Any]]:
    query = _query().with_for_update(of=t.imaging_order)
    rows = connection.execute(query.where(column == number, _o.source == source).limit(2))
    return list(rows)


def identity_of(connection: Connection, order_id: UUID) -> UUID:
    """The identity under which an order was made."""
    query = select(_o.identity_id).where(_o.id == order_id)
    return UUID(str(connection.execute(query).scalar_one()))


def move_on(connection: Connection, order_id: UUID, step: StepState) -> None:
    """Let an order be where a step that was begun or discontinued leads it."""
    query = select(_o.state).where(_o.id == order_id).with_for_update()
    before = OrderState(connection.execute(query).scalar_one())
    after = ORDER_AFTER.get((step, before))
    if after is not None:
        change_state(connection, order_id, after)


def keep(
    connection: Connection,
    order: OrderUpdate,
    *,
    issuer: str,
    state: OrderState,
    identity_id: UUID,
    source: str,
    said_at: datetime,
    happening_id: UUID,
) -> UUID:
    """Insert or change an order by its accession and issuer; its id."""
    said = {
        "state": state.value,
        "referring_physician": order.referring_physician,
        "placer_order_number": order.placer_order_number or None,
        "filler_order_number": order.filler_order_number or None,
        "visit_number": order.visit_number or None,
        "account_number": order.account_number or None,
        "source": source,
        "said_at": said_at,
    }
    kept = {field: value for field, value in said.items() if value}
    made = upsert(t.imaging_order).values(
        id=uuid7(),
        accession_number=order.accession_number,
        accession_issuer=issuer,
        identity_id=identity_id,
        happening_id=happening_id,
        **said,
    )
    made = made.on_conflict_do_update(
        index_elements=["accession_number", "accession_issuer"],
        index_where=text("accession_number <> ''"),
        set_={**kept, "version": _o.version + 1},
    )
    order_id: UUID = connection.execute(made.returning(_o.id)).scalar_one()
    for procedure in order.procedures:
        _keep_procedure(connection, procedure, order_id, happening_id)
    return order_id


def change_state(connection: Connection, order_id: UUID, state: OrderState) -> None:
    """An order is cancelled, started, completed; what was acquired stays."""
    change = update(t.imaging_order).where(_o.id == order_id)
    connection.execute(change.values(state=state.value, version=_o.version + 1))


def _keep_procedure(
    connection: Connection,
    procedure: RequestedProcedure,
    order_id: UUID,
    happening_id: UUID,
) -> None:
    code = procedure.code
    said = {
        "study_instance_uid": procedure.study_instance_uid,
        "description": procedure.description,
        "code": {
            "value": code.value,
            "designator": code.designator,
            "meaning": code.meaning,
        }
        if code
        else None,
    }
    kept = {field: value for field, value in said.items() if value} | {"removed": False}
    made = upsert(t.requested_procedure).values(
        id=uuid7(),
        order_id=order_id,
        rp_id=procedure.rp_id,
        happening_id=happening_id,
        **said,
    )
    made = made.on_conflict_do_update(index_elements=["order_id", "rp_id"], set_=kept)
    procedure_id = connection.execute(made.returning(_p.id)).scalar_one()
    for step in procedure.steps:
        row = {
            "modality": step.modality,
            "station_ae_titles": list(step.station_ae_titles),
            "start": step.start,
            "description": step.description,
            "removed": False,
        }
        one = upsert(t.scheduled_procedure_step).values(
            id=uuid7(),
            procedure_id=procedure_id,
            sps_id=step.sps_id,
            happening_id=happening_id,
            **row,
        )
        one = one.on_conflict_do_update(index_elements=["procedure_id", "sps_id"], set_=row)
        connection.execute(one)
