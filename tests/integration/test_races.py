"""What must hold when two do the same at once: the constraints, not the code, hold it."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from sqlalchemy import func, select

from reconcile.core.order import RequestedProcedure
from reconcile.db import history as h
from reconcile.db import tables as t
from tests.support.hospital import JANE, Hospital
from tests.support.instances import instance, uid

ROUNDS = 1000 if os.environ.get("RECONCILE_SOAK") else 50


@pytest.fixture
def hospital(database_urls, tmp_path):
    """A hospital over a fresh database."""
    return Hospital.at(database_urls.writer, tmp_path, database_urls.reader)


def count(hospital, table, *where):
    with hospital.database.read_only() as connection:
        query = select(func.count()).select_from(table).where(*where)
        return connection.execute(query).scalar_one()


def test_64_first_images_of_an_unknown_patient_make_one_of_everything(hospital):
    """
    One person, one identity, one study, however many associations bring the first image.
    """
    study, series = uid(), uid()
    images = [
        instance(
            StudyInstanceUID=study,
            SeriesInstanceUID=series,
            PatientID="new",
            InstanceNumber=n,
        )
        for n in range(64)
    ]
    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(hospital.store, images))

    assert {""} == {answer.held for answer in answers}
    assert [1, 1, 1, 1] == [
        count(hospital, each) for each in (t.person, t.identity, t.study, t.series)
    ]
    assert [64, 64, 64] == [
        count(hospital, each) for each in (t.instance, t.receipt, h.coercion_event)
    ]


def test_the_same_instance_at_once_is_stored_once(hospital):
    """
    Sixteen arrivals of one SOP Instance UID: one instance, sixteen receipts, one event.
    """
    image = instance()
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(hospital.store, [image] * 16))

    assert 15 == sum(answer.already for answer in answers)
    assert [1, 16, 1] == [
        count(hospital, each) for each in (t.instance, t.receipt, h.coercion_event)
    ]


def _store_rounds(
    writer: str, folder: Path, studies: list[str], barrier: Barrier, number: int
) -> None:
    hospital = Hospital.at(writer, folder)
    for round_number, study in enumerate(studies):
        image = instance(
            StudyInstanceUID=study,
            AccessionNumber=f"R{round_number}",
            SeriesInstanceUID=f"{study}.{number}",
        )
        barrier.wait(60)
        assert hospital.store(image).held == ""


def test_two_processes_never_give_one_study_two_uids(hospital, database_urls, tmp_path):
    """
    Two instances of a new study at once: one live map, to the order's UID, one study.
    """
    studies = [uid() for _ in range(ROUNDS)]
    hospital.patient(JANE, "100^^^A")
    for number in range(ROUNDS):
        wanted = RequestedProcedure("RP", f"1.2.3.{number + 1}")
        hospital.order(JANE, "100^^^A", accession=f"R{number}", procedures=(wanted,))
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(2)
    processes = [
        spawn.Process(
            target=_store_rounds,
            args=(database_urls.writer, tmp_path, studies, barrier, number),
        )
        for number in (1, 2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(600)

    assert [0, 0] == [process.exitcode for process in processes]
    with hospital.database.read_only() as connection:
        rows = connection.execute(
            select(t.uid_map.c.received_uid, t.uid_map.c.assigned_uid).where(
                t.uid_map.c.level == "study"
            )
        ).all()
    assert {(study, f"1.2.3.{n + 1}") for n, study in enumerate(studies)} == {
        (row.received_uid, row.assigned_uid) for row in rows
    }
    assert ROUNDS == len(rows)
    assert ROUNDS == count(hospital, t.study)
    assert 2 * ROUNDS == count(hospital, t.instance)


def test_two_studies_of_one_order_at_once_are_never_fused(hospital):
    """
    One takes the order's Study UID; the other keeps its own, and is flagged.
    """
    hospital.patient(JANE, "100^^^A")
    with ThreadPoolExecutor(2) as pool:
        for number in range(ROUNDS // 5):
            wanted = RequestedProcedure("RP", f"1.2.7.{number + 1}")
            hospital.order(JANE, "100^^^A", accession=f"S{number}", procedures=(wanted,))
            images = [instance(AccessionNumber=f"S{number}") for _ in range(2)]
            assert {""} == {answer.held for answer in pool.map(hospital.store, images)}

    assert 2 * (ROUNDS // 5) == count(hospital, t.study)
    assert ROUNDS // 5 == count(
        hospital, t.uid_map, t.uid_map.c.assigned_uid != t.uid_map.c.received_uid
    )


def test_an_order_beside_a_store_comes_before_or_after(hospital):
    """
    Whichever is first, the study is given out under the order's UID in the end, has one
    live map, and late images follow it.
    """
    hospital.patient(JANE, "100^^^A")
    with ThreadPoolExecutor(2) as pool:
        for number in range(ROUNDS // 5):
            study, wanted = uid(), RequestedProcedure("RP", f"1.2.9.{number + 1}")
            image = instance(StudyInstanceUID=study, AccessionNumber=f"O{number}")
            ordered = pool.submit(
                hospital.order,
                JANE,
                "100^^^A",
                accession=f"O{number}",
                procedures=(wanted,),
            )
            stored = pool.submit(hospital.store, image)
            assert "AA" == ordered.result().acknowledgement
            assert "" == stored.result().held
            late = instance(StudyInstanceUID=study, AccessionNumber=f"O{number}")
            hospital.store(late)

    m, wanted_uids = t.uid_map.c, t.study.c.study_instance_uid.like("1.2.9.%")
    live = (m.level == "study") & (m.kind == "map") & func.upper_inf(m.valid)
    mapped = count(hospital, t.uid_map, live)
    assert count(hospital, t.study, wanted_uids) == ROUNDS // 5
    assert mapped == ROUNDS // 5 == count(hospital, t.study)
    assert 2 * (ROUNDS // 5) == count(hospital, t.instance)


def test_one_patient_from_eight_feeds_at_once_is_one_person(hospital):
    """
    Duplicate-patient races: the constraint prevents the second owner of an identifier.
    """
    with ThreadPoolExecutor(8) as pool:
        for number in range(ROUNDS // 5):
            answers = pool.map(lambda n: hospital.patient(JANE, f"F{n}^^^A"), [number] * 8)
            assert {"AA"} == {answer.acknowledgement for answer in answers}

    assert ROUNDS // 5 == count(hospital, t.person)
