"""What people and other systems are to be told: written with what it tells of.

A row commits with the change that it tells of, and is sent afterwards, as often as it
takes: nothing is told that did not happen, and nothing that happened goes untold. Who
tells takes rows for a while; if it dies, they are due again when that while is over.
What is found to be told is in `telling`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Column,
    Connection,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.dialects.postgresql import insert as upsert

from reconcile.db.ids import uuid7
from reconcile.db.prepared import Prepared
from reconcile.db.tables import at, identifier, key, metadata, refers
from reconcile.errors import NotFound

notification = Table(
    "notification",
    metadata,
    identifier(),
    # "hold", "message", "review", "study-received", "study-changed"; a [[destination]] is
    # told of "availability" (RAD-49), and of a "commitment" that it has asked for.
    key("kind"),
    # Name of the [[notify]], or AE title of the [[destination]], that it goes to.
    key("target"),
    refers("hold_id", "hold", null=True),
    refers("study_id", "study", null=True),
    refers("happening_id", "happening", null=True),
    # What is told besides what the rows say then: numbers and codes, no patient data.
    Column("body", JSONB, nullable=False),
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    at("created_at"),
    at("next_at"),
    at("settled_at", null=True),
    Column("error", Text, nullable=False, server_default=""),
    # Dropped: over before it was told, or there is nobody any more who wants to know.
    CheckConstraint("state IN ('waiting', 'sent', 'given-up', 'dropped')", name="state"),
    # Once each: a job that runs twice tells nobody twice.
    key("about"),
    UniqueConstraint("target", "kind", "about"),
    Index("ix_notification_next_at", "next_at", postgresql_where=text("state = 'waiting'")),
    Index(
        "ix_notification_given_up", "target", postgresql_where=text("state = 'given-up'")
    ),
)


@dataclass(frozen=True, slots=True)
class New:
    """Something that one target is to be told, once: `about` tells it from all others.

    `next_at` None: at once.
    """

    target: str
    kind: str
    about: str
    hold_id: UUID | None = None
    study_id: UUID | None = None
    happening_id: UUID | None = None
    body: Mapping[str, Any] = field(default_factory=dict)
    next_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be told now, with what the rows that it is about say now.

    `attempts` counts this one; `item_state`, `code` and `opened_at` are of an item.
    """

    id: UUID
    kind: str
    about: str
    attempts: int
    hold_id: UUID | None
    study_id: UUID | None
    happening_id: UUID | None
    body: Mapping[str, Any]
    code: str | None
    item_state: str | None
    opened_at: datetime | None
    study_instance_uid: str | None
    error: str


def queue(connection: Connection, news: Iterable[New], now: datetime) -> int:
    """Write down what is to be told; how many of it had not been written before."""
    rows = [
        {
            "id": uuid7(),
            "kind": each.kind,
            "target": each.target,
            "about": each.about,
            "hold_id": each.hold_id,
            "study_id": each.study_id,
            "happening_id": each.happening_id,
            "body": dict(each.body),
            "created_at": now,
            "next_at": each.next_at or now,
        }
        for each in news
    ]
    if not rows:
        return 0
    made = upsert(notification).values(rows).on_conflict_do_nothing()
    return len(connection.execute(made.returning(notification.c.id)).all())


def claim(
    connection: Connection, target: str, now: datetime, until: datetime, most: int
) -> list[Due]:
    """Take what is due for a target, the oldest first; nobody else has it until `until`."""
    rows = _CLAIM(connection, target=target, now=now, until=until, most=most)
    return sorted((Due(*row) for row in rows), key=lambda each: each.id)


# Of what it is about, the rows are asked by key when it is told.
_CLAIM = Prepared(
    lambda: text("""
WITH due AS MATERIALIZED (
    SELECT id FROM notification
    WHERE state = 'waiting' AND next_at <= :now AND target = :target
    ORDER BY next_at LIMIT :most FOR UPDATE SKIP LOCKED
)
UPDATE notification n SET next_at = :until, attempts = attempts + 1
FROM due WHERE n.id = due.id
RETURNING n.id, n.kind, n.about, n.attempts, n.hold_id, n.study_id, n.happening_id, n.body,
    (SELECT code FROM hold h WHERE h.id = n.hold_id) AS code,
    (SELECT h.state FROM hold h WHERE h.id = n.hold_id) AS item_state,
    (SELECT opened_at FROM hold h WHERE h.id = n.hold_id) AS opened_at,
    (SELECT study_instance_uid FROM study s WHERE s.id = coalesce(
        n.study_id, (SELECT h.study_id FROM hold h WHERE h.id = n.hold_id)))
        AS study_instance_uid,
    n.error
""").bindparams(
        *(bindparam(name, type_=at(name).type) for name in ("now", "until")),
        bindparam("target", type_=Text()),
        bindparam("most", type_=Integer()),
    )
)


def settle(
    connection: Connection,
    notification_id: UUID,
    state: str,
    now: datetime,
    error: str = "",
) -> None:
    """It was told, or never will be."""
    change = update(notification).where(notification.c.id == notification_id)
    connection.execute(change.values(state=state, settled_at=now, error=error))


def postpone(
    connection: Connection, notification_id: UUID, next_at: datetime, error: str
) -> None:
    """It was not told, for this reason; it is due again at a later time."""
    change = update(notification).where(notification.c.id == notification_id)
    connection.execute(change.values(next_at=next_at, error=error))


def give_back(connection: Connection, due: Sequence[Due], now: datetime) -> None:
    """It was taken, and nobody tried to tell it: due as before."""
    n = notification.c
    change = update(notification).where(n.id.in_([each.id for each in due]))
    connection.execute(change.values(next_at=now, attempts=n.attempts - 1))


def drop_all_but(connection: Connection, targets: Collection[str], now: datetime) -> int:
    """Nobody wants to know any more what waits for others than these.

    Who has asked for a commitment can still be told of it, once it has an address.
    """
    return len(_DROP(connection, targets=list(targets), now=now))


_DROP = Prepared(
    lambda: text("""
UPDATE notification
SET state = CASE kind WHEN 'commitment' THEN 'given-up' ELSE 'dropped' END,
    settled_at = :now,
    error = 'its target is not in the configuration any more'
WHERE state = 'waiting' AND next_at < 'infinity' AND target <> ALL (:targets)
RETURNING id
""").bindparams(
        bindparam("now", type_=at("now").type), bindparam("targets", type_=ARRAY(Text()))
    )
)


def again(connection: Connection, now: datetime, notification_id: UUID | None) -> int:
    """Try once more, from the start, what was given up or waits; how many that is.

    Args:
        connection: of the writer.
        now: when it is due.
        notification_id: which one; None: all that were given up.

    Raises:
        NotFound: there is none of this id.
    """
    n = notification.c
    if notification_id is None:
        chosen = n.state == "given-up"
    else:
        query = select(n.id).where(n.id == notification_id)
        if connection.execute(query.with_for_update()).first() is None:
            raise NotFound("there is no notification of this id")
        chosen = (n.id == notification_id) & n.state.in_(("waiting", "given-up"))
    change = update(notification).where(chosen)
    change = change.values(
        state="waiting", attempts=0, next_at=now, settled_at=None, error=""
    )
    return len(connection.execute(change.returning(n.id)).all())
