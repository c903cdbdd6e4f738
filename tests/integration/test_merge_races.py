"""Merges beside what rests on them: one of the two comes first, whoever it is."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from reconcile.core.identity import PatientIdentifier
from reconcile.db import tables as t
from reconcile.db import views_patients
from tests.support.hospital import JANE, RICHARD, Hospital
from tests.support.instances import instance, uid

ROUNDS = 500 if os.environ.get("RECONCILE_SOAK") else 25
EARLY = datetime(2026, 3, 1, 10, tzinfo=UTC)
LATE = EARLY + timedelta(minutes=1)


@pytest.fixture
def hospital(database_urls, tmp_path):
    """A hospital over a fresh database."""
    return Hospital.at(database_urls.writer, tmp_path, database_urls.reader)


def person(hospital, identifier):
    """Who owns an identifier of domain A, as the outer face tells it."""
    with hospital.database.read_only() as connection:
        wanted = PatientIdentifier(identifier, "A")
        [found] = views_patients.by_identifier(connection, wanted)
        return found


def assigned(person):
    """The first ID of the archive's own domain."""
    return next(each.id for each in person.identifiers if each.issuer == "E")


def coerced_to(hospital, study):
    """Patient IDs that instances of a study are given out with."""
    with hospital.database.read_only() as connection:
        rows = connection.execute(
            select(t.instance.c.stored_revision, t.study.c.revision, t.assignment.c.assigns)
            .join(t.series, t.series.c.id == t.instance.c.series_id)
            .join(t.study, t.study.c.id == t.series.c.study_id)
            .join(t.assignment, t.assignment.c.id == t.instance.c.assignment_id)
            .where(t.study.c.study_instance_uid == study)
        ).all()
    return [
        (
            row.stored_revision == row.revision,
            next(each[1]["Value"][0] for each in row.assigns if each[0] == "00100020"),
        )
        for row in rows
    ]


def test_a_store_beside_a_merge_never_ends_under_the_subsumed_person(hospital):
    """
    An image that is decided after the merge is the survivor's: of those that are the
    subsumed one's, the study was raised since, so that the merge reaches them.
    """
    with ThreadPoolExecutor(4) as pool:
        for number in range(ROUNDS):
            one, other = f"1{number:04}", f"2{number:04}"
            hospital.patient(JANE, f"{one}^^^A")
            hospital.patient(JANE, f"{other}^^^A")
            study = uid()
            images = [instance(StudyInstanceUID=study, PatientID=other) for _ in range(3)]
            first = pool.submit(hospital.store, images[0])
            merged = pool.submit(hospital.merge, f"{one}^^^A", f"{other}^^^A")
            rest = [pool.submit(hospital.store, image) for image in images[1:]]
            assert "applied" == merged.result().state
            assert {""} == {each.result().held for each in (first, *rest)}

            survivor = person(hospital, other)
            found = coerced_to(hospital, study)
            assert 3 == len(found)
            wrong = [own for newest, own in found if newest and own != assigned(survivor)]
            assert not wrong, f"round {number}"
            assert (
                "" == hospital.store(instance(StudyInstanceUID=study, PatientID=other)).held
            )


def test_a_merge_between_two_images_of_a_study(hospital):
    """
    The image before was the subsumed person's; the one after is the survivor's.
    """
    hospital.patient(JANE, "100^^^A")
    hospital.patient(RICHARD, "200^^^A")
    study = uid()
    richard = {"PatientName": "ROE^RICHARD", "PatientBirthDate": "19750506"}
    richard |= {"PatientID": "200", "PatientSex": "M", "StudyInstanceUID": study}
    hospital.store(instance(**richard))
    before = assigned(person(hospital, "200"))
    assert "applied" == hospital.merge("100^^^A", "200^^^A").state
    assert "" == hospital.store(instance(**richard)).held
    now = assigned(person(hospital, "100"))
    assert now == assigned(person(hospital, "200"))
    assert [(False, before), (True, now)] == sorted(coerced_to(hospital, study))


@pytest.mark.parametrize("later", [EARLY, LATE], ids=["of one time", "one of them later"])
def test_a_merge_and_its_inverse_at_once(hospital, later):
    """
    Exactly one is merged; the other is its inverse, or older. Nobody waits in a circle,
    and which of them stands does not depend on which came first.
    """
    with ThreadPoolExecutor(2) as pool:
        for number in range(ROUNDS):
            one, other = f"1{number:04}^^^A", f"2{number:04}^^^A"
            hospital.patient(JANE, one)
            hospital.patient(JANE, other)
            a = pool.submit(hospital.merge, one, other, at=EARLY)
            b = pool.submit(hospital.merge, other, one, at=later)
            outcomes = [a.result(), b.result()]
            told = sorted(
                each.effects[0].split(":")[0] if each.effects else each.state
                for each in outcomes
            )
            assert told in (["INVERSE-MERGE", "merged"], ["merged", "stale"])
            wins = one if later == EARLY else other
            survivor = person(hospital, wins.split("^")[0])
            own = [each.id for each in survivor.identifiers if each.state == "own"]
            assert wins.split("^")[0] in own

    with hospital.database.read_only() as connection:
        live = select(func.count()).where(func.upper_inf(t.merge_edge.c.recorded))
        assert ROUNDS == connection.execute(live).scalar_one()


def test_merges_of_a_ring_at_once_make_a_forest(hospital):
    """
    Whatever comes of merges in a ring, everybody has one root, and it is its own.
    """
    ring = [f"3{number:02}^^^A" for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        for identifier in ring:
            hospital.patient(JANE, identifier)
        pairs = zip(ring, [*ring[1:], ring[0]], strict=True)
        list(pool.map(lambda pair: hospital.merge(*pair), pairs))

    with hospital.database.read_only() as connection:
        persons = connection.execute(select(t.person.c.id, t.person.c.canonical_id)).all()
        edges = connection.execute(
            select(t.merge_edge.c.subsumed_id, t.merge_edge.c.survivor_id).where(
                func.upper_inf(t.merge_edge.c.recorded)
            )
        ).all()
    parents = dict(map(tuple, edges))
    for person_id, canonical_id in persons:
        steps = 0
        while person_id in parents:
            person_id, steps = parents[person_id], steps + 1
            assert steps < len(persons)
        assert person_id == canonical_id
