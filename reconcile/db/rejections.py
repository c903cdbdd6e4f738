"""Instances that a rejection note has rejected: hidden or not, until that is taken back.

An instance may be named before it comes: then it is hidden as it comes. A rejection is
ended, never removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Index,
    Table,
    func,
    insert,
    text,
    update,
)

from reconcile.core.rejection import Code, Rejected
from reconcile.db.ids import uuid7
from reconcile.db.prepared import Prepared
from reconcile.db.tables import (
    ended,
    happened,
    identifier,
    key,
    metadata,
    recorded,
    refers,
)

rejection = Table(
    "rejection",
    metadata,
    identifier(),
    key("uid_domain"),
    key("sop_instance_uid", index=True),
    # DCM code of the note's title.
    key("code"),
    key("note_sop_instance_uid"),
    # The study in which it was found; NULL: it had not come.
    refers("study_id", "study", null=True, index=True),
    Column("hides", Boolean, nullable=False),
    # It was hidden already, while it is held.
    Column("was_hidden", Boolean, nullable=False, server_default="false"),
    recorded(),
    happened(),
    ended(),
    Index("ix_rejection_happening_id", "happening_id"),
    Index(
        "ix_rejection_ended_by", "ended_by", postgresql_where=text("ended_by IS NOT NULL")
    ),
)
_j = rejection.c


def code_of(connection: Connection, uid_domain: str, uid: str) -> tuple[str, bool]:
    """(code by which an instance is rejected or empty, whether it is hidden for it)."""
    row = _LIVE.first(connection, uid_domain=uid_domain, uid=uid)
    return ("", False) if row is None else (row.code, row.hides)


_LIVE = Prepared(
    lambda: text("""
SELECT code, bool_or(hides) OVER () AS hides FROM rejection
WHERE sop_instance_uid = :uid AND uid_domain = :uid_domain AND upper_inf(recorded)
ORDER BY id DESC LIMIT 1
""")
)


@dataclass(frozen=True, slots=True)
class Named:
    """An instance that a note names; `study_id` None: it has not come."""

    sop_instance_uid: str
    study_id: UUID | None


def named(
    connection: Connection, uid_domain: str, rejected: Sequence[Rejected]
) -> list[Named]:
    """Those of a note that it may reject: of the class and the study that it says.

    The study by any UID that finds it. What has not come is named all the same.
    """
    given = {
        "uid_domain": uid_domain,
        "studies": [each.study_instance_uid for each in rejected],
        "classes": [each.sop_class_uid for each in rejected],
        "uids": [each.sop_instance_uid for each in rejected],
    }
    return [Named(*row) for row in connection.execute(_NAMED, given)]


_NAMED = text("""
SELECT n.uid, s.study_id
FROM unnest(CAST(:studies AS text[]), CAST(:classes AS text[]), CAST(:uids AS text[]))
    AS n (study, class, uid)
LEFT JOIN instance i ON i.sop_instance_uid = n.uid COLLATE "C"
    AND i.uid_domain = :uid_domain
LEFT JOIN series s ON s.id = i.series_id
LEFT JOIN study t ON t.id = s.study_id
WHERE n.uid <> '' AND (i.id IS NULL OR i.sop_class_uid = n.class COLLATE "C" AND (
    t.study_instance_uid = n.study COLLATE "C" OR EXISTS (
        SELECT FROM uid_map m
        WHERE m.level = 'study' AND m.received_uid = n.study COLLATE "C"
        AND m.assigned_uid = t.study_instance_uid AND m.uid_domain = :uid_domain
        AND upper_inf(m.valid))))
ORDER BY n.uid
""")


def reject(
    connection: Connection,
    uid_domain: str,
    found: Iterable[Named],
    *,
    code: Code,
    note: str,
    hides: bool,
    happening_id: UUID,
) -> None:
    """Let instances be rejected from now on."""
    rows = [
        {
            "id": uuid7(),
            "uid_domain": uid_domain,
            "sop_instance_uid": each.sop_instance_uid,
            "code": code.value,
            "note_sop_instance_uid": note,
            "study_id": each.study_id,
            "hides": hides,
            "happening_id": happening_id,
        }
        for each in found
    ]
    connection.execute(insert(rejection), rows)
    connection.execute(_WAS_HIDDEN, {"by": happening_id})
    connection.execute(_HIDE, {"by": happening_id})


_OF_INSTANCE = "r.sop_instance_uid = i.sop_instance_uid AND r.uid_domain = i.uid_domain"
_WAS_HIDDEN = text(f"""
UPDATE rejection r SET was_hidden = i.hidden AND NOT EXISTS (
    SELECT FROM rejection o
    WHERE o.sop_instance_uid = r.sop_instance_uid AND o.uid_domain = r.uid_domain
    AND o.hides AND NOT o.was_hidden AND upper_inf(o.recorded) AND o.happening_id <> :by)
FROM instance i WHERE {_OF_INSTANCE} AND r.happening_id = :by
""")  # noqa: S608 - constants of this module
_HIDE = text(f"""
UPDATE instance i SET hidden = true FROM rejection r
WHERE {_OF_INSTANCE} AND r.happening_id = :by AND r.hides AND upper_inf(r.recorded)
""")  # noqa: S608 - constants of this module


def end(connection: Connection, uid_domain: str, uid: str, happening_id: UUID) -> None:
    """An instance is rejected no more: it has come again."""
    over = func.tstzrange(func.lower(_j.recorded), func.clock_timestamp())
    changed = update(rejection).where(
        _j.sop_instance_uid == uid, _j.uid_domain == uid_domain, func.upper_inf(_j.recorded)
    )
    connection.execute(changed.values(recorded=over, ended_by=happening_id))
    show_again(connection, [uid])


def show_again(connection: Connection, uids: Sequence[str]) -> None:
    """Instances are as hidden as what is held to be true of them now says."""
    if uids:
        connection.execute(_SHOW, {"uids": sorted(set(uids))})


_SHOW = text(f"""
UPDATE instance i SET hidden = EXISTS (
    SELECT FROM rejection r WHERE {_OF_INSTANCE} AND r.hides AND upper_inf(r.recorded)
) OR EXISTS (
    SELECT FROM rejection r JOIN series s ON s.id = i.series_id AND s.held IS NOT NULL
    WHERE {_OF_INSTANCE} AND r.was_hidden)
WHERE i.sop_instance_uid = ANY (CAST(:uids AS text[])) AND EXISTS (
    SELECT FROM rejection r WHERE {_OF_INSTANCE})
""")  # noqa: S608 - constants of this module
