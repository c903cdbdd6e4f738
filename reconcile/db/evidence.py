"""What the headers of a study's instances name: whoever makes or changes it finds them.

A decision rests on rows, and on their absence: an identifier that nobody owns yet, an
order that has not come. So a study keeps what was looked up for it, found or not. Whoever
makes or changes such a thing raises the revision of the studies that named it, and what
was decided for them is decided anew. It is safe against races by an advisory lock on
each name, taken by whoever names it for the first time, and by whoever makes it.

Studies are raised in the order of their ids, before any order is locked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Column, Connection, ForeignKey, Table, text
from sqlalchemy.dialects import postgresql

from reconcile.core.identity import PatientIdentifier
from reconcile.db.database import Lock
from reconcile.db.ids import PATIENT
from reconcile.db.prepared import Prepared
from reconcile.db.tables import Key, metadata

#: Longer than any value that a key of the registry can hold: nothing is ever found by it.
VALUE_CHARACTERS_MAX = 1024

study_evidence = Table(
    "study_evidence",
    metadata,
    # "identifier", "accession", "study": what kind of name it is.
    Column("kind", Key, primary_key=True),
    Column("value", Key, primary_key=True),
    # Domain of an identifier; empty for the others.
    Column("issuer", Key, primary_key=True),
    Column(
        "study_id",
        postgresql.UUID(as_uuid=True),
        ForeignKey("study.id"),
        primary_key=True,
        index=True,
    ),
)


class Named(NamedTuple):
    """One name that a header holds."""

    kind: str
    value: str
    issuer: str = ""


def identifier(named: PatientIdentifier) -> Named:
    """The name of a patient."""
    return Named("identifier", named.value, named.domain)


def accession(number: str) -> Named:
    """The name of an order, whoever issued it."""
    return Named("accession", number)


def study_uid(uid: str) -> Named:
    """The Study Instance UID of a requested procedure."""
    return Named("study", uid)


def nameable(names: Iterable[Named]) -> frozenset[Named]:
    """Those that the registry could ever know."""
    return frozenset(
        name
        for name in names
        if name.value
        and max(len(name.value), len(name.issuer)) <= VALUE_CHARACTERS_MAX
        and "\0" not in name.value + name.issuer
    )


def new_of(
    connection: Connection, uid_domain: str, assigned_uid: str, names: Collection[Named]
) -> frozenset[Named]:
    """Those that a study has not named before; all where there is no study yet."""
    if not assigned_uid or not names:
        return frozenset(names)
    found = _NAMED(connection, uid_domain=uid_domain, assigned_uid=assigned_uid)
    return frozenset(names) - {Named(*row) for row in found}


def locks(names: Iterable[Named], making: PatientIdentifier | None) -> Iterator[Lock]:
    """What keeps others from making what is named, until the transaction ends.

    `making` is what the caller may make itself: nobody else looks at it meanwhile.
    """
    for name in names:
        if name.kind == "identifier":
            alone = making is not None and name == identifier(making)
            yield Lock((PATIENT, name.issuer, name.value), shared=not alone)
        else:
            parts = ("",) if name.kind == "study" else ()
            yield Lock((name.kind, *parts, name.value), shared=True)


def keep(connection: Connection, study_id: UUID, names: Collection[Named]) -> None:
    """Remember what a study has named."""
    if names:
        kinds, values, issuers = (list(each) for each in zip(*sorted(names), strict=True))
        _KEEP(connection, study_id=study_id, kinds=kinds, values=values, issuers=issuers)


# -- What changes is told by raising revisions -----------------------------------------


def raise_named(connection: Connection, names: Iterable[Named]) -> None:
    """What is named was made or changed: raise all studies that named it, or are linked.

    The caller holds the advisory locks of the names.
    """
    wanted = sorted(nameable(names))
    if wanted:
        kinds, values, issuers = (list(each) for each in zip(*wanted, strict=True))
        _RAISE_NAMED(connection, kinds=kinds, values=values, issuers=issuers)


def raise_persons(connection: Connection, person_ids: Iterable[UUID]) -> None:
    """What is known of persons has changed: raise all studies that rest on it."""
    wanted = sorted(person_ids)
    if wanted:
        _RAISE_PERSONS(connection, persons=wanted)


def raise_study(connection: Connection, study_id: UUID) -> int:
    """What belongs to a study has changed; its revision from now on."""
    return int(_RAISE.first(connection, study_id=study_id).revision)


_NAMED = Prepared(
    lambda: text("""
SELECT e.kind, e.value, e.issuer FROM study_evidence e JOIN study s ON s.id = e.study_id
WHERE s.study_instance_uid = :assigned_uid AND s.uid_domain = :uid_domain
""")
)
_NAMES = """
SELECT kind COLLATE "C" AS kind, value COLLATE "C" AS value, issuer COLLATE "C" AS issuer
FROM unnest(
    CAST(:kinds AS text[]), CAST(:values AS text[]), CAST(:issuers AS text[])
) AS u (kind, value, issuer)
"""
_KEEP = Prepared(
    lambda: text(f"""
INSERT INTO study_evidence (kind, value, issuer, study_id)
SELECT kind, value, issuer, CAST(:study_id AS uuid) FROM ({_NAMES}) AS n
ON CONFLICT DO NOTHING
""")  # noqa: S608 - constants of this module
)
_RAISE = Prepared(
    lambda: text("""
UPDATE study SET revision = revision + 1 WHERE id = :study_id RETURNING revision
""")
)
# In the order of their ids, as groups of instances hold them.
_RAISE_FOUND = """
, held AS (
    SELECT id FROM study WHERE id IN (SELECT study_id FROM found)
    ORDER BY id FOR NO KEY UPDATE
)
UPDATE study SET revision = revision + 1 FROM held WHERE study.id = held.id
"""
_RAISE_NAMED = Prepared(
    lambda: text(f"""
WITH n AS ({_NAMES}), found AS (
    SELECT e.study_id FROM study_evidence e JOIN n USING (kind, value, issuer)
    UNION
    SELECT l.study_id FROM study_order l JOIN imaging_order o ON o.id = l.order_id
    JOIN n ON n.kind = 'accession' AND n.value = o.accession_number
    WHERE upper_inf(l.recorded) AND o.accession_number <> ''
    UNION
    SELECT l.study_id FROM study_order l
    JOIN requested_procedure p ON p.order_id = l.order_id
    JOIN n ON n.kind = 'study' AND n.value = p.study_instance_uid
    WHERE upper_inf(l.recorded)
) {_RAISE_FOUND}""")  # noqa: S608 - constants of this module
)
_RAISE_PERSONS = Prepared(
    lambda: text(f"""
WITH i AS (
    SELECT i.id, i.domain, i.id_norm FROM identity i
    JOIN identity_link l ON l.identity_id = i.id AND upper_inf(l.recorded)
    JOIN person p ON p.id = l.person_id
    WHERE p.id = ANY (CAST(:persons AS uuid[]))
    OR p.canonical_id = ANY (CAST(:persons AS uuid[]))
), o AS (
    SELECT o.id, o.accession_number FROM imaging_order o JOIN i ON i.id = o.identity_id
), found AS (
    SELECT s.study_id FROM series s JOIN i ON i.id = s.filed_identity_id
    UNION
    SELECT e.study_id FROM study_evidence e
    JOIN i ON e.kind = 'identifier' AND e.value = i.id_norm AND e.issuer = i.domain
    UNION
    SELECT e.study_id FROM study_evidence e
    JOIN o ON e.kind = 'accession' AND e.value = o.accession_number
    UNION
    SELECT e.study_id FROM study_evidence e
    JOIN requested_procedure p ON e.kind = 'study' AND e.value = p.study_instance_uid
    JOIN o ON o.id = p.order_id
    UNION
    SELECT l.study_id FROM study_order l JOIN o ON o.id = l.order_id
    WHERE upper_inf(l.recorded)
) {_RAISE_FOUND}""")  # noqa: S608 - constants of this module
)
