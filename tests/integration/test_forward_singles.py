"""What changes in single instances, or while they are sent, gets to destinations too."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from reconcile.core.order import RequestedProcedure
from reconcile.core.rejection import Code
from reconcile.db.rejections import rejection
from reconcile.db.telling import CHANGES, FORWARD, cursors
from reconcile.flows.several import Ready
from tests.integration.test_following import evidence, selection
from tests.integration.test_forward import (
    NEVER,
    Clock,
    Peer,
    clock,
    flow,
    hospital,
    listed,
    rounds,
    settled,
    several,
    store_all,
    to,
)
from tests.integration.test_undo import undo
from tests.support.hospital import JANE, Hospital
from tests.support.instances import instance, uid
from tests.support.rejecting import note

__all__ = ["clock", "hospital"]


def test_a_reference_that_follows_is_a_correction(hospital: Hospital, clock: Clock) -> None:
    """The selection was sent before the study that it points to came, under another UID."""
    peer, ordered = Peer(), uid()
    forwarding = flow(hospital, clock, to(peer, on_correction="resend"))
    procedure = RequestedProcedure("RP1", ordered, "CT")
    done = hospital.order(JANE, "100^^^A", accession="ACC1", procedures=(procedure,))
    assert done.state == "applied"
    image = instance(AccessionNumber="ACC1")
    selected = selection(image.StudyInstanceUID, image.SeriesInstanceUID)
    hospital.store(selected)
    rounds(forwarding)
    assert peer.uids == [selected.SOPInstanceUID]
    hospital.store(image)
    settled(hospital, forwarding, lambda: len(peer.got) == 3)
    again = [e for e in peer.got[1:] if e.SOPInstanceUID == selected.SOPInstanceUID]
    assert [evidence(each)[0] for each in again] == [ordered]
    rounds(forwarding)
    assert len(peer.got) == 3


def test_what_was_hidden_when_its_turn_came_is_sent_when_it_is_shown(
    hospital: Hospital, clock: Clock
) -> None:
    """Rejected while it waited: sent when that is taken back, or when it comes again."""
    peer = Peer(away=True)
    forwarding = flow(hospital, clock, to(peer))
    one, two = several(2)
    store_all(hospital, [one, two])
    rounds(forwarding)
    hospital.store(note(Code.SAFETY.value, [one]))
    hospital.store(note(Code.RETENTION.value, [two]))
    peer.away = False
    ahead = clock.ahead
    clock.ahead += timedelta(hours=7)
    rounds(forwarding)
    clock.ahead = ahead
    taken = {one.SOPInstanceUID, two.SOPInstanceUID}
    assert not taken & set(peer.uids)
    assert sum(each.skipped for each in listed(hospital)) == 2
    hospital.store(two)
    settled(hospital, forwarding, lambda: two.SOPInstanceUID in peer.uids)
    assert one.SOPInstanceUID not in peer.uids
    undo(hospital, rejection_of(hospital, one.SOPInstanceUID))
    settled(hospital, forwarding, lambda: one.SOPInstanceUID in peer.uids)
    assert len(peer.uids) == len(set(peer.uids))


def test_a_correction_while_it_is_sent_is_not_missed(
    hospital: Hospital, clock: Clock
) -> None:
    """Another process finds it when nothing is there yet; who sends looks again."""
    peer = Peer()
    recipient = to(peer, on_correction="resend")
    sending, looking = (flow(hospital, clock, recipient) for _ in range(2))
    deliver = peer.deliver

    def found() -> bool:
        before = place(hospital)
        looking.look()
        return place(hospital) != before

    def meanwhile(ready: Ready) -> int:
        if not peer.got:
            hospital.merge("200^^^A", "100^^^A")
            assert any(found() or NEVER.wait(0.05) for _ in range(2400))
        return deliver(ready)

    peer.deliver = meanwhile  # type: ignore[method-assign]
    uids = store_all(hospital, several(2))
    sending.look()
    sending.drive(recipient, NEVER)
    rounds(sending)
    assert sorted(peer.uids) == sorted([*uids, *uids])
    assert {each.PatientID for each in peer.got[-2:]} == {"E2"}


def place(hospital: Hospital) -> str:
    with hospital.database.read_only() as connection:
        return cursors(connection)[FORWARD + CHANGES]


def rejection_of(hospital: Hospital, sop_instance_uid: str) -> str:
    j = rejection.c
    with hospital.database.read_only() as connection:
        query = select(j.happening_id).where(j.sop_instance_uid == sop_instance_uid)
        return str(connection.execute(query).scalar_one())
