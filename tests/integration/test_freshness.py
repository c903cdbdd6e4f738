"""What was decided once is not believed longer than it is true.

Whoever changes what a decision rests on makes the next instance see it, without telling
the process that decides: by the revision of the study alone.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from sqlalchemy import select

from reconcile.core.audit import Values
from reconcile.core.identity import Demographics, PersonName
from reconcile.core.order import OrderControl, RequestedProcedure
from reconcile.db import history as h
from reconcile.db import holds
from reconcile.db import tables as t
from reconcile.db.embedded import Urls
from reconcile.flows.arrival import Arrival, Stored
from reconcile.flows.store import StoreFlow, _deciding
from tests.support.database import Cluster
from tests.support.hospital import (
    ANNA,
    CT_A,
    EMPI,
    JANE,
    MR_B,
    Hospital,
    clock,
)
from tests.support.instances import arrive, instance, uid

SOAK = bool(os.environ.get("RECONCILE_SOAK"))
ROUNDS = 500 if SOAK else 25
OF_JANE = "100^^^A"
ISSUER_OF_ACCESSION = "00080051"


@pytest.fixture
def hospital(database_urls: Urls, tmp_path: Any) -> Iterator[Hospital]:
    hospital = Hospital.at(database_urls.writer, tmp_path, database_urls.reader)
    hospital.patient(JANE, OF_JANE, "E1^^^E")
    yield hospital
    hospital.database.close()


@pytest.fixture(autouse=True)
def no_group_fails(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What a group could not do is done one by one, and would hide that it could not."""
    yield
    said = [each.getMessage() for each in caplog.get_records("call")]
    assert not [each for each in said if each.startswith("group failed")]


def another(dataset: Dataset) -> Dataset:
    made = deepcopy(dataset)
    made.SOPInstanceUID = uid()
    return made


class Told(NamedTuple):
    """What an instance was decided to be."""

    outcome: str
    followed: bool
    new: dict[str, Any]


def store(hospital: Hospital, flow: StoreFlow, dataset: Dataset) -> Told:
    """Store one more of a series."""
    image = another(dataset)
    arrival = arrive(image, CT_A)
    followed = flow._follower(arrival, _deciding(arrival)) is not None
    before = events(hospital)
    [(_, said)] = flow.settle([arrival])
    assert isinstance(said, Stored), said
    r, e, v = t.receipt.c, h.coercion_event.c, h.coercion_value.c
    wanted = str(image.SOPInstanceUID)
    with hospital.database.read_only() as connection:
        outcome = connection.execute(
            select(r.outcome).where(r.sop_instance_uid == wanted)
        ).scalar_one()
        body = connection.execute(
            select(v.body)
            .join(h.coercion_event, e.id == v.event_id)
            .where(e.sop_instance_uid == wanted)
        ).scalar()
    assert events(hospital) == before + (1 if body else 0)
    return Told(outcome, followed, new_attributes(body))


def events(hospital: Hospital) -> int:
    with hospital.database.read_only() as connection:
        return len(connection.execute(select(h.coercion_event.c.id)).all())


def new_attributes(body: bytes | None) -> dict[str, Any]:
    return dict(json.loads(body)["new_attributes"]) if body else {}


def name_of(told: Told) -> str:
    found = told.new.get("00100010")
    return str(found["Value"][0]["Alphabetic"]) if found else ""


MARRIED = replace(JANE, name=PersonName("SMITH^JANE"))


# -- One after the other ----------------------------------------------------------------


def settled(hospital: Hospital, dataset: Dataset) -> StoreFlow:
    """A flow for which the next of a series follows."""
    flow = hospital.flow()
    for _ in range(2):
        store(hospital, flow, dataset)
    assert store(hospital, flow, dataset).followed
    return flow


def test_a_name_that_changes_is_seen_by_the_next(hospital: Hospital) -> None:
    """ADT^A08."""
    made = instance()
    flow = settled(hospital, made)
    hospital.patient(replace(JANE, name=PersonName("DOE^JANE^MARIA")), OF_JANE, "E1^^^E")
    assert name_of(store(hospital, flow, made)) == "DOE^JANE^MARIA"
    assert store(hospital, flow, made).followed


def test_a_patient_who_becomes_known_is_seen_by_the_next(hospital: Hospital) -> None:
    """A provisional person is verified; then instances are coerced."""
    made = instance(PatientID="300")
    flow = settled(hospital, made)
    assert store(hospital, flow, made).outcome == "provisional"
    hospital.patient(JANE, "300^^^A", "E3^^^E")
    told = store(hospital, flow, made)
    assert (told.outcome, told.new["00100020"]["Value"]) == ("coerce", ["E3"])


def test_an_order_that_comes_is_seen_by_the_next(hospital: Hospital) -> None:
    """Of the accession that the header names and nobody knew."""
    made = instance(AccessionNumber="LATE1")
    flow = settled(hospital, made)
    assert ISSUER_OF_ACCESSION not in store(hospital, flow, made).new
    hospital.order(JANE, OF_JANE, accession="LATE1")
    assert ISSUER_OF_ACCESSION in store(hospital, flow, made).new
    assert store(hospital, flow, made).followed


def test_an_order_that_names_the_study_uid_is_seen_by_the_next(hospital: Hospital) -> None:
    """Without any accession in the header."""
    made = instance()
    flow = settled(hospital, made)
    procedure = RequestedProcedure("RP", str(made.StudyInstanceUID), description="CT neck")
    hospital.order(JANE, OF_JANE, accession="X1", procedures=(procedure,))
    assert store(hospital, flow, made).new["00080050"]["Value"] == ["X1"]


def test_an_order_that_is_cancelled_is_seen_by_the_next(hospital: Hospital) -> None:
    """What was acquired for it wants a person's eye."""
    hospital.order(JANE, OF_JANE, accession="ACC1")
    made = instance(AccessionNumber="ACC1")
    flow = settled(hospital, made)
    hospital.order(JANE, OF_JANE, accession="ACC1", control=OrderControl.CANCEL)
    store(hospital, flow, made)
    with hospital.database.read_only() as connection:
        codes = set(connection.execute(select(t.hold.c.code)).scalars())
    assert "ORDER-CLOSED" in codes


def test_a_conflicting_order_is_seen_by_the_next(hospital: Hospital) -> None:
    """Evidence that comes later may contradict."""
    hospital.patient(ANNA, "200^^^A", "E2^^^E")
    made = instance(AccessionNumber="ACC9")
    flow = settled(hospital, made)
    hospital.order(ANNA, "200^^^A", accession="ACC9")
    assert store(hospital, flow, made).outcome == "EVIDENCE-CONFLICT"


def test_an_other_id_that_gets_an_owner_is_seen_by_the_next(hospital: Hospital) -> None:
    """Nobody owned it when the study was decided."""
    other = Dataset()
    other.PatientID, other.IssuerOfPatientID, other.TypeOfPatientID = "B7", "B", "TEXT"
    made = instance(OtherPatientIDsSequence=DicomSequence([other]))
    flow = settled(hospital, made)
    hospital.patient(ANNA, "B7^^^B", feed=EMPI)
    assert store(hospital, flow, made).outcome == "EVIDENCE-CONFLICT"


def test_an_id_that_an_image_gives_an_owner_is_seen_by_the_next(hospital: Hospital) -> None:
    """Not only messages make persons."""
    other = Dataset()
    other.PatientID, other.IssuerOfPatientID, other.TypeOfPatientID = "B8", "B", "TEXT"
    made = instance(OtherPatientIDsSequence=DicomSequence([other]))
    flow = settled(hospital, made)
    hospital.store(instance(PatientID="B8", PatientName="MEIER^ANNA"), MR_B)
    assert store(hospital, flow, made).outcome == "EVIDENCE-CONFLICT"


def test_a_held_study_is_decided_anew_when_its_patient_changes(hospital: Hospital) -> None:
    """What held it may be gone."""
    made = instance(PatientName="SMITH^JANET", PatientBirthDate="19800201")
    flow = settled(hospital, made)
    assert store(hospital, flow, made).outcome == "DEMOGRAPHIC-CONFLICT"
    hospital.patient(Demographics(PersonName("DOE^JANE"), "19800102", "F"), OF_JANE)
    hospital.order(JANE, OF_JANE, accession="ANY")
    told = store(hospital, flow, made)
    assert told.outcome == "DEMOGRAPHIC-CONFLICT"


def test_another_patient_in_the_study_is_seen_by_the_next(hospital: Hospital) -> None:
    """A header without an ID follows its study; once there are two, it is held."""
    hospital.patient(ANNA, "200^^^A", "E2^^^E")
    study = uid()
    nobody = instance(StudyInstanceUID=study, PatientID=None, PatientName=None)
    flow = settled(hospital, nobody)
    assert store(hospital, flow, nobody).outcome == "NO-IDENTITY"
    hospital.store(instance(StudyInstanceUID=study))
    assert store(hospital, flow, nobody).outcome in ("coerce", "UNCORROBORATED")


def test_an_item_that_is_closed_is_not_added_to(hospital: Hospital) -> None:
    """What comes afterwards opens another one."""
    made = instance(PatientName="ROE^RICHARD", PatientBirthDate="19750506")
    flow = settled(hospital, made)
    with hospital.database.read_only() as connection:
        [hold_id] = connection.execute(select(t.hold.c.id)).scalars()
    hospital.database.run(lambda c: holds.close(c, hold_id, "somebody", clock()))
    store(hospital, flow, made)
    with hospital.database.read_only() as connection:
        states = [row.state for row in connection.execute(select(t.hold))]
        added = connection.execute(select(t.hold_instance.c.hold_id)).scalars().all()
    assert sorted(states) == ["closed", "open"]
    assert added.count(hold_id) == 3


def test_what_changes_nothing_costs_no_precedent(hospital: Hospital) -> None:
    """The same message again, another patient, another study."""
    made = instance()
    flow = settled(hospital, made)
    hospital.patient(JANE, OF_JANE, "E1^^^E")
    hospital.patient(ANNA, "200^^^A", "E2^^^E")
    hospital.store(instance())
    hospital.order(ANNA, "200^^^A", accession="OTHER")
    revision = revisions(hospital)[str(made.StudyInstanceUID)]
    assert revision == 0
    assert store(hospital, flow, made).followed


def revisions(hospital: Hospital) -> dict[str, int]:
    s = t.study.c
    with hospital.database.read_only() as connection:
        query = select(s.study_instance_uid, s.revision)
        return {row.study_instance_uid: row.revision for row in connection.execute(query)}


# -- At the same time -------------------------------------------------------------------


def test_a_change_waits_for_a_group_that_came_before_it(
    hospital: Hospital, cluster: Cluster
) -> None:
    """The group holds its study until its commit: here somebody who stores the same
    instance, and then does not, keeps it from committing, and the change from beginning.
    """
    made = instance()
    flow = settled(hospital, made)
    arrival = arrive(another(made), CT_A)
    told: list[Told] = []

    def grouped() -> None:
        told.append(store_quietly(hospital, flow, arrival))

    def change() -> None:
        hospital.patient(MARRIED, OF_JANE, "E1^^^E")

    name = str(hospital.database.writer.url.database)
    with cluster.connect(name) as other, cluster.connect(name) as looking:
        with other.transaction(force_rollback=True):
            other.execute(THE_SAME_INSTANCE, [arrival.sop_instance_uid])
            group = threading.Thread(target=grouped)
            group.start()
            assert waiting(looking, 1)
            changing = threading.Thread(target=change)
            changing.start()
            assert waiting(looking, 2), "the change has to wait for the group"
        for thread in (group, changing):
            thread.join(60)

    assert [(each.followed, name_of(each)) for each in told] == [(True, "")]
    assert name_of(store(hospital, flow, made)) == "SMITH^JANE"


THE_SAME_INSTANCE = """
insert into instance (
    id, uid_domain, sop_instance_uid, sop_class_uid, series_id, receipt_id, happening_id)
select gen_random_uuid(), uid_domain, %s, sop_class_uid, series_id, receipt_id,
    happening_id
from instance limit 1
"""


def waiting(looking: Any, wanted: int) -> bool:
    """Until so many wait for a lock."""
    query = (
        "select count(*) from pg_stat_activity"
        " where datname = current_database() and wait_event_type = 'Lock'"
    )
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if looking.execute(query).fetchone() == (wanted,):
            return True
        time.sleep(0.01)
    return False


Change = Callable[[Hospital, int], None]


def rename(hospital: Hospital, number: int) -> None:
    said = replace(JANE, name=PersonName(f"DOE^JANE^{'ABCDEFGHIJKLMNOP'[number % 16]}X"))
    hospital.patient(said, OF_JANE, "E1^^^E")


def reorder(hospital: Hospital, number: int) -> None:
    procedure = RequestedProcedure("RP1", "1.2.6.1", description=f"number {number}")
    hospital.order(
        JANE, OF_JANE, accession="ACC1", procedures=(procedure,),
        control=OrderControl.CHANGE if number else OrderControl.NEW,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "keyword"), [(rename, "00100010"), (reorder, "00081030")]
)
def test_whoever_stores_after_a_change_was_acknowledged_sees_it(
    hospital: Hospital, change: Change, keyword: str
) -> None:
    """Two that store and one that changes, each as fast as it can.

    An instance that begins after the acknowledgement of change n never says less than n.
    """
    reorder(hospital, 0)
    made = instance(AccessionNumber="ACC1")
    acknowledged = [0]
    stop = threading.Event()
    wrong: list[str] = []
    seen: set[int] = set()
    followed = [0]

    def changing() -> None:
        for number in range(1, ROUNDS + 1):
            change(hospital, number)
            acknowledged[0] = number
        stop.set()

    def storing() -> None:
        flow = hospital.flow()
        while not stop.is_set():
            least = acknowledged[0]
            told = store_quietly(hospital, flow, arrive(another(made), CT_A))
            most = acknowledged[0] + 1
            number = number_of(told, keyword, least)
            followed[0] += told.followed
            seen.add(number)
            if number < least or number > most:
                wrong.append(f"{number} not in {least}..{most}")

    threads = [threading.Thread(target=storing) for _ in range(2)]
    threads.append(threading.Thread(target=changing))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not wrong
    assert followed[0], "or it proves nothing"
    assert len(seen) > 1


def store_quietly(hospital: Hospital, flow: StoreFlow, arrival: Arrival) -> Told:
    """As `store`, beside others."""
    followed = flow._follower(arrival, _deciding(arrival)) is not None
    [(_, said)] = flow.settle([arrival])
    assert isinstance(said, Stored), said
    e, v = h.coercion_event.c, h.coercion_value.c
    query = select(v.body).join(h.coercion_event, e.id == v.event_id)
    query = query.where(e.sop_instance_uid == arrival.sop_instance_uid)
    with hospital.database.read_only() as connection:
        body = connection.execute(query).scalar_one()
    return Told("", followed, new_attributes(body))


def number_of(told: Told, keyword: str, least: int) -> int:
    """Which change an instance tells of, the one nearest to the least that it may."""
    found = told.new.get(keyword)
    if found is None:
        return 0
    if keyword == "00081030":
        return int(found["Value"][0].rpartition(" ")[2])
    letter = "ABCDEFGHIJKLMNOP".index(found["Value"][0]["Alphabetic"][-2])
    near = least - least % 16 + letter
    return min((near - 16, near, near + 16), key=lambda n: abs(n - least - 1))


def test_values_are_said_by_one_form_only() -> None:
    """The values of a group's events are those that an event by itself would have."""
    assert Values(None, {}, {}).body() == (
        b'{"absent":[],"new_attributes":{},"original_attributes":{},"patient":null,'
        b'"varies":[]}'
    )
