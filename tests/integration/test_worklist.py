"""The worklist: what scanners are told of orders, and what becomes of their images."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import select

from reconcile.core.identity import Demographics, PersonName
from reconcile.core.order import OrderControl, RequestedProcedure, ScheduledStep
from reconcile.db import scheduled
from reconcile.db import tables as t
from reconcile.db.database import Connection
from tests.support.answers import in_step, steps, value
from tests.support.given import given
from tests.support.hospital import ANNA, EMPI, JANE, RICHARD, RIS_B, Hospital
from tests.support.instances import instance, uid

OWN = uid()


def procedure(
    rp_id: str,
    study_uid: str = "",
    *,
    start: str = "20260301103000",
    modality: str = "CT",
    stations: tuple[str, ...] = ("CT_A",),
    sps_id: str = "",
) -> RequestedProcedure:
    """A requested procedure of one step."""
    step = ScheduledStep(sps_id, modality, stations, start, "THORAX")
    return RequestedProcedure(rp_id, study_uid, "CT THORAX", steps=(step,))


@pytest.fixture(scope="module")
def hospital(cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """Orders for three patients; nothing of them changes."""
    with cluster.database() as urls:
        made = Hospital.at(urls.writer, tmp_path_factory.mktemp("steps"), urls.reader)
        made.patient(JANE, "100^^^A", "E1^^^E")
        made.patient(RICHARD, "200^^^A", "E2^^^E")
        made.patient(ANNA, "100^^^B", "E3^^^E", feed=EMPI)
        one = procedure("RP1", OWN, sps_id="S1")
        made.order(JANE, "100^^^A", accession="ACC1", procedures=(one,))
        two = procedure("RP2", uid(), start="20260302090000", modality="MR", stations=())
        made.order(RICHARD, "200^^^A", accession="ACC2", procedures=(two,))
        three = procedure("", uid(), start="20260303", stations=("MR_1", "MR_2"))
        made.order(ANNA, "100^^^B", accession="ACC3", procedures=(three,), feed=RIS_B)
        long = procedure("RP4", uid(), start="")
        made.order(ANNA, "100^^^B", accession="A" * 17, procedures=(long,), feed=RIS_B)
        yield made


def found(hospital: Hospital, view: str = "", **keys: Any) -> list[str]:
    """The names of who is answered, in the order of the answers."""
    keys = {"PatientName": "", **keys}
    return [value(each, "PatientName") for each in steps(hospital, view, **keys)]


def test_an_entry_says_what_the_registry_knows(hospital: Hospital) -> None:
    """Patient, order, procedure and step; what nobody said is there and empty."""
    keys = (
        *("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate"),
        *("PatientSex", "AccessionNumber", "StudyInstanceUID", "RequestedProcedureID"),
        *("RequestedProcedureDescription", "AdmissionID", "PatientWeight"),
    )
    [entry] = steps(hospital, **{**dict.fromkeys(keys, ""), "AccessionNumber": "ACC1"})
    assert [value(entry, key) for key in keys] == [
        *("E1", "E", "DOE^JANE", "19800102", "F", "ACC1", OWN, "RP1", "CT THORAX", "", ""),
    ]
    said = {
        "ScheduledStationAETitle": "CT_A",
        "ScheduledProcedureStepStartDate": "20260301",
        "ScheduledProcedureStepStartTime": "103000",
        "Modality": "CT",
        "ScheduledPerformingPhysicianName": "",
        "ScheduledProcedureStepDescription": "THORAX",
        "ScheduledProcedureStepID": "S1",
        "ScheduledProcedureStepStatus": "SCHEDULED",
    }
    assert {key: in_step(entry, key) for key in said} == said
    assert "00400100" in entry
    [other] = steps(hospital, AccessionNumber="ACC3", RequestedProcedureID="")
    assert value(other, "RequestedProcedureID") == "ACC3"
    assert in_step(other, "ScheduledProcedureStepID") == "ACC3"
    assert in_step(other, "ScheduledProcedureStepStartTime") == ""


def test_only_what_is_asked_for_is_told(hospital: Hospital) -> None:
    """Of the patient, and of the step: an item with some keys is answered with those."""
    [entry] = steps(hospital, step={"Modality": "MR"}, PatientID="")
    assert set(entry) == {"00100020", "00400100"}
    assert entry["00400100"]["Value"] == [{"00080060": {"vr": "CS", "Value": ["MR"]}}]


def test_each_scanner_is_told_its_own_identifiers(hospital: Hospital) -> None:
    """In its domain, else the archive's own, each with its issuer."""
    keys = {"PatientID": "", "IssuerOfPatientID": "", "AccessionNumber": "ACC1"}
    told = {
        view: value(steps(hospital, view, **keys)[0], "PatientID")
        + value(steps(hospital, view, **keys)[0], "IssuerOfPatientID")
        for view in ("", "A", "B")
    }
    assert told == {"": "E1E", "A": "100A", "B": "E1E"}
    assert found(hospital, "A", PatientID="100") == ["DOE^JANE"]
    assert set(found(hospital, "B", PatientID="100")) == {"MEIER^ANNA"}
    assert set(found(hospital, PatientID="100")) == {"DOE^JANE", "MEIER^ANNA"}


J, R, A = "DOE^JANE", "ROE^RICHARD", "MEIER^ANNA"


@pytest.mark.parametrize(
    ("step", "keys", "names"),
    [
        ({}, {}, [A, J, R, A]),
        ({"Modality": "CT"}, {}, [A, J, A]),
        ({"Modality": "US"}, {}, []),
        ({"ScheduledStationAETitle": "CT_A"}, {}, [A, J]),
        ({"ScheduledStationAETitle": "MR_2"}, {}, [A]),
        ({"ScheduledStationAETitle": "MR_*"}, {}, [A]),
        ({"ScheduledProcedureStepStartDate": "20260302"}, {}, [R]),
        ({"ScheduledProcedureStepStartDate": "20260301-20260302"}, {}, [J, R]),
        ({"ScheduledProcedureStepStartDate": "20260302-"}, {}, [R, A]),
        (
            {
                "ScheduledProcedureStepStartDate": "20260301-20260302",
                "ScheduledProcedureStepStartTime": "1100-1000",
            },
            {},
            [R],
        ),
        (
            {
                "ScheduledProcedureStepStartDate": "20260301",
                "ScheduledProcedureStepStartTime": "1000-1100",
            },
            {},
            [J],
        ),
        ({"ScheduledPerformingPhysicianName": "HOUSE*"}, {}, []),
        ({"ScheduledProcedureStepStatus": "SCHEDULED"}, {"PatientSex": "M"}, [R]),
        ({}, {"PatientName": "doe*"}, [J]),
        ({}, {"PatientName": "*anna"}, [A, A]),
        ({}, {"PatientID": "200^^^A"}, [R]),
        ({}, {"PatientID": "E2"}, [R]),
        ({}, {"PatientID": "E*", "IssuerOfPatientID": "E"}, [A, J, R, A]),
        ({}, {"IssuerOfPatientID": "B"}, [A, A]),
        ({}, {"PatientID": "1^^^NOBODY"}, []),
        ({}, {"AccessionNumber": "ACC?"}, [J, R, A]),
        ({}, {"RequestedProcedureID": "RP2"}, [R]),
        ({}, {"StudyInstanceUID": OWN}, [J]),
        ({}, {"AdmissionID": "V1"}, []),
        ({}, {"PatientBirthDate": "19900304", "AccessionNumber": "ACC3"}, [A]),
    ],
)
def test_keys_match(
    hospital: Hospital, step: dict[str, str], keys: dict[str, str], names: list[str]
) -> None:
    """PS3.4 Table K.6-1; what begins first is answered first."""
    assert found(hospital, step=step, **keys) == names


def test_an_accession_that_is_too_long_is_not_cut(hospital: Hospital) -> None:
    """It would be another one: it is not told; its study is known by its UID."""
    told = steps(hospital, RequestedProcedureID="RP4", AccessionNumber="")
    assert [value(each, "AccessionNumber") for each in told] == [""]


def test_pages_are_read_to_the_end(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One step at a time, each once."""
    monkeypatch.setattr(scheduled, "PAGE", 1)
    assert found(hospital) == [A, J, R, A]
    assert found(hospital, IssuerOfPatientID="B") == [A, A]


# -- What changes ---------------------------------------------------------------------


@pytest.fixture
def own(database_urls: Any, tmp_path: Path) -> Hospital:
    """A hospital in which something happens."""
    made = Hospital.at(database_urls.writer, tmp_path, database_urls.reader)
    made.patient(JANE, "100^^^A", "E1^^^E")
    return made


def test_the_name_is_todays(own: Hospital) -> None:
    """And the patient is who survived a merge, found by who did not."""
    own.patient(RICHARD, "200^^^A", "E2^^^E")
    own.order(RICHARD, "200^^^A", accession="ACC1", procedures=(procedure("RP1"),))
    own.merge("E1^^^E", "E2^^^E", feed=EMPI)
    own.patient(Demographics(PersonName("SMITH^JANE"), "19800102", "F"), "100^^^A")
    for patient_id in ("200^^^A", "E2", "100^^^A", "E1"):
        [entry] = steps(own, PatientID=patient_id, PatientName="")
        assert value(entry, "PatientID") == "E1"
        assert value(entry, "PatientName") == "SMITH^JANE"
    assert found(own, PatientName="ROE*") == []


@pytest.mark.parametrize(
    ("control", "told"),
    [
        (OrderControl.CHANGE, 1),
        (OrderControl.CANCEL, 0),
        (OrderControl.DISCONTINUE, 0),
    ],
)
def test_what_is_over_is_not_told(own: Hospital, control: OrderControl, told: int) -> None:
    """A cancelled or discontinued order has no steps any more."""
    one = (procedure("RP1"),)
    own.order(JANE, "100^^^A", accession="ACC1", procedures=one)
    own.order(JANE, "100^^^A", accession="ACC1", procedures=one, control=control)
    assert len(found(own)) == told


def test_an_order_without_a_uid_is_given_one_for_good(own: Hospital) -> None:
    """The same for each who asks; images with it find their order, by nothing else."""
    own.order(JANE, "100^^^A", accession="ACC1", procedures=(procedure("RP1"),))
    keys = {"StudyInstanceUID": "", "PatientID": "", "AccessionNumber": ""}
    told = [steps(own, view, **keys) for view in ("A", "", "B")]
    [uid_told] = {value(entry, "StudyInstanceUID") for [entry] in told}
    assert uid_told.startswith("2.25.")
    assert _procedure_uids(own) == [uid_told]
    image = instance(PatientID="", StudyInstanceUID=uid_told, AccessionNumber="")
    own.store(image)
    shown = given(own, image.SOPInstanceUID)
    assert (shown.PatientID, shown.AccessionNumber) == ("E1", "ACC1")
    assert shown.StudyInstanceUID == uid_told
    assert found(own, StudyInstanceUID=uid_told) == ["DOE^JANE"]


def test_images_of_a_scanner_that_did_not_ask_join_the_study(own: Hospital) -> None:
    """Under the modality's own UID and the accession number: the order's UID is theirs."""
    own.order(JANE, "100^^^A", accession="ACC1", procedures=(procedure("RP1"),))
    [entry] = steps(own, StudyInstanceUID="")
    image = instance(AccessionNumber="ACC1")
    own.store(image)
    assert given(own, image.SOPInstanceUID).StudyInstanceUID == value(
        entry, "StudyInstanceUID"
    )


def test_a_study_that_came_before_gives_its_order_a_uid(own: Hospital) -> None:
    """Its own: the next scanner adds to it, and nothing is made up."""
    own.order(JANE, "100^^^A", accession="ACC1", procedures=(procedure("RP1"),))
    image = instance(AccessionNumber="ACC1")
    own.store(image)
    [entry] = steps(own, StudyInstanceUID="")
    assert value(entry, "StudyInstanceUID") == image.StudyInstanceUID
    assert found(own, StudyInstanceUID=str(image.StudyInstanceUID)) == ["DOE^JANE"]
    assert _procedure_uids(own) == [""]


def test_a_uid_that_the_ris_says_later_wins(own: Hospital) -> None:
    """What came meanwhile from the worklist's is in its study all the same."""
    own.order(JANE, "100^^^A", accession="ACC1", procedures=(procedure("RP1"),))
    [entry] = steps(own, StudyInstanceUID="")
    first = value(entry, "StudyInstanceUID")
    theirs = uid()
    change, now = OrderControl.CHANGE, (procedure("RP1", theirs),)
    own.order(JANE, "100^^^A", accession="ACC1", procedures=now, control=change)
    [entry] = steps(own, StudyInstanceUID="")
    assert value(entry, "StudyInstanceUID") == theirs
    image = instance(AccessionNumber="ACC1", StudyInstanceUID=first)
    own.store(image)
    assert given(own, image.SOPInstanceUID).StudyInstanceUID == theirs


def test_a_first_image_and_a_first_question_at_once(own: Hospital) -> None:
    """Whoever comes first, the study and the order have one UID in the end."""
    for number in range(6):
        accession = f"RACE{number}"
        own.order(JANE, "100^^^A", accession=accession, procedures=(procedure("RP1"),))
        image = instance(AccessionNumber=accession)
        asked = {"AccessionNumber": accession, "StudyInstanceUID": ""}
        together = Barrier(2)

        def ask(together: Barrier = together, asked: dict[str, str] = asked) -> str:
            together.wait()
            [entry] = steps(own, **asked)
            return value(entry, "StudyInstanceUID")

        def send(together: Barrier = together, image: Dataset = image) -> None:
            together.wait()
            own.store(image)

        with ThreadPoolExecutor(2) as pool:
            told, sent = pool.submit(ask), pool.submit(send)
            sent.result()
        assert given(own, image.SOPInstanceUID).StudyInstanceUID == told.result()


def test_two_scanners_that_ask_at_once_are_told_the_same(own: Hospital) -> None:
    """Of many orders, in whatever order they are given their UIDs."""
    for number in range(5):
        own.order(JANE, "100^^^A", accession=f"A{number}", procedures=(procedure("RP"),))
    together = Barrier(3)

    def ask(_: int) -> list[str]:
        together.wait()
        keys = {"StudyInstanceUID": "", "AccessionNumber": ""}
        return [value(entry, "StudyInstanceUID") for entry in steps(own, **keys)]

    with ThreadPoolExecutor(3) as pool:
        told = list(pool.map(ask, range(3)))
    assert told[0] == told[1] == told[2]
    assert len(set(told[0])) == 5
    assert sorted(_procedure_uids(own)) == sorted(told[0])


def _procedure_uids(hospital: Hospital) -> list[str]:
    def step(connection: Connection) -> list[str]:
        query = select(t.requested_procedure.c.study_instance_uid)
        return list(connection.execute(query).scalars())

    return hospital.database.run(step)
