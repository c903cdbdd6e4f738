"""Rejection notes: what they hide, for whom, and until when."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID

from reconcile.core.order import RequestedProcedure
from reconcile.core.rejection import Again, Code, Treatment
from tests.support.archive import Archive, archive, sendable
from tests.support.committing import Modality, named
from tests.support.database import Cluster
from tests.support.given import disagreements
from tests.support.hospital import JANE, RICHARD, Hospital
from tests.support.instances import instance, uid
from tests.support.rejecting import note

QUALITY, SAFETY, WORKLIST, RETENTION = (code.value for code in Code)
SUCCESS, COERCED = 0x0000, 0xB000


def opened(cluster: Cluster, folder: Any, **treatments: Treatment) -> Iterator[Archive]:
    """Doors over two patients."""
    with cluster.database() as urls:
        hospital = Hospital.at(urls.writer, folder, urls.reader)
        codes = {Code[name].value: said for name, said in treatments.items()}
        rules = replace(hospital.rules, rejection=codes)
        hospital = replace(hospital, rules=rules)
        hospital.patient(JANE, "100^^^A", "E1^^^E")
        hospital.patient(RICHARD, "200^^^A", "E2^^^E")
        with archive(hospital) as doors:
            yield doors
        assert disagreements(hospital) == []
        hospital.database.close()


@pytest.fixture(scope="module")
def pacs(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """As it is without a configuration."""
    yield from opened(cluster, tmp_path_factory.mktemp("pacs"))


@pytest.fixture(scope="module")
def strict(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """Quality is only noted; what is unsafe may not come again."""
    yield from opened(
        cluster,
        tmp_path_factory.mktemp("strict"),
        QUALITY=Treatment(hides=False),
        SAFETY=Treatment(again=Again.REFUSE),
    )


def stored(pacs: Archive, **attributes: Any) -> Dataset:
    image = instance(**attributes)
    assert pacs.send(sendable(image))[0].status in (SUCCESS, COERCED)
    return image


def reject(pacs: Archive, code: str, *images: Dataset, **said: Any) -> Dataset:
    made = note(code, images, **said)
    assert pacs.send(sendable(made))[0].status in (SUCCESS, COERCED)
    return made


def path(image: Dataset) -> str:
    series = f"{image.StudyInstanceUID}/series/{image.SeriesInstanceUID}"
    return f"/dicom-web/studies/{series}/instances/{image.SOPInstanceUID}"


def is_given(pacs: Archive, image: Dataset) -> bool:
    """Whether it can be had, by every way there is."""
    answers = {
        pacs.get(path(image), "application/dicom").status_code,
        pacs.get(f"/api/v1/instances/{image.SOPInstanceUID}/file").status_code,
    }
    assert answers in ({200}, {404})
    return answers == {200}


def series_found(pacs: Archive, study: str) -> list[str]:
    answer = pacs.get(f"/dicom-web/studies/{study}/series")
    listed = answer.raise_for_status().json() if answer.content else []
    return [each["0020000E"]["Value"][0] for each in listed]


def rejections(pacs: Archive, study: str, state: str = "live") -> list[Any]:
    asked = f"/api/v1/rejections?study={study}&state={state}"
    items: list[Any] = pacs.get(asked).raise_for_status().json()["items"]
    return items


def undo(pacs: Archive, happening: str) -> None:
    why = {"reason": "it was the wrong one"}
    answer = pacs.http.post(f"/api/v1/coercions/{happening}/undo", json=why)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("code", [QUALITY, SAFETY, WORKLIST, RETENTION])
def test_what_a_note_names_is_hidden_at_every_door(pacs: Archive, code: str) -> None:
    """
    That instance alone: not found, not given out; as received for a steward all the same.
    """
    study = uid()
    bad, good = (stored(pacs, StudyInstanceUID=study) for _ in range(2))
    made = reject(pacs, code, bad)
    assert not is_given(pacs, bad)
    assert is_given(pacs, good)
    assert is_given(pacs, made)
    assert set(series_found(pacs, study)) == {
        good.SeriesInstanceUID,
        made.SeriesInstanceUID,
    }
    assert pacs.received(bad.SOPInstanceUID)
    [item] = rejections(pacs, study)
    assert (item["sop_instance_uid"], item["code"]) == (bad.SOPInstanceUID, code)
    assert (item["note_sop_instance_uid"], item["source"]) == (made.SOPInstanceUID, "CT_A")


def test_a_steward_takes_it_back(pacs: Archive) -> None:
    """
    The note stays, and the instance is given out as before.
    """
    bad = stored(pacs)
    made = reject(pacs, SAFETY, bad)
    [item] = rejections(pacs, bad.StudyInstanceUID)
    undo(pacs, item["happening"])
    assert is_given(pacs, bad)
    assert is_given(pacs, made)
    assert rejections(pacs, bad.StudyInstanceUID) == []
    assert len(rejections(pacs, bad.StudyInstanceUID, "ended")) == 1


def test_the_note_names_the_study_as_its_sender_knows_it(pacs: Archive) -> None:
    """
    By the received and by the assigned UID, after an order renamed it and after a merge.
    """
    hospital, own, wanted = pacs.hospital, uid(), uid()
    ordered = RequestedProcedure("RP1", wanted)
    hospital.order(JANE, "100^^^A", accession="REJ1", procedures=(ordered,))
    known = {"StudyInstanceUID": own, "AccessionNumber": "REJ1"}
    first, second, third = (stored(pacs, **known) for _ in range(3))
    reject(pacs, QUALITY, first)
    second.StudyInstanceUID = wanted
    reject(pacs, QUALITY, second)
    assert hospital.merge("200^^^A", "100^^^A").state == "applied"
    reject(pacs, QUALITY, third)
    assert [is_given(pacs, each) for each in (first, second, third)] == [False] * 3
    assert len(rejections(pacs, own)) == 3


def test_what_a_note_does_not_name_rightly_is_not_rejected(pacs: Archive) -> None:
    """
    An instance of another study, or of another class.
    """
    image, other = stored(pacs), stored(pacs)
    wrong = deepcopy(image)
    wrong.StudyInstanceUID = other.StudyInstanceUID
    reject(pacs, SAFETY, wrong)
    wrong.StudyInstanceUID, wrong.SOPClassUID = (
        image.StudyInstanceUID,
        UID("1.2.840.10008.5.1.4.1.1.4"),
    )
    reject(pacs, SAFETY, wrong)
    assert is_given(pacs, image)


def test_another_title_is_no_rejection(pacs: Archive) -> None:
    """
    (113000, DCM, "Of Interest") selects, and rejects nothing.
    """
    image = stored(pacs)
    reject(pacs, "113000", image)
    assert is_given(pacs, image)


def test_what_was_rejected_before_it_came_is_hidden_as_it_comes(pacs: Archive) -> None:
    """
    Of the first image of a study, and of those that follow it.
    """
    study = uid()
    bad, first, later = (instance(StudyInstanceUID=study) for _ in range(3))
    for each in (later, bad):
        each.SeriesInstanceUID = first.SeriesInstanceUID
    reject(pacs, WORKLIST, bad, later)
    pacs.send(*map(sendable, (bad, first, later)))
    assert [is_given(pacs, each) for each in (bad, first, later)] == [False, True, False]


def test_what_is_ignored_stays_hidden_when_it_comes_again(pacs: Archive) -> None:
    """
    It is acknowledged as the first time.
    """
    bad = stored(pacs)
    reject(pacs, QUALITY, bad)
    assert pacs.send(sendable(bad))[0].status in (SUCCESS, COERCED)
    assert not is_given(pacs, bad)


def test_what_may_come_again_is_restored(pacs: Archive) -> None:
    """
    Data Retention Policy Expired: whoever sends it again wants it back.
    """
    bad = stored(pacs)
    reject(pacs, RETENTION, bad)
    assert Modality().commit(pacs.dicom, [bad]).failed == {named(bad): 0x0112}
    assert pacs.send(sendable(bad))[0].status in (SUCCESS, COERCED)
    assert is_given(pacs, bad)
    assert rejections(pacs, bad.StudyInstanceUID) == []
    assert Modality().commit(pacs.dicom, [bad]).committed == {named(bad)}


def test_what_may_not_come_again_is_refused(strict: Archive) -> None:
    """
    Answered C005; its arrival is kept as a receipt, and nothing else changes.
    """
    bad = stored(strict)
    reject(strict, SAFETY, bad)
    assert strict.send(sendable(bad))[0].status == 0xC005
    assert not is_given(strict, bad)
    receipts = strict.get(f"/api/v1/instances/{bad.SOPInstanceUID}/receipts").json()
    assert [each["outcome"] for each in receipts["items"]][-1] == "refused"


def test_a_title_may_be_noted_only(strict: Archive) -> None:
    """
    `quality = "keep"`: listed, and given out as before.
    """
    image = stored(strict)
    reject(strict, QUALITY, image)
    assert is_given(strict, image)
    [item] = rejections(strict, image.StudyInstanceUID)
    assert not item["hides"]


def test_a_rejected_instance_that_was_held_is_shown_only_when_it_may_be(
    pacs: Archive,
) -> None:
    """
    A person who says whose a held series is does not show what was rejected of it.
    """
    held = {"PatientName": "OTHER^BODY", "PatientBirthDate": "20010101", "PatientID": "200"}
    study, series = uid(), uid()
    bad, good = (
        stored(pacs, StudyInstanceUID=study, SeriesInstanceUID=series, **held)
        for _ in range(2)
    )
    reject(pacs, SAFETY, bad)
    [item] = [
        each
        for each in pacs.get("/api/v1/holds?state=open&kind=hold").json()["items"]
        if each["study_instance_uid"] == study
    ]
    answer = pacs.http.post(
        f"/api/v1/holds/{item['id']}/resolve",
        json={"action": "accept", "reason": "is he", "version": item["version"]},
    )
    assert answer.status_code == 201, answer.text
    assert is_given(pacs, good)
    assert not is_given(pacs, bad)
    [rejected] = rejections(pacs, study)
    undo(pacs, rejected["happening"])
    assert is_given(pacs, bad)
