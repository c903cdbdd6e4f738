"""What a destination is told by HL7 of corrections; the receiver is not ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from reconcile.cli.relaying import relaying
from reconcile.cli.wiring import Parts
from reconcile.core.identity import PersonName
from reconcile.db import tables as t
from reconcile.db.embedded import Urls
from reconcile.db.views_deliveries import Relayed, relayed
from reconcile.flows.forward import CODE, ForwardFlow
from reconcile.flows.relay import RelayFlow
from reconcile.settings.model import Destination, Settings
from reconcile.web.parts import Parts as WebParts
from tests.integration.test_forward import (
    NEVER,
    Clock,
    Peer,
    clock,
    flow,
    hospital,
    rounds,
    settled,
    several,
    store_all,
    to,
)
from tests.integration.test_undo import last, undo
from tests.support.archive import open_door
from tests.support.hl7_receiver import Receiver, receiving
from tests.support.hospital import JANE, Hospital
from tests.support.instances import instance

__all__ = ["clock", "hospital"]

TOLD = ("MSH.9.2", "PID.3.1", "PID.3.4.1", "MRG.1.1", "MRG.1.4.1", "PID.5.1", "PID.7")


@dataclass
class Told:
    """A destination in domain A that has been sent one study, and is told by HL7."""

    hospital: Hospital
    clock: Clock
    peer: Peer
    forwarding: ForwardFlow
    relays: RelayFlow
    receiver: Receiver

    def relay(self) -> None:
        for _ in range(50):
            if not self.relays.round(NEVER):
                return
        raise AssertionError("it goes on and on")

    def settle(self, holds: Any) -> None:
        def now() -> bool:
            self.relay()
            return bool(holds())

        settled(self.hospital, self.forwarding, now)

    def tell(self, *expected: tuple[str, ...]) -> None:
        """All that is told, from the beginning."""
        self.settle(lambda: self.receiver.values(*TOLD) == list(expected))

    def waits(self, *, done: bool = False) -> list[Relayed]:
        with self.hospital.database.read_only() as connection:
            return relayed(connection, most=100, all_states=done)

    def items(self) -> list[str]:
        hold = t.hold.c
        with self.hospital.database.read_only() as connection:
            query = select(hold.subject).where(hold.code == CODE, hold.state == "open")
            return list(connection.execute(query).scalars())


@contextmanager
def _told(hospital: Hospital, clock: Clock, tmp_path: Path, domain: str) -> Iterator[Told]:
    with receiving() as receiver:
        peer = Peer()
        recipient = to(peer, on_correction="hl7", domain=domain)
        forwarding = flow(hospital, clock, recipient)
        said = Destination(
            ae_title="VIEWER",
            host="127.0.0.1",
            port=1,
            domain=domain,
            on_correction="hl7",
            hl7=f"127.0.0.1:{receiver.port}",
            hl7_application="PACS",
            hl7_facility="WEST",
        )
        settings = Settings(data_dir=tmp_path, destination=(said,))
        parts = Parts(settings, hospital.database, hospital.storage, hospital.rules)
        relays = relaying(parts)
        relays.clock = clock
        relays.start()
        yield Told(hospital, clock, peer, forwarding, relays, receiver)


@pytest.fixture
def told(
    hospital: Hospital, clock: Clock, tmp_path: Path, database_urls: Urls
) -> Iterator[Told]:
    with _told(hospital, clock, tmp_path, "A") as made:
        store_all(hospital, several(2))
        rounds(made.forwarding)
        assert len(made.peer.got) == 2
        yield made


def test_a_merge_is_told_once_in_the_domain_of_the_receiver(told: Told) -> None:
    """However many studies it concerns: A40, and A08, as a merge updates nothing itself."""
    store_all(told.hospital, several(1))
    rounds(told.forwarding)
    told.hospital.merge("200^^^A", "100^^^A")
    merged = ("A40", "200", "A", "100", "A", "ROE", "19750506")
    updated = ("A08", "200", "A", "", "", "ROE", "19750506")
    told.tell(merged, updated)
    [header] = set(told.receiver.values("MSH.3", "MSH.5", "MSH.6", "MSH.12", "MSH.18"))
    assert header == ("RECONCILE", "PACS", "WEST", "2.5.1", "UNICODE UTF-8")
    assert told.receiver.values("PID.3.4.2", "PID.3.4.3")[0] == ("1.2.3.1", "ISO")
    assert len(told.peer.got) == 3
    assert told.items() == []
    assert told.waits() == []
    [done] = told.waits(done=True)
    assert (done.lane, done.sent) == ("patients", 2)


def test_a_new_name_is_told(told: Told) -> None:
    """As an A08, in every script; told once, though two images have it."""
    name = PersonName("MÜLLER^JANE^^DR^", "山田^花子")
    told.hospital.patient(replace(JANE, name=name), "100^^^A", "E1^^^E")
    told.tell(("A08", "100", "A", "", "", "MÜLLER", "19800102"))
    [message] = told.receiver.got
    assert str(message.segment("PID")[5]) == "MÜLLER^JANE^^^DR^^L^A~山田^花子^^^^^L^I"
    rounds(told.forwarding)
    told.relay()
    assert len(told.receiver.got) == 1
    assert told.items() == []


def test_what_waits_is_told_in_order_when_the_receiver_is_back(told: Told) -> None:
    """Tried less and less often; two merges in a row, and nothing of who is not there."""
    told.receiver.answer = lambda message: ""
    told.hospital.patient(JANE, "300^^^A", "E3^^^E")
    told.hospital.merge("200^^^A", "100^^^A")
    told.settle(lambda: [each.waiting for each in told.waits()] == [2])
    told.hospital.merge("300^^^A", "200^^^A")
    told.settle(lambda: [each.waiting for each in told.waits()] == [4])
    [lane] = told.waits()
    assert lane.error
    assert lane.attempts >= 1
    told.receiver.answer = lambda message: "AR"
    told.clock.ahead += timedelta(hours=7)
    told.relay()
    assert told.waits()[0].error == "answered AR"
    told.receiver.answer = lambda message: "AA"
    told.clock.ahead += timedelta(hours=7)
    told.relay()
    assert [each[:5] for each in told.receiver.values(*TOLD)] == [
        ("A40", "200", "A", "100", "A"),
        ("A40", "300", "A", "200", "A"),
        ("A08", "300", "A", "", ""),
    ]
    assert told.waits() == []


def test_what_is_refused_stops_nothing_and_can_be_steered(told: Told) -> None:
    """AE: refused, the next one goes; tried again by hand, or left out."""
    told.receiver.answer = lambda message: "AE" if "A40" in str(message) else "AA"
    told.hospital.merge("200^^^A", "100^^^A")
    told.settle(lambda: [each.refused for each in told.waits()] == [1])
    assert told.receiver.values("MSH.9.2") == [("A08",)]
    [row] = told.waits()
    assert (row.error, row.kinds) == ("answered AE", ("ADT^A40",))
    told.receiver.answer = lambda message: ""
    hospital, lane = told.hospital, {"destination": "VIEWER", "study": "patients"}
    parts = WebParts(
        hospital.database, hospital.storage, hospital.rules, False, destinations=["VIEWER"]
    )
    with open_door(parts) as client:
        [listed] = client.get("/api/v1/deliveries").json()["messages"]
        assert (listed["lane"], listed["refused"]) == ("patients", 1)
        done = client.post("/api/v1/deliveries/retry", json=lane)
        assert done.json() == {"instances": 1}
        told.relay()
        done = client.post("/api/v1/deliveries/skip", json=lane)
        assert done.json() == {"instances": 1}
    told.receiver.answer = lambda message: "AA"
    told.relay()
    assert told.waits() == []
    assert len(told.receiver.got) == 1


def test_what_no_message_says_is_for_a_person(told: Told) -> None:
    """A merge that is taken back: listed as left out, and an item for somebody."""
    told.hospital.merge("200^^^A", "100^^^A")
    told.settle(lambda: len(told.receiver.got) == 2)
    undo(told.hospital, last(told.hospital, "adt-a40"))
    told.settle(lambda: told.items() == ["VIEWER"])
    assert len(told.receiver.got) == 2
    done = [each for each in told.waits(done=True) if each.skipped]
    assert [each.kinds for each in done] == [("ADT^A08", "ADT^A40", "by hand")]


def test_an_order_that_comes_late_is_for_a_person(told: Told) -> None:
    """An accession number is nothing that ADT can say."""
    told.hospital.order(JANE, "100^^^A", accession="ACC1")
    image = instance(AccessionNumber="")
    told.hospital.store(image)
    settled(told.hospital, told.forwarding, lambda: len(told.peer.got) == 3)
    parts = WebParts(
        told.hospital.database, told.hospital.storage, told.hospital.rules, False
    )
    with open_door(parts) as client:
        said = {"order": "ACC1", "reason": "it is hers"}
        path = f"/api/v1/studies/{image.StudyInstanceUID}/link-order"
        done = client.post(path, json=said)
        assert done.status_code == 201, done.text
    told.settle(lambda: told.items() == ["VIEWER"])
    assert told.receiver.got == []
