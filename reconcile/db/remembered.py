"""What a person decided of a held study, for what comes later with the same header."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Column,
    Connection,
    Index,
    LargeBinary,
    Select,
    Table,
    and_,
    bindparam,
    func,
    insert,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ExcludeConstraint

from reconcile.core.facts import Remembered
from reconcile.db import tables as t
from reconcile.db.ids import uuid7
from reconcile.db.prepared import Prepared
from reconcile.db.tables import (
    at,
    ended,
    happened,
    identifier,
    key,
    metadata,
    recorded,
    refers,
)

resolution = Table(
    "resolution",
    metadata,
    identifier(),
    refers("study_id", "study"),
    key("source"),
    # SHA-256 of what the header says of the patient and the order.
    Column("header", LargeBinary, nullable=False),
    refers("identity_id", "identity"),
    recorded(),
    # Nothing is decided by it any more from then on; NULL: for ever.
    at("expires_at", null=True),
    happened(),
    ended(),
    # One word of a person holds at a time.
    ExcludeConstraint(
        ("study_id", "="),
        ("source", "="),
        ("header", "="),
        ("recorded", "&&"),
        using="gist",
        name="ex_resolution_header",
    ),
    Index("ix_resolution_study", "study_id", "source", "header"),
    Index("ix_resolution_happening_id", "happening_id"),
)


def find(
    connection: Connection, study_id: UUID, source: str, header: bytes
) -> Remembered | None:
    """What was decided of a header in a study, if that still holds."""
    row = _FIND.first(connection, study_id=study_id, source=source, header=header)
    return Remembered(str(row.canonical_id), str(row.identity_id)) if row else None


def _find() -> Select[Any]:
    r, link = resolution.c, t.identity_link.c
    return (
        select(r.identity_id, t.person.c.canonical_id)
        .join(
            t.identity_link,
            and_(link.identity_id == r.identity_id, func.upper_inf(link.recorded)),
        )
        .join(t.person, t.person.c.id == link.person_id)
        .where(
            r.study_id == bindparam("study_id"),
            r.source == bindparam("source"),
            r.header == bindparam("header"),
            func.upper_inf(r.recorded),
            or_(r.expires_at.is_(None), r.expires_at > func.clock_timestamp()),
        )
    )


_FIND = Prepared(_find)


def remember(
    connection: Connection,
    *,
    study_id: UUID,
    source: str,
    header: bytes,
    identity_id: UUID,
    happening_id: UUID,
    expires_at: datetime | None = None,
) -> None:
    """Let what comes with this header in this study be whose a person said it is."""
    r = resolution.c
    same = (r.study_id == study_id) & (r.source == source) & (r.header == header)
    ended = resolution.update().where(same, func.upper_inf(r.recorded))
    now = func.tstzrange(func.lower(r.recorded), func.clock_timestamp())
    connection.execute(ended.values(recorded=now, ended_by=happening_id))
    connection.execute(
        insert(resolution).values(
            id=uuid7(),
            study_id=study_id,
            source=source,
            header=header,
            identity_id=identity_id,
            expires_at=expires_at,
            happening_id=happening_id,
        )
    )
