"""What a person decides, and takes back: by the HTTP API, as it is given out everywhere."""

from __future__ import annotations

from typing import Any

from tests.scenarios.acting import (
    Patient,
    found,
    post,
    resolve,
    same,
    studies,
    waiting,
)
from tests.scenarios.seen import (
    Seen,
    assert_coerced,
    assert_held,
    assigned_id,
    look,
    store,
)
from tests.support.instances import uid
from tests.support.messages import joined
from tests.support.running import Archive, code

CONFLICT = "DEMOGRAPHIC-CONFLICT"


def pair(archive: Archive, row: int) -> tuple[Patient, Patient]:
    """Two patients who have nothing in common."""
    one = Patient(f"{row}01^^^A", "STEW^STELLA", "19800102", "F")
    other = Patient(f"{row}02^^^A", "ROE^ROLAND", "19750506", "M")
    for each in (one, other):
        each.told(archive)
    return one, other


def now(archive: Archive, seen: Seen) -> Seen:
    """A stored instance as it is today."""
    return look(archive, seen.sent, seen.status)


def held(archive: Archive, patient: Patient, **attributes: Any) -> Seen:
    """An image whose birth year was mistyped."""
    image = patient.image(PatientBirthDate="19910102", **attributes)
    seen = store(archive, image)
    assert_held(seen, CONFLICT)
    return seen


def accept(archive: Archive, seen: Seen) -> Seen:
    """The same after a person has said that it is the patient's."""
    answer = resolve(archive, seen.items("hold")[CONFLICT], "accept")
    assert answer.status_code == 201
    return now(archive, seen)


def test_row_43_who_was_said_not_to_be_the_same_is_not_merged(archive: Archive):
    """43: the exception names who said so, and when."""
    one, other = pair(archive, 43)
    said = {"one": one.first, "other": other.first}
    assert post(archive, "/api/v1/patients/not-same", **said).status_code == 201
    text = joined("A40", one.first, other.first, control_id="row-43")
    assert code(archive.send(text)) == "AA"
    first, *_ = waiting(archive, "VETOED-MERGE", "row-43")["candidates"]
    [reason] = first["reasons"]
    assert reason.startswith("declared not the same by local on 20")
    assert not same(archive, one.first, other.first)


def test_row_45_a_steward_assigns_a_study_to_another_patient(archive: Archive):
    """45: CORRECT, for what is stored and for what still comes; the history says who."""
    one, other = pair(archive, 45)
    seen = store(archive, one.image())
    study = str(seen.sent.StudyInstanceUID)
    path = f"/api/v1/studies/{study}/assign"
    tried = post(archive, path, patient=other.first, dry_run=True)
    assert tried.is_success, tried.text
    assert now(archive, seen).given == seen.given
    assert post(archive, path, patient=other.first).status_code == 201
    after = now(archive, seen)
    assert after.patient == (assigned_id(archive, other.first), "E")
    assert after.given.PatientName == other.name
    event = after.events[-1]
    assert (event["reason"], event["actor"]) == ("CORRECT", "local")
    assert studies(found(archive, PatientID=other.first)) == {study}
    assert found(archive, PatientID=one.first) == []
    late = store(archive, one.image(StudyInstanceUID=study))
    assert late.patient == after.patient


def test_row_59_the_next_image_with_the_same_header_is_decided_alike(archive: Archive):
    """59: same study, header and source; another header is another question."""
    one, _ = pair(archive, 59)
    study = uid()
    first = accept(archive, held(archive, one, StudyInstanceUID=study))
    again = one.image(PatientBirthDate="19910102", StudyInstanceUID=study)
    late = store(archive, again)
    assert_coerced(late, first.patient[0])
    assert late.rung == "S"
    other = one.image(PatientBirthDate="19330303", StudyInstanceUID=study)
    assert store(archive, other).holds == {CONFLICT}
    other_source = one.image(PatientBirthDate="19910102", StudyInstanceUID=study)
    assert store(archive, other_source, "CT_NOACC").holds == {CONFLICT}
    listed = archive.items("/api/v1/holds", kind="hold", code=CONFLICT, state="closed")
    assert study in {each["study_instance_uid"] for each in listed}


def test_row_60_a_wrong_decision_is_taken_back(archive: Archive):
    """60: one call; header and item are what they were, and it is not done again."""
    one, other = pair(archive, 60)
    seen = held(archive, one)
    item = seen.items("hold")[CONFLICT]
    done = resolve(archive, item, "assign", patient=other.first)
    assert done.status_code == 201
    wrong = now(archive, seen)
    assert wrong.patient == (assigned_id(archive, other.first), "E")
    [event] = done.json()["events"]
    undone = post(archive, f"/api/v1/coercions/{event['id']}/undo")
    assert undone.status_code == 201, undone.text
    after = now(archive, seen)
    assert (after.given, after.holds) == (seen.given, {CONFLICT})
    assert after.events[1]["undone_by"]
    assert found(archive, PatientID=other.first) == []
    again = one.image(
        PatientBirthDate="19910102", StudyInstanceUID=str(seen.sent.StudyInstanceUID)
    )
    assert store(archive, again).holds == {CONFLICT}


def test_row_88_a_held_emergency_study_is_found_and_then_the_patients(archive: Archive):
    """88: by name, date, accession and UID at once; accepted, with both steps told."""
    one, _ = pair(archive, 88)
    seen = held(archive, one, AccessionNumber="ER8801", StudyDate="20260707")
    study = str(seen.sent.StudyInstanceUID)
    for keys in (
        {"PatientName": "stew^*", "StudyDate": "20260707"},
        {"StudyDate": "20260707"},
        {"AccessionNumber": "ER8801"},
        {"StudyInstanceUID": study},
        {"PatientID": seen.patient[0], "IssuerOfPatientID": "H"},
    ):
        [answer] = found(archive, **keys)
        assert studies([answer]) == {study}
        assert (answer.PatientID, answer.IssuerOfPatientID) == seen.patient
    assert found(archive, PatientID=one.first) == []
    after = accept(archive, seen)
    assert after.patient == (assigned_id(archive, one.first), "E")
    assert after.given.PatientBirthDate == one.birth_date
    assert [e["cause"] for e in after.events] == ["c-store", "resolve"]
    [answer] = found(archive, PatientID=one.first)
    assert studies([answer]) == {study}
