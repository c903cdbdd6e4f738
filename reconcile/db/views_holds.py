"""What waits for a person, and the inbox of HL7 messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    func,
    not_,
    or_,
    select,
    true,
)

from reconcile.db import tables as t
from reconcile.db.views import NESTED_MAX, Page, Where, decode_cursor, page, uuid_of
from reconcile.errors import NotFound

_hold, _message = t.hold.c, t.message.c


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold, a review or a held message, as the outer face tells it.

    `sop_instance_uids` are the first of `instances`, where it is one of a list.
    """

    id: UUID
    kind: str
    code: str
    state: str
    version: int
    opened_at: datetime
    closed_at: datetime | None
    closed_by: str | None
    study_instance_uid: str | None
    sop_instance_uids: tuple[str, ...]
    instances: int
    message_id: UUID | None
    source: str
    received: Mapping[str, Any]
    candidates: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Grace:
    """Patients whom only images have told of, and who are expected to be known soon.

    Attributes:
        domains: whose identifiers are temporary.
        since: what was opened later is not listed yet.
    """

    domains: Sequence[str]
    since: datetime


@dataclass(frozen=True, slots=True)
class Message:
    """An HL7 message: what was answered, and what it did.

    Attributes:
        said_at: when what it tells happened, as its sender says.
        waits_for: the message that has to be settled first.
    """

    id: UUID
    received_at: datetime
    settled_at: datetime | None
    sender: str
    control_id: str
    event: str
    state: str
    acknowledgement: str | None
    error: Mapping[str, Any] | None
    effects: Sequence[str]
    happening: UUID | None
    said_at: datetime | None = None
    waits_for: UUID | None = None


@dataclass(frozen=True, slots=True)
class WholeMessage(Message):
    """An HL7 message with its open items.

    Attributes:
        text: as it came, as far as it is text.
        holds: ids of the items that it is open under.
    """

    text: str = ""
    holds: Sequence[UUID] = ()


# -- Holds --------------------------------------------------------------------------


def holds(
    connection: Connection,
    where: Where,
    *,
    kind: str = "",
    code: str = "",
    state: str = "",
    source: str = "",
    grace: Grace | None = None,
) -> Page[Hold]:
    """A page of items, the oldest first."""
    query = _holds()
    filters = ((_hold.kind, kind), (_hold.code, code), (_hold.state, state))
    for column, wanted in (*filters, (_hold.source, source)):
        if wanted:
            query = query.where(column == wanted)
    if grace and grace.domains:
        query = query.where(not_(is_expected(grace)))
    if where.cursor:
        query = query.where(_hold.id > decode_cursor(where.cursor, UUID))
    query = query.order_by(_hold.id).limit(where.limit + 1)
    rows, following = page(connection.execute(query).all(), where.limit, "id")
    return Page(_items(connection, rows, NESTED_MAX), following)


def is_expected(grace: Grace) -> ColumnElement[bool]:
    """Whether an item is about somebody of whom a feed will speak soon."""
    temporary = (
        _hold.subject.endswith(f"^^^{name}", autoescape=True) for name in grace.domains
    )
    return and_(
        _hold.code == "PROVISIONAL",
        _hold.state == "open",
        _hold.opened_at > grace.since,
        or_(*temporary),
    )


def hold(connection: Connection, hold_id: str) -> Hold:
    """One item, with all its instances.

    Raises:
        NotFound: there is none of this id.
    """
    wanted = uuid_of(hold_id)
    row = connection.execute(_holds().where(_hold.id == wanted)).first() if wanted else None
    if row is None:
        raise NotFound("there is no hold of this id")
    return _items(connection, [row], None)[0]


def holds_of_study(connection: Connection, study_id: UUID) -> tuple[Hold, ...]:
    """What is open for a study."""
    query = _holds().where(_hold.study_id == study_id, _hold.state == "open")
    rows = connection.execute(query.order_by(_hold.id)).all()
    return _items(connection, rows, NESTED_MAX)


def _holds() -> Select[Any]:
    return select(t.hold, t.study.c.study_instance_uid).outerjoin(
        t.study, t.study.c.id == _hold.study_id
    )


def _items(
    connection: Connection, rows: Sequence[Row[Any]], most: int | None
) -> tuple[Hold, ...]:
    """Items as they are told, with the first `most` of their instances each."""
    ids = [row.id for row in rows]
    uids, counts = _instances(connection, ids, most), _counts(connection, ids)
    return tuple(
        Hold(
            row.id,
            row.kind,
            row.code,
            row.state,
            row.version,
            row.opened_at,
            row.closed_at,
            row.closed_by,
            row.study_instance_uid,
            tuple(dict.fromkeys(uids.get(row.id, ()))),
            counts.get(row.id, 0),
            row.message_id,
            row.source,
            row.received,
            row.candidates,
        )
        for row in rows
    )


def _instances(
    connection: Connection, ids: Sequence[UUID], most: int | None
) -> dict[UUID, list[str]]:
    held, receipt = t.hold_instance.c, t.receipt.c
    first = (
        select(receipt.sop_instance_uid)
        .join(t.hold_instance, held.receipt_id == receipt.id)
        .where(held.hold_id == _hold.id)
        .order_by(held.receipt_id)
        .limit(most)
        .correlate(t.hold)
        .lateral("first")
    )
    query = select(_hold.id, first.c.sop_instance_uid).join(first, true())
    found: dict[UUID, list[str]] = {}
    for row in connection.execute(query.where(_hold.id.in_(ids))):
        found.setdefault(row.id, []).append(row.sop_instance_uid)
    return found


def _counts(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, int]:
    held = t.hold_instance.c
    query = select(held.hold_id, func.count()).where(held.hold_id.in_(ids))
    return {row[0]: row[1] for row in connection.execute(query.group_by(held.hold_id))}


# -- Messages -----------------------------------------------------------------------


def messages(
    connection: Connection,
    where: Where,
    *,
    state: str = "",
    sender: str = "",
    control_id: str = "",
    event: str = "",
) -> Page[Message]:
    """A page of the inbox, the newest first; without what the messages say."""
    columns = [column for column in _message if column.name not in ("body", "digest")]
    query = select(*columns)
    wanted = {"state": state, "sender": sender, "control_id": control_id, "event": event}
    for name, value in wanted.items():
        if value:
            query = query.where(_message[name] == value)
    if where.cursor:
        query = query.where(_message.id < decode_cursor(where.cursor, UUID))
    query = query.order_by(_message.id.desc()).limit(where.limit + 1)
    rows, following = page(connection.execute(query).all(), where.limit, "id")
    return Page(tuple(_told(row) for row in rows), following)


def messages_of(connection: Connection, ids: Sequence[UUID]) -> tuple[Message, ...]:
    """Messages by their ids; without what they say."""
    columns = [column for column in _message if column.name not in ("body", "digest")]
    query = select(*columns).where(_message.id.in_(ids)).order_by(_message.id)
    return tuple(_told(row) for row in connection.execute(query))


def message(connection: Connection, message_id: str) -> WholeMessage:
    """One message, with what it says: patient data.

    Raises:
        NotFound: there is none of this id.
    """
    wanted = uuid_of(message_id)
    query = select(t.message).where(_message.id == wanted)
    row = connection.execute(query).first() if wanted else None
    if row is None:
        raise NotFound("there is no message of this id")
    told = _told(row)
    open_ones = select(_hold.id).where(_hold.message_id == row.id, _hold.state == "open")
    items = connection.execute(open_ones.order_by(_hold.id)).scalars()
    values = {each.name: getattr(told, each.name) for each in fields(told)}
    return WholeMessage(**values, text=_text(row.body), holds=tuple(items))


def _text(body: bytes) -> str:
    """For eyes only: UTF-8, else a character for each byte; one segment a line."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = body.decode("latin-1")
    return text.replace("\r", "\n")


def _told(row: Row[Any]) -> Message:
    return Message(
        row.id,
        row.received_at,
        row.settled_at,
        row.sender,
        row.control_id,
        row.event,
        row.state,
        row.acknowledgement,
        row.error,
        row.effects,
        row.happening_id,
        row.said_at,
        row.waits_for,
    )
