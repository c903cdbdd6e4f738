"""What a person corrects by hand: done, or only shown, and told of either way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydicom.dataset import Dataset

from reconcile.core.order import RequestedProcedure
from reconcile.db.embedded import Urls
from reconcile.errors import NotFound, WrongUse
from reconcile.flows.kept import KeptArrivals
from reconcile.flows.regroup import Regroup
from reconcile.flows.steward import By, Steward
from reconcile.flows.undo import Undo
from tests.support.given import disagreements, given, history
from tests.support.hospital import JANE, RICHARD, Hospital, source_of
from tests.support.instances import instance

BY = By("ann", "the wrong worklist entry")
ONLY_SHOWN = By("ann", "the wrong worklist entry", dry_run=True)


@pytest.fixture
def hospital(database_urls: Urls, tmp_path: Any) -> Iterator[Hospital]:
    hospital = Hospital.at(database_urls.writer, tmp_path, database_urls.reader)
    hospital.patient(JANE, "100^^^A", "E1^^^E")
    hospital.patient(RICHARD, "200^^^A", "E2^^^E")
    yield hospital
    assert disagreements(hospital) == []
    hospital.database.close()


@pytest.fixture
def steward(hospital: Hospital) -> Steward:
    return Steward(KeptArrivals(hospital.flow().recording, source_of))


@pytest.fixture
def image(hospital: Hospital) -> Dataset:
    image = instance(AccessionNumber="")
    hospital.store(image)
    return image


def test_row_45_a_study_is_another_patients(
    hospital: Hospital, steward: Steward, image: Dataset
) -> None:
    """Told as a correction; what comes later with the same header follows."""
    done = steward.assign(image.StudyInstanceUID, "200^^^A", BY)

    out = given(hospital, image.SOPInstanceUID)
    assert (out.PatientID, out.PatientName) == ("E2", "ROE^RICHARD")
    assert [e.reason for e in done.events] == ["CORRECT"]
    item = out.OriginalAttributesSequence[-1]
    assert item.ReasonForTheAttributeModification == "CORRECT"
    assert [e.cause for e in history(hospital, image.SOPInstanceUID)][-1] == "steward"
    later = instance(StudyInstanceUID=image.StudyInstanceUID, AccessionNumber="")
    hospital.store(later)
    assert given(hospital, later.SOPInstanceUID).PatientID == "E2"


def test_what_is_assigned_to_one_whom_only_images_named_bears_their_id(
    hospital: Hospital, steward: Steward, image: Dataset
) -> None:
    """The names stay as received; what comes later is given out alike."""
    hospital.store(instance(PatientID="700", PatientName="NEW^ONE", AccessionNumber=""))
    later = instance(StudyInstanceUID=image.StudyInstanceUID, AccessionNumber="")
    bare = instance(PatientID="", PatientName="DOE^JANE", AccessionNumber="")
    hospital.store(bare)
    for study in (image.StudyInstanceUID, bare.StudyInstanceUID):
        steward.assign(study, "700^^^A", BY)
    hospital.store(later)

    for each in (image, later, bare):
        out = given(hospital, each.SOPInstanceUID)
        assert (out.PatientID, out.IssuerOfPatientID) == ("700", "A")
        assert out.PatientName == "DOE^JANE"


def test_a_dry_run_changes_nothing(
    hospital: Hospital, steward: Steward, image: Dataset
) -> None:
    """And tells the same events."""
    shown = steward.assign(image.StudyInstanceUID, "200^^^A", ONLY_SHOWN)

    assert given(hospital, image.SOPInstanceUID).PatientID == "E1"
    assert len(history(hospital, image.SOPInstanceUID)) == 1
    done = steward.assign(image.StudyInstanceUID, "200^^^A", BY)
    assert [e.new_attributes for e in shown.events] == [
        e.new_attributes for e in done.events
    ]


def test_an_order_is_linked_and_unlinked(
    hospital: Hospital, steward: Steward, image: Dataset
) -> None:
    """Its words are given out, and then no longer."""
    procedure = RequestedProcedure("RP1", description="CT HEAD")
    hospital.order(JANE, "100^^^A", accession="ACC9", procedures=(procedure,))
    before = given(hospital, image.SOPInstanceUID)
    steward.link_order(image.StudyInstanceUID, "ACC9", BY)
    out = given(hospital, image.SOPInstanceUID)
    assert (out.AccessionNumber, out.StudyDescription) == ("ACC9", "CT HEAD")
    steward.unlink_order(image.StudyInstanceUID, "ACC9", BY)
    out = given(hospital, image.SOPInstanceUID)
    assert out.AccessionNumber == before.AccessionNumber == ""
    assert out.get("StudyDescription") == before.get("StudyDescription")


def test_series_are_a_study_of_their_own(
    hospital: Hospital, steward: Steward, image: Dataset
) -> None:
    """Under a new UID; what comes later of them follows; taken back, all is as it was."""
    study = image.StudyInstanceUID
    other = instance(StudyInstanceUID=study, AccessionNumber="")
    hospital.store(other)
    before = given(hospital, other.SOPInstanceUID)
    regroup = Regroup(steward.kept)
    done = regroup.split(study, [other.SeriesInstanceUID], BY)

    out = given(hospital, other.SOPInstanceUID)
    assert out.StudyInstanceUID not in (study, before.StudyInstanceUID)
    assert out.SeriesInstanceUID == other.SeriesInstanceUID
    assert [e.reason for e in done.events] == ["CORRECT"]
    assert given(hospital, image.SOPInstanceUID).StudyInstanceUID == study
    late = instance(
        StudyInstanceUID=study,
        SeriesInstanceUID=other.SeriesInstanceUID,
        AccessionNumber="",
    )
    hospital.store(late)
    followed = given(hospital, late.SOPInstanceUID)
    assert followed.StudyInstanceUID == out.StudyInstanceUID
    assert followed.SeriesInstanceUID == other.SeriesInstanceUID
    Undo(steward.kept).happening(str(done.happening), BY)
    assert given(hospital, other.SOPInstanceUID) == before
    assert given(hospital, late.SOPInstanceUID).StudyInstanceUID == study


def test_what_was_split_and_renamed_is_followed_and_joined_again(
    hospital: Hospital, steward: Steward, image: Dataset
) -> None:
    """An order names the new study: what comes later goes there, and the undo finds it."""
    study = image.StudyInstanceUID
    other = instance(StudyInstanceUID=study, AccessionNumber="ACC7")
    hospital.store(other)
    done = Regroup(steward.kept).split(study, [other.SeriesInstanceUID], BY)
    procedure = RequestedProcedure("RP1", "2.25.99", "CT HEAD")
    hospital.order(JANE, "100^^^A", accession="ACC7", procedures=(procedure,))
    assert given(hospital, other.SOPInstanceUID).StudyInstanceUID == "2.25.99"

    late = instance(
        StudyInstanceUID=study,
        SeriesInstanceUID=other.SeriesInstanceUID,
        AccessionNumber="ACC7",
    )
    hospital.store(late)
    assert given(hospital, late.SOPInstanceUID).StudyInstanceUID == "2.25.99"
    Undo(steward.kept).happening(str(done.happening), BY)
    for each in (other, late):
        assert given(hospital, each.SOPInstanceUID).StudyInstanceUID == study


def test_a_series_is_of_another_study(
    hospital: Hospital, steward: Steward, image: Dataset
) -> None:
    """Of the same patient: one study; of another, a person is told."""
    other = instance(AccessionNumber="")
    hospital.store(other)
    Regroup(steward.kept).move(other.SeriesInstanceUID, image.StudyInstanceUID, BY)

    out = given(hospital, other.SOPInstanceUID)
    assert out.StudyInstanceUID == image.StudyInstanceUID
    assert out.SeriesInstanceUID == other.SeriesInstanceUID
    with pytest.raises(WrongUse, match="already"):
        Regroup(steward.kept).move(other.SeriesInstanceUID, image.StudyInstanceUID, BY)
    with pytest.raises(NotFound):
        Regroup(steward.kept).split(image.StudyInstanceUID, ["1.2.3"], BY)
    series = [image.SeriesInstanceUID, other.SeriesInstanceUID]
    with pytest.raises(WrongUse, match="left"):
        Regroup(steward.kept).split(image.StudyInstanceUID, series, BY)


def test_what_cannot_be_done_is_said(
    hospital: Hospital, steward: Steward, image: Dataset
) -> None:
    """No such study, patient or order; another patient's order; no reason."""
    study = image.StudyInstanceUID
    hospital.order(RICHARD, "200^^^A", accession="ACC8")
    for call in (
        lambda: steward.assign("1.2.3.4", "200^^^A", BY),
        lambda: steward.assign(study, "999^^^A", BY),
        lambda: steward.link_order(study, "NONE", BY),
        lambda: steward.unlink_order(study, "ACC8", BY),
    ):
        with pytest.raises(NotFound):
            call()
    with pytest.raises(WrongUse, match="another patient"):
        steward.link_order(study, "ACC8", BY)
    with pytest.raises(WrongUse, match="reason"):
        steward.assign(study, "200^^^A", By("ann", " "))
