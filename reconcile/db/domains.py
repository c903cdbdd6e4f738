"""Assigning authorities: those that are configured, and those that somebody named."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert as upsert

from reconcile.core.identity import Domain
from reconcile.db import tables as t


def keep(connection: Connection, configured: Iterable[Domain]) -> None:
    """Make the configured domains known to the registry; run at every start."""
    for domain in configured:
        row = {
            "universal_id": domain.universal_id or None,
            "universal_id_type": domain.universal_id_type or None,
            "configured": True,
        }
        made = upsert(t.domain).values(name=domain.name, **row)
        connection.execute(made.on_conflict_do_update(index_elements=["name"], set_=row))


def meet(connection: Connection, domain: Domain) -> None:
    """Make a domain known that only a data set or a message named."""
    made = upsert(t.domain).values(
        name=domain.name,
        universal_id=domain.universal_id or None,
        universal_id_type=domain.universal_id_type or None,
        configured=False,
    )
    connection.execute(made.on_conflict_do_nothing())
