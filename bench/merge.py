"""Whether a merge takes longer the more images a patient has: `python -m bench merge`.

One patient with a thousand studies, of one image each and of a thousand each, is merged
into another by ADT^A40 over MLLP, and given back by the steward. What is timed ends with
the acknowledgement; what is asked next must show the survivor.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pydicom
from pydicom.filebase import DicomBytesIO

from bench import ris, states, tables
from bench.filled import FIRST, store, superuser
from bench.http_client import Client
from bench.ours import Reconcile
from bench.results import Record, scratch
from bench.rows import Question
from bench.servers import Wrong, running

STUDIES = 1_000
SIZES = (1_000, 1_000_000)
ROUNDS = 3
SURVIVOR, SURVIVORS_OWN = "SURV1^^^A", "ESURV1"

# Every table that a stored study has rows in, but the history: it is only added to.
SPREAD = """
CREATE TEMP TABLE copy ON COMMIT DROP AS
SELECT n, gen_random_uuid() AS study, gen_random_uuid() AS series,
    '2.25.7' || n || '1' AS uid, '2.25.7' || n || '2' AS series_uid
FROM generate_series(1, %(studies)s) AS n;
INSERT INTO study (id, uid_domain, study_instance_uid, revision, happening_id)
SELECT c.study, s.uid_domain, c.uid, s.revision, s.happening_id FROM copy c, study s;
INSERT INTO uid_map (id, uid_domain, level, scope, received_uid, assigned_uid, rule,
    happening_id)
SELECT gen_random_uuid(), '', 'study', '', c.uid, c.uid, m.rule, m.happening_id
FROM copy c, (SELECT * FROM uid_map LIMIT 1) m;
INSERT INTO study_evidence (kind, value, issuer, study_id)
SELECT e.kind, e.value, e.issuer, c.study FROM copy c,
    (SELECT DISTINCT kind, value, issuer FROM study_evidence WHERE kind = 'identifier') e;
INSERT INTO series (id, study_id, received_series_instance_uid, series_instance_uid,
    uid_domain, identity_id, filed_identity_id, held, happening_id)
SELECT c.series, c.study, c.series_uid, c.series_uid, '', s.identity_id,
    s.filed_identity_id, NULL, s.happening_id FROM copy c, series s;
CREATE TEMP TABLE own ON COMMIT DROP AS
SELECT c.series, gen_random_uuid() AS id, f.stored_revision, a.reason, a.source,
    a.modifying_system, replace(replace(a.assigns::text, s.study_instance_uid, c.uid),
    e.series_instance_uid, c.series_uid)::jsonb AS assigns
FROM copy c, series_form f JOIN assignment a ON a.id = f.assignment_id
JOIN series e ON e.id = f.series_id JOIN study s ON s.id = e.study_id;
INSERT INTO assignment (id, digest, assigns, modifying_system, source, reason)
SELECT id, sha256(id::text::bytea), assigns, modifying_system, source, reason FROM own;
INSERT INTO series_form (series_id, assignment_id, stored_revision)
SELECT series, id, stored_revision FROM own;
CREATE TEMP TABLE image ON COMMIT DROP AS
SELECT c.series, gen_random_uuid() AS receipt,
    '2.25.9' || (c.n * 10000 + k) AS uid
FROM copy c, generate_series(1, %(each)s) AS k;
INSERT INTO receipt (id, uid_domain, sop_instance_uid, digest, length,
    transfer_syntax_uid, text_charset, source, peer_address, association, outcome,
    segment, segment_offset)
SELECT m.receipt, '', m.uid, r.digest, r.length, r.transfer_syntax_uid, r.text_charset,
    r.source, r.peer_address, r.association, r.outcome, r.segment, r.segment_offset
FROM image m, receipt r;
INSERT INTO instance (id, uid_domain, sop_instance_uid, sop_class_uid, series_id,
    receipt_id, assignment_id, coerced_at, stored_revision, happening_id)
SELECT gen_random_uuid(), '', m.uid, i.sop_class_uid, m.series, m.receipt,
    o.id, i.coerced_at, i.stored_revision, i.happening_id
FROM image m JOIN own o ON o.series = m.series,
    (SELECT * FROM instance ORDER BY id LIMIT 1) i;
"""
HEADERS = """
INSERT INTO series_header SELECT (
    jsonb_populate_record(h, jsonb_build_object('series_id', s.id))).*
FROM series_header h, series s
WHERE NOT EXISTS (SELECT FROM series_header o WHERE o.series_id = s.id)
"""


def spread(connection: psycopg.Connection[Any], each: int) -> None:
    """Let the patient of the one study that is stored have a thousand more."""
    given = {"studies": STUDIES - 1, "each": each}
    with connection.transaction(), psycopg.ClientCursor(connection) as cursor:
        cursor.execute(SPREAD, given)
        cursor.execute(HEADERS)
    connection.execute("VACUUM ANALYZE")


def measure(server: Reconcile, instances: int) -> Iterator[Question]:
    """Milliseconds of the merge, of what follows it, and of taking it back."""
    merging: list[float] = []
    asking: list[float] = []
    returning: list[float] = []
    with server.client() as peer:
        for number in range(ROUNDS):
            began = time.perf_counter()
            ris.say(server.hl7, _merge(number))
            merging.append((time.perf_counter() - began) * 1000)
            began = time.perf_counter()
            _shows(peer, SURVIVORS_OWN)
            asking.append((time.perf_counter() - began) * 1000)
            began = time.perf_counter()
            _unmerge(peer)
            returning.append((time.perf_counter() - began) * 1000)
            _shows(peer, FIRST.enterprise_id)
    for title, took in (
        ("A40, to its acknowledgement", merging),
        ("QIDO of the survivor, and an image", asking),
        ("unmerge, to its answer", returning),
    ):
        middle = statistics.median(took)
        yield Question(title, instances, round(middle, 1), round(max(took), 1))


def _merge(number: int) -> str:
    return ris.patient_message(
        "A40",
        f"M{number}",
        f"PID|1||{SURVIVOR}||SURVIVOR^SAM||19600101|M",
        f"MRG|{FIRST.patient_id}^^^A",
        ahead=number,
    )


def _unmerge(peer: Client) -> None:
    prior = f"{FIRST.patient_id}^^^A"
    said = {"surviving": SURVIVOR, "prior": prior, "reason": "measured"}
    peer.say("/api/v1/patients/unmerge", said)


def _shows(peer: Client, patient_id: str) -> None:
    """All studies are the patient's, and an image that is given out is."""
    found = peer.get("/dicom-web/studies", PatientID=patient_id, limit=str(STUDIES))
    if len(found) != STUDIES:
        raise Wrong(f"{len(found)} studies are the patient's")
    given = peer.read(f"/api/v1/instances/{FIRST.instance_uid(1)}/file")
    if pydicom.dcmread(DicomBytesIO(given)).PatientID != patient_id:
        raise Wrong("an image is given out as another patient's")


def main(arguments: list[str]) -> int:
    options = argparse.ArgumentParser(prog="python -m bench merge", description=__doc__)
    options.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    options.add_argument("--name", default="", help="of the file with the results")
    asked = options.parse_args(arguments)
    rows: list[Question] = []
    with scratch() as folder:
        record = Record("merge", asked.name, folder)
        for size in sorted(asked.sizes):
            server = Reconcile(folder, f"reconcile {size}")
            with running(server):
                server.prepare([FIRST])
                ids = f"{SURVIVOR}~{SURVIVORS_OWN}^^^E"
                pid = f"PID|1||{ids}||SURVIVOR^SAM||19600101|M"
                ris.say(server.hl7, ris.patient_message("A28", "S1", pid))
                store(server, 1)
                with superuser(server.data) as connection:
                    spread(connection, size // STUDIES)
                rows += measure(server, size)
        record.write(rows, {"reconcile": server.version}, {"rounds": ROUNDS})
    print("\n".join(tables.text(states.merge(rows))))
    print(f"written to {record.path.name}", file=sys.stderr)
    return 0
