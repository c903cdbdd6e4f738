"""Whether a C-FIND takes longer the more studies there are: `python -m bench find`.

Studies of four to a patient, 274 on a day, each with its order, are made out of one that
was stored: as many as are wanted. The same questions over DIMSE, by an SCU that is not
ours, to a small and to a large registry; what is timed ends with the last response.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import repeat
from pathlib import Path
from typing import Any

import psycopg
from pydicom.dataset import Dataset
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association

from bench import states, tables
from bench.filled import FIRST, store, superuser
from bench.identity import CALLING, SEED
from bench.ours import Reconcile
from bench.results import Record, scratch
from bench.rows import Question
from bench.servers import Wrong, running

SIZES = (10_000, 1_000_000)
QUESTIONS = 50
STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2.1"
PER_PATIENT, PER_DAY = 4, 274
LAST_DAY = date(2026, 2, 28)

# Every table that a question about studies is answered from. Study n is of patient n / 4
# and of the day n / 274 before the last one; every fourth one is an MR.
SPREAD = """
CREATE TEMP TABLE copy ON COMMIT DROP AS
SELECT n, n / %(per_patient)s AS p, uuidv7() AS study,
    uuidv7() AS series, uuidv7() AS ordered,
    uuidv7() AS procedure, uuidv7() AS given,
    '2.25.7' || n || '1' AS uid, '2.25.7' || n || '2' AS series_uid, 'Q' || n AS accession,
    to_char(date %(last_day)s - n / %(per_day)s, 'YYYYMMDD') AS day,
    CASE n %% 4 WHEN 0 THEN 'MR' WHEN 1 THEN 'US' ELSE 'CT' END AS modality
FROM generate_series(%(per_patient)s, %(studies)s + %(per_patient)s - 1) AS n;
CREATE TEMP TABLE who ON COMMIT DROP AS
SELECT p, uuidv7() AS person, uuidv7() AS local, uuidv7() AS own
FROM (SELECT DISTINCT p FROM copy) AS each;
CREATE UNIQUE INDEX ON who (p);
ANALYZE who;
INSERT INTO person (id, state, canonical_id, happening_id)
SELECT w.person, p.state, w.person, p.happening_id FROM who w, (SELECT * FROM person
    LIMIT 1) p;
INSERT INTO identity (id, domain, id_norm, id_raw, happening_id)
SELECT w.local, 'A', 'Q' || w.p, 'Q' || w.p, p.happening_id
FROM who w, (SELECT * FROM person LIMIT 1) p
UNION ALL SELECT w.own, 'E', 'EQ' || w.p, 'EQ' || w.p, p.happening_id
FROM who w, (SELECT * FROM person LIMIT 1) p;
INSERT INTO identity_link (id, identity_id, person_id, happening_id)
SELECT uuidv7(), each.id, w.person, p.happening_id
FROM who w, (SELECT * FROM person LIMIT 1) p,
    LATERAL (VALUES (w.local), (w.own)) AS each (id);
INSERT INTO demographics (id, person_id, identity_id, source, authority, said, said_at,
    happening_id)
SELECT uuidv7(), w.person, w.local, d.source, d.authority,
    jsonb_set(d.said, '{name,alphabetic}', to_jsonb('QUERY^PATIENT' || w.p)),
    d.said_at, d.happening_id
FROM who w, (SELECT * FROM demographics LIMIT 1) d;
INSERT INTO imaging_order SELECT (jsonb_populate_record(o, jsonb_build_object(
    'id', c.ordered, 'accession_number', c.accession, 'identity_id', w.local,
    'placer_order_number', 'P' || c.n, 'filler_order_number', 'F' || c.n))).*
FROM copy c JOIN who w USING (p), imaging_order o;
INSERT INTO requested_procedure SELECT (jsonb_populate_record(r, jsonb_build_object(
    'id', c.procedure, 'order_id', c.ordered, 'study_instance_uid', c.uid))).*
FROM copy c, requested_procedure r;
INSERT INTO study (id, uid_domain, study_instance_uid, revision, happening_id)
SELECT c.study, s.uid_domain, c.uid, s.revision, s.happening_id
FROM copy c, (SELECT * FROM study LIMIT 1) s;
INSERT INTO study_order (id, study_id, order_id, procedure_id, happening_id)
SELECT uuidv7(), c.study, c.ordered, c.procedure, l.happening_id
FROM copy c, (SELECT * FROM study_order LIMIT 1) l;
INSERT INTO series (id, study_id, received_series_instance_uid, series_instance_uid,
    uid_domain, identity_id, filed_identity_id, held, happening_id)
SELECT c.series, c.study, c.series_uid, c.series_uid, '', w.local, w.local, NULL,
    s.happening_id
FROM copy c JOIN who w USING (p), (SELECT * FROM series LIMIT 1) s;
INSERT INTO instance (id, uid_domain, sop_instance_uid, sop_class_uid, series_id,
    receipt_id, assignment_id, coerced_at, stored_revision, happening_id)
SELECT uuidv7(), '', c.uid || '.1', i.sop_class_uid, c.series, i.receipt_id,
    i.assignment_id, i.coerced_at, i.stored_revision, i.happening_id
FROM copy c, (SELECT * FROM instance LIMIT 1) i;
INSERT INTO assignment (id, digest, assigns, modifying_system, source, reason)
SELECT c.given, sha256(c.given::text::bytea), replace(replace(replace(a.assigns::text,
    s.study_instance_uid, c.uid), e.series_instance_uid, c.series_uid),
    o.accession_number, c.accession)::jsonb, a.modifying_system, a.source, a.reason
FROM copy c, (SELECT a.* FROM series_form f JOIN assignment a ON a.id = f.assignment_id
    LIMIT 1) a, (SELECT * FROM study LIMIT 1) s, (SELECT * FROM series LIMIT 1) e,
    (SELECT * FROM imaging_order LIMIT 1) o;
INSERT INTO series_form (series_id, assignment_id, stored_revision)
SELECT c.series, c.given, f.stored_revision
FROM copy c, (SELECT * FROM series_form LIMIT 1) f;
INSERT INTO series_header SELECT (jsonb_populate_record(h, jsonb_build_object(
    'series_id', c.series, 'study_date', c.day, 'accession_number', c.accession,
    'searched_name', 'query^patient' || c.p, 'modality', c.modality,
    'elements', h.elements || jsonb_build_object(
        '00080020', jsonb_build_object('vr', 'DA', 'Value', jsonb_build_array(c.day)),
        '00080060', jsonb_build_object('vr', 'CS', 'Value', jsonb_build_array(c.modality)),
        '00080050', jsonb_build_object('vr', 'SH', 'Value', jsonb_build_array(c.accession)),
        '00100020', jsonb_build_object('vr', 'LO', 'Value', jsonb_build_array('Q' || c.p))
    )))).*
FROM copy c, series_header h;
"""


def spread(connection: psycopg.Connection[Any], studies: int) -> None:
    """Let there be as many studies beside the one that is stored."""
    given = {
        "studies": studies,
        "per_patient": PER_PATIENT,
        "per_day": PER_DAY,
        "last_day": LAST_DAY.isoformat(),
    }
    with connection.transaction(), psycopg.ClientCursor(connection) as cursor:
        cursor.execute("SET LOCAL work_mem = '256MB'")
        # Rows that name each other are made together: a look-up for each would double it.
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(SPREAD, given)
    connection.execute("VACUUM ANALYZE")


Asked = tuple[dict[str, str], int]


def of_patient(number: int) -> Asked:
    """A patient's studies, by the ID in the domain of who asks."""
    return {"PatientID": f"Q{number // PER_PATIENT}"}, PER_PATIENT


def of_day(number: int) -> Asked:
    """What was done in one modality on one day."""
    day = number // PER_DAY
    first = max(PER_PATIENT, day * PER_DAY)
    found = len([n for n in range(first, (day + 1) * PER_DAY) if n % 4 == 0])
    said = f"{LAST_DAY - timedelta(days=day):%Y%m%d}"
    return {"StudyDate": f"{said}-{said}", "ModalitiesInStudy": "MR"}, found


def of_accession(number: int) -> Asked:
    """The study of an order."""
    return {"AccessionNumber": f"Q{number}"}, 1


QUESTIONS_ASKED: dict[str, Callable[[int], Asked]] = {
    "studies of a patient": of_patient,
    "studies of a day in one modality": of_day,
    "study of an accession number": of_accession,
}
_SHOWN = ("PatientName", "PatientID", "StudyInstanceUID", "StudyDate", "AccessionNumber")


@dataclass
class Archive:
    """One that runs, with a registry of so many studies."""

    studies: int
    peer: Association
    took: dict[str, list[float]]

    def ask(self, title: str, draw: random.Random) -> None:
        """Ask for one study, drawn at random, and keep what it took."""
        # Neither the first day, which is begun by another study, nor the last, cut one.
        numbers = range(max(PER_DAY, PER_PATIENT), self.studies - PER_DAY)
        asked = QUESTIONS_ASKED[title](draw.choice(numbers))
        self.took.setdefault(title, []).append(_timed(self.peer, *asked))

    def questions(self) -> Iterator[Question]:
        """Milliseconds of each question; the first of its kind is left out."""
        for title, took in self.took.items():
            middle, greatest = statistics.median(took[1:]), max(took[1:])
            yield Question(title, self.studies, round(middle, 2), round(greatest, 2))


def measure(archives: Sequence[Archive]) -> None:
    """Ask each in turn, so that what else the machine does falls on all alike."""
    draw = random.Random(SEED)
    for title in QUESTIONS_ASKED:
        for _ in range(QUESTIONS + 1):
            for archive in archives:
                archive.ask(title, draw)


def filled(folder: Path, studies: int, stack: ExitStack) -> Reconcile:
    """An archive that runs until the stack is left, with so many studies in it."""
    server = Reconcile(folder, f"reconcile {studies}")
    filled_before = server.data.exists()
    stack.enter_context(running(server))
    if filled_before:
        return server
    server.prepare([FIRST])
    store(server, 1)
    with superuser(server.data) as connection:
        spread(connection, studies)
    return server


def asked_of(server: Reconcile, studies: int, stack: ExitStack) -> Archive:
    """The archive, with an association that is open until the stack is left."""
    ae = ApplicationEntity(CALLING)
    ae.add_requested_context(STUDY_ROOT)
    peer = ae.associate("127.0.0.1", server.port, ae_title=server.called)
    if not peer.is_established:
        raise Wrong("the archive takes no queries")
    stack.callback(peer.release)
    return Archive(studies, peer, {})


def _timed(peer: Association, keys: dict[str, str], expected: int) -> float:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    for keyword in _SHOWN:
        setattr(identifier, keyword, "")
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    began = time.perf_counter()
    told = [status.Status for status, _ in peer.send_c_find(identifier, STUDY_ROOT)]
    took = (time.perf_counter() - began) * 1000
    if told != [0xFF00] * expected + [0x0000]:
        raise Wrong(f"{len(told) - 1} studies are found, and not {expected}")
    return took


def main(arguments: list[str]) -> int:
    options = argparse.ArgumentParser(prog="python -m bench find", description=__doc__)
    options.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    options.add_argument("--name", default="", help="of the file with the results")
    options.add_argument(
        "--keep", type=Path, help="folder of registries, made or made before"
    )
    asked = options.parse_args(arguments)
    with (
        nullcontext(asked.keep) if asked.keep else scratch() as folder,
        ExitStack() as stack,
    ):
        record = Record("find", asked.name, folder)
        sizes = sorted(asked.sizes)
        servers = [filled(folder, size, stack) for size in sizes]
        archives = list(map(asked_of, servers, sizes, repeat(stack)))
        measure(archives)
        rows = [each for archive in archives for each in archive.questions()]
        record.write(rows, {"reconcile": servers[0].version}, {"questions": QUESTIONS})
    print("\n".join(tables.text(states.find(rows))))
    print(f"written to {record.path.name}", file=sys.stderr)
    return 0
