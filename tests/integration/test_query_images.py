"""Questions about instances: by any identifier, read from what is given out."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest
from pydicom.dataset import Dataset

from reconcile.core import attributes as at
from reconcile.core.facts import Source
from reconcile.core.identity import Demographics, PersonName
from reconcile.core.matchkeys import question_of
from reconcile.core.order import RequestedProcedure
from reconcile.core.querykeys import Level
from reconcile.db import views_images, views_query
from reconcile.db.views_instances import Holding
from reconcile.flows.kept import KeptArrivals
from reconcile.flows.query import QueryFlow
from reconcile.flows.retrieve import RetrieveFlow
from reconcile.flows.steward import By
from reconcile.flows.steward_patients import StewardPatients
from tests.support.answers import answers, value
from tests.support.archive import http_door
from tests.support.given import given
from tests.support.hospital import EMPI, JANE, Hospital, source_of
from tests.support.instances import instance, uid

MR = "1.2.840.10008.5.1.4.1.1.4"
ORDERED = uid()
JOAN = Demographics(PersonName("DOE^JOAN"), "19800102", "F")


def series_of(study: str, number: int, **attributes: Any) -> list[Dataset]:
    """Images of one series."""
    series = uid()
    return [
        instance(
            StudyInstanceUID=study,
            SeriesInstanceUID=series,
            InstanceNumber=n + 1,
            **attributes,
        )
        for n in range(number)
    ]


STUDY = uid()
CTS = series_of(STUDY, 3, AccessionNumber="ACC1", NumberOfFrames=1)
MRS = series_of(STUDY, 1, AccessionNumber="ACC1", Modality="MR", SOPClassUID=MR, Rows=2)
OTHER = instance(PatientID="300", PatientName="DOE^JOAN", StudyDate="20260201")


@pytest.fixture(scope="module")
def hospital(cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """A study that its order gave another UID, and one of a second patient."""
    with cluster.database() as urls:
        made = Hospital.at(urls.writer, tmp_path_factory.mktemp("images"), urls.reader)
        made.patient(JANE, "100^^^A", "E1^^^E")
        made.patient(JOAN, "300^^^A", "E2^^^E")
        procedure = RequestedProcedure("RP1", ORDERED, "CT THORAX")
        made.order(JANE, "100^^^A", accession="ACC1", procedures=(procedure,))
        for image in (*CTS, *MRS, OTHER):
            made.store(image)
        yield made


@pytest.fixture(scope="module")
def http(hospital: Hospital) -> Iterator[httpx.Client]:
    with http_door(hospital) as client:
        yield client


def found(http: httpx.Client, path: str, **keys: Any) -> list[Dataset]:
    answer = http.get(f"/dicom-web{path}", params=keys).raise_for_status()
    listed = answer.json() if answer.content else []
    return [Dataset.from_json(each) for each in listed]


def uids(images: list[Dataset]) -> list[str]:
    return [str(each.SOPInstanceUID) for each in images]


def test_instances_by_received_and_assigned_uids(http: httpx.Client) -> None:
    """The same ones by each UID of their study, in the order in which they came."""
    series = str(CTS[0].SeriesInstanceUID)
    for study in (STUDY, ORDERED):
        every = found(http, f"/studies/{study}/instances")
        assert sorted(uids(every)) == sorted(uids([*CTS, *MRS]))
        of_series = found(http, f"/studies/{study}/series/{series}/instances")
        assert uids(of_series) == uids(CTS)
    first = of_series[0]
    assert (first.StudyInstanceUID, first.SeriesInstanceUID) == (ORDERED, series)
    assert (first.InstanceNumber, first.Rows, first.Columns) == (1, 4, 4)
    assert (first.BitsAllocated, first.NumberOfFrames) == (16, 1)
    assert first.SOPClassUID == CTS[0].SOPClassUID
    path = f"/dicom-web/studies/{ORDERED}/series/{series}/instances/{first.SOPInstanceUID}"
    assert first.RetrieveURL.endswith(path)
    assert "PatientName" not in first
    assert found(http, f"/studies/{uid()}/instances") == []


@pytest.mark.parametrize(
    ("keys", "number"),
    [
        ({"PatientID": "100^^^A"}, 4),
        ({"PatientID": "E1"}, 4),
        ({"PatientName": "DOE^*"}, 5),
        ({"StudyInstanceUID": STUDY, "InstanceNumber": "2"}, 1),
        ({"Rows": "2"}, 1),
        ({"BitsAllocated": "8"}, 0),
        ({"Modality": "MR"}, 1),
        ({"SOPClassUID": MR}, 1),
        ({"SOPInstanceUID": str(CTS[1].SOPInstanceUID)}, 1),
        ({"SOPInstanceUID": ",".join(uids([*CTS[:2], OTHER]))}, 3),
        ({"SOPInstanceUID": uid()}, 0),
        ({"SOPClassesInStudy": MR}, 4),
        ({"StudyDate": "20260201"}, 1),
        ({"limit": "2", "offset": "1"}, 2),
        ({"limit": "9", "offset": "4"}, 1),
    ],
)
def test_keys_of_instances(http: httpx.Client, keys: dict[str, str], number: int) -> None:
    """Those of the instance beside those of its series, study and patient."""
    assert len(found(http, "/instances", **keys)) == number


def test_an_instance_tells_of_its_study(http: httpx.Client) -> None:
    """Of all instances the study and the series are told as well."""
    [only] = found(http, "/instances", SOPInstanceUID=str(MRS[0].SOPInstanceUID))
    assert (only.PatientID, str(only.PatientName)) == ("E1", "DOE^JANE")
    assert (only.Modality, only.StudyDescription) == ("MR", "CT THORAX")
    assert only.NumberOfStudyRelatedInstances == 4
    odd = http.get("/dicom-web/instances", params={"WindowCenter": "40"})
    assert "299" in odd.headers["Warning"]


def test_original_attributes_are_told_as_they_are_given_out(
    hospital: Hospital, http: httpx.Client
) -> None:
    """The items of the header that a retrieve shows; only where they are asked for."""
    image = CTS[2]
    path = f"/studies/{STUDY}/series/{image.SeriesInstanceUID}/instances"
    keys = {"SOPInstanceUID": str(image.SOPInstanceUID)}
    [plain] = found(http, path, **keys)
    assert "OriginalAttributesSequence" not in plain
    [told] = found(http, path, **keys, includefield="OriginalAttributesSequence")
    file = http.get(f"/api/v1/instances/{image.SOPInstanceUID}/file").raise_for_status()
    shown = pydicom.dcmread(BytesIO(file.content))
    assert told.OriginalAttributesSequence == shown.OriginalAttributesSequence
    [asked] = answers(hospital, Level.IMAGE, OriginalAttributesSequence="", **keys)
    [item] = asked["04000561"]["Value"]
    assert item["04000550"]["Value"][0]["00100020"]["Value"] == ["100"]


def test_counts_of_patients_and_classes_of_studies(hospital: Hospital) -> None:
    """Numbers of Patient Related Studies, Series and Instances; SOP Classes in Study."""
    numbers = ("Studies", "Series", "Instances")
    keys = dict.fromkeys([f"NumberOfPatientRelated{each}" for each in numbers], "")
    for level in (Level.PATIENT, Level.STUDY, Level.SERIES):
        told = answers(hospital, level, PatientID="E1", **keys)
        assert {tuple(value(each, key) for key in keys) for each in told} == {
            ("1", "2", "4")
        }
    [study] = answers(hospital, Level.STUDY, PatientID="E1", SOPClassesInStudy="")
    assert study["00080062"]["Value"] == sorted([str(CTS[0].SOPClassUID), MR])
    assert len(answers(hospital, Level.STUDY, SOPClassesInStudy=MR)) == 1
    assert len(answers(hospital, Level.PATIENT, NumberOfPatientRelatedInstances="1")) == 1


def test_every_page_goes_on_where_the_last_one_ended(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two at a time: each instance once, the newest study first."""
    monkeypatch.setattr(views_images, "PAGE", 2)
    monkeypatch.setattr(views_query, "PAGE", 1)
    told = [
        value(e, "SOPInstanceUID")
        for e in answers(hospital, Level.IMAGE, SOPInstanceUID="")
    ]
    assert len(told) == len(set(told)) == 5
    assert told[-1] == OTHER.SOPInstanceUID
    listed = uids([*CTS, OTHER])
    some = answers(hospital, Level.IMAGE, SOPInstanceUID=listed, InstanceNumber="")
    assert sorted(value(each, "SOPInstanceUID") for each in some) == sorted(listed)


def test_no_more_is_read_than_is_taken(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who takes one page has its one image read; who skips it, none."""
    monkeypatch.setattr(views_images, "PAGE", 2)
    read: list[str] = []
    state = RetrieveFlow.state

    def counted(flow: RetrieveFlow, holding: Holding) -> Any:
        read.append(holding.kept.sop_instance_uid)
        return state(flow, holding)

    monkeypatch.setattr(RetrieveFlow, "state", counted)
    flow = QueryFlow(hospital.database, hospital.rules, hospital.storage)
    shown, tested = at.element("US"), at.element("US", 4)
    for rows, skip, number in ((shown, 0, 1), (tested, 0, 1), (None, 0, 0), (shown, 1, 0)):
        asked = {"00280010": rows} if rows else {"00080018": at.element("UI")}
        pages = flow.pages(question_of(Level.IMAGE, asked), skip=skip)
        next(page for page in pages)
        assert len(read) == number
        read.clear()
    pages = flow.pages(question_of(Level.IMAGE, {"00280010": tested}), skip=3)
    assert sum(map(len, pages)) == 1
    assert len(read) == 5


def test_who_asks_sees_patients_of_their_own_domain(hospital: Hospital) -> None:
    """At instance level, too."""
    [told] = answers(
        hospital,
        Level.IMAGE,
        "A",
        SOPInstanceUID=str(MRS[0].SOPInstanceUID),
        PatientID="",
        IssuerOfPatientID="",
    )
    assert (value(told, "PatientID"), value(told, "IssuerOfPatientID")) == ("100", "A")


@pytest.fixture
def own(database_urls: Any, tmp_path: Path) -> Hospital:
    """A hospital in which something happens."""
    made = Hospital.at(database_urls.writer, tmp_path, database_urls.reader)
    made.patient(JANE, "100^^^A", "E1^^^E")
    return made


def test_after_a_merge_the_subsumed_id_finds_them(own: Hospital) -> None:
    """And tell of the merge in an item of its own; until the patients are two again."""
    own.patient(JOAN, "300^^^A", "E2^^^E")
    image = instance(PatientID="300", PatientName="DOE^JOAN")
    own.store(image)
    own.merge("E1^^^E", "E2^^^E", feed=EMPI)
    keys = {"SOPInstanceUID": "", "PatientName": "", "OriginalAttributesSequence": ""}
    for patient_id in ("300^^^A", "E2", "E1", "100^^^A"):
        [told] = answers(own, Level.IMAGE, **{**keys, "PatientID": patient_id})
        assert value(told, "SOPInstanceUID") == image.SOPInstanceUID
        assert (value(told, "PatientID"), value(told, "PatientName")) == ("E1", "DOE^JANE")
        previous = [
            item["04000550"]["Value"][0].get("00100020", {}).get("Value")
            for item in told["04000561"]["Value"]
        ]
        assert previous == [["300"], ["E2"]]
    unmerging = StewardPatients(KeptArrivals(own.flow().recording, source_of))
    unmerging.unmerge("E1^^^E", "E2^^^E", By("ann", "a mistake"))
    assert answers(own, Level.IMAGE, PatientID="E1") == []
    [told] = answers(own, Level.IMAGE, **{**keys, "PatientID": "300^^^A"})
    assert (value(told, "PatientID"), value(told, "PatientName")) == ("E2", "DOE^JOAN")
    shown = Dataset.from_json({"04000561": told["04000561"]})
    retrieved = given(own, image.SOPInstanceUID).OriginalAttributesSequence
    assert shown.OriginalAttributesSequence == retrieved


def test_what_is_hidden_is_not_told(own: Hospital) -> None:
    """Nor found by its own UID."""
    quiet = Source("CT_QUIET", domain="A", coerce=False)
    hidden = instance(PatientName="WRONG^MAN", PatientBirthDate="19010203")
    own.store(hidden, quiet)
    assert answers(own, Level.IMAGE, SOPInstanceUID=str(hidden.SOPInstanceUID)) == []


def test_an_instance_whose_bytes_are_gone_is_answered_all_the_same(
    own: Hospital, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With what the registry knows; the log names it, and nothing of its patient."""
    image = instance()
    own.store(image)
    own.storage.close()
    for path in tmp_path.rglob("*"):
        if path.is_file():
            path.unlink()
    keys = {"SOPClassUID": "", "InstanceNumber": "", "PatientID": ""}
    [told] = answers(own, Level.IMAGE, **keys)
    assert value(told, "SOPClassUID") == image.SOPClassUID
    assert (value(told, "PatientID"), value(told, "InstanceNumber")) == ("E1", "")
    assert str(image.SOPInstanceUID) in caplog.text
    assert "DOE" not in caplog.text
