"""Receipts and instances: what is kept of an arrival, and given out of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Connection,
    Select,
    bindparam,
    select,
    text,
)

from reconcile.core.attributes import Change, listed
from reconcile.db import removals
from reconcile.db import tables as t
from reconcile.db.database import TryAgain
from reconcile.db.ids import uuid7
from reconcile.db.prepared import Prepared, new_row, new_unless_there


@dataclass(frozen=True, slots=True)
class Receipt:
    """An arrival: what came, how, from whom, and where its bytes are.

    `segment` is the storage's; empty: a file of its own, named by the digest.
    """

    uid_domain: str
    sop_instance_uid: str
    digest: str
    length: int
    transfer_syntax_uid: str
    text_charset: str
    source: str
    peer_address: str
    association: str
    received_at: datetime
    segment: str = ""
    segment_offset: int = 0
    file_meta: bytes = b""


# -- Instances ----------------------------------------------------------------------


def receipts(
    connection: Connection, uid_domain: str, sop_instance_uid: str
) -> tuple[str, frozenset[str]]:
    """(digest of what is given out now, digests of all that ever came) of an instance.

    Without what was deleted.
    """
    rows = _RECEIPTS(connection, uid_domain=uid_domain, uid=sop_instance_uid)
    current = next((row.digest.hex() for row in rows if row.current), "")
    return current, frozenset(row.digest.hex() for row in rows)


def _receipts() -> Select[Any]:
    r, i = t.receipt.c, t.instance.c
    same = (i.sop_instance_uid == r.sop_instance_uid) & (i.uid_domain == r.uid_domain)
    current = (i.receipt_id == r.id).label("current")
    return (
        select(r.digest, current)
        .select_from(t.receipt)
        .outerjoin(t.instance, same)
        .where(
            r.sop_instance_uid == bindparam("uid"),
            r.uid_domain == bindparam("uid_domain"),
            ~removals.goes(r.id),
        )
    )


_RECEIPTS = Prepared(_receipts)


def keep_receipt(connection: Connection, receipt: Receipt, outcome: str) -> UUID:
    """Remember an arrival; none is ever dropped."""
    receipt_id = uuid7()
    _KEEP_RECEIPT(
        connection,
        id=receipt_id,
        uid_domain=receipt.uid_domain,
        sop_instance_uid=receipt.sop_instance_uid,
        digest=bytes.fromhex(receipt.digest),
        length=receipt.length,
        transfer_syntax_uid=receipt.transfer_syntax_uid,
        text_charset=receipt.text_charset,
        file_meta=receipt.file_meta,
        source=receipt.source,
        peer_address=receipt.peer_address,
        association=receipt.association,
        outcome=outcome,
        received_at=receipt.received_at,
        segment=receipt.segment or None,
        segment_offset=receipt.segment_offset if receipt.segment else None,
    )
    return receipt_id


def receipt_of(connection: Connection, digest: str) -> UUID | None:
    """The first arrival of a data set with these bytes."""
    r = t.receipt.c
    query = select(r.id).where(r.digest == bytes.fromhex(digest)).order_by(r.id).limit(1)
    return connection.execute(query).scalar()


_KEEP_RECEIPT = Prepared(
    lambda: new_row(
        t.receipt,
        "id uid_domain sop_instance_uid digest length transfer_syntax_uid text_charset"
        " file_meta source peer_address association outcome received_at segment"
        " segment_offset",
    )
)


def keep_instance(
    connection: Connection,
    *,
    receipt: Receipt,
    receipt_id: UUID,
    sop_class_uid: str,
    series_id: UUID | None,
    revision: int,
    hidden: bool,
    assignment_id: UUID | None,
    coerced_at: datetime | None,
    happening_id: UUID,
    as_received: bool = False,
) -> UUID:
    """Remember an instance that is new; `hidden`: not given out until a person decides.

    `as_received`: whatever happens later, it is given out as it came.

    Raises:
        TryAgain: the same SOP Instance UID has just been stored by somebody else.
    """
    instance_id = uuid7()
    new = _KEEP_INSTANCE.first(
        connection,
        id=instance_id,
        uid_domain=receipt.uid_domain,
        sop_instance_uid=receipt.sop_instance_uid,
        sop_class_uid=sop_class_uid,
        series_id=series_id,
        receipt_id=receipt_id,
        stored_revision=revision,
        hidden=hidden,
        assignment_id=assignment_id,
        coerced_at=coerced_at,
        happening_id=happening_id,
        as_received=as_received,
    )
    if not new:
        raise TryAgain
    return instance_id


_KEEP_INSTANCE = Prepared(
    lambda: new_unless_there(
        t.instance,
        "id uid_domain sop_instance_uid sop_class_uid series_id receipt_id stored_revision"
        " hidden assignment_id coerced_at happening_id as_received",
        t.instance.c.id,
    )
)


def assignment(
    connection: Connection,
    *,
    assigns: Iterable[Change],
    modifying_system: str,
    source: str,
    reason: str,
    series_id: UUID | None = None,
    revision: int = 0,
) -> UUID:
    """What instances are given out with; those that are decided alike share it.

    `series_id`: instances of it are stored as this, at this revision of their study.

    Raises:
        TryAgain: somebody else has just made it, and has not committed.
    """
    changes = [listed(change) for change in assigns]
    said = {"modifying_system": modifying_system, "source": source, "reason": reason}
    canonical = json.dumps([changes, said], sort_keys=True, ensure_ascii=False).encode()
    digest = hashlib.sha256(canonical).digest()
    known = _ASSIGNMENT.first(
        connection,
        id=uuid7(),
        digest=digest,
        assigns=json.dumps(changes),
        series_id=series_id,
        revision=revision,
        **said,
    )
    if known is None:
        raise TryAgain
    return UUID(str(known.id))


_ASSIGNMENT = Prepared(
    lambda: text("""
WITH known AS (
    SELECT id FROM assignment WHERE digest = :digest
), made AS (
    INSERT INTO assignment (id, digest, assigns, modifying_system, source, reason)
    SELECT :id, :digest, CAST(:assigns AS jsonb), :modifying_system, :source, :reason
    WHERE NOT EXISTS (SELECT FROM known)
    ON CONFLICT DO NOTHING RETURNING id
), found AS MATERIALIZED (
    SELECT id FROM known UNION ALL SELECT id FROM made
), form AS (
    INSERT INTO series_form (series_id, assignment_id, stored_revision)
    SELECT CAST(:series_id AS uuid), id, CAST(:revision AS integer) FROM found
    WHERE CAST(:series_id AS uuid) IS NOT NULL
    ON CONFLICT DO NOTHING
)
SELECT id FROM found
""")
)
