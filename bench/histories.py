"""A history of any size, made in SQL out of the one event of the one instance there is.

Studies of twenty instances, each with its event; four studies to a patient, all of them
spread over a year. One event in a thousand is of a source that seldom sends, one in five
hundred changes an attribute that seldom changes. Ids grow with time, as the archive's own.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import psycopg
from psycopg import sql

PER_STUDY, PER_PATIENT = 20, 4
RARE_SOURCE, RARE_ATTRIBUTE = "US_RARE", "PatientSex"
ONE_IN_SOURCES, ONE_IN_ATTRIBUTES = 1000, 500
FIRST_DAY = "2025-03-01"
#: Events of one transaction.
CHUNK = 200_000
#: From so many on, what is searched by is built when all are there.
INDEXED_LATER = 500_000

_ID = """
CREATE OR REPLACE FUNCTION pg_temp.id(n bigint, kind int) RETURNS uuid
LANGUAGE sql IMMUTABLE AS $$
SELECT (lpad(to_hex(1700000000000 + n), 12, '0') || '7' || lpad(to_hex(kind), 3, '0')
    || '8' || lpad(to_hex(n), 15, '0'))::uuid $$;
"""

# n is a study; its patient is n / 4, its instances are n * 20 and those after it.
_FILL = """
CREATE TEMP TABLE s ON COMMIT DROP AS SELECT n, n / %(per_patient)s AS p,
    '2.25.8' || n || '1' AS uid, '2.25.8' || n || '2' AS series_uid,
    timestamptz %(first_day)s + n * (interval '365 days' / %(studies)s) AS at,
    CASE WHEN n %% %(rare_source)s = 0 THEN %(source)s ELSE 'CT_' || n %% 8 END AS source
FROM generate_series(%(first)s, %(last)s) AS n;
INSERT INTO person (id, state, canonical_id, happening_id)
SELECT pg_temp.id(p, 1), 'verified', pg_temp.id(p, 1), b.happening_id
FROM (SELECT DISTINCT p FROM s) w, (SELECT happening_id FROM person LIMIT 1) b
ON CONFLICT DO NOTHING;
INSERT INTO identity (id, domain, id_norm, id_raw, happening_id)
SELECT pg_temp.id(p, 2), 'A', 'H' || p, 'H' || p, b.happening_id
FROM (SELECT DISTINCT p FROM s) w, (SELECT happening_id FROM person LIMIT 1) b
ON CONFLICT DO NOTHING;
INSERT INTO identity_link (id, identity_id, person_id, happening_id)
SELECT pg_temp.id(p, 3), pg_temp.id(p, 2), pg_temp.id(p, 1), b.happening_id
FROM (SELECT DISTINCT p FROM s) w, (SELECT happening_id FROM person LIMIT 1) b
ON CONFLICT DO NOTHING;
INSERT INTO study (id, uid_domain, study_instance_uid, revision, happening_id)
SELECT pg_temp.id(n, 4), '', uid, 1, pg_temp.id(n, 5) FROM s;
INSERT INTO series (id, study_id, received_series_instance_uid, series_instance_uid,
    uid_domain, identity_id, filed_identity_id, held, happening_id)
SELECT pg_temp.id(n, 6), pg_temp.id(n, 4), series_uid, series_uid, '', pg_temp.id(p, 2),
    pg_temp.id(p, 2), NULL, pg_temp.id(n, 5) FROM s;
INSERT INTO happening (id, cause, cause_id, rule, rung, configuration_digest, actor,
    explanation, recorded_at)
SELECT pg_temp.id(n, 5), b.cause, source || '/h/' || n, b.rule, b.rung,
    b.configuration_digest, source, b.explanation, at
FROM s, (SELECT g.* FROM happening g JOIN coercion_event e ON e.happening_id = g.id
    ORDER BY e.position LIMIT 1) b;
INSERT INTO instance (id, uid_domain, sop_instance_uid, sop_class_uid, series_id,
    receipt_id, assignment_id, coerced_at, stored_revision, happening_id)
SELECT pg_temp.id(s.n * %(per_study)s + i, 7), '', s.uid || '.' || i, b.sop_class_uid,
    pg_temp.id(s.n, 6), b.receipt_id, b.assignment_id, s.at, 1, pg_temp.id(s.n, 5)
FROM s, generate_series(0, %(per_study)s - 1) AS i, (SELECT * FROM instance
    WHERE assignment_id IS NOT NULL ORDER BY id LIMIT 1) b;
INSERT INTO coercion_event (id, position, happening_id, level, instance_id, receipt_id,
    study_id, person_id, reason, source, sop_instance_uid, series_instance_uid,
    study_instance_uid, received_study_instance_uid, attributes, body_version, body,
    recorded_at)
SELECT pg_temp.id(s.n * %(per_study)s + i, 8), 1000000 + s.n * %(per_study)s + i,
    pg_temp.id(s.n, 5), 'instance', pg_temp.id(s.n * %(per_study)s + i, 7), b.receipt_id,
    pg_temp.id(s.n, 4), pg_temp.id(s.p, 1), b.reason, s.source, s.uid || '.' || i,
    s.series_uid, s.uid, s.uid || '.9', CASE WHEN (s.n * %(per_study)s + i)
        %% %(rare_attribute)s = 0 THEN b.attributes || %(attribute)s::text
        ELSE b.attributes END, b.body_version, b.body, s.at + i * interval '20 ms'
FROM s, generate_series(0, %(per_study)s - 1) AS i, (SELECT * FROM coercion_event
    ORDER BY position LIMIT 1) b;
INSERT INTO coercion_value (event_id, nonce, body)
SELECT pg_temp.id(s.n * %(per_study)s + i, 8), b.nonce, b.body
FROM s, generate_series(0, %(per_study)s - 1) AS i, (SELECT v.* FROM coercion_value v
    JOIN coercion_event e ON e.id = v.event_id ORDER BY e.position LIMIT 1) b;
"""
_INDEXES = """
SELECT c.relname, pg_get_indexdef(i.indexrelid) FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
WHERE t.relname IN ('coercion_event', 'happening') AND NOT i.indisunique
"""
_BYTES = """
SELECT sum(pg_total_relation_size(oid)), sum(pg_indexes_size(oid)) FROM pg_class
WHERE relname IN ('coercion_event', 'coercion_value', 'happening', 'happening_dependency')
AND relkind = 'r'
"""


def fill(connection: psycopg.Connection[Any], events: int) -> None:
    """Let there be so many events beside the one that is there."""
    began, studies = time.perf_counter(), max(1, events // PER_STUDY)
    connection.execute("SET synchronous_commit = off")
    connection.execute(_ID)
    indexes = _take_away(connection) if events > INDEXED_LATER else []
    for first in range(1, studies + 1, CHUNK // PER_STUDY):
        _some(connection, first, min(studies, first + CHUNK // PER_STUDY - 1), studies)
    for definition in indexes:
        connection.execute(definition.encode())
    connection.execute("VACUUM ANALYZE")
    connection.execute("CHECKPOINT")
    took = time.perf_counter() - began
    print(f"{events:,} events in {took:.0f} s", file=sys.stderr)


def _take_away(connection: psycopg.Connection[Any]) -> list[str]:
    """Drop indexes that are no constraints; what makes them again."""
    found = connection.execute(_INDEXES).fetchall()
    for name, _ in found:
        connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
    return [definition for _, definition in found]


def _some(connection: psycopg.Connection[Any], first: int, last: int, studies: int) -> None:
    given = {
        "first": first,
        "last": last,
        "studies": studies,
        "per_study": PER_STUDY,
        "per_patient": PER_PATIENT,
        "first_day": FIRST_DAY,
        "source": RARE_SOURCE,
        "rare_source": ONE_IN_SOURCES,
        "attribute": RARE_ATTRIBUTE,
        "rare_attribute": ONE_IN_ATTRIBUTES,
    }
    with connection.transaction(), psycopg.ClientCursor(connection) as cursor:
        cursor.execute("SET LOCAL work_mem = '64MB'")
        # What refers to what is right, and is not looked up once more.
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(_FILL, given)


def sizes(connection: psycopg.Connection[Any], events: int) -> tuple[int, int]:
    """Bytes on disk of one event with its happening and values; of these, of indexes."""
    row = connection.execute(_BYTES).fetchone()
    assert row is not None
    return int(row[0]) // events, int(row[1]) // events
