"""What is said of a patient reaches what is stored already, with one event per study."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from sqlalchemy import func, select

from reconcile.core.identity import Demographics, PersonName
from reconcile.core.order import RequestedProcedure
from reconcile.db import events
from reconcile.db import history as h
from reconcile.db import tables as t
from reconcile.db.embedded import Urls
from reconcile.flows.arriving import Moment
from reconcile.flows.restate import Restate
from tests.support.given import disagreements, given, history
from tests.support.hospital import ANNA, CT_A, JANE, MR_B, Hospital, clock
from tests.support.instances import instance, uid

MARRIED = replace(JANE, name=PersonName("SMITH^JANE"))


@pytest.fixture
def hospital(database_urls: Urls, tmp_path: Any) -> Iterator[Hospital]:
    hospital = Hospital.at(database_urls.writer, tmp_path, database_urls.reader)
    hospital.patient(JANE, "100^^^A", "E1^^^E")
    yield hospital
    hospital.database.close()


def study_events(hospital: Hospital) -> int:
    e = h.coercion_event.c
    with hospital.database.read_only() as connection:
        query = select(func.count()).where(e.level == "study")
        return int(connection.execute(query).scalar_one())


def stored(hospital: Hospital, count: int = 1, /, **attributes: Any) -> list[Dataset]:
    study, series = uid(), uid()
    made = [
        instance(StudyInstanceUID=study, SeriesInstanceUID=series, **attributes)
        for _ in range(count)
    ]
    for each in made:
        hospital.store(each)
    return made


def test_a_new_name_is_given_out_of_what_is_stored(hospital: Hospital) -> None:
    """One event, an item in each instance, and everybody agrees."""
    images = stored(hospital, 3)
    hospital.patient(MARRIED, "100^^^A")

    assert study_events(hospital) == 1
    for image in images:
        out = given(hospital, image.SOPInstanceUID)
        assert (out.PatientName, out.PatientID) == ("SMITH^JANE", "E1")
        items = out.OriginalAttributesSequence
        assert len(items) == 2
        assert items[1].ModifiedAttributesSequence[0].PatientName == "DOE^JANE"
        assert "PatientID" not in items[1].ModifiedAttributesSequence[0]
        told = history(hospital, image.SOPInstanceUID)
        assert [e.level for e in told] == ["instance", "study"]
        assert told[1].attributes == ("PatientName",)
        assert told[1].patient == {"id": "E1", "issuer": "E"}
    assert disagreements(hospital) == []


def test_what_comes_later_is_given_out_alike(hospital: Hospital) -> None:
    """Stored before or after: the same header, and nothing to say anew."""
    [before] = stored(hospital)
    hospital.patient(MARRIED, "100^^^A")
    after = instance(
        StudyInstanceUID=before.StudyInstanceUID, SeriesInstanceUID=before.SeriesInstanceUID
    )
    hospital.store(after)
    hospital.patient(MARRIED, "100^^^A")

    one, other = (given(hospital, i.SOPInstanceUID) for i in (before, after))
    for each in (one, other):
        for name in (
            "SOPInstanceUID",
            "OriginalAttributesSequence",
            "InstanceCoercionDateTime",
        ):
            del each[name]
    assert one == other
    assert study_events(hospital) == 1
    assert disagreements(hospital) == []


def test_what_was_said_before_it_came_does_not_apply_to_an_image(
    hospital: Hospital,
) -> None:
    """By the revision that it was stored at: it has one item, of its own storing."""
    [before] = stored(hospital)
    hospital.patient(MARRIED, "100^^^A")
    hospital.patient(JANE, "100^^^A")
    after = instance(
        StudyInstanceUID=before.StudyInstanceUID, SeriesInstanceUID=before.SeriesInstanceUID
    )
    hospital.store(after)

    assert len(given(hospital, before.SOPInstanceUID).OriginalAttributesSequence) == 3
    assert len(given(hospital, after.SOPInstanceUID).OriginalAttributesSequence) == 1
    assert disagreements(hospital) == []


def test_what_was_taken_back_is_as_received(hospital: Hospital) -> None:
    """A sex that the feed clears is again what the scanner sent."""
    [image] = stored(hospital, PatientSex="O")
    assert given(hospital, image.SOPInstanceUID).PatientSex == "F"
    hospital.patient(replace(JANE, sex=""), "100^^^A", cleared=("sex",))

    assert given(hospital, image.SOPInstanceUID).PatientSex == "O"
    assert disagreements(hospital) == []


def test_images_before_their_patient_are_theirs(hospital: Hospital) -> None:
    """Row 49: provisional until the feed tells of them, and then as any other."""
    header: dict[str, Any] = {
        "PatientID": "900",
        "PatientName": "NEW^ONE",
        "PatientBirthDate": "19700101",
    }
    other = Dataset()
    other.PatientID, other.IssuerOfPatientID = "X1", "ELSE"
    other.TypeOfPatientID = "TEXT"
    [image] = stored(hospital, **header, OtherPatientIDsSequence=Sequence([other]))
    assert given(hospital, image.SOPInstanceUID).PatientID == "900"
    new = Demographics(PersonName("NEW^ONE^MIDDLE"), "19700101", "M")
    hospital.patient(new, "900^^^A", "E9^^^E")

    out = given(hospital, image.SOPInstanceUID)
    assert (out.PatientID, out.IssuerOfPatientID) == ("E9", "E")
    assert out.PatientName == "NEW^ONE^MIDDLE"
    assert [i.PatientID for i in out.OtherPatientIDsSequence] == ["X1", "900"]
    assert disagreements(hospital) == []


def test_what_its_source_wants_untouched_stays(hospital: Hospital) -> None:
    """coerce = false holds for everything that comes later too."""
    image = instance()
    hospital.store(image, replace(CT_A, coerce=False))
    hospital.patient(MARRIED, "100^^^A")

    assert given(hospital, image.SOPInstanceUID).PatientName == image.PatientName
    assert study_events(hospital) == 0
    assert disagreements(hospital) == []


def test_what_was_just_stored_needs_nothing_said_anew(hospital: Hospital) -> None:
    """Whatever it was decided to be, it is given out as it should be."""
    hospital.patient(ANNA, "100^^^B", "E3^^^E")
    procedure = RequestedProcedure("RP1", uid(), "CT HEAD")
    hospital.order(JANE, "100^^^A", accession="ACC1", procedures=(procedure,))
    hospital.order(JANE, "100^^^A", accession="ACC2")
    stored(hospital, AccessionNumber="ACC1")
    stored(hospital, AccessionNumber="ACC1")
    stored(hospital, AccessionNumber="ACC2", PatientID="")
    stored(hospital, PatientID="0100", IssuerOfPatientID="HISA")
    stored(hospital, PatientID="X9", IssuerOfPatientID="CLINIC9")
    stored(hospital, PatientName="STRANGER^SOME", PatientBirthDate="19500101")
    stored(hospital, PatientID="")
    stored(hospital, PatientIdentityRemoved="YES")
    hospital.store(instance(), MR_B)
    hospital.store(instance(PatientID="77^^^A"), replace(CT_A, cx_in_patient_id=True))
    hospital.store(instance(), replace(CT_A, coerce=False))

    assert said_anew(hospital) == ()
    assert disagreements(hospital) == []


def test_an_order_that_a_later_image_names_is_said_of_those_before(
    hospital: Hospital,
) -> None:
    """The study answers it from then on: one event, with the happening of the image."""
    hospital.order(JANE, "100^^^A", accession="ACC1")
    [before] = stored(hospital)
    assert given(hospital, before.SOPInstanceUID).get("AccessionNumber", "") == ""
    named = instance(
        StudyInstanceUID=before.StudyInstanceUID,
        SeriesInstanceUID=uid(),
        AccessionNumber="ACC1",
    )
    hospital.store(named)

    for image in (before, named):
        assert given(hospital, image.SOPInstanceUID).AccessionNumber == "ACC1"
    told, its_own = (history(hospital, i.SOPInstanceUID) for i in (before, named))
    assert [e.level for e in told] == ["instance", "study"]
    assert told[1].happening == its_own[0].happening
    assert study_events(hospital) == 1
    assert said_anew(hospital) == ()
    assert disagreements(hospital) == []


def said_anew(hospital: Hospital) -> tuple[Any, ...]:
    """Studies that have anything to be said anew."""

    def step(connection: Any) -> tuple[Any, ...]:
        told = events.Happening("test", "", "test", "", clock())
        moment = Moment(connection, events.happen(connection, told), clock())
        found = connection.execute(select(t.study.c.id)).scalars().all()
        return Restate(hospital.rules).studies(moment, found)

    return hospital.database.run(step)
