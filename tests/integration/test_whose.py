"""A person says whose a held study is; it is remembered, and everybody agrees about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydicom.dataset import Dataset

from reconcile.db import views_holds, views_studies
from reconcile.db.embedded import Urls
from reconcile.db.views import Where
from reconcile.db.views_holds import Hold
from reconcile.errors import NotFound, WrongUse
from reconcile.flows.resolve import AlreadyDecided, ResolveFlow, Wanted
from reconcile.flows.worklist import grace
from tests.support.given import disagreements, given, history
from tests.support.hospital import JANE, RICHARD, Hospital, source_of
from tests.support.instances import instance

MISTYPED = {"PatientBirthDate": "19910102"}


@pytest.fixture
def hospital(database_urls: Urls, tmp_path: Any) -> Iterator[Hospital]:
    hospital = Hospital.at(database_urls.writer, tmp_path, database_urls.reader)
    hospital.patient(JANE, "100^^^A", "E1^^^E")
    hospital.patient(RICHARD, "200^^^A", "E2^^^E")
    yield hospital
    assert disagreements(hospital) == []
    hospital.database.close()


def waiting(hospital: Hospital, kind: str = "hold") -> tuple[Hold, ...]:
    with hospital.database.read_only() as connection:
        return views_holds.holds(connection, Where(), kind=kind, state="open").items


def resolve(hospital: Hospital, action: str, patient: str = "", **said: Any) -> None:
    [item] = waiting(hospital)
    wanted = Wanted(str(item.id), action, "seen", "ann", patient=patient, **said)
    ResolveFlow(hospital.flow(), source_of).resolve(wanted)


def held(hospital: Hospital, **attributes: Any) -> Dataset:
    image = instance(**{**MISTYPED, **attributes})
    assert hospital.store(image).held == "DEMOGRAPHIC-CONFLICT"
    assert given(hospital, image.SOPInstanceUID).IssuerOfPatientID == "H"
    return image


def test_row_88_what_is_accepted_is_its_patients(hospital: Hospital) -> None:
    """Both steps are in the history; what comes with the same header follows."""
    image = held(hospital)
    resolve(hospital, "accept")

    out = given(hospital, image.SOPInstanceUID)
    assert (out.PatientID, out.PatientBirthDate) == ("E1", "19800102")
    assert waiting(hospital) == ()
    told = history(hospital, image.SOPInstanceUID)
    assert [(e.level, e.cause) for e in told] == [
        ("instance", "c-store"),
        ("study", "resolve"),
    ]
    later = instance(StudyInstanceUID=image.StudyInstanceUID, **MISTYPED)
    assert hospital.store(later).held == ""
    assert given(hospital, later.SOPInstanceUID).PatientID == "E1"
    with hospital.database.read_only() as connection:
        told_of = views_studies.study_explained(connection, image.StudyInstanceUID)
    assert any("person" in sentence for sentence in told_of.sentences)


def test_row_59_another_header_of_the_study_is_another_question(hospital: Hospital) -> None:
    """What was decided holds for the header that was seen, and no other."""
    image = held(hospital)
    resolve(hospital, "accept")
    other = instance(
        StudyInstanceUID=image.StudyInstanceUID,
        PatientName="STRANGER^SOME",
        PatientBirthDate="19330303",
    )

    assert hospital.store(other).held == "DEMOGRAPHIC-CONFLICT"


def test_row_59_what_was_decided_holds_for_a_time(hospital: Hospital) -> None:
    """After `remember_days` the same header is a question again."""
    image = held(hospital)
    days = timedelta(days=hospital.rules.remember_days + 1)
    [item] = waiting(hospital)
    long_ago = replace(hospital.flow(), clock=lambda: datetime.now(UTC) - days)
    wanted = Wanted(str(item.id), "accept", "seen", "ann")
    ResolveFlow(long_ago, source_of).resolve(wanted)
    assert given(hospital, image.SOPInstanceUID).PatientID == "E1"

    later = instance(StudyInstanceUID=image.StudyInstanceUID, **MISTYPED)
    assert hospital.store(later).held == "DEMOGRAPHIC-CONFLICT"


def test_assigned_to_somebody_else(hospital: Hospital) -> None:
    """It is another's study: the ID of the first is in its original attributes only."""
    image = held(hospital)
    resolve(hospital, "assign", "200^^^A")

    out = given(hospital, image.SOPInstanceUID)
    assert (out.PatientID, out.PatientName) == ("E2", "ROE^RICHARD")
    assert "OtherPatientIDsSequence" not in out
    later = instance(
        StudyInstanceUID=image.StudyInstanceUID,
        SeriesInstanceUID=image.SeriesInstanceUID,
        **MISTYPED,
    )
    hospital.store(later)
    out = given(hospital, later.SOPInstanceUID)
    assert (out.PatientID, out.SeriesInstanceUID) == ("E2", image.SeriesInstanceUID)
    assert "OtherPatientIDsSequence" not in out


def test_somebody_nobody_knows_yet(hospital: Hospital) -> None:
    """A patient of the archive's own, known as the header says."""
    image = held(hospital, PatientName="NEW^ONE")
    resolve(hospital, "new-patient")

    out = given(hospital, image.SOPInstanceUID)
    assert (out.IssuerOfPatientID, out.PatientName) == ("E", "NEW^ONE")
    assert out.PatientID not in ("E1", "E2")


def test_rejected_it_stays_under_an_id_of_its_own(hospital: Hospital) -> None:
    """The question is closed; no patient has the study."""
    image = held(hospital)
    resolve(hospital, "reject")

    assert given(hospital, image.SOPInstanceUID).IssuerOfPatientID == "H"
    assert waiting(hospital) == ()


def test_what_cannot_be_done_is_said(hospital: Hospital) -> None:
    """Nobody named, nobody known, no such way, somebody was first."""
    held(hospital)
    [item] = waiting(hospital)
    with pytest.raises(WrongUse, match="to whom"):
        resolve(hospital, "assign")
    with pytest.raises(NotFound):
        resolve(hospital, "assign", "999999^^^A")
    with pytest.raises(WrongUse, match="accept or assign"):
        resolve(hospital, "replace")
    resolve(hospital, "accept")
    wanted = Wanted(str(item.id), "accept", "seen", "bob")
    with pytest.raises(AlreadyDecided, match="ann"):
        ResolveFlow(hospital.flow(), source_of).resolve(wanted)


def test_row_29_a_temporary_patient_is_on_the_worklist_after_a_day(
    hospital: Hospital,
) -> None:
    """Only where nobody has said who it is by then; another ID is listed at once."""
    trauma = {"PatientID": "TR-29", "IssuerOfPatientID": "T"}
    hospital.store(instance(**trauma))
    hospital.store(instance(PatientID="2900"))

    def listed(after: timedelta) -> int:
        expected = grace(hospital.rules, datetime.now(UTC) + after)
        with hospital.database.read_only() as connection:
            found = views_holds.holds(connection, Where(), state="open", grace=expected)
        return sum(each.code == "PROVISIONAL" for each in found.items)

    hours = timedelta(hours=hospital.rules.temporary_hours)
    assert (listed(timedelta()), listed(hours - timedelta(hours=1)), listed(hours)) == (
        (1, 1, 2)
    )


def test_a_review_is_seen(hospital: Hospital) -> None:
    """Nothing changes but the item."""
    hospital.store(instance(PatientName="SMITH^JANE"))
    [item] = waiting(hospital, "review")
    wanted = Wanted(str(item.id), "accept", "married", "ann")
    ResolveFlow(hospital.flow(), source_of).resolve(wanted)

    assert waiting(hospital, "review") == ()
