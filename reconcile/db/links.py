"""What was said of two persons or identities besides a merge: not the same, or linked."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Connection, Index, Table, insert, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint

from reconcile.core.identity import PatientIdentifier
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

# A person's word that two are not one: it blocks merges and suggestions until it is
# taken back. The lesser id first.
not_same = Table(
    "not_same",
    metadata,
    identifier(),
    refers("one_id", "person", index=True),
    refers("other_id", "person", index=True),
    key("actor"),
    recorded(),
    happened(),
    ended(),
    CheckConstraint("one_id < other_id", name="order"),
    ExcludeConstraint(
        ("one_id", "="),
        ("other_id", "="),
        ("recorded", "&&"),
        using="gist",
        name="ex_not_same_pair",
    ),
)

# A24: kept by name, since it may come before either patient does. It moves nothing.
identifier_link = Table(
    "identifier_link",
    metadata,
    identifier(),
    key("one_domain"),
    key("one_value"),
    key("other_domain"),
    key("other_value"),
    key("source"),
    at("said_at"),
    recorded(),
    happened(),
    ended(),
    CheckConstraint("(one_domain, one_value) < (other_domain, other_value)", name="order"),
    ExcludeConstraint(
        ("one_domain", "="),
        ("one_value", "="),
        ("other_domain", "="),
        ("other_value", "="),
        ("recorded", "&&"),
        using="gist",
        name="ex_identifier_link_pair",
    ),
    Index("ix_identifier_link_one", "one_domain", "one_value"),
    Index("ix_identifier_link_other", "other_domain", "other_value"),
)


# -- Links; the caller holds the lock on merges alone ---------------------------------


def live(connection: Connection, one: PatientIdentifier, other: PatientIdentifier) -> Any:
    """The link of two identifiers (id, source, said_at); None: they are not linked."""
    return _LIVE.first(connection, **_sides(one, other))


_LIVE = Prepared(
    lambda: text("""
SELECT id, source, said_at FROM identifier_link
WHERE one_domain = :one_domain AND one_value = :one_value
AND other_domain = :other_domain AND other_value = :other_value AND upper_inf(recorded)
""")
)


def link(
    connection: Connection,
    one: PatientIdentifier,
    other: PatientIdentifier,
    *,
    source: str,
    said_at: datetime,
    happening_id: UUID,
) -> None:
    """Record that two identifiers are linked."""
    said = {"source": source, "said_at": said_at, "happening_id": happening_id}
    row = {"id": uuid7(), **_sides(one, other), **said}
    connection.execute(insert(identifier_link).values(**row))


def unlink(connection: Connection, link_id: UUID, happening_id: UUID) -> None:
    """Two identifiers are linked no longer."""
    _UNLINK(connection, link_id=link_id, happening_id=happening_id)


_UNLINK = Prepared(
    lambda: text("""
UPDATE identifier_link SET recorded = tstzrange(lower(recorded), clock_timestamp()),
    ended_by = :happening_id
WHERE id = :link_id AND upper_inf(recorded)
""")
)


def _sides(one: PatientIdentifier, other: PatientIdentifier) -> dict[str, str]:
    """The two as they are kept: the lesser first."""
    first, second = sorted([(one.domain, one.value), (other.domain, other.value)])
    return {
        "one_domain": first[0],
        "one_value": first[1],
        "other_domain": second[0],
        "other_value": second[1],
    }


# -- A person's word that two are not one ---------------------------------------------


def declare_not_same(
    connection: Connection, one: UUID, other: UUID, *, actor: str, happening_id: UUID
) -> UUID:
    """Keep two persons apart until it is taken back; the row's id."""
    first, second = sorted([one, other])
    row_id = uuid7()
    row = {"one_id": first, "other_id": second, "actor": actor}
    made = insert(not_same).values(id=row_id, happening_id=happening_id, **row)
    connection.execute(made)
    return row_id
