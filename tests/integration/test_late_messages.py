"""What comes after the images: orders, and what explains why they were held."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import func, select, update

from reconcile.core.identity import Demographics, PatientIdentifier, PersonName
from reconcile.core.order import OrderControl, RequestedProcedure
from reconcile.db import history as h
from reconcile.db import tables as t
from reconcile.db import views_patients, views_studies
from reconcile.db.embedded import Urls
from reconcile.flows.message import Outcome
from tests.support.given import disagreements, given
from tests.support.hospital import JANE, RICHARD, Hospital
from tests.support.instances import instance, uid


@pytest.fixture
def hospital(database_urls: Urls, tmp_path: Any) -> Iterator[Hospital]:
    hospital = Hospital.at(database_urls.writer, tmp_path, database_urls.reader)
    hospital.patient(JANE, "100^^^A", "E1^^^E")
    hospital.patient(RICHARD, "200^^^A", "E2^^^E")
    yield hospital
    assert disagreements(hospital) == []
    hospital.database.close()


def items(hospital: Hospital, state: str = "open") -> list[str]:
    """Codes of what waits, or waited."""
    hold = t.hold.c
    with hospital.database.read_only() as connection:
        query = select(hold.code).where(hold.state == state).order_by(hold.id)
        return list(connection.execute(query).scalars())


def study_events(hospital: Hospital) -> int:
    with hospital.database.read_only() as connection:
        query = select(func.count()).where(h.coercion_event.c.level == "study")
        return int(connection.execute(query).scalar_one())


def assigned(hospital: Hospital, any_uid: str) -> str:
    with hospital.database.read_only() as connection:
        return views_studies.uids(connection, any_uid).assigned


def order(hospital: Hospital, number: str, study_uid: str = "", **said: Any) -> Outcome:
    procedure = RequestedProcedure("RP1", study_uid, "CT HEAD")
    given_ = {"accession": number, "procedures": (procedure,), **said}
    return hospital.order(JANE, "100^^^A", **given_)


def stored(hospital: Hospital, **attributes: Any) -> Dataset:
    image = instance(**attributes)
    hospital.store(image)
    return image


# -- Orders -------------------------------------------------------------------------


def test_row_71_an_order_with_a_uid_names_the_study(hospital: Hospital) -> None:
    """Nobody has used the study: mapped, with one event; both UIDs find it."""
    image = stored(hospital, AccessionNumber="ACC5")
    late = uid()
    assert order(hospital, "ACC5", late).state == "applied"

    out = given(hospital, image.SOPInstanceUID)
    assert (out.StudyInstanceUID, out.AccessionNumber) == (late, "ACC5")
    assert out.StudyDescription == "CT HEAD"
    assert study_events(hospital) == 1
    assert assigned(hospital, late) == assigned(hospital, image.StudyInstanceUID) == late
    again = instance(
        StudyInstanceUID=image.StudyInstanceUID, SeriesInstanceUID=image.SeriesInstanceUID
    )
    hospital.store(again)
    assert given(hospital, again.SOPInstanceUID).StudyInstanceUID == late
    assert items(hospital) == []


def test_row_72_a_study_that_somebody_has_keeps_its_uid(hospital: Hospital) -> None:
    """The order's UID finds it too, and a person is told."""
    image = stored(hospital, AccessionNumber="ACC5")
    with hospital.database.writer.begin() as connection:
        connection.execute(update(t.study).values(used_at=func.now()))
    late = uid()
    order(hospital, "ACC5", late)

    out = given(hospital, image.SOPInstanceUID)
    assert (out.StudyInstanceUID, out.AccessionNumber) == (image.StudyInstanceUID, "ACC5")
    assert assigned(hospital, late) == image.StudyInstanceUID
    assert items(hospital) == ["LATE-ORDER"]


def test_row_73_an_order_without_a_uid_adopts_the_modalitys(hospital: Hospital) -> None:
    """The study keeps its UID, and carries the order's words."""
    image = stored(hospital, AccessionNumber="ACC5")
    order(hospital, "ACC5")

    out = given(hospital, image.SOPInstanceUID)
    assert out.StudyInstanceUID == image.StudyInstanceUID
    assert out.StudyDescription == "CT HEAD"
    assert items(hospital) == []


def test_an_order_of_another_patient_takes_nobodys_images(hospital: Hospital) -> None:
    """The wrong worklist entry was chosen: nothing moves, and a person is told."""
    image = stored(hospital, AccessionNumber="ACC5")
    hospital.order(RICHARD, "200^^^A", accession="ACC5")

    assert given(hospital, image.SOPInstanceUID).PatientID == "E1"
    assert items(hospital) == ["EVIDENCE-CONFLICT"]


@pytest.mark.parametrize("fits", [True, False])
def test_row_74_an_order_moves_with_images_that_fit(hospital: Hospital, fits: bool) -> None:
    """To the new patient, if the images describe them; else it stays."""
    order(hospital, "ACC5")
    image = stored(hospital, AccessionNumber="ACC5", PatientID="", PatientName="DOE^JANE")
    if fits:  # they are held against the order's patient until somebody decides
        image = stored(hospital, AccessionNumber="ACC6", PatientID="100")
        order(hospital, "ACC6")
        hospital.patient(Demographics(PersonName("DOE^JANE"), "19800102", "F"), "201^^^A")
    to = (RICHARD, "200^^^A") if not fits else (JANE, "201^^^A")
    said = hospital.order(
        *to, accession="ACC6" if fits else "ACC5", control=OrderControl.CHANGE
    )

    assert (said.state, said.acknowledgement) == ("applied", "AA")
    expected = "E1" if not fits else given_id(hospital, "201^^^A")
    assert given(hospital, image.SOPInstanceUID).PatientID == expected
    assert ("ORDER-MOVED" in items(hospital)) is not fits


def given_id(hospital: Hospital, identifier: str) -> str:
    """The archive's own ID of a patient."""
    value, domain = identifier.split("^^^")
    with hospital.database.read_only() as connection:
        found = views_patients.by_identifier(
            connection, PatientIdentifier(value, domain), None
        )
    return next(i.id for i in found[0].identifiers if i.issuer == "E")


def test_row_75_a_cancelled_order_leaves_its_study(hospital: Hospital) -> None:
    """Flagged, once."""
    order(hospital, "ACC5")
    image = stored(hospital, AccessionNumber="ACC5")
    order(hospital, "ACC5", control=OrderControl.CANCEL)

    assert given(hospital, image.SOPInstanceUID).AccessionNumber == "ACC5"
    assert items(hospital) == ["ORDER-CLOSED"]


# -- What was held ------------------------------------------------------------------


def test_an_order_explains_images_without_an_id(hospital: Hospital) -> None:
    """Rung O, when the order comes: released, and given out as its patient's."""
    image = stored(hospital, AccessionNumber="ACC5", PatientID="")
    assert items(hospital) == ["NO-IDENTITY"]
    assert given(hospital, image.SOPInstanceUID).IssuerOfPatientID == "H"
    order(hospital, "ACC5")

    out = given(hospital, image.SOPInstanceUID)
    assert (out.PatientID, out.AccessionNumber) == ("E1", "ACC5")
    assert (items(hospital), items(hospital, "closed")) == ([], ["NO-IDENTITY"])


def test_a_series_is_released_as_a_whole_or_not_at_all(hospital: Hospital) -> None:
    """One image fits what came, another does not: nothing is linked, nothing given."""
    first = stored(hospital, AccessionNumber="ACC5", PatientID="")
    second = stored(
        hospital,
        AccessionNumber="ACC5",
        PatientID="",
        PatientName="STRANGER^SOME",
        PatientBirthDate="19330303",
        StudyInstanceUID=first.StudyInstanceUID,
        SeriesInstanceUID=first.SeriesInstanceUID,
    )
    order(hospital, "ACC5")

    for image in (first, second):
        assert given(hospital, image.SOPInstanceUID).IssuerOfPatientID == "H"
    with hospital.database.read_only() as connection:
        assert connection.execute(select(t.study_order.c.id)).all() == []
    assert items(hospital) == ["NO-IDENTITY"]


def test_what_is_released_is_flagged_all_the_same(hospital: Hospital) -> None:
    """An image of a married woman, without an ID: her order's, and worth a look."""
    stored(hospital, AccessionNumber="ACC5", PatientID="", PatientName="SMITH^JANE")
    order(hospital, "ACC5")

    assert items(hospital) == ["NAME-CHANGE"]


def test_a_correction_explains_a_contradiction(hospital: Hospital) -> None:
    """The feed had the birth year wrong: its correction releases what was held."""
    header = {"PatientBirthDate": "19910102"}
    image = stored(hospital, **header)
    assert items(hospital) == ["DEMOGRAPHIC-CONFLICT"]
    hospital.patient(replace(JANE, sex="O"), "100^^^A")
    assert items(hospital) == ["DEMOGRAPHIC-CONFLICT"]
    hospital.patient(replace(JANE, birth_date="19810102"), "100^^^A")

    out = given(hospital, image.SOPInstanceUID)
    assert (out.PatientID, out.PatientBirthDate) == ("E1", "19810102")
    assert items(hospital) == []
    later = stored(hospital, **header, StudyInstanceUID=image.StudyInstanceUID)
    assert given(hospital, later.SOPInstanceUID).PatientID == "E1"


def test_row_20_a_new_name_closes_its_item(hospital: Hospital) -> None:
    """Married: flagged until the feed says so too."""
    image = stored(hospital, PatientName="SMITH^JANE")
    assert items(hospital) == ["NAME-CHANGE"]
    hospital.patient(replace(JANE, name=PersonName("SMITH^JANE")), "100^^^A")

    assert given(hospital, image.SOPInstanceUID).PatientName == "SMITH^JANE"
    assert items(hospital) == []


def test_row_49_a_patient_who_comes_after_the_images(hospital: Hospital) -> None:
    """Verified, given out under the archive's ID, and the item closes itself."""
    image = stored(hospital, PatientID="900", PatientName="NEW^ONE")
    assert "PROVISIONAL" in items(hospital)
    hospital.patient(Demographics(PersonName("NEW^ONE"), "19800102", "F"), "900^^^A")

    assert given(hospital, image.SOPInstanceUID).IssuerOfPatientID == "E"
    assert "PROVISIONAL" not in items(hospital)
