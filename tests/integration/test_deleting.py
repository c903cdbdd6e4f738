"""Deletions: planned, confirmed, done; what is left, and who may come again."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import text

from reconcile.core.rejection import Again, Code, Treatment
from reconcile.core.retention import Rule
from reconcile.db import views_deletions
from reconcile.db.deletions import Plan
from reconcile.db.views_deletions import Deletion
from reconcile.errors import (
    InstanceDeleted,
    NotAuthorised,
    NotFound,
    ServiceUnavailable,
    WrongUse,
)
from reconcile.flows.deleting import Deleting, NotPlanned
from reconcile.flows.doctor import Doctor
from reconcile.flows.removing import Removing
from reconcile.flows.retaining import Retaining
from tests.support.archive import Archive, archive, sendable
from tests.support.committing import Modality, named
from tests.support.database import Cluster
from tests.support.given import disagreements
from tests.support.hospital import CT_A, JANE, RICHARD, Hospital, clock
from tests.support.instances import instance, uid
from tests.support.kept import digests
from tests.support.rejecting import note

SUCCESS, COERCED, DELETED = 0x0000, 0xB000, 0xC006
MIB = 1 << 20


@pytest.fixture(scope="module")
def pacs(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """Doors over two patients; what was rejected for good is deleted after no days."""
    with cluster.database() as urls:
        folder = tmp_path_factory.mktemp("pacs")
        hospital = Hospital.at(urls.writer, folder, urls.reader)
        treatments = {Code.RETENTION.value: Treatment(deletes=True, again=Again.RESTORE)}
        rules = replace(hospital.rules, rejection=treatments, note_days=0)
        hospital = replace(hospital, rules=rules)
        hospital.patient(JANE, "100^^^A", "E1^^^E")
        hospital.patient(RICHARD, "200^^^A", "E2^^^E")
        with archive(hospital) as doors:
            yield doors
        assert disagreements(hospital) == []
        hospital.database.close()


def stored(pacs: Archive, **attributes: Any) -> Dataset:
    image = instance(**attributes)
    assert pacs.send(sendable(image))[0].status in (SUCCESS, COERCED)
    return image


def deleting(pacs: Archive) -> Deleting:
    return Deleting(pacs.hospital.database, clock)


def removing(pacs: Archive, grace: timedelta = timedelta(0)) -> Removing:
    return Removing(pacs.hospital.database, pacs.hospital.storage, clock, grace=grace)


def work(pacs: Archive) -> None:
    """What the process of jobs does."""
    removing(pacs).round(Event())


def deleted(pacs: Archive, *uids: str) -> Deletion:
    """Planned by one, confirmed by another, done."""
    planned = deleting(pacs).plan(uids, "it was never ours", "anna")
    deleting(pacs).confirm(str(planned.id), "ben")
    work(pacs)
    return shown(pacs, planned)


def shown(pacs: Archive, wanted: Deletion) -> Deletion:
    answer = pacs.get(f"/api/v1/deletions/{wanted.id}").raise_for_status().json()
    assert answer["id"] == str(wanted.id)
    with pacs.hospital.database.read_only() as connection:
        return views_deletions.deletion(connection, str(wanted.id))


def digest_of(pacs: Archive, image: Dataset) -> str:
    answer = pacs.get(f"/api/v1/instances/{image.SOPInstanceUID}/receipts")
    found: str = answer.raise_for_status().json()["items"][0]["digest"]
    return found


def statuses(pacs: Archive, image: Dataset) -> set[int]:
    """What every way to an instance, its series and its study answers."""
    study = f"/dicom-web/studies/{image.StudyInstanceUID}"
    series = f"{study}/series/{image.SeriesInstanceUID}"
    one = f"{series}/instances/{image.SOPInstanceUID}"
    ways = (
        *(study, series, one, f"{study}/metadata", f"{one}/metadata"),
        f"/api/v1/instances/{image.SOPInstanceUID}/file",
        f"/api/v1/instances/{image.SOPInstanceUID}/received",
    )
    return {pacs.get(way).status_code for way in ways}


def findings(pacs: Archive) -> list[Any]:
    hospital = pacs.hospital
    found = Doctor(hospital.database, hospital.storage, clock).findings()
    return [
        each for each in found if each.code in ("row-without-bytes", "bytes-without-row")
    ]


def test_a_plan_changes_nothing_and_can_be_cancelled(pacs: Archive) -> None:
    """Until it is confirmed, everything is given out; then never again by this plan."""
    image = stored(pacs)
    flow = deleting(pacs)
    planned = flow.plan([image.StudyInstanceUID], "too old", "anna")
    work(pacs)
    assert statuses(pacs, image) == {200}
    with pytest.raises(NotPlanned):
        flow.plan([image.SOPInstanceUID], "twice", "ben")
    assert flow.cancel(str(planned.id), "still needed", "anna").state == "cancelled"
    work(pacs)
    assert statuses(pacs, image) == {200}
    with pytest.raises(NotPlanned):
        flow.confirm(str(planned.id), "ben")
    assert flow.plan([image.SOPInstanceUID], "again", "ben").state == "planned"


def test_what_is_confirmed_is_gone_at_every_door(pacs: Archive) -> None:
    """
    410 naming the deletion; no query finds it; history and tombstone stay; bytes are gone.
    """
    study = uid()
    image, other = (stored(pacs, StudyInstanceUID=study) for _ in range(2))
    digest = digest_of(pacs, image)
    done = deleted(pacs, image.SOPInstanceUID)
    assert (done.state, done.deleted, done.bytes_waiting) == ("executed", 1, 0)
    problem = pacs.get(f"/api/v1/instances/{image.SOPInstanceUID}/file")
    assert problem.status_code == 410
    assert str(done.id) in problem.json()["detail"]
    assert pacs.get(f"/api/v1/instances/{image.SOPInstanceUID}/received").status_code == 410
    assert pacs.get(f"/api/v1/instances/{other.SOPInstanceUID}/file").status_code == 200
    found = pacs.get(f"/dicom-web/studies/{study}/instances").json()
    assert [each["00080018"]["Value"] for each in found] == [[other.SOPInstanceUID]]
    history = pacs.get(f"/api/v1/instances/{image.SOPInstanceUID}/history")
    assert history.raise_for_status().json()["items"]
    [left] = pacs.get(f"/api/v1/tombstones?uid={image.SOPInstanceUID}").json()["items"]
    assert (left["digest"], left["reason"]) == (digest, "it was never ours")
    assert left["received_study_instance_uid"] == study
    assert digest not in digests(pacs.hospital.storage)
    assert findings(pacs) == []


def test_a_whole_study_by_the_uid_its_scanner_knows(pacs: Archive) -> None:
    """Large and small, files and segments; everything of it answers 410."""
    small = stored(pacs)
    large = stored(
        pacs,
        StudyInstanceUID=small.StudyInstanceUID,
        SeriesInstanceUID=small.SeriesInstanceUID,
        Rows=1024,
        Columns=1024,
        PixelData=bytes(2 * MIB),
    )
    before = set(digests(pacs.hospital.storage))
    done = deleted(pacs, small.StudyInstanceUID)
    assert done.deleted == 2
    assert len(before - set(digests(pacs.hospital.storage))) == 2
    assert statuses(pacs, small) == statuses(pacs, large) == {410}
    assert findings(pacs) == []


def test_nobody_confirms_what_they_planned(pacs: Archive) -> None:
    """But for who needs no key at all."""
    flow, image = deleting(pacs), stored(pacs)
    planned = flow.plan([image.SOPInstanceUID], "wrong", "anna")
    with pytest.raises(NotAuthorised):
        flow.confirm(str(planned.id), "anna")
    flow.cancel(str(planned.id), "", "anna")
    planned = flow.plan([image.SOPInstanceUID], "wrong", "local")
    assert flow.confirm(str(planned.id), "local").state == "confirmed"


def test_a_legal_hold_is_stronger(pacs: Archive) -> None:
    """Nothing is planned; and what was planned before is kept when its time comes."""
    flow, image = deleting(pacs), stored(pacs)
    planned = flow.plan([image.StudyInstanceUID], "old", "anna")
    flow.confirm(str(planned.id), "ben")
    assert flow.retain(image.StudyInstanceUID, held=True, reason="court", actor="anna") == 1
    work(pacs)
    done = shown(pacs, planned)
    assert (done.state, done.deleted, done.kept) == ("executed", 0, 1)
    assert statuses(pacs, image) == {200}
    with pytest.raises(NotPlanned):
        flow.plan([image.SOPInstanceUID], "old", "anna")
    assert flow.retain(image.StudyInstanceUID, held=False, reason="over", actor="anna") == 1
    assert deleted(pacs, image.StudyInstanceUID).deleted == 1


def test_what_a_person_deleted_does_not_come_again(pacs: Archive) -> None:
    """C006; its receipt is kept, its bytes are not."""
    image = stored(pacs)
    deleted(pacs, image.SOPInstanceUID)
    assert [told.status for told in pacs.send(sendable(image))] == [DELETED]
    work(pacs)
    assert statuses(pacs, image) == {410}
    receipts = pacs.get(f"/api/v1/instances/{image.SOPInstanceUID}/receipts").json()
    assert [each["outcome"] for each in receipts["items"]][1:] == ["refused"]
    assert findings(pacs) == []


@pytest.mark.parametrize("large", [False, True], ids=["segment", "file"])
def test_what_is_only_old_is_stored_anew(pacs: Archive, large: bool) -> None:
    """Where it is configured so: bytes, rows and headers as if it came first."""
    hospital = pacs.hospital
    rules = replace(hospital.rules, readmits={"steward": True})
    image = instance(
        **({"Rows": 1024, "Columns": 1024, "PixelData": bytes(2 * MIB)} if large else {})
    )
    with archive(replace(hospital, rules=rules)) as open_again:
        assert open_again.send(sendable(image))[0].status == COERCED
        before = open_again.file(image.SOPInstanceUID)
        deleted(open_again, image.SOPInstanceUID)
        assert open_again.send(sendable(image))[0].status == COERCED
        assert open_again.received(image.SOPInstanceUID) == sendable(image).data
        assert len(open_again.file(image.SOPInstanceUID)) == len(before)
        work(open_again)
        assert statuses(open_again, image) == {200}
        [left] = open_again.get(f"/api/v1/tombstones?uid={image.SOPInstanceUID}").json()[
            "items"
        ]
        assert left["ended_at"]
        assert deleted(open_again, image.SOPInstanceUID).deleted == 1
        assert statuses(open_again, image) == {410}
    assert findings(pacs) == []


def test_what_was_deleted_is_no_version_of_it_any_more(pacs: Archive) -> None:
    """Other content is stored anew; then the first one differs from that, and is held."""
    hospital = pacs.hospital
    rules = replace(hospital.rules, readmits={"steward": True})
    first = instance()
    other = deepcopy(first)
    other.PixelData = bytes(len(first.PixelData))
    with archive(replace(hospital, rules=rules)) as open_again:
        assert open_again.send(sendable(first))[0].status == COERCED
        deleted(open_again, first.SOPInstanceUID)
        assert open_again.send(sendable(other))[0].status == COERCED
        assert open_again.received(first.SOPInstanceUID) == sendable(other).data
        assert open_again.send(sendable(first))[0].status in (SUCCESS, COERCED)
        assert open_again.received(first.SOPInstanceUID) == sendable(other).data
        found = open_again.get("/api/v1/holds?code=DUPLICATE-DIFFERS&limit=1000").json()
        named = [uid for each in found["items"] for uid in each["sop_instance_uids"]]
        assert str(first.SOPInstanceUID) in named
    assert findings(pacs) == []


def test_bytes_of_another_stay(pacs: Archive) -> None:
    """The same bytes in another domain of UIDs are kept once, and stay for it."""
    hospital = pacs.hospital
    image = instance(PatientIdentityRemoved="YES", DeidentificationMethod="x")
    hospital.store(image, replace_source(deidentified="trust-source"))
    hospital.store(image, replace_source(deidentified="separate"))
    digest = digest_of(pacs, image)
    with hospital.database.read_only() as connection:
        first = connection.execute(
            text(
                "SELECT id FROM instance WHERE sop_instance_uid = :uid AND uid_domain = ''"
            ),
            {"uid": str(image.SOPInstanceUID)},
        ).scalar_one()
    said = Plan("steward", "", "one of two", "anna", clock(), clock())
    hospital.database.run(lambda c: deleting(pacs).keep(c, said, [first]))
    work(pacs)
    assert digest in digests(hospital.storage)
    assert pacs.get(f"/api/v1/instances/{image.SOPInstanceUID}/file").status_code == 200
    assert deleted(pacs, image.SOPInstanceUID).deleted == 1
    assert digest not in digests(hospital.storage)
    assert findings(pacs) == []


def replace_source(**said: Any) -> Any:
    return replace(CT_A, **said)


def test_a_crash_between_rows_and_bytes_is_finished(
    pacs: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever had been erased by then; nothing is given out meanwhile."""
    images = [stored(pacs) for _ in range(3)]
    planned = deleting(pacs).plan([str(i.SOPInstanceUID) for i in images], "old", "anna")
    deleting(pacs).confirm(str(planned.id), "ben")
    storage = pacs.hospital.storage
    erase, halfway = storage.segments.erase, []

    def torn(segment: str, locations: Any) -> None:
        erase(segment, locations[:1])
        halfway.append(segment)
        raise OSError(5, "input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(storage.segments, "erase", torn)
        with pytest.raises(ServiceUnavailable):
            work(pacs)
    assert halfway
    done = shown(pacs, planned)
    assert (done.state, done.deleted, done.bytes_waiting) == ("executing", 3, 3)
    for image in images:
        assert statuses(pacs, image) == {410}
    assert findings(pacs) == []
    work(pacs)
    assert shown(pacs, planned).state == "executed"
    assert findings(pacs) == []


def test_who_is_being_given_it_gets_all_of_it(pacs: Archive) -> None:
    """Bytes stay for a while after their rows say that they go."""
    image = stored(pacs)
    digest = digest_of(pacs, image)
    planned = deleting(pacs).plan([image.SOPInstanceUID], "old", "anna")
    deleting(pacs).confirm(str(planned.id), "ben")
    removing(pacs, timedelta(hours=1)).round(Event())
    assert statuses(pacs, image) == {410}
    assert digest in digests(pacs.hospital.storage)
    assert findings(pacs) == []
    work(pacs)
    assert digest not in digests(pacs.hospital.storage)


def test_a_note_of_retention_plans_a_deletion(pacs: Archive) -> None:
    """Hidden at once, deleted when its time has come; not if that was taken back."""
    image, spared = stored(pacs), stored(pacs)
    for each in (image, spared):
        made = note(Code.RETENTION.value, [each])
        assert pacs.send(sendable(made))[0].status in (SUCCESS, COERCED)
    [item] = pacs.get(f"/api/v1/rejections?study={spared.StudyInstanceUID}").json()["items"]
    undone = pacs.http.post(
        f"/api/v1/coercions/{item['happening']}/undo", json={"reason": "not this one"}
    )
    assert undone.status_code == 201, undone.text
    work(pacs)
    path = "/api/v1/instances/{}/file"
    assert pacs.get(path.format(image.SOPInstanceUID)).status_code == 410
    assert pacs.get(path.format(spared.SOPInstanceUID)).status_code == 200
    [item] = pacs.get(f"/api/v1/rejections?study={image.StudyInstanceUID}").json()["items"]
    undone = pacs.http.post(
        f"/api/v1/coercions/{item['happening']}/undo", json={"reason": "too late"}
    )
    assert undone.status_code == 201
    assert pacs.get(path.format(image.SOPInstanceUID)).status_code == 410
    assert pacs.send(sendable(image))[0].status == COERCED
    assert pacs.get(path.format(image.SOPInstanceUID)).status_code == 200


def retaining(pacs: Archive, *rules: Rule) -> Retaining:
    return Retaining(deleting(pacs), rules)


def found(pacs: Archive, rule: str) -> list[Any]:
    """What a rule has planned."""
    answer = pacs.get("/api/v1/deletions?limit=1000").raise_for_status().json()["items"]
    return [each for each in answer if each["subject"] == rule]


def test_a_rule_plans_and_what_it_plans_can_be_cancelled(pacs: Archive) -> None:
    """
    One deletion for each study; what is cancelled is not planned again by the same rule.
    """
    images = [stored(pacs, StudyDate="19990101", Modality="XA") for _ in range(2)]
    young = stored(pacs, StudyDate=clock().strftime("%Y%m%d"), Modality="XA")
    flow = retaining(pacs, Rule("angio", 3650, modalities=frozenset({"XA"}), delay_days=0))
    assert (flow.run(), flow.run()) == (2, 0)
    first = next(
        each
        for each in found(pacs, "angio")
        if each["studies"] == [given_study(pacs, images[0])]
    )
    deleting(pacs).cancel(first["id"], "needed for a study", "anna")
    assert flow.run() == 0
    work(pacs)
    assert statuses(pacs, images[0]) == {200}
    assert statuses(pacs, images[1]) == {410}
    assert statuses(pacs, young) == {200}
    assert pacs.send(sendable(images[1]))[0].status == COERCED
    assert statuses(pacs, images[1]) == {200}


def given_study(pacs: Archive, image: Dataset) -> str:
    found: str = pacs.get(f"/api/v1/uids/{image.StudyInstanceUID}").json()["assigned"]
    return found


def test_a_study_that_has_grown_since_is_kept(pacs: Archive) -> None:
    """What a rule planned was of another study than the one that is there now."""
    old = stored(pacs, StudyDate="19990101", Modality="NM")
    flow = retaining(
        pacs, Rule("nuclear", 3650, modalities=frozenset({"NM"}), delay_days=0)
    )
    assert flow.run() == 1
    stored(pacs, StudyInstanceUID=old.StudyInstanceUID, Modality="NM")
    work(pacs)
    [planned] = found(pacs, "nuclear")
    assert (planned["state"], planned["kept"]) == ("executed", 1)
    assert statuses(pacs, old) == {200}


def test_a_rule_for_rejected_images(pacs: Archive) -> None:
    """Those alone; it waits for a person where it is to."""
    study = uid()
    bad, good = (stored(pacs, StudyInstanceUID=study) for _ in range(2))
    made = note(Code.QUALITY.value, [bad])
    assert pacs.send(sendable(made))[0].status in (SUCCESS, COERCED)
    rule = Rule("bad", 0, rejected=frozenset({Code.QUALITY.value}), asks=True)
    assert retaining(pacs, rule).run() == 1
    work(pacs)
    [planned] = found(pacs, "bad")
    assert (planned["state"], planned["instances"]) == ("planned", 1)
    deleting(pacs).confirm(planned["id"], "anna")
    work(pacs)
    path = "/api/v1/instances/{}/file"
    assert pacs.get(path.format(bad.SOPInstanceUID)).status_code == 410
    assert pacs.get(path.format(good.SOPInstanceUID)).status_code == 200


def test_nobody_is_asked_of_what_is_gone(pacs: Archive) -> None:
    """What was held is decided by its being deleted, and committed no more."""
    held = stored(pacs, PatientID="200", PatientName="NOBODY^ELSE", PatientBirthDate="")
    study = given_study(pacs, held)

    def items() -> list[Any]:
        every = pacs.get("/api/v1/holds?state=open&limit=1000").json()["items"]
        return [each for each in every if each["study_instance_uid"] == study]

    assert items()
    assert Modality().commit(pacs.dicom, [held]).committed == {named(held)}
    assert deleted(pacs, held.StudyInstanceUID).deleted == 1
    assert items() == []
    assert Modality().commit(pacs.dicom, [held]).failed == {named(held): 0x0112}


def test_over_http(pacs: Archive) -> None:
    """Plan, list, confirm; what is wrong is said."""
    image = stored(pacs)
    post = pacs.http.post
    said = {"uids": [str(image.StudyInstanceUID)], "reason": "old"}
    assert post("/api/v1/deletions", json={**said, "reason": ""}).status_code == 400
    nobody = {**said, "uids": ["1.2.3.4.5"]}
    assert post("/api/v1/deletions", json=nobody).status_code == 404
    made = post("/api/v1/deletions", json=said)
    assert (made.status_code, made.json()["state"]) == (201, "planned")
    listed = pacs.get("/api/v1/deletions?state=planned").json()["items"]
    assert made.json()["id"] in [each["id"] for each in listed]
    confirmed = post(f"/api/v1/deletions/{made.json()['id']}/confirm")
    assert (confirmed.status_code, confirmed.json()["state"]) == (200, "confirmed")
    work(pacs)
    cancelled = post(
        f"/api/v1/deletions/{made.json()['id']}/cancel", json={"reason": "too late"}
    )
    assert cancelled.status_code == 409
    assert statuses(pacs, image) == {410}
    done = pacs.get(f"/api/v1/deletions/{made.json()['id']}").json()
    undo = post(f"/api/v1/happenings/{done['happening']}/undo", json={"reason": "back"})
    assert undo.status_code == 400


def test_wrong_use_is_said(pacs: Archive) -> None:
    """Nothing is planned without a reason, or of nothing."""
    flow = deleting(pacs)
    with pytest.raises(WrongUse):
        flow.plan(["1.2.3"], " ", "anna")
    with pytest.raises(NotFound):
        flow.plan(["1.2.3"], "gone", "anna")
    with pytest.raises(NotFound):
        flow.confirm("nothing", "anna")
    assert InstanceDeleted.dimse_status == DELETED
