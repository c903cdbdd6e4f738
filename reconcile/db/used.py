"""Which studies somebody has been given of: these keep their UID from then on."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import bindparam, select, text

from reconcile.db import tables as t
from reconcile.db.database import Connection
from reconcile.db.prepared import Prepared

#: Whoever retrieves waits no longer than this for who stores into the study.
_WAIT = text("SET LOCAL lock_timeout = '2s'")


def unused_study(connection: Connection, receipt_id: UUID) -> UUID | None:
    """The study of an arrival, if nobody was ever given of it."""
    row = _UNUSED.first(connection, receipt_id=receipt_id)
    return None if row is None else UUID(str(row.id))


_UNUSED = Prepared(
    lambda: (
        select(t.study.c.id)
        .join(t.series, t.series.c.study_id == t.study.c.id)
        .join(t.instance, t.instance.c.series_id == t.series.c.id)
        .join(
            t.receipt,
            (t.receipt.c.sop_instance_uid == t.instance.c.sop_instance_uid)
            & (t.receipt.c.uid_domain == t.instance.c.uid_domain),
        )
        .where(t.receipt.c.id == bindparam("receipt_id"), t.study.c.used_at.is_(None))
    )
)


def use(connection: Connection, study_id: UUID) -> None:
    """Note that somebody is given of a study; the first time stands."""
    connection.execute(_WAIT)
    _USE(connection, study_id=study_id)


_USE = Prepared(
    lambda: text(
        "UPDATE study SET used_at = clock_timestamp()"
        " WHERE id = CAST(:study_id AS uuid) AND used_at IS NULL"
    )
)
