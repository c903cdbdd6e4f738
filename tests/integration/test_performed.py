"""Performed procedure steps: told by a real peer, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.dsutils import encode
from sqlalchemy import select

from reconcile.core.order import RequestedProcedure, ScheduledStep
from reconcile.db import performed, views_studies
from reconcile.db import tables as t
from reconcile.flows.kept import KeptArrivals
from reconcile.flows.performed import PerformedFlow, Told
from reconcile.flows.regroup import Regroup
from reconcile.flows.resolve import ResolveFlow, Wanted
from reconcile.flows.steward import By
from reconcile.flows.undo import Undo
from tests.support.archive import Archive, archive, sendable
from tests.support.database import Cluster
from tests.support.given import disagreements, given
from tests.support.hospital import CT_A, JANE, RICHARD, Hospital, source_of
from tests.support.instances import instance, uid
from tests.support.performing import WRONG_ENTRY, Step, begun, ended, scheduled

CODE = "WRONG-WORKLIST-ENTRY"


@pytest.fixture(scope="module")
def pacs(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """Doors over two patients."""
    with cluster.database() as urls:
        folder = tmp_path_factory.mktemp("pacs")
        hospital = Hospital.at(urls.writer, folder, urls.reader)
        hospital.patient(JANE, "100^^^A", "E1^^^E")
        hospital.patient(RICHARD, "200^^^A", "E2^^^E")
        with archive(hospital) as opened:
            yield opened
        assert disagreements(hospital) == []
        hospital.database.close()


NUMBERS = iter(f"MP{number}" for number in range(100, 999))


@pytest.fixture
def number() -> str:
    """An accession number that no other test has."""
    return next(NUMBERS)


def order(pacs: Archive, number: str, study: str, **said: Any) -> None:
    """A CT of P1, scheduled as step SPS1 of procedure RP1."""
    procedure = RequestedProcedure("RP1", study, "CT HEAD", steps=(ScheduledStep("SPS1"),))
    given_ = {"accession": number, "procedures": (procedure,), **said}
    assert pacs.hospital.order(JANE, "100^^^A", **given_).state == "applied"


def order_state(pacs: Archive, number: str) -> str:
    o = t.imaging_order.c
    with pacs.hospital.database.read_only() as connection:
        query = select(o.state).where(o.accession_number == number)
        return str(connection.execute(query).scalar_one())


def linked(pacs: Archive, step: Step) -> list[tuple[bool, bool]]:
    """Of each of its items: whether it is linked to an order, and to its step."""
    q, s = performed.step_request.c, performed.performed_step.c
    with pacs.hospital.database.read_only() as connection:
        query = select(q.order_id, q.scheduled_id).join(
            performed.performed_step, s.id == q.step_id
        )
        rows = connection.execute(query.where(s.sop_instance_uid == step.uid))
        return [(row.order_id is not None, row.scheduled_id is not None) for row in rows]


def assigned(pacs: Archive, any_uid: str) -> str:
    with pacs.hospital.database.read_only() as connection:
        return views_studies.uids(connection, any_uid).assigned


def stored(pacs: Archive, **attributes: Any) -> Dataset:
    image = instance(**attributes)
    assert pacs.send(sendable(image))[0].status in (0, 0xB000)
    return image


def kept(pacs: Archive) -> KeptArrivals:
    """What a steward's corrections open arrivals with."""
    return KeptArrivals(pacs.hospital.flow().recording, source_of)


def held(pacs: Archive, study: str) -> list[Any]:
    found = pacs.get("/api/v1/holds?limit=1000&state=open&code=" + CODE).json()["items"]
    return [each for each in found if each["study_instance_uid"] == assigned(pacs, study)]


# -- What is answered ---------------------------------------------------------------


def test_a_step_is_kept_as_it_came(pacs: Archive) -> None:
    """
    Each data set is kept as its bytes; what is said of the step is the last of it all.
    """
    step = Step(pacs.dicom)
    assert step.create(begun(scheduled(uid()))).Status == 0
    assert step.set(ended("COMPLETED", ["1.2.3"])).Status == 0
    s, m = performed.performed_step.c, performed.performed_step_message.c
    with pacs.hospital.database.read_only() as connection:
        row = connection.execute(
            select(performed.performed_step).where(s.sop_instance_uid == step.uid)
        ).one()
        bodies = connection.execute(
            select(m.operation, m.body).where(m.step_id == row.id).order_by(m.id)
        ).all()
    assert (row.state, row.source) == ("COMPLETED", "CT_A")
    assert [each.operation for each in bodies] == ["N-CREATE", "N-SET"]
    assert b"DOE^JANE" in bodies[0].body
    assert row.said["00400250"]["Value"] == ["20260301"]
    assert row.said["00100010"]["Value"] == [{"Alphabetic": "DOE^JANE"}]


def test_nothing_more_is_said_of_a_step_that_is_over(pacs: Archive) -> None:
    """
    N-SET after COMPLETED or DISCONTINUED is 0110 with Error ID A710 (PS3.4 F.7.2.2.2).
    """
    for state in ("COMPLETED", "DISCONTINUED"):
        step = Step(pacs.dicom)
        step.create(begun(scheduled(uid())))
        assert step.set(ended(state)).Status == 0
        answer = step.set(ended("COMPLETED"))
        assert (answer.Status, answer.ErrorID) == (0x0110, 0xA710)


def test_a_step_is_created_once(pacs: Archive) -> None:
    """
    The same UID again is a duplicate, whatever it says.
    """
    step = Step(pacs.dicom)
    assert step.create(begun(scheduled(uid()))).Status == 0
    assert step.create(begun(scheduled(uid()))).Status == 0x0111


def test_a_step_that_nobody_created_is_not_set(pacs: Archive) -> None:
    """
    No such SOP Instance.
    """
    assert Step(pacs.dicom).set(ended()).Status == 0x0112


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"ScheduledStepAttributesSequence": None}, 0x0120),
        ({"ScheduledStepAttributesSequence": []}, 0x0121),
        ({"ScheduledStepAttributesSequence": [scheduled("")]}, 0x0121),
        ({"PerformedProcedureStepID": ""}, 0x0121),
        ({"Modality": None}, 0x0120),
        ({"PerformedProcedureStepStatus": "COMPLETED"}, 0x0106),
        ({"PerformedProcedureStepStatus": "BEGUN"}, 0x0106),
    ],
)
def test_a_step_has_what_it_must_have(
    pacs: Archive, said: dict[str, Any], status: int
) -> None:
    """
    Type 1 attributes are there and have a value; a step begins IN PROGRESS.
    """
    step = Step(pacs.dicom)
    assert step.create(begun(scheduled(uid()), **said)).Status == status
    assert step.set(ended()).Status == 0x0112


def test_a_status_that_there_is_not_is_refused(pacs: Archive) -> None:
    """
    And the step goes on.
    """
    step = Step(pacs.dicom)
    step.create(begun(scheduled(uid())))
    assert step.set(ended("DONE")).Status == 0x0106
    assert step.set(ended()).Status == 0


# -- The order of a step ------------------------------------------------------------


def test_row_84_the_map_is_known_before_the_first_image(pacs: Archive, number: str) -> None:
    """
    The modality's Study UID is mapped to the order's when the step begins; its images,
    which name no order, have all that the order says.
    """
    wanted, own = uid(), uid()
    order(pacs, number, wanted)
    step = Step(pacs.dicom)
    assert step.create(begun(scheduled(own, number, "RP1", "SPS1"))).Status == 0
    assert linked(pacs, step) == [(True, True)]
    assert order_state(pacs, number) == "in-progress"
    assert assigned(pacs, own) == wanted
    for known in (own, wanted):  # there is a study, and nothing in it
        explained = pacs.get(f"/api/v1/studies/{known}/explain").json()
        assert explained["study_instance_uid"] == wanted
        assert [each["accession_number"] for each in explained["orders"]] == [number]
        assert not pacs.get(f"/dicom-web/studies?StudyInstanceUID={known}").content
    image = stored(pacs, StudyInstanceUID=own)
    out = given(pacs.hospital, image.SOPInstanceUID)
    assert (out.StudyInstanceUID, out.AccessionNumber) == (wanted, number)
    assert (out.PatientID, out.StudyDescription) == ("E1", "CT HEAD")


def test_an_image_without_a_patient_finds_whom_its_step_was_for(
    pacs: Archive, number: str
) -> None:
    """
    What a step says of its order is evidence as if the header said it; the gate decides.
    """
    own = uid()
    order(pacs, number, "")
    Step(pacs.dicom).create(begun(scheduled(own, number)))
    fits = stored(pacs, StudyInstanceUID=own, PatientID="")
    assert given(pacs.hospital, fits.SOPInstanceUID).PatientID == "E1"
    other = stored(
        pacs,
        StudyInstanceUID=own,
        PatientID="",
        PatientName="ROE^RICHARD",
        PatientBirthDate="19750506",
    )
    assert given(pacs.hospital, other.SOPInstanceUID).IssuerOfPatientID == "H"


def test_a_step_of_one_who_contradicts_the_order_links_nothing(
    pacs: Archive, number: str
) -> None:
    """
    Another patient than the order's: the step is kept, and is no word on the study.
    """
    wanted, own = uid(), uid()
    order(pacs, number, wanted)
    step = Step(pacs.dicom)
    other = {"PatientName": "ROE^RICHARD", "PatientBirthDate": "19750506"}
    step.create(begun(scheduled(own, number), PatientID="200", **other))
    assert linked(pacs, step) == [(False, False)]


def test_an_order_may_come_after_its_step(pacs: Archive, number: str) -> None:
    """
    The step waits for it: the map is known before the first image all the same.
    """
    wanted, own = uid(), uid()
    step = Step(pacs.dicom)
    step.create(begun(scheduled(own, number, "RP1", "SPS1")))
    assert linked(pacs, step) == [(False, False)]
    order(pacs, number, wanted)
    assert linked(pacs, step) == [(True, True)]
    assert assigned(pacs, own) == wanted


def test_an_order_may_come_after_step_and_images(pacs: Archive, number: str) -> None:
    """
    Images that name no order are found by what their step names.
    """
    wanted, own = uid(), uid()
    Step(pacs.dicom).create(begun(scheduled(own, number)))
    image = stored(pacs, StudyInstanceUID=own)
    order(pacs, number, wanted)
    out = given(pacs.hospital, image.SOPInstanceUID)
    assert (out.StudyInstanceUID, out.AccessionNumber) == (wanted, number)


def test_a_step_may_come_after_its_images(pacs: Archive, number: str) -> None:
    """
    Stored images are matched as to an order that comes late.
    """
    wanted, own = uid(), uid()
    order(pacs, number, wanted)
    image = stored(pacs, StudyInstanceUID=own)
    assert given(pacs.hospital, image.SOPInstanceUID).StudyInstanceUID == own
    Step(pacs.dicom).create(begun(scheduled(own, number)))
    out = given(pacs.hospital, image.SOPInstanceUID)
    assert (out.StudyInstanceUID, out.AccessionNumber) == (wanted, number)
    later = stored(pacs, StudyInstanceUID=own)
    assert given(pacs.hospital, later.SOPInstanceUID).AccessionNumber == number


def test_images_find_the_order_of_the_step_that_they_refer_to(
    pacs: Archive, number: str
) -> None:
    """
    Also where the step was told under another Study UID than theirs.
    """
    wanted = uid()
    order(pacs, number, wanted)
    step = Step(pacs.dicom)
    step.create(begun(scheduled(wanted, number)))
    image = stored(pacs, ReferencedPerformedProcedureStepSequence=reference(step))
    out = given(pacs.hospital, image.SOPInstanceUID)
    assert out.AccessionNumber == number


def test_a_step_beside_its_first_images_is_never_missed(pacs: Archive, number: str) -> None:
    """
    Whoever is first: in the end the images have what the step's order says.
    """
    flow = PerformedFlow(kept(pacs))
    for turn in range(6):
        accession, wanted, own = f"{number}R{turn}", uid(), uid()
        order(pacs, accession, wanted)
        body = encode(begun(scheduled(own, accession)), False, True)
        assert body is not None
        told = Told(uid(), ExplicitVRLittleEndian, body, CT_A, "race", turn)
        images = [instance(StudyInstanceUID=own) for _ in range(3)]
        calls: list[Any] = [lambda told=told: flow.create(told)]
        calls += [lambda image=image: pacs.hospital.store(image) for image in images]
        together = Barrier(len(calls))

        def at_once(call: Any, together: Barrier = together) -> None:
            together.wait()
            call()

        with ThreadPoolExecutor(len(calls)) as threads:
            list(threads.map(at_once, calls))
        for image in images:
            out = given(pacs.hospital, image.SOPInstanceUID)
            assert (out.AccessionNumber, out.StudyInstanceUID) == (accession, wanted)


def test_a_step_may_name_the_study_by_the_uid_that_is_given_out(
    pacs: Archive, number: str
) -> None:
    """
    A second step of the same study, which names the order's UID, is of the same order.
    """
    wanted, own = uid(), uid()
    order(pacs, number, wanted)
    Step(pacs.dicom).create(begun(scheduled(own, number)))
    image = stored(pacs, StudyInstanceUID=own)
    again = Step(pacs.dicom)
    assert again.create(begun(scheduled(wanted, number))).Status == 0
    assert linked(pacs, again) == [(True, False)]
    assert assigned(pacs, own) == wanted
    assert given(pacs.hospital, image.SOPInstanceUID).StudyInstanceUID == wanted


def test_steps_are_shown_with_their_orders(pacs: Archive, number: str) -> None:
    """
    By either Study UID, by accession, and one by its own UID.
    """
    wanted, own = uid(), uid()
    order(pacs, number, wanted)
    step = Step(pacs.dicom)
    step.create(begun(scheduled(own, number, "RP1", "SPS1")))
    step.set(ended("COMPLETED", ["1.2.3"]))
    one = pacs.get(f"/api/v1/performed-steps/{step.uid}").json()
    assert (one["state"], one["source"]) == ("COMPLETED", "CT_A")
    assert one["series_instance_uids"] == ["1.2.3"]
    [request] = one["requests"]
    assert (request["accession_number"], request["sps_id"]) == (number, "SPS1")
    assert request["order"]
    assert request["live"]
    assert one["said"]["00100010"]["Value"] == [{"Alphabetic": "DOE^JANE"}]
    for asked in (f"study={own}", f"study={wanted}", f"accession={number}"):
        answer = pacs.get(f"/api/v1/performed-steps?{asked}").json()
        assert answer == {"items": [one], "next": None}
    assert pacs.get("/api/v1/performed-steps/1.2.3.4.5").status_code == 404


def test_a_step_for_two_orders_is_a_group_case(pacs: Archive) -> None:
    """
    Linked to both, mapped to neither.
    """
    own, first, second = uid(), next(NUMBERS), next(NUMBERS)
    order(pacs, first, uid())
    order(pacs, second, uid())
    step = Step(pacs.dicom)
    step.create(begun(scheduled(own, first), scheduled(own, second)))
    assert linked(pacs, step) == [(True, False), (True, False)]
    image = stored(pacs, StudyInstanceUID=own)
    out = given(pacs.hospital, image.SOPInstanceUID)
    assert (out.StudyInstanceUID, out.AccessionNumber) == (own, "")
    explained = pacs.get(f"/api/v1/studies/{own}/explain").json()
    assert {o["accession_number"] for o in explained["orders"]} == {first, second}


# -- The wrong worklist entry -------------------------------------------------------


def reference(step: Step) -> list[Dataset]:
    """The Referenced Performed Procedure Step Sequence of an image."""
    item = Dataset()
    item.ReferencedSOPClassUID = "1.2.840.10008.3.1.2.3.3"
    item.ReferencedSOPInstanceUID = step.uid
    return [item]


def wrong(pacs: Archive, number: str) -> tuple[Step, Dataset, Dataset]:
    """A step of two series, one of them begun under the wrong entry; both stored."""
    wanted = uid()
    order(pacs, number, wanted)
    step = Step(pacs.dicom)
    step.create(begun(scheduled(wanted, number)))
    right = stored(pacs, StudyInstanceUID=wanted, AccessionNumber=number)
    image = stored(pacs, StudyInstanceUID=wanted, AccessionNumber=number)
    series = [str(image.SeriesInstanceUID)]
    assert step.set(ended("DISCONTINUED", series, WRONG_ENTRY)).Status == 0
    return step, right, image


def test_row_85_the_series_of_a_wrong_entry_are_held(pacs: Archive, number: str) -> None:
    """
    That step's series only: held, and given out under no real patient; what comes of it
    later too. The other series of the study stays.
    """
    _, right, image = wrong(pacs, number)
    hospital = pacs.hospital
    assert given(hospital, right.SOPInstanceUID).PatientID == "E1"
    assert given(hospital, image.SOPInstanceUID).IssuerOfPatientID == "H"
    [item] = held(pacs, image.StudyInstanceUID)
    assert item["sop_instance_uids"] == [image.SOPInstanceUID]
    assert item["received"]["00100020"]["Value"] == ["100"]
    late = stored(
        pacs,
        StudyInstanceUID=image.StudyInstanceUID,
        SeriesInstanceUID=image.SeriesInstanceUID,
        AccessionNumber=number,
    )
    assert given(hospital, late.SOPInstanceUID).IssuerOfPatientID == "H"
    assert order_state(pacs, number) == "scheduled"
    more = stored(pacs, StudyInstanceUID=image.StudyInstanceUID)
    assert given(hospital, more.SOPInstanceUID).PatientID == "E1"


def test_the_images_of_a_wrong_entry_may_come_after_it(pacs: Archive, number: str) -> None:
    """
    By the series that the step names, or by the step that the images name.
    """
    own, series = uid(), uid()
    order(pacs, number, own)
    named, silent = Step(pacs.dicom), Step(pacs.dicom)
    for step, uids in ((named, [series]), (silent, [])):
        step.create(begun(scheduled(own, number)))
        step.set(ended("DISCONTINUED", uids, WRONG_ENTRY))
    for image in (
        stored(pacs, StudyInstanceUID=own, SeriesInstanceUID=series),
        stored(
            pacs,
            StudyInstanceUID=own,
            ReferencedPerformedProcedureStepSequence=reference(silent),
        ),
    ):
        assert given(pacs.hospital, image.SOPInstanceUID).IssuerOfPatientID == "H"


def test_another_reason_holds_nothing(pacs: Archive, number: str) -> None:
    """
    A step may be discontinued for many reasons.
    """
    own = uid()
    order(pacs, number, own)
    step = Step(pacs.dicom)
    step.create(begun(scheduled(own, number)))
    image = stored(pacs, StudyInstanceUID=own)
    reason = ("110500", "DCM", "Doctor canceled procedure")
    step.set(ended("DISCONTINUED", [str(image.SeriesInstanceUID)], reason))
    assert given(pacs.hospital, image.SOPInstanceUID).PatientID == "E1"


def test_a_person_says_whose_the_series_is(pacs: Archive, number: str) -> None:
    """
    Only that series is theirs, in a study of its own: the header is right in what the
    entry is used for next.
    """
    _, right, image = wrong(pacs, number)
    [item] = held(pacs, image.StudyInstanceUID)
    flow = ResolveFlow(pacs.hospital.flow(), source_of)
    flow.resolve(Wanted(item["id"], "assign", "seen", "steward", patient="200^^^A"))
    assert given(pacs.hospital, image.SOPInstanceUID).PatientID == "E2"
    assert given(pacs.hospital, right.SOPInstanceUID).PatientID == "E1"
    regroup, series = Regroup(kept(pacs)), image.SeriesInstanceUID
    regroup.split(image.StudyInstanceUID, [series], By("steward", "another patient's"))
    again = stored(pacs, StudyInstanceUID=image.StudyInstanceUID, AccessionNumber=number)
    assert given(pacs.hospital, again.SOPInstanceUID).PatientID == "E1"


def test_a_person_takes_it_back(pacs: Archive, number: str) -> None:
    """
    The header is again exactly what it was, and what comes later is not held.
    """
    _, _, image = wrong(pacs, number)
    hospital = pacs.hospital
    events = pacs.get(f"/api/v1/instances/{image.SOPInstanceUID}/history").json()["items"]
    happening = next(e["happening"] for e in reversed(events) if e["cause"] == "mpps")
    Undo(kept(pacs)).happening(happening, By("steward", "was right"))
    assert given(hospital, image.SOPInstanceUID).PatientID == "E1"
    assert held(pacs, image.StudyInstanceUID) == []
    late = stored(
        pacs,
        StudyInstanceUID=image.StudyInstanceUID,
        SeriesInstanceUID=image.SeriesInstanceUID,
    )
    out = given(hospital, late.SOPInstanceUID)
    assert (out.PatientID, out.AccessionNumber) == ("E1", number)


def test_a_study_of_which_nothing_came_is_free_again(pacs: Archive, number: str) -> None:
    """
    What was mapped for the wrong entry is mapped no more; the next study has the UID.
    """
    wanted, first, second = uid(), uid(), uid()
    order(pacs, number, wanted)
    step = Step(pacs.dicom)
    step.create(begun(scheduled(first, number)))
    assert assigned(pacs, first) == wanted
    step.set(ended("DISCONTINUED", [], WRONG_ENTRY))
    image = stored(pacs, StudyInstanceUID=second, AccessionNumber=number)
    assert given(pacs.hospital, image.SOPInstanceUID).StudyInstanceUID == wanted


def test_held_series_may_be_hidden(cluster: Cluster, tmp_path: Any) -> None:
    """
    `[holds]` says so, as of every code; who takes it back shows them again.
    """
    with cluster.database() as urls:
        hospital = Hospital.at(urls.writer, tmp_path, urls.reader)
        hospital = replace(hospital, rules=replace(hospital.rules, show="hidden"))
        hospital.patient(JANE, "100^^^A", "E1^^^E")
        with archive(hospital) as pacs:
            _, _, image = wrong(pacs, "HID1")
            path = f"/api/v1/instances/{image.SOPInstanceUID}/file"
            assert pacs.get(path).status_code == 404
            [item] = held(pacs, image.StudyInstanceUID)
            flow = ResolveFlow(hospital.flow(), source_of)
            flow.resolve(Wanted(item["id"], "accept", "was right", "steward"))
            assert pacs.get(path).status_code == 200
        hospital.database.close()
