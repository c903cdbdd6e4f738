"""The read side, what its modules share: pages, cursors, and one rendering of rows.

Views return frozen rows whose field names are those of the outer face, so that the API,
the pages and the command line show the same. They ask on a reader's connection, and
nothing is ever decided from what they answer.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Row,
    Select,
    and_,
    any_,
    func,
    literal,
    select,
)

from reconcile.db import tables as t
from reconcile.errors import WrongUse

T = TypeVar("T")

#: Rows of one page, at most: it is answered whole, from memory.
LIMIT_MAX = 1000
#: Values of one list inside a row of a page; a single row is shown whole.
NESTED_MAX = 100


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows in order, and where to go on; `next` is None at the end."""

    items: tuple[T, ...]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Where:
    """Which page: how many rows, after which one."""

    limit: int = 100
    cursor: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= LIMIT_MAX:
            raise WrongUse(f"limit is from 1 to {LIMIT_MAX}")


def encode_cursor(key: object) -> str:
    """An opaque place in a list: after the row with this key."""
    return base64.urlsafe_b64encode(str(key).encode("ascii")).decode("ascii").rstrip("=")


def decode_cursor(cursor: str, read: Callable[[str], T]) -> T:
    """The key in a cursor.

    Raises:
        WrongUse: this archive has not made it.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return read(base64.urlsafe_b64decode(padded.encode("ascii")).decode("ascii"))
    except (ValueError, binascii.Error) as error:
        raise WrongUse("the cursor is none of this archive") from error


def page(
    rows: Sequence[Row[Any]], limit: int, key: str
) -> tuple[Sequence[Row[Any]], str | None]:
    """The rows of a page, of one row more than it holds, and the cursor of the next."""
    shown = rows[:limit]
    more = len(rows) > limit
    return shown, encode_cursor(getattr(shown[-1], key)) if more else None


def plain(value: Any) -> Any:
    """A row as JSON can say it: ids and times as text, rows as objects."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(held) for name, held in value.items()}
    if isinstance(value, list | tuple | frozenset | set):
        return [plain(held) for held in value]
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    return str(value) if isinstance(value, UUID) else value


def uuid_of(said: str) -> UUID | None:
    """A row's id; None where it is not one, and so nobody's."""
    try:
        return UUID(said)
    except ValueError:
        return None


def one(connection: Connection, query: Select[Any]) -> Row[Any] | None:
    """The first row of a query."""
    row: Row[Any] | None = connection.execute(query.limit(1)).first()
    return row


# -- By UID, of whatever UID domain -------------------------------------------------


def in_any_domain(uid_domain: ColumnElement[str]) -> ColumnElement[bool]:
    """Every UID domain: so that a look-up by UID alone can use the unique index."""
    domains = select(literal("")).union_all(select(t.domain.c.name)).subquery()
    return uid_domain == any_(func.array(select(domains).scalar_subquery()))


def instances_named(sop_instance_uid: str) -> Select[Any]:
    """Ids of the instances with this SOP Instance UID: one in each UID domain."""
    i = t.instance.c
    return select(i.id).where(
        i.sop_instance_uid == sop_instance_uid, in_any_domain(i.uid_domain)
    )


def series_named(*uids: str) -> CompoundSelect[Any]:
    """Ids of the series that some received or assigned UIDs mean."""
    s = t.series.c
    named = _is_one(s.series_instance_uid, uids)
    assigned = select(s.id).where(named, in_any_domain(s.uid_domain))
    received = _is_one(s.received_series_instance_uid, uids)
    return assigned.union(select(s.id).where(received))


def studies_named(*uids: str, ever: bool = False) -> CompoundSelect[Any]:
    """Ids of the studies that some received, assigned or alias UIDs mean.

    Args:
        uids: Study Instance UIDs.
        ever: also those that it meant until a map was closed.
    """
    s, m = t.study.c, t.uid_map.c
    named = _is_one(s.study_instance_uid, uids)
    assigned = select(s.id).where(named, in_any_domain(s.uid_domain))
    mapped = (
        select(s.id)
        .join(
            t.uid_map,
            and_(m.assigned_uid == s.study_instance_uid, m.uid_domain == s.uid_domain),
        )
        .where(m.level == "study", _is_one(m.received_uid, uids))
    )
    live = mapped if ever else mapped.where(func.upper_inf(m.valid))
    return assigned.union(live)


def _is_one(uid: ColumnElement[str], uids: Sequence[str]) -> ColumnElement[bool]:
    return uid == uids[0] if len(uids) == 1 else uid.in_(uids)
