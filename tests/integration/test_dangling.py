"""References between coerced instances: none dangles, and a broken one is found."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from typer.testing import CliRunner

from reconcile.cli.main import app
from reconcile.core.order import RequestedProcedure
from reconcile.db.embedded import Urls
from reconcile.errors import WrongUse
from reconcile.flows.check import CheckFlow
from reconcile.flows.dangling import Dangling, dangling
from tests.support.given import given
from tests.support.hospital import JANE, RICHARD, Hospital
from tests.support.instances import instance, uid

PR, KO, SR = (f"1.2.840.10008.5.1.4.1.1.{n}" for n in ("11.1", "88.59", "88.33"))
SEG, RTSTRUCT = (f"1.2.840.10008.5.1.4.1.1.{n}" for n in ("66.4", "481.3"))
HIS = {"PatientID": "200", "PatientName": "ROE^RICHARD", "PatientBirthDate": "19750506"}


@pytest.fixture
def hospital(database_urls: Urls, tmp_path: Path) -> Iterator[Hospital]:
    hospital = Hospital.at(
        database_urls.writer, tmp_path / "instances", database_urls.reader
    )
    for number, person in (("1", JANE), ("2", RICHARD)):
        ordered = RequestedProcedure(f"RP{number}", study_instance_uid=uid())
        identifiers = (f"{number}00^^^A", f"E{number}^^^E")
        accession = f"ACC{number}"
        hospital.order(person, *identifiers, accession=accession, procedures=(ordered,))
    yield hospital
    hospital.database.close()


def item(**values: object) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def sop(of: Dataset) -> Dataset:
    return item(
        ReferencedSOPClassUID=of.SOPClassUID, ReferencedSOPInstanceUID=of.SOPInstanceUID
    )


def evidence(images: Iterable[Dataset]) -> list[Dataset]:
    """Studies, series and instances, as documents list them."""
    return [
        item(
            StudyInstanceUID=each.StudyInstanceUID,
            ReferencedSeriesSequence=[
                item(
                    SeriesInstanceUID=each.SeriesInstanceUID,
                    ReferencedSOPSequence=[sop(each)],
                )
            ],
        )
        for each in images
    ]


def objects(own: Dataset, other: Dataset) -> list[Dataset]:
    """PR, KO, SR, SEG and RTSTRUCT beside an image, which refer to it and to another."""
    of_own_study = {
        k: getattr(own, k)
        for k in (
            "StudyInstanceUID",
            "PatientID",
            "PatientName",
            "PatientBirthDate",
            "AccessionNumber",
        )
    }

    def made(sop_class: str, modality: str, **values: object) -> Dataset:
        return instance(
            SOPClassUID=sop_class,
            Modality=modality,
            SeriesInstanceUID=uid(),
            **of_own_study,
            **values,
        )

    own_series = item(SeriesInstanceUID=own.SeriesInstanceUID)
    shown = item(**{e.keyword: e.value for e in own_series})
    shown.ReferencedImageSequence = [sop(own)]
    segmented = item(**{e.keyword: e.value for e in own_series})
    segmented.ReferencedInstanceSequence = [sop(own)]
    contoured = item(**{e.keyword: e.value for e in own_series})
    contoured.ContourImageSequence = [sop(own)]
    structures = item(
        ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1",
        ReferencedSOPInstanceUID=own.StudyInstanceUID,
        RTReferencedSeriesSequence=[contoured],
    )
    return [
        made(PR, "PR", ReferencedSeriesSequence=[shown]),
        made(KO, "KO", CurrentRequestedProcedureEvidenceSequence=evidence([own, other])),
        made(
            SR,
            "SR",
            CurrentRequestedProcedureEvidenceSequence=evidence([own]),
            PertinentOtherEvidenceSequence=evidence([other]),
        ),
        made(
            SEG,
            "SEG",
            ReferencedSeriesSequence=[segmented],
            StudiesContainingOtherReferencedInstancesSequence=evidence([other]),
        ),
        made(
            RTSTRUCT,
            "RTSTRUCT",
            ReferencedFrameOfReferenceSequence=[
                item(FrameOfReferenceUID=uid(), RTReferencedStudySequence=[structures])
            ],
        ),
    ]


def two_studies(hospital: Hospital) -> list[Dataset]:
    """Each with one image and five objects; both use one Series UID for their images."""
    series = uid()
    one = instance(AccessionNumber="ACC1", SeriesInstanceUID=series)
    other = instance(AccessionNumber="ACC2", SeriesInstanceUID=series, **HIS)
    everything = [*objects(one, other), one, other, *objects(other, one)]
    for each in everything:
        hospital.store(each)
    return everything


def found(hospital: Hospital, *, closed: bool = True) -> dict[str, Dangling]:
    flow = CheckFlow(hospital.database, hospital.storage)
    return {each.sop_instance_uid: each for each in dangling(flow, closed=closed)}


def test_no_reference_of_two_coerced_studies_dangles(hospital: Hospital) -> None:
    """Sent under the scanners' UIDs, documents before what they name; then merged."""
    everything = two_studies(hospital)
    one, other = everything[5:7]
    shown, beside = (
        given(hospital, one.SOPInstanceUID),
        given(hospital, other.SOPInstanceUID),
    )
    assert shown.StudyInstanceUID != one.StudyInstanceUID
    assert beside.StudyInstanceUID != other.StudyInstanceUID
    assert len({shown.SeriesInstanceUID, beside.SeriesInstanceUID}) == 2
    before = found(hospital)
    assert len(before) == len(everything)
    assert [each for each in before.values() if not each.ok] == []
    assert sum(each.references for each in before.values()) == 2 * (2 + 6 + 6 + 5 + 3)

    hospital.merge("100^^^A", "200^^^A")
    assert given(hospital, other.SOPInstanceUID).PatientID == "E1"
    assert [each for each in found(hospital).values() if not each.ok] == []


def test_a_reference_broken_on_purpose_is_found(hospital: Hospital) -> None:
    """Into a series in which the image is not; and to what was never sent."""
    everything = two_studies(hospital)
    one = everything[5]
    wrong = evidence([one])
    wrong[0].ReferencedSeriesSequence[0].SeriesInstanceUID = everything[0].SeriesInstanceUID
    misled = instance(SOPClassUID=KO, CurrentRequestedProcedureEvidenceSequence=wrong)
    nowhere = evidence([instance()])
    lost = instance(SOPClassUID=KO, CurrentRequestedProcedureEvidenceSequence=nowhere)
    requested = item(StudyInstanceUID=uid(), RequestedProcedureID="RP1")
    asked = instance(RequestAttributesSequence=[requested])
    for each in (misled, lost, asked):
        hospital.store(each)

    bad = {key: each for key, each in found(hospital).items() if not each.ok}
    assert set(bad) == {misled.SOPInstanceUID, lost.SOPInstanceUID}
    [moved] = bad[misled.SOPInstanceUID].findings
    assert (moved.code, moved.attribute) == ("moved", "0040A375.00081115.00081199")
    assert {f.code for f in bad[lost.SOPInstanceUID].findings} == {"absent"}
    open_ = {
        key: each for key, each in found(hospital, closed=False).items() if not each.ok
    }
    assert set(open_) == {misled.SOPInstanceUID}


def test_the_command_tells_and_ends_with_one(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database_urls: Urls
) -> None:
    """A row for each instance in JSON; else what is wrong, and a sum."""
    monkeypatch.setenv("RECONCILE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("RECONCILE_DATABASE_URL", database_urls.writer)
    monkeypatch.setenv("RECONCILE_DATABASE_OWNER_URL", database_urls.owner)
    monkeypatch.setenv("RECONCILE_DATABASE_READER_URL", database_urls.reader)
    image = instance()
    absent = instance(
        SOPClassUID=KO, CurrentRequestedProcedureEvidenceSequence=evidence([instance()])
    )
    hospital.store(image)
    hospital.store(absent)
    run = CliRunner().invoke
    done = run(app, ["check", "--references"])
    assert done.exit_code == 0, done.output
    assert "2 instances checked, 3 references, 3 to what is not here" in done.stdout
    done = run(app, ["check", "--references", "--closed", absent.SOPInstanceUID])
    assert done.exit_code == 1
    assert "0040A375.00081115.00081199" in done.stdout
    done = run(app, ["check", "--references", "--json", image.SOPInstanceUID])
    assert json.loads(done.stdout)["references"] == 0
    assert isinstance(run(app, ["check", "--closed"]).exception, WrongUse)
