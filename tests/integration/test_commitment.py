"""Storage commitment: asked of a real door, answered over both ways."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from reconcile.cli.wiring import Parts
from reconcile.cli.work_jobs import notifying
from reconcile.core.commitment import Answered, Reason
from reconcile.core.order import RequestedProcedure
from reconcile.db.commitments import COMMITMENT
from reconcile.db.views import Where
from reconcile.db.views_outbox import Notification, notifications
from reconcile.dicom.reporting import reporting
from reconcile.flows.notify import Notice, NotifyFlow, NotTold, Target
from reconcile.settings import Settings
from reconcile.settings.model import Destination
from tests.support.archive import Archive, archive, sendable
from tests.support.committing import Modality, ask, named
from tests.support.database import Cluster
from tests.support.door import eventually
from tests.support.hospital import CT_A, JANE, RICHARD, RIS_A, Hospital, clock
from tests.support.instances import instance, uid

MR = "1.2.840.10008.5.1.4.1.1.4"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"


@pytest.fixture(scope="module")
def pacs(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """Doors over two patients; CT_A can be told by new associations."""
    with cluster.database() as urls:
        folder = tmp_path_factory.mktemp("pacs")
        hospital = Hospital.at(urls.writer, folder, urls.reader)
        hospital.patient(JANE, "100^^^A", "E1^^^E")
        hospital.patient(RICHARD, "200^^^A", "E2^^^E")
        with archive(hospital) as opened:
            yield opened
        hospital.database.close()


def notices(pacs: Archive, target: str = "CT_A") -> tuple[Notification, ...]:
    """The newest first."""
    with pacs.hospital.database.read_only() as connection:
        return notifications(connection, Where(1000), target=target).items


def jobs(pacs: Archive, modality: Modality, ahead: timedelta = timedelta()) -> NotifyFlow:
    """What tells a modality by new associations, at a time of its own."""

    def now() -> datetime:
        return clock() + ahead

    def send(notice: Notice) -> None:
        assert notice.answered is not None
        told = reporting(
            "127.0.0.1", modality.port, called=modality.title, calling="RECONCILE"
        )
        told(notice.answered)

    target = Target(modality.title, frozenset({COMMITMENT}), send)
    database = pacs.hospital.database
    return NotifyFlow(database, [target], now, timedelta(seconds=60))


def test_what_is_stored_is_committed_over_the_same_association(pacs: Archive) -> None:
    """
    Every instance that was acknowledged is committed by class and UID; event type 1.
    """
    images = [instance() for _ in range(3)]
    pacs.send(*map(sendable, images))
    told = Modality().commit(pacs.dicom, images)
    assert (told.event_type, told.failed) == (1, {})
    assert told.committed == {named(each) for each in images}
    assert eventually(lambda: notices(pacs)[0].state == "sent")


def test_held_instances_are_committed(pacs: Archive) -> None:
    """
    What waits for a person is as safe as any other.
    """
    held = instance(PatientName="OTHER^BODY", PatientBirthDate="20010101")
    assert pacs.hospital.store(held, CT_A).held
    assert Modality().commit(pacs.dicom, [held]).committed == {named(held)}


def test_why_an_instance_is_not_committed(pacs: Archive) -> None:
    """
    Unknown, of another class, of no storage class, or without its bytes: each is told
    so, and the rest is committed; event type 2.
    """
    kept, lost = instance(), instance()
    pacs.send(sendable(kept))
    before = set(pacs.hospital.storage.root.rglob("*"))
    pacs.hospital.storage.close()
    pacs.send(sendable(lost))
    pacs.hospital.storage.close()
    for path in set(pacs.hospital.storage.root.rglob("*")) - before:
        if path.is_file():
            os.truncate(path, 0)
    unknown, other = (named(kept)[0], uid()), (MR, named(kept)[1])
    foreign = (FIND, uid())
    told = Modality().commit(pacs.dicom, [kept, unknown, other, foreign, lost])
    assert told.event_type == 2
    assert told.committed == {named(kept)}
    assert told.failed == {
        unknown: Reason.NO_SUCH_INSTANCE,
        other: Reason.CLASS_CONFLICT,
        foreign: Reason.CLASS_NOT_SUPPORTED,
        named(lost): Reason.PROCESSING_FAILURE,
    }


def test_after_an_order_a_merge_and_its_undoing_the_answer_is_the_same(
    pacs: Archive,
) -> None:
    """
    Whatever the study and the patient are called by then, instances are answered as
    they were asked for; and what was committed keeps its Study UID.
    """
    hospital, image = pacs.hospital, instance(AccessionNumber="ACC7")
    pacs.send(sendable(image))
    wanted = {named(image)}
    assert Modality().commit(pacs.dicom, [image]).committed == wanted
    ordered = RequestedProcedure("RP7", uid())
    hospital.order(JANE, "100^^^A", accession="ACC7", procedures=(ordered,))
    assert Modality().commit(pacs.dicom, [image]).committed == wanted
    merged = hospital.merge("200^^^A", "100^^^A")
    assert merged.state == "applied"
    assert Modality().commit(pacs.dicom, [image]).committed == wanted
    taken_back = replace(RIS_A, a37_unmerges=True)
    undone = hospital.link("200^^^A", "100^^^A", linked=False, feed=taken_back)
    assert undone.state == "applied"
    assert Modality().commit(pacs.dicom, [image]).committed == wanted
    uids = pacs.get(f"/api/v1/uids/{ordered.study_instance_uid}").json()
    assert uids["assigned"] == str(image.StudyInstanceUID)


def test_who_has_gone_is_told_by_a_new_association(pacs: Archive) -> None:
    """
    As often as it takes: first the peer is away, then it refuses, then it takes it.
    """
    image, modality = instance(), Modality()
    pacs.send(sendable(image))
    with modality.association(pacs.dicom, hears=False) as association:
        transaction, status = ask(association, [image])
    assert status == 0
    assert eventually(lambda: notices(pacs)[0].next_at <= clock())

    modality.port = 1  # nobody is there
    jobs(pacs, modality).round(Event())
    waiting = notices(pacs)[0]
    assert (waiting.state, waiting.attempts, waiting.error) == (
        "waiting",
        1,
        "no association",
    )
    with modality.listening():
        modality.status = 0x0110
        jobs(pacs, modality, timedelta(hours=1)).round(Event())
        assert notices(pacs)[0].error == "N-EVENT-REPORT was answered 0110"
        modality.status = 0
        jobs(pacs, modality, timedelta(hours=2)).round(Event())
    assert notices(pacs)[0].state == "sent"
    [first, again] = [modality.heard(), modality.heard()]
    assert first == again
    assert (first.transaction, first.committed) == (transaction, {named(image)})


def test_a_peer_may_want_to_be_told_by_a_new_association_only(
    pacs: Archive,
) -> None:
    """
    Who is refused over the association that it asked over is told by another one.
    """
    image, modality = instance(), Modality(status=0x0110)
    pacs.send(sendable(image))
    modality.commit(pacs.dicom, [image])
    assert eventually(lambda: notices(pacs)[0].next_at <= clock())
    modality.status = 0
    with modality.listening():
        jobs(pacs, modality).round(Event())
        assert modality.heard().committed == {named(image)}


def test_who_has_no_address_is_given_up_and_can_be_tried_again(pacs: Archive) -> None:
    """
    A source that is no destination cannot be called; the answer is kept for it.
    """
    modality = Modality("MR_B")
    with modality.association(pacs.dicom, hears=False) as association:
        ask(association, [("1.2.840.10008.5.1.4.1.1.2", uid())])
    assert eventually(lambda: notices(pacs, "MR_B")[0].state == "given-up")
    assert "[[destination]]" in notices(pacs, "MR_B")[0].error


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"action_type": 2}, 0x0123),
        ({"instance_uid": "1.2.3"}, 0x0112),
    ],
)
def test_a_request_that_is_none_is_refused(
    pacs: Archive, said: dict[str, Any], status: int
) -> None:
    """
    Another action, another instance: nothing is noted, and nobody will be told.
    """
    before = notices(pacs)
    with Modality().association(pacs.dicom) as association:
        assert ask(association, [instance()], **said)[1] == status
    assert notices(pacs) == before


def test_a_request_without_instances_is_refused(pacs: Archive) -> None:
    """
    Referenced SOP Sequence has at least one item.
    """
    with Modality().association(pacs.dicom) as association:
        assert ask(association, [])[1] == 0x0120


def test_a_transaction_uid_is_used_once(pacs: Archive) -> None:
    """
    The same request again is answered again; another one under its UID commits nothing.
    """
    image, modality = instance(), Modality()
    pacs.send(sendable(image))
    with modality.association(pacs.dicom) as association:
        transaction, _ = ask(association, [image])
        first = modality.heard()
        ask(association, [image], transaction)
        assert modality.heard() == first
        other = instance()
        ask(association, [other], transaction)
        assert modality.heard().failed == {named(other): Reason.DUPLICATE_TRANSACTION}


def test_a_target_that_is_gone_is_not_dropped(pacs: Archive) -> None:
    """
    Who asked for a commitment can be told once it has an address again.
    """
    image = instance()
    with Modality().association(pacs.dicom, hears=False) as association:
        ask(association, [image])
    assert eventually(lambda: notices(pacs)[0].next_at <= clock())
    NotifyFlow(pacs.hospital.database, [], clock, timedelta(seconds=60)).start()
    assert notices(pacs)[0].state == "given-up"


def test_the_jobs_process_knows_where_to_call(pacs: Archive, tmp_path: Path) -> None:
    """
    Every [[destination]] is told of what it asked for, at its host and port.
    """
    image = instance()
    pacs.send(sendable(image))
    modality = Modality()
    with modality.association(pacs.dicom, hears=False) as association:
        ask(association, [image])
    assert eventually(lambda: notices(pacs)[0].next_at <= clock())
    with modality.listening():
        peer = Destination(ae_title="CT_A", host="127.0.0.1", port=modality.port)
        settings = Settings(data_dir=tmp_path, destination=(peer,))
        hospital = pacs.hospital
        parts = Parts(settings, hospital.database, hospital.storage, hospital.rules)
        notifying(parts).round(Event())
        assert modality.heard().committed == {named(image)}
    assert notices(pacs)[0].state == "sent"


def test_not_told_says_why() -> None:
    """
    A peer that is away has not been told, and would not be told anything else.
    """
    told = reporting("127.0.0.1", 1, called="CT_A", calling="RECONCILE")
    with pytest.raises(NotTold) as raised:
        told(Answered("1.2", ()))
    assert raised.value.away
