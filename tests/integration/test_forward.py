"""What is forwarded gets there: all of it, in order, each once, as it is given out then."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from sqlalchemy import select
from typer.testing import CliRunner

from reconcile.cli.main import app
from reconcile.db import deliveries
from reconcile.db import tables as t
from reconcile.db.embedded import Urls
from reconcile.db.outgoing import Wanted
from reconcile.db.views_deliveries import Queued, queued
from reconcile.errors import CannotConvert
from reconcile.flows.delivering import NotDelivered
from reconcile.flows.forward import CODE, LEASE, ForwardFlow, Recipient
from reconcile.flows.query import QueryFlow
from reconcile.flows.retrieve import RetrieveFlow
from reconcile.flows.several import Ready, SeveralFlow
from reconcile.web.parts import Parts
from tests.support.archive import open_door
from tests.support.hospital import CT_A, JANE, MR_B, RICHARD, Hospital
from tests.support.instances import instance, uid

NEVER = Event()


class Clock:
    """The time of whoever forwards; `ahead` of that of the rows."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Peer:
    """A destination that keeps what it is given, while it is there.

    Attributes:
        breaks_after: instances that it takes before it is gone.
        refuses: SOP Instance UIDs, with the status of the answer.
    """

    got: list[Dataset] = field(default_factory=list)
    away: bool = False
    breaks_after: int = 1 << 30
    refuses: dict[str, int] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    @contextmanager
    def open(self, kinds: Collection[tuple[str, str]]) -> Iterator[Peer]:
        assert kinds
        if self.away:
            raise NotDelivered("cannot be reached", away=True)
        yield self

    def deliver(self, ready: Ready) -> int:
        if self.breaks_after <= 0:
            raise NotDelivered("broke off", away=True)
        status = self.refuses.get(ready.sop_instance_uid)
        if status == 0:
            raise CannotConvert("not so")
        if status is not None:
            raise NotDelivered(f"answered {status:04X}", away=False, status=status)
        file = BytesIO(b"".join(ready.give().file()))
        with self.lock:
            self.got.append(pydicom.dcmread(file))
            self.breaks_after -= 1
        return 0

    @property
    def uids(self) -> list[str]:
        return [str(each.SOPInstanceUID) for each in self.got]


@pytest.fixture
def hospital(database_urls: Urls, tmp_path: Path) -> Iterator[Hospital]:
    hospital = Hospital.at(
        database_urls.writer, tmp_path / "instances", database_urls.reader
    )
    hospital.patient(JANE, "100^^^A", "E1^^^E")
    hospital.patient(RICHARD, "200^^^A", "E2^^^E")
    yield hospital
    hospital.database.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def flow(hospital: Hospital, clock: Clock, *recipients: Recipient) -> ForwardFlow:
    several = SeveralFlow(
        RetrieveFlow(hospital.database, hospital.storage),
        QueryFlow(hospital.database, hospital.rules, hospital.storage),
    )
    begun = ForwardFlow(several, recipients, clock, "test")
    begun.start()
    return begun


def to(peer: Peer, *rules: Wanted, **said: Any) -> Recipient:
    """A recipient of all, but for what is said otherwise."""
    return Recipient("VIEWER", peer.open, rules or (Wanted("VIEWER"),), **said)


def rounds(of: ForwardFlow) -> None:
    for _ in range(50):
        if not of.round(NEVER):
            return
    raise AssertionError("it goes on and on")


def several(count: int, study: str = "", **said: Any) -> list[Dataset]:
    study, series = study or uid(), uid()
    return [
        instance(StudyInstanceUID=study, SeriesInstanceUID=series, **said)
        for _ in range(count)
    ]


def listed(hospital: Hospital, *, done: bool = True) -> list[Queued]:
    with hospital.database.read_only() as connection:
        return queued(connection, most=100, all_states=done)


def store_all(hospital: Hospital, images: list[Dataset]) -> list[str]:
    for each in images:
        hospital.store(each)
    return [str(each.SOPInstanceUID) for each in images]


def settled(hospital: Hospital, of: ForwardFlow, holds: Any) -> None:
    """Rounds, until transactions of others that are older have ended, and it holds."""
    for _ in range(2400):
        rounds(of)
        if holds():
            return
        NEVER.wait(0.05)
    raise AssertionError("it never came to pass")


# -- What comes ---------------------------------------------------------------------


def test_all_that_comes_is_sent_coerced_in_order_and_once(
    hospital: Hospital, clock: Clock
) -> None:
    """In the order in which it came; nothing waits then, and nothing is sent again."""
    peer = Peer()
    forwarding = flow(hospital, clock, to(peer))
    uids = store_all(hospital, several(5))
    rounds(forwarding)
    rounds(forwarding)
    assert peer.uids == uids
    assert {each.PatientID for each in peer.got} == {"E1"}
    [told] = listed(hospital)
    assert (told.destination, told.sent, told.waiting) == ("VIEWER", 5, 0)
    assert listed(hospital, done=False) == []


def test_a_destination_that_was_down_gets_everything(
    hospital: Hospital, clock: Clock
) -> None:
    """
    Down while a study comes and is corrected: after it is back it has all, in order, each
    once, and as corrected; tried less and less often meanwhile.
    """
    peer = Peer(away=True)
    forwarding = flow(hospital, clock, to(peer))
    uids = store_all(hospital, several(4))
    waits = []
    for _ in range(4):
        rounds(forwarding)
        [lane] = listed(hospital, done=False)
        assert (lane.waiting, lane.error) == (4, "cannot be reached")
        assert lane.next_at is not None
        waits.append(lane.next_at - clock())
        clock.ahead += waits[-1] + timedelta(seconds=1)
    assert waits == sorted(waits)
    hospital.merge("200^^^A", "100^^^A")
    more = store_all(hospital, several(2, study=_study(hospital, uids[0])))
    ahead, clock.ahead = clock.ahead, timedelta(0)
    forwarding.look()  # by the clock of the rows
    peer.away = False
    clock.ahead = ahead + timedelta(hours=7)
    rounds(forwarding)
    assert peer.uids == uids + more
    assert {each.PatientID for each in peer.got} == {"E2"}
    settled(hospital, forwarding, lambda: not listed(hospital, done=False))
    assert len(peer.got) == 6


def _study(hospital: Hospital, sop_instance_uid: str) -> str:
    i, s = t.instance.c, t.series.c
    query = (
        select(t.study.c.study_instance_uid)
        .join(t.series, s.study_id == t.study.c.id)
        .join(t.instance, i.series_id == s.id)
        .where(i.sop_instance_uid == sop_instance_uid)
    )
    with hospital.database.read_only() as connection:
        return str(connection.execute(query).scalar_one())


def test_one_that_breaks_off_goes_on_where_it_was(hospital: Hospital, clock: Clock) -> None:
    """The next time begins with the first one that it did not take."""
    peer = Peer(breaks_after=3)
    forwarding = flow(hospital, clock, to(peer))
    uids = store_all(hospital, several(7))
    rounds(forwarding)
    assert peer.uids == uids[:3]
    peer.breaks_after = 100
    clock.ahead += timedelta(minutes=2)
    rounds(forwarding)
    assert peer.uids == uids


def test_what_is_refused_stops_nothing_and_can_be_tried_again(
    hospital: Hospital, clock: Clock
) -> None:
    """By its status, and what it cannot be given: listed, until somebody tries again."""
    images = several(4)
    peer = Peer(refuses={images[1].SOPInstanceUID: 0xC000, images[2].SOPInstanceUID: 0})
    forwarding = flow(hospital, clock, to(peer))
    uids = store_all(hospital, images)
    rounds(forwarding)
    assert peer.uids == [uids[0], uids[3]]
    [told] = listed(hospital, done=False)
    assert (told.refused, told.sent, told.waiting) == (2, 2, 0)
    assert told.error
    peer.refuses.clear()
    count = hospital.database.run(lambda c: deliveries.retry(c, "VIEWER", None, clock()))
    assert count == 2
    rounds(forwarding)
    assert peer.uids == [uids[0], uids[3], uids[1], uids[2]]


def test_who_dies_while_it_sends_leaves_it_to_the_next(
    hospital: Hospital, clock: Clock
) -> None:
    """What was sent last may be sent again; nothing is lost."""
    peer = Peer()
    forwarding = flow(hospital, clock, to(peer))
    uids = store_all(hospital, several(3))
    forwarding.look()
    claimed = hospital.database.run(
        lambda c: deliveries.claim(c, "VIEWER", clock(), clock() + LEASE)
    )
    assert claimed is not None
    rounds(forwarding)
    assert peer.uids == []
    clock.ahead += LEASE + timedelta(seconds=1)
    rounds(forwarding)
    assert peer.uids == uids


def test_a_lane_that_delivers_is_nobody_elses(hospital: Hospital, clock: Clock) -> None:
    """Its lease begins anew with each delivery, however long the study takes."""
    held: list[object] = []
    peer = Peer()
    deliver = peer.deliver

    def slowly(ready: Ready) -> int:
        clock.ahead += LEASE * 0.9
        now = clock()
        held.append(
            hospital.database.run(lambda c: deliveries.claim(c, "VIEWER", now, now + LEASE))
        )
        return deliver(ready)

    peer.deliver = slowly  # type: ignore[method-assign]
    forwarding = flow(hospital, clock, to(peer))
    uids = store_all(hospital, several(4))
    rounds(forwarding)
    assert held == [None] * 4
    assert peer.uids == uids


def test_several_processes_send_each_once(hospital: Hospital, clock: Clock) -> None:
    """Four at once, six studies, while more of them comes."""
    peer = Peer()
    recipient = to(peer)
    forwarders = [flow(hospital, clock, recipient) for _ in range(4)]
    studies = [uid() for _ in range(6)]
    uids = [u for study in studies for u in store_all(hospital, several(3, study))]

    def drive(of: ForwardFlow) -> None:
        for _ in range(20):
            of.round(NEVER)

    threads = [Thread(target=drive, args=(each,)) for each in forwarders]
    for thread in threads:
        thread.start()
    uids += [u for study in studies for u in store_all(hospital, several(2, study))]
    for thread in threads:
        thread.join()
    settled(hospital, forwarders[0], lambda: len(peer.got) >= len(uids))
    assert sorted(peer.uids) == sorted(uids)
    for study in studies:
        wanted = _study(hospital, uids[0])
        of_study = [u for u in peer.uids if _study(hospital, u) == wanted]
        assert of_study == [u for u in uids if u in of_study]
        assert study


# -- Rules --------------------------------------------------------------------------


def test_rules_say_what_goes(hospital: Hospital, clock: Clock) -> None:
    """By source, by modality, and what is held only when it is decided."""
    peer = Peer()
    rules = (
        Wanted("VIEWER", sources=("CT_A",), modalities=("CT",)),
        Wanted("VIEWER", sources=("MR_B",)),
    )
    forwarding = flow(hospital, clock, to(peer, *rules))
    ct, us = instance(Modality="CT"), instance(Modality="US")
    mr = instance(PatientID="555", Modality="MR")
    held = instance(PatientName="OTHER^BODY", PatientBirthDate="20010101", Modality="CT")
    for image, source in ((ct, CT_A), (us, CT_A), (mr, MR_B), (held, CT_A)):
        hospital.store(image, source)
    rounds(forwarding)
    assert set(peer.uids) == {ct.SOPInstanceUID, mr.SOPInstanceUID}
    eager = Peer()
    also = Recipient("EAGER", eager.open, (Wanted("EAGER", held=True),))
    both = flow(hospital, clock, to(peer, *rules), also)
    rounds(both)
    assert held.SOPInstanceUID in eager.uids
    assert held.SOPInstanceUID not in peer.uids


def test_what_was_held_goes_when_it_is_released(hospital: Hospital, clock: Clock) -> None:
    """Corrected then for whom it had gone to under the ID of the hold."""
    peer, eager = Peer(), Peer()
    also = Recipient(
        "EAGER", eager.open, (Wanted("EAGER", held=True),), on_correction="resend"
    )
    forwarding = flow(hospital, clock, to(peer), also)
    held = instance(PatientName="OTHER^BODY", PatientBirthDate="20010101")
    hospital.store(held)
    rounds(forwarding)
    assert peer.uids == []
    assert eager.uids == [held.SOPInstanceUID]
    parts = Parts(hospital.database, hospital.storage, hospital.rules, require_keys=False)
    with open_door(parts) as client:
        [item] = client.get("/api/v1/holds", params={"state": "open"}).json()["items"]
        said = {"action": "accept", "reason": "it is her", "version": item["version"]}
        done = client.post(f"/api/v1/holds/{item['id']}/resolve", json=said)
        assert done.status_code == 201, done.text
    settled(hospital, forwarding, lambda: len(peer.got) == 1 and len(eager.got) == 2)
    assert (peer.got[0].PatientID, eager.got[1].PatientID) == ("E1", "E1")


# -- Corrections --------------------------------------------------------------------


@pytest.mark.parametrize("how", ["resend", "task", "none"])
def test_a_correction_of_what_was_sent(hospital: Hospital, clock: Clock, how: Any) -> None:
    """Sent once more; or a person is asked to see to it; or nothing. Once for a change."""
    peer = Peer()
    forwarding = flow(hospital, clock, to(peer, on_correction=how))
    uids = store_all(hospital, several(3))
    rounds(forwarding)
    hospital.merge("200^^^A", "100^^^A")
    after = uids + uids if how == "resend" else uids

    def items() -> list[str]:
        hold = t.hold.c
        with hospital.database.read_only() as connection:
            query = select(hold.subject).where(hold.code == CODE, hold.state == "open")
            return list(connection.execute(query).scalars())

    wanted = ["VIEWER"] if how == "task" else []
    settled(hospital, forwarding, lambda: peer.uids == after and items() == wanted)
    rounds(forwarding)
    rounds(forwarding)
    assert peer.uids == after
    assert {each.PatientID for each in peer.got[3:]} <= {"E2"}


def test_the_patient_is_named_as_the_destination_knows_it(
    hospital: Hospital, clock: Clock
) -> None:
    """In its own domain."""
    peer = Peer()
    forwarding = flow(hospital, clock, to(peer, domain="A"))
    hospital.store(instance())
    rounds(forwarding)
    [got] = peer.got
    assert (got.PatientID, got.IssuerOfPatientID) == ("100", "A")


# -- A person's hand -----------------------------------------------------------------


def test_over_http_and_on_the_command_line(
    hospital: Hospital,
    clock: Clock,
    database_urls: Urls,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Listed, left out, sent whole, and tried again, by whichever UID."""
    (tmp_path / "reconcile.toml").write_text(
        '[[destination]]\nae_title = "VIEWER"\nhost = "127.0.0.1"\nport = 1\n'
    )
    monkeypatch.setenv("RECONCILE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("RECONCILE_DATABASE_URL", database_urls.writer)
    monkeypatch.setenv("RECONCILE_DATABASE_OWNER_URL", database_urls.owner)
    monkeypatch.setenv("RECONCILE_DATABASE_READER_URL", database_urls.reader)
    peer = Peer(away=True)
    forwarding = flow(hospital, clock, to(peer))
    images = several(2)
    uids, study = store_all(hospital, images), images[0].StudyInstanceUID
    rounds(forwarding)

    def run(*said: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, ["forward", *said])
        assert done.exit_code == code, done.output
        return done.stdout

    [row] = [json.loads(line) for line in run("list", "--json").splitlines()]
    assert (row["waiting"], row["error"]) == (2, "cannot be reached")
    assert "2 wait" in run("list", "--study", study)
    parts = Parts(
        hospital.database,
        hospital.storage,
        hospital.rules,
        require_keys=False,
        destinations=("VIEWER",),
    )
    with open_door(parts) as client:
        [item] = client.get("/api/v1/deliveries").json()["items"]
        assert item["waiting"] == 2
        skip = {"destination": "VIEWER", "study": study}
        done = client.post("/api/v1/deliveries/skip", json=skip)
        assert done.json() == {"instances": 2}
        assert client.post("/api/v1/deliveries/skip", json=skip).status_code == 400
        nobody = {"destination": "NOBODY", "study": study}
        assert client.post("/api/v1/deliveries/send", json=nobody).status_code == 404
        run("list", code=1)
        peer.away = False
        rounds(forwarding)
        assert peer.uids == []
        sent = client.post("/api/v1/deliveries/send", json=skip)
        assert sent.json() == {"instances": 2}
    rounds(forwarding)
    assert peer.uids == uids
    assert "2 to be sent" in run("send", "VIEWER", study)
    rounds(forwarding)
    assert peer.uids == uids + uids
    assert "0 to be sent" in run("retry", "VIEWER")
