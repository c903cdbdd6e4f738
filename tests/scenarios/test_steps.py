"""Rows that are told by performed steps, and asked by storage commitment."""

from __future__ import annotations

from tests.scenarios.acting import found, studies
from tests.scenarios.seen import assert_coerced, look, store
from tests.scenarios.test_studies import order
from tests.support.committing import Modality, named
from tests.support.instances import instance, uid
from tests.support.messages import Ordered
from tests.support.performing import WRONG_ENTRY, Step, begun, ended, scheduled
from tests.support.running import Archive


def test_row_67_commitment_and_steps_answer_by_either_uid(archive: Archive):
    """67: asked after the order renamed the study; steps by either UID are of the order."""
    ordered, own = uid(), uid()
    order(archive, Ordered(study_uid=ordered), accession="ACC67C")
    image = instance(StudyInstanceUID=own, AccessionNumber="ACC67C")
    assert store(archive, image).given.StudyInstanceUID == ordered
    _, port = archive.doors.dicom
    told = Modality().commit(port, [image])
    assert (told.event_type, told.committed) == (1, {named(image)})
    for known in (own, ordered):
        step = Step(port)
        assert step.create(begun(scheduled(known, "ACC67C"))).Status == 0
        assert step.set(ended("COMPLETED", [str(image.SeriesInstanceUID)])).Status == 0
        assert studies(found(archive, StudyInstanceUID=known)) == {ordered}
    [kept] = archive.items("/api/v1/orders", accession="ACC67C")
    assert (kept["studies"], kept["state"]) == ([ordered], "in-progress")


def test_row_72_a_study_that_was_committed_keeps_its_uid(archive: Archive):
    """72: committed before the order came: the order's UID finds it too."""
    ordered = uid()
    image = instance(AccessionNumber="ACC72C")
    store_only = archive.store(image)
    assert store_only.Status == 0xB000
    _, port = archive.doors.dicom
    assert Modality().commit(port, [image]).committed == {named(image)}
    order(archive, Ordered(study_uid=ordered), accession="ACC72C")
    after = look(archive, image, store_only)
    assert after.given.StudyInstanceUID == image.StudyInstanceUID
    assert after.reviews == {"LATE-ORDER"}
    assert studies(found(archive, StudyInstanceUID=ordered)) == {image.StudyInstanceUID}


def test_row_84_the_map_is_known_before_the_first_image(archive: Archive):
    """84: a step of the order's scheduled step, under the modality's own Study UID."""
    ordered, own = uid(), uid()
    order(archive, Ordered("RP84", "SPS84", study_uid=ordered), accession="ACC84")
    _, port = archive.doors.dicom
    step = Step(port)
    assert step.create(begun(scheduled(own, "ACC84", "RP84", "SPS84"))).Status == 0
    assert archive.get(f"/api/v1/uids/{own}")["assigned"] == ordered
    seen = store(archive, instance(StudyInstanceUID=own))
    assert_coerced(seen, "E1")
    assert seen.given.StudyInstanceUID == ordered
    assert seen.given.AccessionNumber == "ACC84"


def test_row_85_the_series_of_the_wrong_worklist_entry_are_held(archive: Archive):
    """85: that step's series only, those that are here and those that come."""
    ordered = uid()
    order(archive, Ordered(study_uid=ordered), accession="ACC85")
    _, port = archive.doors.dicom
    step = Step(port)
    step.create(begun(scheduled(ordered, "ACC85")))
    known = {"StudyInstanceUID": ordered, "AccessionNumber": "ACC85"}
    right, wrong = (store(archive, instance(**known)) for _ in range(2))
    series = str(wrong.sent.SeriesInstanceUID)
    assert step.set(ended("DISCONTINUED", [series], WRONG_ENTRY)).Status == 0
    late = store(archive, instance(**known, SeriesInstanceUID=series))
    for each in (look(archive, wrong.sent, wrong.status), late):
        assert each.holds == {"WRONG-WORKLIST-ENTRY"}
        assert each.patient[1] == "H"
    assert look(archive, right.sent, right.status).patient == ("E1", "E")
