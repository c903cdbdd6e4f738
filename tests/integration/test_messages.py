"""What a message does, over a registry, without doors: what the samples do not show."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from reconcile.core.facts import Feed
from reconcile.core.identity import Demographics, Issuer, PatientUpdate, PersonName
from reconcile.core.merge import DemographicsOnly
from reconcile.core.order import OrderControl, OrderUpdate, RequestedProcedure
from reconcile.db import tables as t
from reconcile.db.embedded import Urls
from reconcile.flows.message import Fault, MessageFlow, Outcome, Received
from reconcile.flows.order import UNKNOWN_ORDER, OrderFlow
from reconcile.flows.patient import PatientFlow
from tests.support.hospital import JANE, RICHARD, RIS_A, RIS_B, Hospital, clock
from tests.support.instances import instance

SAID_AT = datetime(2026, 11, 22, 9, 14, tzinfo=UTC)
OF_JANE = (("100", Issuer("A")),)
MARRIED = replace(JANE, name=PersonName("DOE^JANE MARIE"))


@pytest.fixture
def hospital(database_urls: Urls, tmp_path: Path) -> Hospital:
    """A hospital that knows Jane."""
    hospital = Hospital.at(database_urls.writer, tmp_path, database_urls.reader)
    hospital.patient(JANE, "100^^^A", "E1^^^E")
    return hospital


def kept(flow: MessageFlow, control_id: str, feed: Feed = RIS_A) -> Received:
    sender = feed.application
    found = flow.keep(
        sender=sender, control_id=control_id, event="ADT^A02", body=control_id.encode()
    )
    return Received(found.message_id, sender, control_id, "ADT^A02", feed, SAID_AT)


def rows(hospital: Hospital, query: Any) -> list[Any]:
    with hospital.database.read_only() as connection:
        return list(connection.execute(query))


def count_of(hospital: Hospital) -> tuple[int, int]:
    """How many persons, and how many identities there are."""
    return len(rows(hospital, select(t.person.c.id))), len(
        rows(hospital, select(t.identity.c.id))
    )


# -- A visit that tells of its patient -----------------------------------------------------


def visited(
    hospital: Hospital,
    said: Demographics,
    *named: tuple[str, str],
    feed: Feed = RIS_A,
    control_id: str = "VISIT",
) -> Outcome:
    """An ADT^A02."""
    flow = MessageFlow(hospital.database, hospital.rules, clock)
    identifiers = tuple((value, Issuer(domain)) for value, domain in named)
    command = DemographicsOnly(PatientUpdate(identifiers, said, said_at=SAID_AT))
    return PatientFlow(flow).update_known(kept(flow, control_id, feed), command)


def test_a_visit_updates_a_patient_who_is_known(hospital: Hospital) -> None:
    """With what it says of them; the identifiers that are new are not theirs for it."""
    before = count_of(hospital)
    outcome = visited(hospital, MARRIED, ("100", "A"), ("101", "A"), ("9", "CLINIC9"))
    assert (outcome.state, outcome.acknowledgement) == ("applied", "AA")
    assert count_of(hospital) == before
    said = rows(hospital, select(t.demographics.c.said).order_by(t.demographics.c.id))
    assert "DOE^JANE MARIE" in str(said[-1])


@pytest.mark.parametrize(
    ("named", "feed"),
    [
        ((("101", "A"),), RIS_A),
        ((("101", "CLINIC9"),), RIS_A),
        ((("null", "A"),), RIS_A),
        ((("100", "A"),), RIS_B),
    ],
)
def test_a_visit_creates_nobody(
    hospital: Hospital, named: tuple[tuple[str, str], ...], feed: Feed
) -> None:
    """Unknown, of an unknown domain, no ID, of others: AA, and nothing is done."""
    before = count_of(hospital), len(rows(hospital, select(t.demographics.c.id)))
    outcome = visited(hospital, MARRIED, *named, feed=feed)
    assert (outcome.state, outcome.acknowledgement) == ("applied", "AA")
    assert outcome.fault is None
    after = count_of(hospital), len(rows(hospital, select(t.demographics.c.id)))
    assert after == before


def test_a_visit_of_another_person_is_held(hospital: Hospital) -> None:
    """Who stands in it is not Jane: an overlay is born in a transfer as well."""
    assert visited(hospital, RICHARD, ("100", "A")).state == "held"


def test_a_visit_registers_nobody_whom_images_have_told_of(hospital: Hospital) -> None:
    """They stay provisional: also where it says who they are, or somebody else."""
    hospital.store(instance(PatientID="149", PatientName="JONES^MARY"))
    state = select(t.person.c.state).order_by(t.person.c.id)
    before = count_of(hospital), rows(hospital, state)
    assert before[1][-1].state == "provisional"
    for number, said in enumerate((Demographics(PersonName("JONES^MARY")), RICHARD)):
        outcome = visited(hospital, said, ("149", "A"), control_id=f"VISIT{number}")
        assert outcome.acknowledgement == "AA"
    assert (count_of(hospital), rows(hospital, state)) == before


# -- Orders by the sender's own numbers ----------------------------------------------------


def ordered(
    hospital: Hospital,
    control: OrderControl,
    *,
    placer: str = "",
    filler: str = "",
    accession: str = "",
    uid: str = "",
    feed: Feed = RIS_A,
    status: str = "",
    number: int = 1,
) -> Outcome:
    """An ORM^O01 of Jane."""
    flow = MessageFlow(hospital.database, hospital.rules, clock)
    procedures = (RequestedProcedure("RP1", uid),) if uid else ()
    identifiers = OF_JANE if feed is RIS_A else (("100", Issuer("B")),)
    update = OrderUpdate(
        control,
        status,
        PatientUpdate(identifiers, JANE),
        accession,
        Issuer(),
        placer,
        filler,
        procedures=procedures,
        visit_number="V1",
        account_number="C1",
    )
    message = kept(flow, f"ORDER{number}", feed)
    return OrderFlow(flow, PatientFlow(flow)).apply(message, (update,))


def states(hospital: Hospital) -> list[str]:
    query = select(t.imaging_order.c.state).order_by(t.imaging_order.c.id)
    return [row.state for row in rows(hospital, query)]


@pytest.mark.parametrize(
    ("placer", "filler"), [("P1", ""), ("", "F1"), ("P1", "F1"), ("P9", "F1")]
)
def test_an_order_is_found_by_its_senders_numbers(
    hospital: Hospital, placer: str, filler: str
) -> None:
    """The filler's goes first; where neither accession nor Study UID is said."""
    new = OrderControl.NEW
    ordered(hospital, new, placer="P1", filler="F1", accession="ACC1", number=1)
    ordered(hospital, new, placer="P2", filler="F2", accession="ACC2", number=2)
    cancelled = ordered(
        hospital, OrderControl.CANCEL, placer=placer, filler=filler, number=3
    )
    assert cancelled.acknowledgement == "AA"
    assert states(hospital) == ["cancelled", "scheduled"]


def test_a_number_is_its_senders_and_must_name_one_order(hospital: Hospital) -> None:
    """Another sender's order of that number, and two of one number, are not found."""
    for number, accession in enumerate(("ACC1", "ACC2")):
        ordered(hospital, OrderControl.NEW, placer="P1", accession=accession, number=number)
    cancel = OrderControl.CANCEL
    for number, feed in enumerate((RIS_A, RIS_B)):
        told = ordered(hospital, cancel, placer="P1", feed=feed, number=10 + number)
        assert (told.acknowledgement, told.fault) == ("AE", UNKNOWN_ORDER)
    assert states(hospital) == ["scheduled", "scheduled"]


def test_an_order_keeps_its_visit_and_its_account(hospital: Hospital) -> None:
    """By which it may be moved to another patient."""
    ordered(hospital, OrderControl.NEW, accession="ACC1")
    o = t.imaging_order.c
    query = select(o.visit_number, o.account_number)
    assert [tuple(row) for row in rows(hospital, query)] == [("V1", "C1")]


# -- The inbox -----------------------------------------------------------------------------


def test_a_message_that_is_acted_on_keeps_when_it_happened(hospital: Hospital) -> None:
    """Also one that nothing is done of, and one that is refused and listed."""
    flow = MessageFlow(hospital.database, hospital.rules, clock)
    settled, refused = kept(flow, "SETTLED"), kept(flow, "REFUSED")
    visited(hospital, MARRIED, ("100", "A"))
    flow.settle(settled.message_id, Outcome("applied", "AA"), SAID_AT)
    fault = Fault("201", "not supported", "MSH^1^9^1^2")
    outcome = flow.refuse(refused, "UNSUPPORTED", fault)
    assert (outcome.state, outcome.acknowledgement) == ("refused", "AR")
    assert outcome.fault == fault
    query = select(t.message.c.control_id, t.message.c.said_at, t.message.c.state)
    told = {row.control_id: (row.said_at, row.state) for row in rows(hospital, query)}
    assert told["VISIT"] == (SAID_AT, "applied")
    assert told["SETTLED"] == (SAID_AT, "applied")
    assert told["REFUSED"] == (SAID_AT, "refused")
    items = rows(hospital, select(t.hold.c.kind, t.hold.c.code, t.hold.c.message_id))
    assert [tuple(item) for item in items] == [
        ("message", "UNSUPPORTED", refused.message_id)
    ]
