"""Persons whom their hospital has deleted: nothing of theirs is."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, text, update

from reconcile.db import tables as t
from reconcile.db.prepared import Prepared


def retire(connection: Connection, person_id: UUID) -> None:
    """A person is retired until a feed speaks of them again."""
    change = update(t.person).where(t.person.c.id == person_id, t.person.c.state != "test")
    connection.execute(change.values(state="retired", version=t.person.c.version + 1))


def has_studies(connection: Connection, person_id: UUID) -> bool:
    """Whether any series is filed under an identity of theirs."""
    return bool(_HAS_STUDIES.first(connection, person_id=person_id).found)


_HAS_STUDIES = Prepared(
    lambda: text("""
SELECT EXISTS (
    SELECT FROM identity_link l JOIN series s ON s.filed_identity_id = l.identity_id
    WHERE l.person_id = :person_id AND upper_inf(l.recorded)
) AS found
""")
)
